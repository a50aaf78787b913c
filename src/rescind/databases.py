"""Which store a database URL means; for people's work on it, beside a service or without one."""

from rescind.clock import SystemClock
from rescind.config import sqlite_path
from rescind.store.protocol import Store
from rescind.store.sqlite import migration as sqlite
from rescind.store.sqlite.store import SqliteStore

# PostgreSQL's driver takes long to load: who does not use it does not wait for it.


def migrate(url: str) -> tuple[int, int]:
    """Bring a database to this program's schema; (version before, version after)."""
    path = sqlite_path(url)
    if path is not None:
        return sqlite.migrate(path)
    from rescind.store.postgres import migration as postgres  # noqa: PLC0415 - see above

    return postgres.migrate(url)


def check(url: str) -> list[str]:
    """What is wrong with a database, in whole sentences."""
    path = sqlite_path(url)
    if path is not None:
        return sqlite.check(path)
    from rescind.store.postgres import migration as postgres  # noqa: PLC0415 - see above

    return postgres.check(url)


def open_store(url: str) -> Store:
    """A migrated database, for people's work on it beside a running service."""
    path = sqlite_path(url)
    if path is not None:
        return SqliteStore(path, SystemClock())
    from rescind.store.postgres.store import PostgresStore  # noqa: PLC0415 - see above

    return PostgresStore(url)
