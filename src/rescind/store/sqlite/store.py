"""The store on one SQLite file, and the lock that makes one process its owner."""

import fcntl
import os
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path

import apsw

from rescind import limits
from rescind.clock import Clock
from rescind.errors import CannotStart, QueryTooSlow
from rescind.model import RunRef
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
from rescind.store.sqlite.database import Database
from rescind.store.sqlite.transaction import SqliteTransaction


class SqliteStore(Moves, Reruns, Selections, Operations, Reads, Queries, Listing, Accounts, Keys):
    """:class:`rescind.store.protocol.Store` on one SQLite file."""

    operation_batch_jobs = limits.SQLITE_OPERATION_BATCH_JOBS

    def __init__(self, path: Path, clock: Clock) -> None:
        super().__init__()
        self._database = Database(path)
        self._clock = clock

    def now(self) -> datetime:
        return self._clock.now()

    # A lease lasts as long as the owner of the file: a laptop may sleep.

    def lease(self, worker: str) -> None:
        pass

    def renew(self, worker: str) -> bool:  # noqa: ARG002 - the protocol's
        return True

    def end_leases(self) -> list[str]:
        return []

    def all_held(self) -> list[RunRef]:
        """The runs that any worker holds and has not given back."""
        with self._read_once() as transaction:
            found = transaction.rows("all_held")
        return [RunRef(row["id"], row["attempt"]) for row in found]

    def take_over(self, going: Collection[RunRef]) -> None:
        """What an earlier owner held is over, but for the runs that may still be going: for the one
        process that has just come to own the file.
        """
        with self._write() as transaction:
            transaction.run("take_over", going=_given(going))

    def end_runs(self, runs: Collection[RunRef]) -> None:
        """These runs of an earlier owner go on no longer."""
        with self._write() as transaction:
            ended = transaction.rows("end_runs", runs=_given(runs))
        if ended:
            self._signal([Channel.RELEASED])

    def close(self) -> None:
        self._database.close()

    @contextmanager
    def _write(self) -> Iterator[SqliteTransaction]:
        with self._database.write() as connection:
            yield SqliteTransaction(connection, self._clock)

    def _write_once(self) -> AbstractContextManager[SqliteTransaction]:
        return self._write()

    def _read_once(self) -> AbstractContextManager[SqliteTransaction]:
        return self._read()

    def _write_briefly(self, seconds: float) -> AbstractContextManager[SqliteTransaction]:  # noqa: ARG002
        return self._write()  # nobody holds rows here

    _write_waiting = _write_briefly

    @contextmanager
    def _read(self) -> Iterator[SqliteTransaction]:
        with self._database.read() as connection:
            yield SqliteTransaction(connection, self._clock)

    @contextmanager
    def _query(self, seconds: float) -> Iterator[SqliteTransaction]:
        end = self._clock.elapsed() + seconds
        with self._database.read() as connection:
            late = lambda: self._clock.elapsed() > end  # noqa: E731 - named for what it says
            connection.set_progress_handler(late, limits.QUERY_STEPS)
            try:
                yield SqliteTransaction(connection, self._clock)
            except apsw.InterruptError as error:
                raise QueryTooSlow from error
            finally:
                connection.set_progress_handler(None)


def _given(runs: Collection[RunRef]) -> list[dict[str, int]]:
    return [{"id": run.job_id, "attempt": run.attempt} for run in runs]


class FileOwner:
    """The right to run jobs from one SQLite file: a lock beside it, held while this lives.

    Raises CannotStart, naming the owner's pid, when another process has it.
    """

    def __init__(self, path: Path) -> None:
        lock = path.with_name(path.name + ".lock")
        lock.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = os.read(self._file, 32).decode().strip() or "unknown"
            os.close(self._file)
            raise CannotStart(
                f"{path} is served by another process, pid {pid}; one at a time may serve a "
                "SQLite file."
            ) from error
        os.ftruncate(self._file, 0)
        os.write(self._file, f"{os.getpid()}\n".encode())

    def close(self) -> None:
        """Let another process have the file."""
        os.close(self._file)
