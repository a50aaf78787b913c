"""POST /api/{version}/services/jobs/actions/rerun, Rescind's own."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.conftest import failure
from rescind.lifecycle import Status
from rescind.model import Actor, NewJob
from rescind.store.protocol import Store
from store import harness

URL = "/api/v26.1/services/jobs/actions/rerun"
UNDO = f"{URL}?undo=true"
Headers = dict[str, str]


@pytest.fixture
def done(store: Store, metadata: str) -> int:
    return harness.place(store, Status.SUCCESS, new_job(store, metadata))


def new_job(store: Store, metadata: str, **changes: object) -> NewJob:
    return harness.new_job(metadata=store.metadata([metadata])[metadata], **changes)


def items(answer: Any) -> list[dict[str, Any]]:
    payload = answer.json()
    assert payload["responseStatus"] == "SUCCESS", payload
    found: list[dict[str, Any]] = payload["data"]
    return found


def post(
    api: TestClient, user: Headers, *ids: object, url: str = URL, **more: str
) -> list[dict[str, Any]]:
    body = json.dumps([{"job_id": job_id} for job_id in ids])
    headers = {**user, "Content-Type": "application/json", "X-Rescind-Detail": "true", **more}
    return items(api.post(url, content=body, headers=headers))


def code(item: dict[str, Any]) -> str:
    return str((item.get("data") or item["errors"])["code"])


def test_each_item_is_answered_in_order(
    api: TestClient, ada: Headers, store: Store, done: int
) -> None:
    waiting = harness.submit(store)
    body = f"job_id\n{waiting}\n{done}\nx\n99\n"
    headers = {**ada, "Content-Type": "text/csv"}
    first, second, third, fourth = items(api.post(URL, content=body, headers=headers))
    new = second["data"]["id"]
    assert second == {"responseStatus": "SUCCESS", "data": {"id": new, "rerun_of": done}}
    assert [item["errors"]["message"] for item in (first, third, fourth)] == [
        f"Job [{waiting}] has not ended yet: it is in QUEUED state",
        "Item 3: job_id [x] must be a whole number from 1 to 9223372036854775807",
        "Job [99] is not found",
    ]
    assert {item["errors"]["type"] for item in (first, third, fourth)} == {"INVALID_DATA"}
    details = api.get(f"/api/v26.1/services/jobs/{new}/details", headers=ada).json()["data"]
    assert (details["rerun_of"], details["title"]) == (done, "A job")
    old = api.get(f"/api/v26.1/services/jobs/{done}/details", headers=ada).json()["data"]
    assert old["reruns"] == [{"id": new, "undo": False}]


def test_an_id_that_stands_twice_makes_one_job(
    api: TestClient, ada: Headers, store: Store, done: int, metadata: str
) -> None:
    first, second = post(api, ada, done, done)
    assert first == second
    job_id = harness.submit(store, new_job(store, metadata))
    assert harness.cancel(store, job_id)
    undone, again = post(api, ada, job_id, job_id, url=UNDO)
    assert (code(undone), code(again)) == ("SUBMITTED", "ALREADY_UNDONE")
    new = undone["data"]["id"]
    assert again["errors"]["message"] == f"Job [{job_id}] was undone already, with job [{new}]"


def test_the_reason_and_who_asked_stand_with_the_new_job(
    api: TestClient, ada: Headers, store: Store, done: int
) -> None:
    [item] = post(api, ada, done, **{"X-Rescind-Reason": "once more"})
    [event] = store.events(item["data"]["id"])
    assert (event.user_name, event.reason) == ("ada", "once more")


def test_without_the_right_to_create_jobs_nothing_is_run_again(
    api: TestClient, sign_in: Callable[[str], Headers], done: int
) -> None:
    for name in ("reader", "nobody"):
        answer = api.post(URL, json=[{"job_id": done}], headers=sign_in(name))
        assert failure(answer)[0] == "INSUFFICIENT_ACCESS"


def test_others_jobs_answer_as_unknown_ones(
    api: TestClient, sign_in: Callable[[str], Headers], store: Store, done: int, metadata: str
) -> None:
    creator = sign_in("creator")
    creator_id = api.get("/api/v26.1/objects/users/me", headers=creator).json()["users"][0]["user"]
    actor = Actor(user_id=creator_id["id"], by="user")
    [mine] = harness.submit_all(store, [new_job(store, metadata, unique_key="k")], actor)
    assert harness.cancel(store, mine)
    assert [code(item) for item in post(api, creator, done, mine, url=UNDO)] == [
        "UNKNOWN",
        "SUBMITTED",
    ]
    harness.settle(store, mine)
    assert [code(item) for item in post(api, creator, done, mine)] == ["UNKNOWN", "SUBMITTED"]


def test_who_may_cancel_anybodys_job_may_undo_that_but_not_run_it_again(
    api: TestClient, sign_in: Callable[[str], Headers], store: Store, metadata: str
) -> None:
    job_id = harness.submit(store, new_job(store, metadata))
    assert harness.cancel(store, job_id)
    operator = sign_in("operator")
    body = [{"job_id": job_id}]
    assert failure(api.post(URL, json=body, headers=operator))[0] == "INSUFFICIENT_ACCESS"
    [item] = post(api, operator, job_id, url=UNDO)
    new = harness.row(store, item["data"]["id"])
    assert new.created_by == harness.row(store, job_id).created_by


def test_sent_again_with_its_key_it_does_nothing_twice(
    api: TestClient, ada: Headers, store: Store, done: int
) -> None:
    headers = {**ada, "Idempotency-Key": "k"}
    body = [{"job_id": done}]
    first = api.post(URL, json=body, headers=headers)
    again = api.post(URL, json=body, headers=headers)
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    details = store.details(done)
    assert details is not None
    assert len(details.reruns) == 1
    # An undo of the same jobs is another request.
    assert failure(api.post(UNDO, json=body, headers=headers))[0] == "INVALID_DATA"


def test_undo_is_true_or_false(api: TestClient, ada: Headers, done: int) -> None:
    answer = api.post(f"{URL}?undo=yes", json=[{"job_id": done}], headers=ada)
    assert failure(answer) == ("INVALID_DATA", "undo [yes] must be true or false")
    [item] = post(api, ada, done, url=f"{URL}?undo=false")
    assert code(item) == "SUBMITTED"


@pytest.mark.parametrize("context", ["vault"], indirect=True)
def test_profile_vault_does_not_have_it(api: TestClient, ada: Headers, done: int) -> None:
    answer = api.post(URL, json=[{"job_id": done}], headers=ada)
    assert answer.status_code == 404
    assert answer.json()["errors"][0]["type"] == "MALFORMED_URL"


def test_what_a_job_repeats_can_be_asked_for(
    api: TestClient, ada: Headers, store: Store, done: int
) -> None:
    [item] = post(api, ada, done)
    query = f"SELECT id, rerun_of__sys FROM job__sys WHERE rerun_of__sys = {done}"
    answer = api.post("/api/v26.1/query", data={"q": query}, headers=ada).json()
    assert answer["data"] == [{"id": item["data"]["id"], "rerun_of__sys": done}]
