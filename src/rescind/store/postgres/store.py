"""The store on PostgreSQL."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from psycopg import IsolationLevel, errors

from rescind import limits
from rescind.errors import QueryTooSlow
from rescind.store.postgres.database import Database
from rescind.store.postgres.exchange import PostgresExchange
from rescind.store.postgres.lease_line import LeaseLine
from rescind.store.postgres.transaction import PostgresTransaction
from rescind.store.protocol import Channel
from rescind.store.sql.accounts import Accounts
from rescind.store.sql.keys import Keys
from rescind.store.sql.listing import Listing
from rescind.store.sql.moves import Moves
from rescind.store.sql.operations import Operations
from rescind.store.sql.queries import Queries
from rescind.store.sql.reads import Reads
from rescind.store.sql.reruns import Reruns
from rescind.store.sql.selections import Selections
from rescind.store.sql.statements import RowsHeldError


class PostgresStore(Moves, Reruns, Selections, Operations, Reads, Queries, Listing, Accounts, Keys):
    """:class:`rescind.store.protocol.Store` on a PostgreSQL database. ``exchange`` takes the
    wake-ups of this process to the others, when something drives it.
    """

    operation_batch_jobs = limits.POSTGRES_OPERATION_BATCH_JOBS

    def __init__(self, url: str, *, lease_seconds: float = limits.LEASE_SECONDS_DEFAULT) -> None:
        super().__init__()
        self._database = Database(url)
        self._lease = timedelta(seconds=lease_seconds)
        self.exchange = PostgresExchange(url)
        seconds = max(limits.LEASE_ANSWER_SECONDS_MIN, lease_seconds / limits.LEASE_RENEWALS)
        self._lease_line = LeaseLine(url, lease=self._lease, seconds=seconds)

    def now(self) -> datetime:
        with self._read_once() as transaction:
            [row] = transaction.rows("now")
        now: datetime = row["now"]
        return now

    def close(self) -> None:
        self.exchange.close()
        self._lease_line.close()
        self._database.close()

    def lease(self, worker: str) -> None:
        self._lease_line.ask("lease", worker)

    def renew(self, worker: str) -> bool:
        return self._lease_line.ask("renew", worker)

    def end_leases(self) -> list[str]:
        with self._write() as transaction:
            ended = transaction.rows("end_leases")
        if ended:
            self._signal([Channel.RELEASED])  # what was to be cancelled there may settle
        return [row["worker"] for row in ended]

    def _signal(self, channels: Collection[Channel]) -> None:
        super()._signal(channels)
        self.exchange.post(channels)

    @contextmanager
    def _write(self) -> Iterator[PostgresTransaction]:
        with self._database.connection() as connection:
            yield PostgresTransaction(connection, lease=self._lease)

    @contextmanager
    def _write_once(self) -> Iterator[PostgresTransaction]:
        with self._database.statement() as connection:
            yield PostgresTransaction(connection, lease=self._lease)

    _read_once = _write_once

    @contextmanager
    def _write_briefly(self, seconds: float) -> Iterator[PostgresTransaction]:
        with self._write() as transaction:
            _limit(transaction, seconds)
            try:
                yield transaction
            except (errors.QueryCanceled, errors.LockNotAvailable) as error:
                raise RowsHeldError from error

    @contextmanager
    def _write_waiting(self, seconds: float) -> Iterator[PostgresTransaction]:
        with self._write() as transaction:
            milliseconds = max(1, round(seconds * 1000))
            transaction.rows("limit_wait", milliseconds=str(milliseconds))
            try:
                yield transaction
            except errors.LockNotAvailable as error:
                raise RowsHeldError from error

    @contextmanager
    def _query(self, seconds: float) -> Iterator[PostgresTransaction]:
        with self._read() as transaction:
            _limit(transaction, seconds)
            try:
                yield transaction
            except errors.QueryCanceled as error:
                raise QueryTooSlow from error

    @contextmanager
    def _read(self) -> Iterator[PostgresTransaction]:
        with self._database.connection(IsolationLevel.REPEATABLE_READ) as connection:
            transaction = PostgresTransaction(connection, lease=self._lease)
            transaction.run("plan_freely")
            yield transaction


def _limit(transaction: PostgresTransaction, seconds: float) -> None:
    """Statements of a transaction take no longer."""
    milliseconds = max(1, round(seconds * 1000))
    transaction.rows("limit_statement", milliseconds=str(milliseconds))
