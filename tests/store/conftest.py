"""Every test of the conformance suite runs on every store."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rescind.clock import SystemClock
from rescind.store.postgres.store import PostgresStore
from rescind.store.protocol import Store
from rescind.store.sqlite.migration import migrate
from rescind.store.sqlite.store import SqliteStore


@pytest.fixture(params=["sqlite", "postgres"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Open the same empty store, as often as asked: each time as another process would."""
    stores: list[Store] = []
    if request.param == "sqlite":
        migrate(tmp_path / "rescind.db")
    else:
        url: str = request.getfixturevalue("postgres_url")

    def make() -> Store:
        if request.param == "sqlite":
            stores.append(SqliteStore(tmp_path / "rescind.db", SystemClock()))
        else:
            stores.append(PostgresStore(url))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


@pytest.fixture
def store(make_store: Callable[[], Store]) -> Store:
    """An empty store with one user, whose id is 2."""
    store = make_store()
    assert store.add_user("ada", "hash", frozenset()) == 2
    return store
