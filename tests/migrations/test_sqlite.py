"""The schema of SQLite files: made, migrated, copied first, checked."""

import sqlite3
import threading
from pathlib import Path

import apsw
import pytest

from rescind.clock import SystemClock
from rescind.errors import SchemaError, StoreUnavailable
from rescind.store.sql import versions
from rescind.store.sql.versions import SCHEMA_VERSION
from rescind.store.sqlite import migration
from rescind.store.sqlite.database import APPLICATION_ID
from rescind.store.sqlite.store import SqliteStore
from store.harness import USER, new_job

PACKAGE = migration.__package__
assert PACKAGE is not None


def at_version(path: Path, version: int) -> None:
    """Make a file as the program of that version did: by its migrations alone."""
    connection = apsw.Connection(str(path))
    for number, text in versions.migrations(PACKAGE or ""):
        if number <= version:
            connection.execute(text)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()


def objects(path: Path) -> dict[str, str]:
    connection = apsw.Connection(str(path))
    found = migration.objects(connection)
    connection.close()
    return found


def version_of(path: Path) -> int:
    connection = apsw.Connection(str(path))
    version = int(connection.pragma("user_version"))
    connection.close()
    return version


def test_the_migrations_are_numbered_without_a_gap() -> None:
    numbers = [number for number, _ in versions.migrations(PACKAGE or "")]
    assert numbers == list(range(1, SCHEMA_VERSION + 1))


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION + 1))
def test_replayed_migrations_equal_the_schema(tmp_path: Path, version: int) -> None:
    fresh, replayed = tmp_path / "fresh.db", tmp_path / "replayed.db"
    assert migration.migrate(fresh) == (0, SCHEMA_VERSION)
    at_version(replayed, version)
    assert migration.migrate(replayed) == (version, SCHEMA_VERSION)
    assert objects(replayed) == objects(fresh)
    assert migration.check(replayed) == []


def test_what_was_in_it_is_kept_and_copied_first(tmp_path: Path) -> None:
    path = tmp_path / "rescind.db"
    at_version(path, 1)
    with sqlite3.connect(path) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("INSERT INTO processor (name, seen_at) VALUES ('in the log alone', 1)")
        writer.commit()
        assert path.with_name("rescind.db-wal").stat().st_size > 0
        migration.migrate(path)
    writer.close()
    for file, version in ((path, SCHEMA_VERSION), (tmp_path / "rescind.db.schema-1", 1)):
        assert version_of(file) == version
        connection = apsw.Connection(str(file))
        assert connection.execute("SELECT name FROM processor").get == "in the log alone"
        connection.close()
    copy = tmp_path / "rescind.db.schema-1"
    assert copy.stat().st_mode & 0o077 == 0
    assert not list(tmp_path.glob("*.unfinished"))


def test_a_file_without_room_for_a_copy_is_not_migrated(tmp_path: Path) -> None:
    path = tmp_path / "rescind.db"
    at_version(path, 1)
    (tmp_path / "rescind.db.schema-1.unfinished").mkdir()
    with pytest.raises(StoreUnavailable, match="schema-1"):
        migration.migrate(path)
    assert version_of(path) == 1


def test_one_step_ahead_is_served_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "rescind.db"
    migration.migrate(path)
    connection = apsw.Connection(str(path))
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    assert migration.migrate(path) == (SCHEMA_VERSION + 1, SCHEMA_VERSION + 1)
    store = SqliteStore(path, SystemClock())
    store.add_user("ada", "hash", frozenset())
    assert store.submit([new_job()], USER)
    store.close()
    assert version_of(path) == SCHEMA_VERSION + 1


@pytest.mark.parametrize("version", [SCHEMA_VERSION - 1, SCHEMA_VERSION + 2])
def test_any_other_version_is_refused_naming_both(tmp_path: Path, version: int) -> None:
    path = tmp_path / "rescind.db"
    migration.migrate(path)
    connection = apsw.Connection(str(path))
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    with pytest.raises(SchemaError, match=f"version {version}.* serves {SCHEMA_VERSION} and"):
        SqliteStore(path, SystemClock())
    if version > SCHEMA_VERSION:
        with pytest.raises(SchemaError, match=f"version {version}"):
            migration.migrate(path)


def test_of_several_at_once_one_migrates_and_all_see_it_done(tmp_path: Path) -> None:
    path = tmp_path / "rescind.db"
    seen: list[tuple[int, int]] = []
    threads = [
        threading.Thread(target=lambda: seen.append(migration.migrate(path))) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == [(0, SCHEMA_VERSION)] + [(SCHEMA_VERSION, SCHEMA_VERSION)] * 5


def test_a_migration_that_fails_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rescind.db"
    at_version(path, 1)
    before = objects(path)
    broken = [(2, "CREATE TABLE half (id INTEGER); CREATE TABLE half (id INTEGER);")]
    monkeypatch.setattr(versions, "migrations", lambda _package: broken)
    with pytest.raises(apsw.SQLError):
        migration.migrate(path)
    assert version_of(path) == 1
    assert objects(path) == before


FOREIGN = {
    "a table": "CREATE TABLE notes (id INTEGER); INSERT INTO notes VALUES (1)",
    "a table in WAL": "PRAGMA journal_mode = WAL; CREATE TABLE notes (id INTEGER)",
    "some of our names": "CREATE TABLE job (id INTEGER); CREATE TABLE session (id INTEGER)",
    "a mark": "PRAGMA application_id = 7",
    "a mark and our tables": f"{versions.schema(PACKAGE)}; PRAGMA application_id = 7",
    "a version": "PRAGMA user_version = 1",
    "our version": f"CREATE TABLE notes (id INTEGER); PRAGMA user_version = {SCHEMA_VERSION}",
}


@pytest.mark.parametrize("made", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_database_of_another_application_is_left_as_it_is(tmp_path: Path, made: str) -> None:
    path = tmp_path / "notes.db"
    connection = apsw.Connection(str(path))
    connection.execute(made).fetchall()
    connection.close()
    before, written = path.read_bytes(), path.stat().st_mtime_ns
    for use in (
        lambda: migration.migrate(path),
        lambda: migration.check(path),
        lambda: SqliteStore(path, SystemClock()),
    ):
        with pytest.raises(SchemaError, match=r"another application's database\. It was left"):
            use()
        assert (path.read_bytes(), path.stat().st_mtime_ns) == (before, written)
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database " * 1000)
    with pytest.raises(SchemaError, match="no SQLite database"):
        migration.migrate(path)
    assert path.read_text() == "not a database " * 1000


def test_a_file_from_before_there_was_a_mark_is_marked(tmp_path: Path) -> None:
    path = tmp_path / "rescind.db"
    at_version(path, SCHEMA_VERSION)
    connection = apsw.Connection(str(path))
    assert connection.pragma("application_id") == 0
    migration.migrate(path)
    assert connection.pragma("application_id") == APPLICATION_ID
    connection.close()
