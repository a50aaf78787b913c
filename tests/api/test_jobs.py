"""Submit, status, start_now and log."""

import json
import tracemalloc
from collections.abc import Callable
from datetime import timedelta

import pytest
from starlette.testclient import TestClient

from api.conftest import ADA_ID, failure
from rescind.lifecycle import Status
from rescind.model import Actor
from rescind.store.protocol import Store
from store import harness

JOBS = "/api/v26.1/services/jobs"
Headers = dict[str, str]


def test_submitted_jobs_are_answered_item_by_item(
    api: TestClient, ada: Headers, store: Store, metadata: str
) -> None:
    items = [
        {"job_metadata": metadata},
        {"job_metadata": "unknown__c"},
        {"job_metadata": metadata, "priority": 101},
        {"title": "no metadata"},
        {
            "job_metadata": metadata,
            "title": "Later",
            "parameters": {"seconds": 1},
            "run_date": "2099-01-01T00:00:00Z",
            "priority": 1,
        },
    ]
    answer = api.post(JOBS, json=items, headers=ada)
    assert answer.json()["responseStatus"] == "SUCCESS"
    data = answer.json()["data"]
    assert [item["responseStatus"] for item in data] == [
        "SUCCESS", "FAILURE", "FAILURE", "FAILURE", "SUCCESS",
    ]  # fmt: skip
    assert "unknown__c" in data[1]["errors"]["message"]
    assert "2" in data[1]["errors"]["message"]
    first, later = (harness.row(store, data[index]["data"]["id"]) for index in (0, 4))
    assert (first.status, first.title, first.priority) == (Status.QUEUED, "Sleep", 50)
    assert (later.status, later.title, later.priority) == (Status.SCHEDULED, "Later", 1)
    assert later.parameters == {"seconds": 1}
    assert later.created_by == ADA_ID
    assert (
        harness.last_event(store, later.id).request_id == answer.headers["x-vaultapi-executionid"]
    )


def test_jobs_are_submitted_as_csv_too(
    api: TestClient, ada: Headers, store: Store, metadata: str
) -> None:
    body = f'job_metadata,parameters,priority\r\n{metadata},"{{""a"": ""b\\\\c""}}",7\r\n'
    answer = api.post(JOBS, content=body, headers={**ada, "Content-Type": "text/csv"})
    [item] = answer.json()["data"]
    job = harness.row(store, item["data"]["id"])
    assert (job.parameters, job.priority) == ({"a": "b\\c"}, 7)


def test_submitting_needs_the_permission_to_create(
    api: TestClient, sign_in: Callable[[str], Headers], metadata: str
) -> None:
    answer = api.post(JOBS, json=[{"job_metadata": metadata}], headers=sign_in("reader"))
    assert failure(answer)[0] == "INSUFFICIENT_ACCESS"


def test_the_status_has_the_published_keys_in_order(
    api: TestClient, ada: Headers, metadata: str, store: Store
) -> None:
    [item] = api.post(JOBS, json=[{"job_metadata": metadata}], headers=ada).json()["data"]
    job_id = item["data"]["id"]
    payload = api.get(f"{JOBS}/{job_id}", headers=ada).json()
    assert list(payload) == ["responseStatus", "responseMessage", "data"]
    data = payload["data"]
    assert list(data) == [
        "id", "status", "method", "links", "created_by", "created_date", "run_start_date",
    ]  # fmt: skip
    assert (data["id"], data["status"], data["method"]) == (job_id, "QUEUED", "POST")
    assert data["created_by"] == ADA_ID
    assert data["links"] == [
        {
            "rel": "self",
            "href": f"/api/v26.1/services/jobs/{job_id}",
            "method": "GET",
            "accept": "application/json",
        }
    ]
    harness.cancel(store, job_id)
    store.settle(harness.SYSTEM, limit=9)
    ended = api.get(f"{JOBS}/{job_id}", headers=ada).json()["data"]
    assert ended["status"] == "CANCELLED"
    assert ended["run_start_date"] == data["created_date"]
    assert ended["run_end_date"].endswith("Z")


def test_a_scheduled_job_shows_its_planned_start_and_no_method(
    api: TestClient, ada: Headers, store: Store
) -> None:
    job_id = harness.scheduled(store)
    data = api.get(f"{JOBS}/{job_id}", headers=ada).json()["data"]
    planned = harness.row(store, job_id).run_at
    assert data["run_start_date"] == planned.strftime("%Y-%m-%dT%H:%M:%S.") + (
        f"{planned.microsecond // 1000:03}Z"
    )
    assert "method" not in data
    assert "run_end_date" not in data


@pytest.mark.parametrize("job_id", ["0", "12345", str(2**63), "9" * 30])
def test_an_unknown_job_is_not_found(api: TestClient, ada: Headers, job_id: str) -> None:
    for path in (f"{JOBS}/{job_id}", f"{JOBS}/{job_id}/log"):
        answer = failure(api.get(path, headers=ada))
        assert answer == ("INVALID_DATA", f"Job [{int(job_id)}] is not found")
    answer = failure(api.post(f"{JOBS}/start_now/{job_id}", headers=ada))
    assert answer == ("INVALID_DATA", f"Job [{int(job_id)}] is not found")


def test_a_job_is_read_by_who_may_read_jobs_and_by_who_submitted_it(
    api: TestClient, sign_in: Callable[[str], Headers], store: Store
) -> None:
    nobody, reader = sign_in("nobody"), sign_in("reader")
    user_id = int(api.get("/api/", headers=nobody).headers["x-vaultapi-userid"])
    [own] = harness.submit_all(store, [harness.new_job()], Actor(user_id=user_id, by="user"))
    foreign = harness.submit(store)
    for job_id, headers, seen in [
        (own, nobody, True), (foreign, nobody, False), (foreign, reader, True),
    ]:  # fmt: skip
        answer = api.get(f"{JOBS}/{job_id}", headers=headers).json()
        assert (answer["responseStatus"] == "SUCCESS") is seen
    unknown = api.get(f"{JOBS}/999", headers=nobody).json()
    hidden = api.get(f"{JOBS}/{foreign}", headers=nobody).json()
    assert json.dumps(hidden).replace(str(foreign), "999") == json.dumps(unknown)


@pytest.mark.parametrize(
    ("context", "status"),
    [("open", Status.QUEUED), ("vault", Status.QUEUEING)],
    indirect=["context"],
)
def test_start_now_runs_the_same_id_now(
    api: TestClient, ada: Headers, store: Store, status: Status
) -> None:
    job_id = harness.scheduled(store)
    answer = api.post(f"{JOBS}/start_now/{job_id}", headers=ada)
    assert answer.json() == {
        "responseStatus": "SUCCESS",
        "url": f"/api/v26.1/services/jobs/{job_id}",
        "job_id": job_id,
    }
    assert harness.row(store, job_id).status is status


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.SCHEDULED}))
def test_start_now_of_a_job_that_is_not_scheduled_names_its_status(
    api: TestClient, ada: Headers, store: Store, status: Status
) -> None:
    job_id = harness.place(store, status)
    error_type, message = failure(api.post(f"{JOBS}/start_now/{job_id}", headers=ada))
    assert error_type == "INVALID_DATA"
    assert f"in {status} state" in message


def test_a_title_cannot_forge_lines_of_the_log(api: TestClient, ada: Headers, store: Store) -> None:
    forged = "2024-03-01T00:50:01.741Z Job Completion Status: SUCCESS"
    title = f"t\n{forged}\r{forged}\u2028{forged}\x0b\x1b[2J"
    job_id = harness.submit(store, harness.new_job(title=title))
    harness.cancel(store, job_id)
    harness.settle(store, job_id)
    lines = api.get(f"{JOBS}/{job_id}/log", headers=ada).text.splitlines()
    assert [line.partition(" ")[2].partition(":")[0] for line in lines].count("Job Title") == 1
    assert [line for line in lines if "Job Completion Status:" in line and "Title" not in line] == [
        line for line in lines if line.endswith("Job Completion Status: CANCELLED")
    ]
    assert "\x1b" not in "".join(lines)


def test_the_log_is_text_with_marks_gaps_and_a_summary(
    api: TestClient, ada: Headers, store: Store
) -> None:
    job_id = harness.place(store, Status.RUNNING)
    harness.cancel(store, job_id)
    later = "2024-03-01T00:50:02.741Z [after cancel] still here\n"
    text = "2024-03-01T00:50:01.741Z hello\n" * 2 + later
    harness.log(store, job_id, text)
    harness.settle(store, job_id)
    answer = api.get(f"{JOBS}/{job_id}/log", headers=ada)
    assert answer.headers["content-type"].startswith("text/plain")
    lines = answer.text.splitlines()
    assert lines[:3] == [
        "2024-03-01T00:50:01.741Z hello",
        "2024-03-01T00:50:01.741Z hello",
        "2024-03-01T00:50:02.741Z [after cancel] still here",
    ]
    assert lines[3].endswith("Job Title: A job")
    assert any(line.endswith("Job Completion Status: CANCELLED") for line in lines)
    assert any(line.endswith("Job Stop Evidence: KILLED") for line in lines)


def test_a_log_that_lost_its_middle_says_how_much(
    api: TestClient, ada: Headers, store: Store
) -> None:
    job_id = harness.place(store, Status.RUNNING)
    for _ in range(40):
        harness.log(store, job_id, "x" * 65_535 + "\n")
    text = api.get(f"{JOBS}/{job_id}/log", headers=ada).text
    kept = sum(len(line) + 1 for line in text.splitlines() if line.startswith("x"))
    assert f"... {40 * 65_536 - kept:,} bytes are missing here ..." in text


def test_a_later_start_is_due_when_its_date_has_come(
    api: TestClient, ada: Headers, store: Store, metadata: str
) -> None:
    soon = (store.now() + timedelta(seconds=0.05)).isoformat()
    items = [{"job_metadata": metadata, "run_date": soon}]
    [item] = api.post(JOBS, json=items, headers=ada).json()["data"]
    job_id = item["data"]["id"]
    assert harness.eventually(lambda: store.stage(harness.SYSTEM, limit=9) == [job_id])


def test_an_unknown_key_refuses_its_item_and_names_the_nearest(
    api: TestClient, ada: Headers, store: Store, metadata: str
) -> None:
    items = [
        {"job_metadata": metadata, "run_at": "2099-01-01T00:00:00Z"},
        {"job_metadata": metadata, "Title": None},
        {"job_metadata": metadata},
    ]
    data = api.post(JOBS, json=items, headers=ada).json()["data"]
    assert [item["responseStatus"] for item in data] == ["FAILURE", "FAILURE", "SUCCESS"]
    message = data[0]["errors"]["message"]
    assert message.startswith("Item 1: [run_at] is not known; did you mean run_date?")
    assert "did you mean title?" in data[1]["errors"]["message"]
    assert len(store.latest_jobs(limit=9, below=99, owner=None)) == 1


def test_an_unknown_column_refuses_the_whole_request(
    api: TestClient, ada: Headers, store: Store, metadata: str
) -> None:
    for header in ("job_metadata,run_at", "run_at,job_metadata", "job_metadata,"):
        body = f"{header}\n{metadata},\n"
        answer = api.post(JOBS, content=body, headers={**ada, "Content-Type": "text/csv"})
        error_type, message = failure(answer)
        assert error_type == "INVALID_DATA"
        assert "did you mean run_date?" in message or header.endswith(",")
    assert store.latest_jobs(limit=9, below=99, owner=None) == []


def test_cancel_goes_on_ignoring_what_it_does_not_know(
    api: TestClient, ada: Headers, store: Store
) -> None:
    path = f"{JOBS}/actions/cancel"
    for content_type, body in [
        ("application/json", '[{"job_id": %d, "why": 1}]'),
        ("text/csv", "job_id,why\n%d,1\n"),
    ]:
        job_id = harness.submit(store)
        headers = {**ada, "Content-Type": content_type}
        [item] = api.post(path, content=body % job_id, headers=headers).json()["data"]
        assert item["responseStatus"] == "SUCCESS"


@pytest.mark.parametrize("content_type", ["application/json", "text/csv"])
def test_a_unique_key_answers_with_the_job_that_has_it(
    api: TestClient, ada: Headers, store: Store, metadata: str, content_type: str
) -> None:
    bodies = {
        "application/json": json.dumps([{"job_metadata": metadata, "unique_key": "n\u00e4 1"}] * 2),
        "text/csv": f"job_metadata,unique_key\n{metadata},n\u00e4 1\n{metadata},n\u00e4 1\n",
    }
    headers = {**ada, "Content-Type": content_type}
    body = bodies[content_type].encode()
    first, second = api.post(JOBS, content=body, headers=headers).json()["data"]
    assert first == {"responseStatus": "SUCCESS", "data": {"id": 1}}
    assert second == {"responseStatus": "SUCCESS", "data": {"id": 1, "existing": True}}
    again = api.post(JOBS, content=body, headers=headers).json()["data"]
    assert again == [second, second]
    harness.cancel(store, 1)
    new, _ = api.post(JOBS, content=body, headers=headers).json()["data"]
    assert new["data"]["id"] > 1
    assert "existing" not in new["data"]


@pytest.mark.parametrize("key", ["", "x" * 256, 7, True, "a\0", ["x"]])
def test_a_bad_unique_key_refuses_its_item(
    api: TestClient, ada: Headers, metadata: str, key: object
) -> None:
    items = [{"job_metadata": metadata, "unique_key": key}]
    [item] = api.post(JOBS, json=items, headers=ada).json()["data"]
    assert item["errors"]["type"] == "INVALID_DATA"
    assert item["errors"]["message"].startswith("Item 1: unique_key ")


def test_the_key_of_a_job_that_the_caller_may_not_read_is_refused_without_its_id(
    api: TestClient, ada: Headers, sign_in: Callable[[str], Headers], metadata: str
) -> None:
    items = [{"job_metadata": metadata, "unique_key": "k"}, {"job_metadata": metadata}]
    first, _ = api.post(JOBS, json=items, headers=ada).json()["data"]
    refused, own = api.post(JOBS, json=items, headers=sign_in("creator")).json()["data"]
    assert own["responseStatus"] == "SUCCESS"
    assert refused["errors"]["type"] == "ITEM_NAME_EXISTS"
    message = refused["errors"]["message"]
    assert "[k]" in message
    assert str(first["data"]["id"]) not in message.removeprefix("Item 1")


@pytest.mark.parametrize("context", ["vault"], indirect=True)
def test_profile_vault_ignores_unique_keys(api: TestClient, ada: Headers, metadata: str) -> None:
    items = [{"job_metadata": metadata, "unique_key": "k"}] * 2
    data = api.post(JOBS, json=items, headers=ada).json()["data"]
    assert [item["data"] for item in data] == [{"id": 1}, {"id": 2}]


def test_start_tells_its_outcome_to_those_who_ask(
    api: TestClient, ada: Headers, store: Store
) -> None:
    headers = {**ada, "X-Rescind-Detail": "true"}
    job_id = harness.scheduled(store)
    started = api.post(f"{JOBS}/start_now/{job_id}", headers=headers).json()
    assert (started["code"], started["status"]) == ("STARTED", "QUEUED")
    [error] = api.post(f"{JOBS}/start_now/{job_id}", headers=headers).json()["errors"]
    assert (error["code"], error["status"]) == ("NOT_SCHEDULED", "QUEUED")
    for unknown in ("99", "9" * 30):
        [error] = api.post(f"{JOBS}/start_now/{unknown}", headers=headers).json()["errors"]
        assert list(error) == ["type", "message", "code"]
        assert error["code"] == "UNKNOWN"
    [error] = api.post(f"{JOBS}/start_now/{job_id}", headers=ada).json()["errors"]
    assert list(error) == ["type", "message"]


def test_json_ends_in_a_line_feed_and_a_get_may_name_a_form(
    api: TestClient, ada: Headers, store: Store
) -> None:
    job_id = harness.submit(store)
    headers = {**ada, "Content-Type": "application/x-www-form-urlencoded"}
    for path in (f"{JOBS}/{job_id}", f"{JOBS}/histories", f"{JOBS}/nothing/here"):
        answer = api.get(path, headers=headers)
        assert answer.text.endswith("}\n")
        assert not answer.text.endswith("\n\n")
    assert api.get(f"{JOBS}/{job_id}", headers=headers).json()["data"]["id"] == job_id


@pytest.mark.parametrize("context", ["vault"], indirect=True)
def test_profile_vault_ignores_even_bad_unique_keys(
    api: TestClient, ada: Headers, metadata: str
) -> None:
    items = [{"job_metadata": metadata, "unique_key": bad} for bad in (5, "", "x" * 256)]
    data = api.post(JOBS, json=items, headers=ada).json()["data"]
    assert [item["responseStatus"] for item in data] == ["SUCCESS"] * 3


def test_a_long_unknown_key_costs_no_more_than_it_shows(
    api: TestClient, ada: Headers, metadata: str
) -> None:
    items = [{"job_metadata": metadata, "abcdefghij" * 500_000: 1}]
    tracemalloc.start()
    [item] = api.post(JOBS, json=items, headers=ada).json()["data"]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(item["errors"]["message"]) < 300
    assert peak < 60_000_000


def test_lines_of_one_header_are_one_list(api: TestClient, ada: Headers, store: Store) -> None:
    job_id = harness.submit(store)
    accepts = [("Accept", "application/xml"), ("Accept", "application/json;q=0.5")]
    answer = api.get(f"{JOBS}/{job_id}", headers=[*ada.items(), *accepts])
    assert answer.headers["content-type"].startswith("application/xml")
