"""Connections to one PostgreSQL database: a pool, what each is set to, errors translated."""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
from psycopg import IsolationLevel, errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from rescind import limits
from rescind.clock import SystemClock
from rescind.config import without_password
from rescind.errors import ConfigurationError, SchemaError, StoreUnavailable
from rescind.store.postgres.transaction import Connection
from rescind.store.sql import versions

MARK = "rescind"
"""The comment on our table of the schema's version."""
_SCHEMA = """
SELECT to_regclass('schema_version') AS name,
    obj_description(to_regclass('schema_version'), 'pg_class') AS mark,
    to_regclass('job_event') IS NOT NULL AND to_regclass('user_account') IS NOT NULL AS is_ours
"""
_QUOTED = re.compile('"([^"]*)"')
_TRY_SECONDS = limits.POSTGRES_WAIT_SECONDS_MAX / limits.POSTGRES_TRIES


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
        self._clock = SystemClock()
        self._used: WeakKeyDictionary[Connection, float] = WeakKeyDictionary()
        """When each connection was given back."""
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            conninfo(url),
            min_size=1,
            max_size=limits.POSTGRES_CONNECTIONS_MAX,
            timeout=limits.POSTGRES_WAIT_SECONDS_MAX,
            reconnect_timeout=limits.POSTGRES_RECONNECT_SECONDS,
            configure=configure,
            check=self._check,
            kwargs={"row_factory": dict_row},
            open=False,
        )
        try:
            with translated():
                self._open(url)
            with self.connection() as connection:
                version = schema_version(connection)
            versions.require("The database", version)
        except BaseException:
            self._pool.close()
            raise

    def _check(self, connection: Connection) -> None:
        """One that has just been used needs none."""
        used = self._used.get(connection, -math.inf)
        if self._clock.elapsed() >= used + limits.POSTGRES_TRUST_SECONDS:
            ConnectionPool.check_connection(connection)

    def _open(self, url: str) -> None:
        try:
            self._pool.open(wait=True, timeout=limits.POSTGRES_WAIT_SECONDS_MAX)
        except PoolTimeout:
            connect(url).close()  # which says why, as the pool does not
            raise

    @contextmanager
    def connection(
        self, isolation: IsolationLevel = IsolationLevel.READ_COMMITTED
    ) -> Iterator[Connection]:
        """A connection whose transaction is committed, and on disk, when the block is left."""
        with self._taken() as connection:
            connection.autocommit = False
            connection.isolation_level = isolation
            with connection:  # commits, or rolls back
                yield connection

    @contextmanager
    def statement(self) -> Iterator[Connection]:
        """A connection each of whose statements is a transaction of its own: one round trip."""
        with self._taken() as connection:
            connection.autocommit = True
            yield connection

    @contextmanager
    def _taken(self) -> Iterator[Connection]:
        with translated():
            connection = self._take()
            try:
                yield connection
            except errors.FeatureNotSupported:
                # What it has prepared returns rows of another shape since a migration.
                connection.close()
                raise
            finally:
                self._used[connection] = self._clock.elapsed()
                self._pool.putconn(connection)

    def _take(self) -> Connection:
        """The pool gives up on a server that is away, and only who asks anew makes it try again:
        so ask often, and wait briefly.
        """
        for _ in range(limits.POSTGRES_TRIES - 1):
            with suppress(PoolTimeout):
                return self._pool.getconn(_TRY_SECONDS)
        return self._pool.getconn(_TRY_SECONDS)

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()


def configure(connection: Connection) -> None:
    """What every promise rests on is set here, not left to the server's configuration."""
    settings = {
        "synchronous_commit": "on",
        # Statements are planned once and go by their indexes, whatever the tables were like when
        # they were planned: a new database is empty. What people ask for is planned freely.
        "plan_cache_mode": "force_generic_plan",
        "enable_seqscan": "off",
        "enable_hashjoin": "off",
        "enable_mergejoin": "off",
        "timezone": "UTC",
        "default_transaction_isolation": "read committed",
        "lock_timeout": f"{limits.POSTGRES_LOCK_SECONDS_MAX}s",
        "statement_timeout": f"{limits.POSTGRES_STATEMENT_SECONDS_MAX}s",
        "idle_in_transaction_session_timeout": f"{limits.POSTGRES_IDLE_SECONDS_MAX}s",
    }
    connection.execute(
        "SELECT set_config(name, value, false) "
        "FROM unnest(%s::text[], %s::text[]) AS given (name, value)",
        [list(settings), list(settings.values())],
    )
    connection.commit()


def schema_version(connection: Connection) -> int:
    """The version of the database's schema; 0 when it has none. Raises SchemaError when it is
    another application's.
    """
    found = connection.execute(_SCHEMA).fetchone()
    if found is None or found["name"] is None:
        return 0
    if found["mark"] != MARK and not found["is_ours"]:
        raise SchemaError(
            "The database has a table schema_version of another application. It was left as it is; "
            "give Rescind a database or a schema of its own."
        )
    row = connection.execute("SELECT version FROM schema_version").fetchone()
    return 0 if row is None else int(row["version"])


def connect(url: str, **options: Any) -> Connection:
    """One connection outside any pool."""
    return psycopg.connect(conninfo(url), row_factory=dict_row, **options)


def conninfo(url: str) -> str:
    """A libpq URI with what Rescind wants of a connection, as far as the URI does not say: above
    all, to notice in time that the server's machine is gone.

    Raises ConfigurationError when it is no libpq URI.
    """
    wanted: dict[str, Any] = {
        "application_name": "rescind",
        "connect_timeout": round(limits.POSTGRES_WAIT_SECONDS_MAX),
        "keepalives_idle": round(limits.POSTGRES_WAIT_SECONDS_MAX),
        "keepalives_interval": 1,
        "keepalives_count": round(limits.POSTGRES_WAIT_SECONDS_MAX),
        "tcp_user_timeout": round(2 * limits.POSTGRES_WAIT_SECONDS_MAX * 1000),
    }
    try:
        return make_conninfo(**{**wanted, **conninfo_to_dict(url)})
    except psycopg.ProgrammingError as error:
        # It may quote the URL, a password too; so does the error itself.
        shown = without_password(url)
        why = _QUOTED.sub(lambda found: found[0] if found[1] in shown else "***", str(error))
        raise ConfigurationError(f"The database URL {shown} cannot be read: {why}.") from None
