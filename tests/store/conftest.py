"""Every test of the conformance suite runs on every store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rescind.clock import SystemClock
from rescind.store.protocol import Store
from rescind.store.sqlite.database import migrate
from rescind.store.sqlite.store import SqliteStore


@pytest.fixture(params=["sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store with one user, whose id is 2."""
    path = tmp_path / "rescind.db"
    migrate(path)
    store = SqliteStore(path, SystemClock())
    assert store.add_user("ada", "hash", frozenset()) == 2
    yield store
    store.close()
