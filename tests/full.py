"""Databases as full as one after a month: jobs that have finished, and jobs that have not.

The rows are made in the database itself, past the trigger that says how a job is born; they have
no events and no logs, which no list reads.
"""

from collections.abc import Callable

import apsw
import psycopg

USERS = 10
"""Submit in turns; every second job is the administrator's, who has the id 2."""
NAMES = 50
"""Of job metadata, in turns."""

_COLUMNS = (
    "job_metadata, title, status, method, priority, parameters, queue, processor, cancellable_in, "
    "grace_seconds, timeout_seconds, idempotent, attempts_max, retry_seconds, created_by, "
    "created_at, modified_by, modified_at, run_at, queued_at, started_at, finished_at, attempt, "
    "evidence, result"
)
_STATUS = """CASE
    WHEN n % 100 < 90 THEN 'SUCCESS' WHEN n % 100 < 96 THEN 'ERRORS_ENCOUNTERED'
    WHEN n % 100 < 99 THEN 'CANCELLED' ELSE 'TIMEOUT' END"""
_EVIDENCE = "CASE WHEN n % 100 BETWEEN 96 AND 98 THEN 'STOPPED_ITSELF' END"
_WAITING = """CASE
    WHEN n % 10 < 5 THEN 'SCHEDULED' WHEN n % 10 < 6 THEN 'QUEUEING' ELSE 'QUEUED' END"""
_OWNER = f"CASE WHEN n % 2 = 0 THEN 2 ELSE 3 + n % {USERS} END"
_PARAMETERS = """'{"month": "2026-11", "tables": ["a", "b", "c"]}'"""
_USER = "id, name, permissions, active, created_at"
_RESULT = """'{"rows": 12}'"""
_MONTH_MILLISECONDS = 30 * 86_400_000


def _jobs(
    numbers: Callable[[int], str],
    when: Callable[[str], str],
    instant: str,
    words: tuple[str, str],
    jobs: tuple[int, int],
) -> list[str]:
    """Statements that insert the finished and the unfinished jobs.

    ``numbers``: a relation of so many numbers ``n``; ``when``: milliseconds as the store keeps an
    instant; ``instant``: now, in milliseconds; ``words``: what a job may be cancelled in, false.
    """
    cancellable, false = words
    finished, unfinished = jobs

    def ordinary(status: str) -> str:
        return (
            f"'export_' || (n % {NAMES}) || '__c', 'Nightly export ' || n, {status}, 'POST', 50, "
            f"{_PARAMETERS}, 'default__c', 'jobs:export', {cancellable}, 10, 3600, {false}, 1, 10, "
            f"{_OWNER}"
        )

    created = f"{instant} - {_MONTH_MILLISECONDS} + n * ({_MONTH_MILLISECONDS} / {finished})"
    done = [when(created), "1", *[when(created)] * 4, when(f"{created} + n % 7000"), "1", _EVIDENCE]
    start = when(f"{instant} + 86400000 + n")
    waits = [when(instant), "1", when(instant), start, "NULL", "NULL", "NULL", "0", "NULL", "NULL"]
    relation = f"INSERT INTO job ({_COLUMNS}) SELECT"
    return [
        f"{relation} {ordinary(_STATUS)}, {', '.join(done)}, {_RESULT} FROM {numbers(finished)}",
        f"{relation} {ordinary(_WAITING)}, {', '.join(waits)} FROM {numbers(unfinished)}",
    ]


def fill_sqlite(path: str, finished: int, unfinished: int) -> None:
    """Fill a migrated database that nobody serves."""

    def numbers(most: int) -> str:
        return (
            "(WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers "
            f"WHERE n < {most}) SELECT n FROM numbers)"
        )

    now = "CAST(unixepoch('subsec') * 1000 AS INTEGER)"
    words = ("'[\"QUEUED\"]'", "0")
    connection = apsw.Connection(path)
    born = next(connection.execute("SELECT sql FROM sqlite_master WHERE name = 'job_is_born'"))[0]
    with connection:
        connection.execute("DROP TRIGGER job_is_born")
        users = f"SELECT 1 + n, 'user ' || n, '[]', 1, 0 FROM {numbers(USERS + 1)}"
        connection.execute(f"INSERT OR IGNORE INTO user_account ({_USER}) {users}")
        for statement in _jobs(numbers, str, now, words, (finished, unfinished)):
            connection.execute(statement)
        connection.execute(born)
    connection.execute("ANALYZE")
    connection.close()


def fill_postgres(url: str, finished: int, unfinished: int) -> None:
    """Fill a migrated database."""

    def numbers(most: int) -> str:
        return f"generate_series(1, {most}) AS n"

    def when(milliseconds: str) -> str:
        return f"(timestamptz 'epoch' + ({milliseconds}) * interval '1 millisecond')"

    now = "CAST(extract(epoch FROM moment()) * 1000 AS bigint)"
    words = ("'{QUEUED}'", "false")
    with psycopg.connect(url, autocommit=True) as connection:
        users = f"SELECT 1 + n, 'user ' || n, '{{}}', true, moment() FROM {numbers(USERS + 1)}"
        for statement in (
            "ALTER TABLE job DISABLE TRIGGER job_is_born",
            f"INSERT INTO user_account ({_USER}) {users} ON CONFLICT DO NOTHING",
            *_jobs(numbers, when, now, words, (finished, unfinished)),
            "ALTER TABLE job ENABLE TRIGGER job_is_born",
            "VACUUM ANALYZE job",
        ):
            connection.execute(statement.encode())
