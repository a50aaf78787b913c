"""The schema of PostgreSQL databases: made, migrated, checked, under locks."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
import pytest

from rescind import limits
from rescind.errors import SchemaError, StoreUnavailable
from rescind.model import Actor
from rescind.store.postgres import migration
from rescind.store.postgres.database import connect
from rescind.store.postgres.store import PostgresStore
from rescind.store.sql import versions
from rescind.store.sql.versions import SCHEMA_VERSION
from store.harness import USER, new_job

PACKAGE = migration.__package__
assert PACKAGE is not None


def run(url: str, text: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(text.encode())


def at_version(url: str, version: int) -> None:
    """Make a database as the program of that version did: by its migrations alone."""
    for number, text in versions.migrations(PACKAGE or ""):
        if number <= version:
            run(url, text)
    run(url, f"UPDATE schema_version SET version = {version}")


def objects(url: str) -> dict[str, str]:
    with connect(url) as connection:
        return migration.objects(connection)


@contextmanager
def busy(url: str, table: str) -> Iterator[None]:
    """Somebody's long transaction."""
    with psycopg.connect(url) as connection:
        connection.execute(f"LOCK TABLE {table} IN ACCESS SHARE MODE".encode())
        yield
        connection.rollback()


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION + 1))
def test_replayed_migrations_equal_the_schema(
    postgres_url: str, empty_postgres_url: str, version: int
) -> None:
    at_version(empty_postgres_url, version)
    assert migration.migrate(empty_postgres_url) == (version, SCHEMA_VERSION)
    assert objects(empty_postgres_url) == objects(postgres_url)
    assert migration.check(empty_postgres_url) == []


def test_both_stores_step_together() -> None:
    numbers = [number for number, _ in versions.migrations(PACKAGE or "")]
    assert numbers == [number for number, _ in versions.migrations("rescind.store.sqlite")]


def test_one_step_ahead_is_served_and_left_as_it_is(postgres_url: str) -> None:
    run(postgres_url, f"UPDATE schema_version SET version = {SCHEMA_VERSION + 1}")
    assert migration.migrate(postgres_url) == (SCHEMA_VERSION + 1, SCHEMA_VERSION + 1)
    store = PostgresStore(postgres_url)
    store.add_user("ada", "hash", frozenset())
    assert store.submit([new_job()], USER)
    store.close()


@pytest.mark.parametrize("version", [SCHEMA_VERSION - 1, SCHEMA_VERSION + 2])
def test_any_other_version_is_refused_naming_both(postgres_url: str, version: int) -> None:
    run(postgres_url, f"UPDATE schema_version SET version = {version}")
    with pytest.raises(SchemaError, match=f"version {version}.* serves {SCHEMA_VERSION} and"):
        PostgresStore(postgres_url)
    if version > SCHEMA_VERSION:
        with pytest.raises(SchemaError, match=f"version {version}"):
            migration.migrate(postgres_url)


def test_an_empty_database_is_refused_with_what_to_do(empty_postgres_url: str) -> None:
    with pytest.raises(SchemaError, match=r"version 0.*rescind db migrate"):
        PostgresStore(empty_postgres_url)


def test_of_several_at_once_one_migrates_and_all_see_it_done(empty_postgres_url: str) -> None:
    seen: list[tuple[int, int]] = []
    threads = [
        threading.Thread(target=lambda: seen.append(migration.migrate(empty_postgres_url)))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == [(0, SCHEMA_VERSION)] + [(SCHEMA_VERSION, SCHEMA_VERSION)] * 5


def test_a_busy_table_makes_it_give_up_and_change_nothing(
    empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = empty_postgres_url
    at_version(url, 1)
    before = objects(url)
    broken = [(2, "CREATE TABLE half (id bigint); ALTER TABLE job ADD COLUMN more integer;")]
    monkeypatch.setattr(versions, "migrations", lambda _package: broken)
    monkeypatch.setattr(limits, "POSTGRES_LOCK_SECONDS_MAX", 0.2)
    with busy(url, "job"), pytest.raises(StoreUnavailable, match=r"busy.*nothing was changed"):
        migration.migrate(url)
    assert objects(url) == before


def test_a_check_sees_what_is_missing_and_what_is_other_and_leaves_nothing(
    postgres_url: str,
) -> None:
    assert migration.check(postgres_url) == []
    before = objects(postgres_url)
    run(postgres_url, "DROP TRIGGER job_moves ON job")
    run(postgres_url, "ALTER TABLE job ALTER COLUMN title DROP NOT NULL")
    assert migration.check(postgres_url) == [
        "trigger job_moves is missing.",
        "column job.title is not as this version defines it.",
    ]
    assert before.keys() - objects(postgres_url).keys() == {"trigger job_moves"}
    with psycopg.connect(postgres_url) as connection:
        found = connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = 'rescind_check'")
        assert found.fetchone() is None


FOREIGN = {
    "a version": "CREATE TABLE schema_version (version integer)",
    "a version of another kind": "CREATE TABLE schema_version (installed_rank text)",
    "a job table": "CREATE TABLE job (id text)",
}


@pytest.mark.parametrize("made", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_database_of_another_application_is_left_as_it_is(
    empty_postgres_url: str, made: str
) -> None:
    run(empty_postgres_url, made)
    before = objects(empty_postgres_url)
    with pytest.raises(SchemaError, match=r"another application.*left as it is"):
        migration.migrate(empty_postgres_url)
    assert objects(empty_postgres_url) == before
    if "schema_version" in made:
        for use in (migration.check, PostgresStore):
            with pytest.raises(SchemaError, match="another application"):
                use(empty_postgres_url)


def test_what_was_made_is_marked(postgres_url: str) -> None:
    run(postgres_url, "DROP TABLE job_event CASCADE")
    assert migration.migrate(postgres_url) == (SCHEMA_VERSION, SCHEMA_VERSION)


def test_a_store_in_use_goes_on_when_the_next_program_adds_columns(postgres_url: str) -> None:
    """What it has prepared on its connections is another shape then."""
    store = PostgresStore(postgres_url)
    try:
        assert store.add_user("ada", "hash", frozenset()) == 2
        store.lease("worker-1")

        def look() -> None:
            store.claim(Actor(by="worker-1"), names=["other__c"], limit=1)
            store.rescue(Actor(by="rescuer"), limit=9)
            store.latest_jobs(limit=9, below=2**62, owner=None)
            store.job(1)
            store.metadata(["other__c"])

        for _ in range(8):
            look()
        run(postgres_url, "ALTER TABLE job ADD COLUMN next_programs integer")
        run(postgres_url, "ALTER TABLE job_metadata ADD COLUMN next_programs integer")
        for _ in range(3):  # one failure for each statement that returns whole rows, at the most
            with suppress(StoreUnavailable):
                look()
        look()
        job = new_job()
        [submitted] = store.submit([job], USER)
        claimed = store.claim(Actor(by="worker-1"), names=[job.metadata.name], limit=1)
        assert [found.id for found in claimed] == [submitted.id]
    finally:
        store.close()
