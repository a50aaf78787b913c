"""What tests of every kind may ask for: a real PostgreSQL."""

from collections.abc import Iterator

import pytest

from postgres import Server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """One server for all tests that do not harm it."""
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def postgres_url(postgres_server: Server) -> Iterator[str]:
    """The URL of a migrated database of its own."""
    with postgres_server.database() as url:
        yield url


@pytest.fixture
def empty_postgres_url(postgres_server: Server) -> Iterator[str]:
    """The URL of a database in which there is nothing."""
    with postgres_server.database(migrated=False) as url:
        yield url
