"""Connections to one PostgreSQL database: a pool, errors translated, migration and check."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from typing import Any

import psycopg
from psycopg import errors
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from rescind import limits
from rescind.errors import StoreUnavailable
from rescind.store.postgres.transaction import Connection
from rescind.store.sql import versions

SCHEMA_VERSION = 1

_MIGRATION_LOCK = 0x7265736369  # any number that is ours


@contextmanager
def translated() -> Iterator[None]:
    """The one place where the driver's errors become Rescind's. Integrity and syntax errors stay
    what they are: they mean a mistake in the code.
    """
    try:
        yield
    except (errors.IntegrityError, errors.ProgrammingError, errors.DataError):
        raise
    except (psycopg.Error, PoolTimeout) as error:
        raise StoreUnavailable(f"The PostgreSQL database did not answer: {error}") from error


class Database:
    """One PostgreSQL database, by a pool of connections.

    Raises StoreUnavailable when it cannot be reached, SchemaError when it has another schema.
    """

    def __init__(self, url: str) -> None:
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            url,
            min_size=1,
            max_size=limits.POSTGRES_CONNECTIONS_MAX,
            timeout=limits.POSTGRES_WAIT_SECONDS_MAX,
            configure=_configure,
            check=ConnectionPool.check_connection,
            kwargs={"row_factory": dict_row, "application_name": "rescind"},
            open=False,
        )
        try:
            with translated():
                self._pool.open(wait=True, timeout=limits.POSTGRES_WAIT_SECONDS_MAX)
            with self.connection() as connection:
                version = schema_version(connection)
            versions.require("The database", version, SCHEMA_VERSION)
        except BaseException:
            self._pool.close()
            raise

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection whose transaction is committed, and on disk, when the block is left."""
        with translated(), self._pool.connection() as connection:
            yield connection

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()


def _configure(connection: Connection) -> None:
    """What every promise rests on is set here, not left to the server's configuration."""
    connection.execute("SET synchronous_commit = on")
    connection.execute("SET TIME ZONE 'UTC'")
    connection.execute(f"SET lock_timeout = {int(limits.POSTGRES_LOCK_SECONDS_MAX * 1000)}")
    connection.execute("SET default_transaction_isolation = 'read committed'")
    connection.commit()


def schema_version(connection: Connection) -> int:
    """The version of the database's schema; 0 when it has none."""
    found = connection.execute("SELECT to_regclass('schema_version') AS name").fetchone()
    if found is None or found["name"] is None:
        return 0
    row = connection.execute("SELECT version FROM schema_version").fetchone()
    return 0 if row is None else int(row["version"])


def migrate(url: str) -> tuple[int, int]:
    """Bring the database to this program's schema; (version before, version after).

    One process at a time: an advisory lock. Raises SchemaError when it is newer than this
    program.
    """
    with translated(), connect(url) as connection, connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_MIGRATION_LOCK,))
        before = schema_version(connection)
        versions.refuse_newer("The database", before, SCHEMA_VERSION)
        if before == 0:
            connection.execute(schema().encode())
    return before, SCHEMA_VERSION


def connect(url: str, **options: Any) -> Connection:
    """One connection outside any pool."""
    return psycopg.connect(url, row_factory=dict_row, application_name="rescind", **options)


def schema() -> str:
    """The SQL that makes an empty database one of this version."""
    return resources.files(__package__).joinpath("schema.sql").read_text()
