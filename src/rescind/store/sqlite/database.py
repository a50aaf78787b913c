"""Connections to one SQLite file: one writer behind a lock, a few readers, errors translated."""

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import apsw

from rescind import limits
from rescind.errors import SchemaError, StoreUnavailable
from rescind.store.sql import versions

SCHEMA_VERSION = 1

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
def _translated() -> Iterator[None]:
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
        self._write_lock = threading.Lock()
        self._readers: queue.LifoQueue[apsw.Connection | None] = queue.LifoQueue()
        for _ in range(limits.SQLITE_READERS_MAX):
            self._readers.put(None)
        with _translated():
            self._writer = self._connect()
        with _translated():
            version = self._writer.pragma("user_version")
        try:
            versions.require(str(path), int(version), SCHEMA_VERSION)
        except SchemaError:
            self._writer.close()
            raise

    @contextmanager
    def write(self) -> Iterator[apsw.Connection]:
        """A transaction that is on disk when this returns, or never was."""
        with self._write_lock, _translated():
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
        with _translated():
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
        with self._write_lock:
            self._writer.close()

    def _connect(self) -> apsw.Connection:
        connection = connect(self._path)
        connection.execute("PRAGMA foreign_keys = ON")
        return connection


def connect(path: Path) -> apsw.Connection:
    """A connection whose commits are on disk when they return; the file must exist."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    connection.set_busy_timeout(int(limits.SQLITE_BUSY_SECONDS_MAX * 1000))
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def migrate(path: Path) -> tuple[int, int]:
    """Bring the file to this program's schema, creating it (readable by its owner alone) if need
    be; (version before, version after).

    Raises SchemaError when the file is newer than this program.
    """
    with _translated():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
        except OSError as error:
            raise StoreUnavailable(f"{path} cannot be created: {error.strerror}.") from error
        connection = connect(path)
        try:
            connection.execute("BEGIN IMMEDIATE")
            before = int(connection.pragma("user_version"))
            versions.refuse_newer(str(path), before, SCHEMA_VERSION)
            if before == 0:
                if connection.execute("SELECT count(*) FROM sqlite_schema").get:
                    raise SchemaError(f"{path} is a database of something else.")
                connection.execute(schema())
            connection.execute("COMMIT")
        finally:
            connection.close()
    return before, SCHEMA_VERSION


def check(path: Path) -> list[str]:
    """What is wrong with the file, in whole sentences; empty when nothing is."""
    with _translated():
        if not path.exists():
            raise StoreUnavailable(f"{path} does not exist.")
        connection = connect(path)
        try:
            version = connection.pragma("user_version")
            if version != SCHEMA_VERSION:
                return [f"It has schema version {version}; this program serves {SCHEMA_VERSION}."]
            problems = [
                str(row[0])
                for row in connection.execute("PRAGMA integrity_check")
                if row[0] != "ok"
            ]
            problems += [
                f"Row {row[1]} of {row[0]} refers to a row of {row[2]} that does not exist."
                for row in connection.execute("PRAGMA foreign_key_check")
            ]
            found = _objects(connection)
        finally:
            connection.close()
    fresh = apsw.Connection(":memory:")
    fresh.execute(schema())
    wanted = _objects(fresh)
    fresh.close()
    problems += [f"{name} is missing." for name in sorted(wanted.keys() - found.keys())]
    problems += [
        f"{name} is not as this version defines it."
        for name in sorted(wanted.keys() & found.keys())
        if wanted[name] != found[name]
    ]
    return problems


def schema() -> str:
    """The SQL that makes an empty database one of this version."""
    return resources.files(__package__).joinpath("schema.sql").read_text()


def _objects(connection: apsw.Connection) -> dict[str, str]:
    """Every table, index and trigger with its definition."""
    rows = connection.execute(
        "SELECT type || ' ' || name, sql FROM sqlite_schema WHERE sql IS NOT NULL"
    )
    return {str(name): str(sql) for name, sql in rows}
