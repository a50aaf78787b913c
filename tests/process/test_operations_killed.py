"""A service is killed in the middle of an operation; the next goes on where it was.

``OPERATION_KILLS`` says how often, of a cancel and of its undo each. Run with ``-s``, it prints the
books.
"""

import os
import random
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import psycopg
import pytest

from process.conftest import Service, on_both_stores, show

KILLS = int(os.environ.get("OPERATION_KILLS", "2"))
JOBS = 2_000
Serve = Callable[..., Service]


def rows(database: str, text: str) -> list[tuple[Any, ...]]:
    """What a statement finds in the database itself."""
    if database.startswith("sqlite"):
        path = Path(database.removeprefix("sqlite:///"))
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        found = connection.execute(text).fetchall()
        connection.close()
        return found
    with psycopg.connect(database) as other:
        return other.execute(text.encode()).fetchall()


class Books:
    """An operation that is killed again and again, and what stands in the database after it."""

    def __init__(self, serve: Serve, database: str) -> None:
        self._serve, self._database = serve, database
        self.service = serve()

    def begin(self, path: str) -> str:
        answer = self.service.client.post(f"/services/jobs/{path}").json()
        assert answer["responseStatus"] == "SUCCESS", answer
        return str(answer["data"]["operation_id"])

    def read(self, operation_id: str) -> dict[str, Any]:
        answer = self.service.client.get(f"/services/jobs/operations/{operation_id}").json()
        data: dict[str, Any] = answer["data"]
        return data

    def kill_in_the_middle(self, operation_id: str, kills: int, total: int) -> list[int]:
        """How many jobs had been judged each time that the service was found killed."""
        found = []
        for kill in range(1, kills + 1):
            enough = kill * total // (kills + 2)
            self.service.until(lambda enough=enough: self.read(operation_id)["done"] >= enough)  # type: ignore[misc]
            self.service.end(signal.SIGKILL)
            sql = f"SELECT done FROM operation WHERE id = '{operation_id}'"
            found.append(rows(self._database, sql)[0][0])
            self.service = self._serve()
        self.service.until(lambda: self.read(operation_id)["status"] == "DONE")
        return found

    def outcomes(self, operation_id: str) -> list[dict[str, Any]]:
        """All, page by page."""
        found: list[dict[str, Any]] = []
        path = f"/services/jobs/operations/{operation_id}/outcomes?limit=999"
        while path:
            answer = self.service.client.get(path).json()
            found += answer["data"]
            path = answer["responseDetails"].get("next_page", "").removeprefix("/api/v26.1")
        return found


@on_both_stores
def test_a_service_killed_in_a_cancel_and_in_its_undo_does_each_job_once(
    serve: Serve, database: str
) -> None:
    books = Books(serve, database)
    service, total = books.service, JOBS * (1 + KILLS * 3 // 2)
    ids: list[int] = []
    while len(ids) < total:
        ids += service.submit("demo_sleep__c", 500, run_date="2099-01-01T00:00:00Z")
    refused = random.Random(7).sample(ids, 20)  # somebody else is first
    service.cancel(*refused)
    query = {"query": "SELECT id FROM job__sys"}
    pinned = service.client.post("/services/jobs/selections", json=query).json()["data"]
    assert pinned["total"] == total
    cancel = books.begin(f"selections/{pinned['selection_id']}/actions/cancel")
    killed_at = books.kill_in_the_middle(cancel, KILLS, total)
    found = books.outcomes(cancel)
    assert [one["id"] for one in found] == ids
    codes = Counter(one["code"] for one in found)
    assert codes == books.read(cancel)["outcomes"]
    assert codes["ACCEPTED"] == total - len(refused)
    events = "SELECT job_id, count(*) FROM job_event WHERE move = 'cancel' GROUP BY job_id"
    assert dict(rows(database, events)) == dict.fromkeys(ids, 1)
    books.service.until(lambda: books.read(cancel)["stopped"] == codes["ACCEPTED"])

    undo = books.begin(f"operations/{cancel}/actions/undo")
    undo_killed_at = books.kill_in_the_middle(undo, KILLS, codes["ACCEPTED"])
    undone = books.outcomes(undo)
    assert {one["code"] for one in undone} == {"SUBMITTED"}
    assert [one["id"] for one in undone] == [
        one["id"] for one in found if one["code"] == "ACCEPTED"
    ]
    new = "SELECT rerun_of, id FROM job WHERE undo ORDER BY id"
    assert rows(database, new) == [(one["id"], one["new_id"]) for one in undone]
    statuses = "SELECT status, count(*) FROM job GROUP BY status"
    assert dict(rows(database, statuses)) == {"CANCELLED": total, "SCHEDULED": len(undone)}
    show(f"{database.partition(':')[0]}: {total} jobs, cancelled {codes['ACCEPTED']}")
    for what, at, last in (
        ("cancel", killed_at, total),
        ("undo", undo_killed_at, codes["ACCEPTED"]),
    ):
        amid = [done for done in at if done < last]
        show(f"{what}: killed {len(at)} times, {len(amid)} of them when so many were done: {amid}")
    show(f"events of cancels: one each; new jobs: one each, {len(undone)}")


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_another_service_goes_on_with_what_the_killed_one_began(
    serve: Serve, database: str
) -> None:
    books = Books(serve, database)
    other = serve()
    ids: list[int] = []
    while len(ids) < JOBS:
        ids += other.submit("demo_sleep__c", 500, run_date="2099-01-01T00:00:00Z")
    query = {"query": "SELECT id FROM job__sys"}
    pinned = other.client.post("/services/jobs/selections", json=query).json()["data"]
    cancel = books.begin(f"selections/{pinned['selection_id']}/actions/cancel")
    books.service.end(signal.SIGKILL)
    books.service = other
    other.until(lambda: books.read(cancel)["stopped"] == JOBS)
    assert books.read(cancel)["outcomes"] == {"ACCEPTED": JOBS}
    assert [one["id"] for one in books.outcomes(cancel)] == ids
