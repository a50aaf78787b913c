"""What SQLite adds: a log that shrinks again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rescind import limits
from rescind.clock import SystemClock
from rescind.store.sqlite.migration import migrate
from rescind.store.sqlite.store import SqliteStore
from store import harness


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rescind.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    migrate(path)
    store = SqliteStore(path, SystemClock())
    store.add_user("ada", "hash", frozenset())
    yield store
    store.close()


def test_the_log_that_a_long_read_has_made_long_shrinks_again(
    store: SqliteStore, path: Path
) -> None:
    log = path.with_name(f"{path.name}-wal")
    job = harness.new_job(parameters={"filler": "x" * 8_000})
    with store._database.read() as reader:
        reader.execute("SELECT count(*) FROM job").fetchall()
        while log.stat().st_size < 2 * limits.SQLITE_WAL_BYTES_KEPT:
            harness.submit_all(store, [job] * 100)
    assert harness.eventually(
        lambda: bool(harness.submit(store)) and log.stat().st_size <= limits.SQLITE_WAL_BYTES_KEPT
    )
