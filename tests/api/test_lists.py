"""Histories, monitors, tasks and users/me: shapes, filters, pages and who may read what."""

from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.conftest import ADA_ID, failure
from rescind.lifecycle import FINAL, Status
from rescind.store.protocol import Store
from store import harness

JOBS = "/api/v26.1/services/jobs"
Headers = dict[str, str]
both_profiles = pytest.mark.parametrize("context", ["open", "vault"], indirect=True)

HISTORY = [
    *("job_id", "title", "status", "created_by", "created_date"),
    *("modified_by", "modified_date", "run_start_date", "run_end_date"),
]


def page(api: TestClient, headers: Headers, path: str) -> dict[str, Any]:
    answer: dict[str, Any] = api.get(path, headers=headers).json()
    assert answer["responseStatus"] == "SUCCESS", answer
    return answer


@both_profiles
@pytest.mark.parametrize(("name", "keys"), [("histories", HISTORY), ("monitors", HISTORY[:-1])])
def test_a_list_has_the_published_shape_and_no_field_is_null(
    api: TestClient, ada: Headers, store: Store, name: str, keys: list[str]
) -> None:
    harness.place_all(store)
    answer = page(api, ada, f"{JOBS}/{name}")
    expected = ["responseStatus", "responseMessage", "url", "responseDetails", "jobs"]
    assert list(answer) == expected
    assert answer["responseMessage"] == "OK"
    assert answer["url"] == f"{JOBS}/{name}?limit=50&offset=0"
    assert answer["responseDetails"] == {"total": len(answer["jobs"]), "limit": 50, "offset": 0}
    for job in answer["jobs"]:
        assert list(job) == keys
        assert None not in job.values()
        assert (job["status"] in FINAL) == (name == "histories")


def test_pages_lead_to_one_another_with_their_filters(
    api: TestClient, ada: Headers, store: Store
) -> None:
    for _ in range(5):
        harness.place(store, Status.SUCCESS)
    query = "status=success&start_date=2000-01-01T00:00:00Z&limit=2"
    path: str | None = f"{JOBS}/histories?{query}"
    seen: list[int] = []
    backwards: list[str | None] = []
    while path is not None:
        answer = page(api, ada, path)
        seen += [job["job_id"] for job in answer["jobs"]]
        details = answer["responseDetails"]
        assert details["total"] == 5
        backwards.append(details.get("previous_page"))
        path = details.get("next_page")
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == 5
    assert backwards[0] is None
    assert [job["job_id"] for job in page(api, ada, backwards[2] or "")["jobs"]] == seen[2:4]
    assert api.post(f"{JOBS}/histories?{query}", headers=ada).json()["responseStatus"] == "SUCCESS"


@pytest.mark.parametrize("status", sorted(FINAL))
def test_histories_take_every_documented_status_in_lower_case(
    api: TestClient, ada: Headers, store: Store, status: Status
) -> None:
    ids = harness.place_all(store)
    answer = page(api, ada, f"{JOBS}/histories?status={status.lower()}")
    assert [job["job_id"] for job in answer["jobs"]] == [ids[status]]
    assert [job["status"] for job in answer["jobs"]] == [status]


@pytest.mark.parametrize("status", ["scheduled", "queued", "running"])
def test_monitors_take_every_documented_status(
    api: TestClient, ada: Headers, store: Store, status: str
) -> None:
    ids = harness.place_all(store)
    answer = page(api, ada, f"{JOBS}/monitors?status={status}")
    assert [job["job_id"] for job in answer["jobs"]] == [ids[Status(status.upper())]]


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=201", "limit=x", "limit=-1", "limit=1.0", "offset=-1", "offset=x"),
        *("status=nonsense", "status=queueing", "start_date=yesterday", "end_date=2026-13-01"),
    ],
)
@pytest.mark.parametrize("name", ["histories", "monitors"])
def test_what_is_out_of_range_is_refused_and_nothing_is_clamped(
    api: TestClient, ada: Headers, name: str, query: str
) -> None:
    error_type, message = failure(api.get(f"{JOBS}/{name}?{query}", headers=ada))
    assert error_type == "INVALID_DATA"
    assert query.partition("=")[0] in message


def test_in_profile_open_lists_hold_ones_own_jobs_alone_totals_included(
    api: TestClient, sign_in: Callable[[str], Headers], store: Store
) -> None:
    for status in (Status.SUCCESS, Status.RUNNING):
        harness.place(store, status)
    for name in ("histories", "monitors"):
        theirs = page(api, sign_in("creator"), f"{JOBS}/{name}")
        assert (theirs["jobs"], theirs["responseDetails"]["total"]) == ([], 0)
        assert page(api, sign_in("ada"), f"{JOBS}/{name}")["responseDetails"]["total"] == 1


@pytest.mark.parametrize("context", ["vault"], indirect=True)
def test_in_profile_vault_lists_are_for_who_may_read_all_jobs(
    api: TestClient, sign_in: Callable[[str], Headers]
) -> None:
    for name in ("histories", "monitors"):
        answer = api.get(f"{JOBS}/{name}", headers=sign_in("creator"))
        assert failure(answer)[0] == "INSUFFICIENT_ACCESS"


@both_profiles
def test_a_job_has_no_tasks_yet(api: TestClient, ada: Headers, store: Store) -> None:
    job_id = harness.place(store, Status.SUCCESS)
    path = f"{JOBS}/{job_id}/tasks"
    assert page(api, ada, path) == {
        "responseStatus": "SUCCESS",
        "url": f"{path}?limit=50&offset=0",
        "responseDetails": {"total": 0, "limit": 50, "offset": 0},
        "job_id": job_id,
        "tasks": [],
    }
    assert failure(api.get(f"{JOBS}/99/tasks", headers=ada))[0] == "INVALID_DATA"


@both_profiles
def test_who_asks_hears_of_themselves_in_vaults_words(api: TestClient, ada: Headers) -> None:
    answer = page(api, ada, "/api/v26.1/objects/users/me")
    [user] = answer["users"]
    assert list(user["user"]) == ["user_name__v", "active__v", "id", "created_date__v"]
    assert (user["user"]["id"], user["user"]["user_name__v"]) == (ADA_ID, "ada")
    refused = api.get("/api/v26.1/objects/users/me", headers={"Authorization": "nobody"})
    assert failure(refused)[0] == "INVALID_SESSION_ID"


@both_profiles
@pytest.mark.parametrize("name", ["histories", "monitors", "1/tasks"])
def test_lists_come_in_xml_too(api: TestClient, ada: Headers, store: Store, name: str) -> None:
    harness.place(store, Status.SUCCESS)
    text = api.get(f"{JOBS}/{name}", headers={**ada, "Accept": "application/xml"}).text
    assert "<responseDetails><total>" in text
    assert ("<jobs><job><job_id>1</job_id>" in text) == (name == "histories")
