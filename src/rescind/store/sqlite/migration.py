"""The schema of a SQLite file: made, migrated, checked."""

import os
from pathlib import Path

import apsw

from rescind.errors import StoreUnavailable
from rescind.store.sql import versions
from rescind.store.sql.versions import SCHEMA_VERSION
from rescind.store.sqlite.database import APPLICATION_ID, connect, translated

assert __package__ is not None
_PACKAGE: str = __package__


def migrate(path: Path) -> tuple[int, int]:
    """Bring the file to this program's schema, creating it (readable by its owner alone) if need
    be; (version before, version after). What is migrated is first copied beside it.

    Raises SchemaError when the file is too new for this program, or another application's.
    """
    with translated():
        try:
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch(mode=0o600)
        except OSError as error:
            raise StoreUnavailable(f"{path} cannot be created: {error.strerror}.") from error
        connection = connect(path)
        try:
            before = _version(connection)
            if before and versions.steps(str(path), before, _PACKAGE):
                _copy(connection, path.with_name(f"{path.name}.schema-{before}"))
            return _step(connection, path)
        finally:
            connection.close()


def _step(connection: apsw.Connection, path: Path) -> tuple[int, int]:
    connection.execute("BEGIN IMMEDIATE")  # of two processes, one does it
    before = _version(connection)
    after = max(before, SCHEMA_VERSION)
    for step in versions.steps(str(path), before, _PACKAGE):
        connection.execute(step)
    connection.execute(f"PRAGMA user_version = {after}")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute("COMMIT")
    return before, after


def _copy(connection: apsw.Connection, copy: Path) -> None:
    """A whole copy of the database, on disk, or none."""
    unfinished = copy.with_name(f"{copy.name}.unfinished")
    try:
        unfinished.unlink(missing_ok=True)
        unfinished.touch(mode=0o600)
        target = apsw.Connection(str(unfinished))
        try:
            with target.backup("main", connection, "main") as backup:
                while not backup.done:
                    backup.step()
        finally:
            target.close()
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        unfinished.replace(copy)
    except OSError as error:
        raise StoreUnavailable(
            f"{copy}, the copy before the migration, cannot be written: {error.strerror}. "
            "Nothing was changed."
        ) from error


def check(path: Path) -> list[str]:
    """What is wrong with the file, in whole sentences; empty when nothing is."""
    with translated():
        if not path.exists():
            raise StoreUnavailable(f"{path} does not exist.")
        connection = connect(path)
        try:
            version = _version(connection)
            if version != SCHEMA_VERSION:
                return [f"It has schema version {version}; this program's is {SCHEMA_VERSION}."]
            problems = [
                str(row[0])
                for row in connection.execute("PRAGMA integrity_check")
                if row[0] != "ok"
            ]
            problems += [
                f"Row {row[1]} of {row[0]} refers to a row of {row[2]} that does not exist."
                for row in connection.execute("PRAGMA foreign_key_check")
            ]
            found = objects(connection)
        finally:
            connection.close()
    fresh = apsw.Connection(":memory:")
    fresh.execute(versions.schema(_PACKAGE))
    wanted = objects(fresh)
    fresh.close()
    return problems + versions.differences(wanted, found)


def objects(connection: apsw.Connection) -> dict[str, str]:
    """Every table, index and trigger with its definition."""
    rows = connection.execute(
        "SELECT type || ' ' || name, sql FROM sqlite_schema WHERE sql IS NOT NULL"
    )
    return {str(name): str(sql) for name, sql in rows}


def _version(connection: apsw.Connection) -> int:
    return int(connection.pragma("user_version"))
