"""Connections to one SQLite file: one writer behind a lock, a few readers, errors translated."""

import queue
import select
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import apsw

from rescind import limits
from rescind.errors import SchemaError, StoreUnavailable
from rescind.store.sql import versions
from rescind.store.sqlite.turns import Turns

APPLICATION_ID = 0x52534344
"""What marks a file as Rescind's, in its header: RSCD."""
_TABLES = {"job", "job_event", "job_metadata", "user_account", "session"}
"""What tells one that was made before there was a mark."""

_UNAVAILABLE = (
    apsw.BusyError,
    apsw.LockedError,
    apsw.FullError,
    apsw.IOError,
    apsw.ReadOnlyError,
    apsw.CantOpenError,
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.PermissionsError,
    apsw.NoMemError,
    apsw.InterruptError,
    apsw.ProtocolError,
)


@contextmanager
def translated() -> Iterator[None]:
    """The one place where the driver's errors become Rescind's. Constraint errors stay what they
    are: they mean a mistake in the code.
    """
    try:
        yield
    except _UNAVAILABLE as error:
        raise StoreUnavailable(f"The SQLite database did not answer: {error}") from error


class Database:
    """One SQLite file, open.

    Raises StoreUnavailable when it cannot be opened, SchemaError when it has another schema.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turns = Turns()
        self._readers: queue.LifoQueue[apsw.Connection | None] = queue.LifoQueue()
        for _ in range(limits.SQLITE_READERS_MAX):
            self._readers.put(None)
        with translated():
            self._writer = self._connect()
        with translated():
            version = self._writer.pragma("user_version")
        try:
            versions.require(str(path), int(version))
        except SchemaError:
            self._writer.close()
            raise

    @contextmanager
    def write(self) -> Iterator[apsw.Connection]:
        """A transaction that is on disk when this returns, or never was."""
        with self._turns, translated():
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                # After some errors (disk full) SQLite has already rolled back by itself.
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    @contextmanager
    def read(self) -> Iterator[apsw.Connection]:
        """One consistent view of what is committed."""
        with translated():
            reader = self._readers.get()
            try:
                if reader is None:
                    reader = self._connect()
                reader.execute("BEGIN")
                try:
                    yield reader
                finally:
                    if reader.in_transaction:
                        reader.execute("ROLLBACK")
            finally:
                self._readers.put(reader)

    def close(self) -> None:
        """Close every connection; waits for those in use."""
        for _ in range(limits.SQLITE_READERS_MAX):
            reader = self._readers.get()
            if reader is not None:
                reader.close()
        with self._turns:
            self._writer.close()

    def _connect(self) -> apsw.Connection:
        connection = connect(self._path)
        connection.execute("PRAGMA foreign_keys = ON")
        return connection


def connect(path: Path) -> apsw.Connection:
    """A connection whose commits are on disk when they return; the file must exist.

    Raises SchemaError, before anything is written, when it is another application's.
    """
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    connection.set_busy_timeout(int(limits.SQLITE_BUSY_SECONDS_MAX * 1000))
    try:
        _require_ours(path, connection)
    except BaseException:
        connection.close()
        raise
    _use_wal(connection)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {limits.SQLITE_WAL_BYTES_KEPT}")
    return connection


def _require_ours(path: Path, connection: apsw.Connection) -> None:
    try:
        mark = connection.pragma("application_id")
    except apsw.NotADBError:
        raise SchemaError(f"{path} is no SQLite database. It was left as it is.") from None
    if mark == APPLICATION_ID:
        return
    names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    tables = {str(row[0]) for row in names}
    is_new = not tables and connection.pragma("user_version") == 0
    if mark != 0 or not (is_new or tables >= _TABLES):
        raise SchemaError(f"{path} is another application's database. It was left as it is.")


def _use_wal(connection: apsw.Connection) -> None:
    """Who open a new file at once are in each other's way here, and SQLite does not wait then."""
    for _ in range(limits.SQLITE_WAL_TRIES):
        with suppress(apsw.BusyError):
            connection.execute("PRAGMA journal_mode = WAL")
            return
        select.select((), (), (), limits.SQLITE_WAL_TRY_SECONDS)
    connection.execute("PRAGMA journal_mode = WAL")
