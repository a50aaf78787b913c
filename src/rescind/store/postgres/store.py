"""The store on PostgreSQL."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from rescind import limits
from rescind.store.postgres.database import Database
from rescind.store.postgres.transaction import PostgresTransaction
from rescind.store.protocol import Channel
from rescind.store.sql.accounts import Accounts
from rescind.store.sql.moves import Moves
from rescind.store.sql.reads import Reads


class PostgresStore(Moves, Reads, Accounts):
    """:class:`rescind.store.protocol.Store` on a PostgreSQL database."""

    def __init__(self, url: str, *, lease_seconds: float = limits.LEASE_SECONDS) -> None:
        super().__init__()
        self._database = Database(url)
        self._lease = timedelta(seconds=lease_seconds)

    def now(self) -> datetime:
        with self._read() as transaction:
            [row] = transaction.rows("now")
        now: datetime = row["now"]
        return now

    def subscribe(self, listener: Callable[[Channel], None]) -> None:
        self._listeners.append(listener)

    def check(self) -> None:
        with self._write() as transaction:
            transaction.run("check")

    def close(self) -> None:
        self._database.close()

    @contextmanager
    def _write(self) -> Iterator[PostgresTransaction]:
        with self._database.connection() as connection:
            yield PostgresTransaction(connection, lease=self._lease)

    _read = _write
