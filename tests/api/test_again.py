"""Requests that carry an Idempotency-Key: done once, answered as often as they are sent."""

from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.conftest import failure
from rescind.lifecycle import Status
from rescind.store.protocol import Store
from store import harness

JOBS = "/api/v26.1/services/jobs"
CANCEL = f"{JOBS}/actions/cancel"
Headers = dict[str, str]
both_profiles = pytest.mark.parametrize("context", ["open", "vault"], indirect=True)


def keyed(headers: Headers, key: str = "one", **more: str) -> Headers:
    return {**headers, "Idempotency-Key": key, **more}


def items(answer: Any) -> Any:
    assert answer.json()["responseStatus"] == "SUCCESS", answer.text
    return answer.json()["data"]


@both_profiles
def test_a_submit_that_is_sent_again_submits_nothing_again(
    api: TestClient, ada: Headers, store: Store, metadata: str
) -> None:
    body = [{"job_metadata": metadata}, {"job_metadata": "unknown__c"}]
    first = api.post(JOBS, json=body, headers=keyed(ada))
    again = api.post(JOBS, json=body, headers=keyed(ada))
    assert items(first) == items(again)
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert len(store.latest_jobs(limit=10, below=99, owner=None)) == 1
    assert items(api.post(JOBS, json=body, headers=keyed(ada, "two"))) != items(first)


@both_profiles
def test_a_cancel_that_is_sent_again_is_answered_as_it_was(
    api: TestClient, ada: Headers, store: Store
) -> None:
    job_id = harness.place(store, Status.QUEUED)
    body = [{"job_id": job_id}, {"job_id": 99}]
    first = api.post(CANCEL, json=body, headers=keyed(ada))
    assert harness.settle(store, job_id)
    assert harness.row(store, job_id).status is Status.CANCELLED
    assert items(api.post(CANCEL, json=body, headers=keyed(ada))) == items(first)
    assert items(api.post(CANCEL, json=body, headers=ada)) != items(first)


def test_a_start_that_is_sent_again_is_answered_as_it_was(
    api: TestClient, ada: Headers, store: Store
) -> None:
    job_id = harness.place(store, Status.SCHEDULED)
    path = f"{JOBS}/start_now/{job_id}"
    first = api.post(path, headers=keyed(ada))
    again = api.post(path, headers=keyed(ada))
    assert first.json() == again.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert failure(api.post(path, headers=ada))[0] == "INVALID_DATA"


def test_a_replay_comes_in_the_format_that_is_now_asked_for(
    api: TestClient, ada: Headers, store: Store
) -> None:
    body = [{"job_id": harness.place(store, Status.QUEUED)}]
    api.post(CANCEL, json=body, headers=keyed(ada))
    detailed = keyed(ada, **{"Accept": "application/xml", "X-Rescind-Detail": "true"})
    text = api.post(CANCEL, json=body, headers=detailed).text
    assert "<code>ACCEPTED</code>" in text


def test_a_key_is_for_one_request(api: TestClient, ada: Headers, store: Store) -> None:
    first, second = (harness.place(store, Status.QUEUED) for _ in range(2))
    api.post(CANCEL, json=[{"job_id": first}], headers=keyed(ada))
    other = api.post(CANCEL, json=[{"job_id": second}], headers=keyed(ada))
    assert failure(other)[0] == "INVALID_DATA"
    assert harness.row(store, second).status is Status.QUEUED
    as_csv = keyed(ada, **{"Content-Type": "text/csv"})
    other = api.post(CANCEL, content=f"job_id\n{second}\n", headers=as_csv)
    assert failure(other)[0] == "INVALID_DATA"
    assert harness.row(store, second).status is Status.QUEUED


@pytest.mark.parametrize("key", ["", "x" * 256, "\xe4", "tab\there"])
def test_a_bad_key_is_refused_and_nothing_done(
    api: TestClient, ada: Headers, store: Store, key: str
) -> None:
    job_id = harness.place(store, Status.QUEUED)
    headers = {name.encode(): value.encode() for name, value in ada.items()}
    headers[b"Idempotency-Key"] = key.encode("latin-1")
    answer = api.post(CANCEL, json=[{"job_id": job_id}], headers=headers)
    assert failure(answer)[0] == "INVALID_DATA"
    assert harness.row(store, job_id).status is Status.QUEUED


def test_what_was_refused_as_a_whole_is_judged_anew(
    api: TestClient, ada: Headers, metadata: str, store: Store
) -> None:
    headers = keyed(ada)
    assert failure(api.post(f"{JOBS}/start_now/1", headers=headers))[0] == "INVALID_DATA"
    assert harness.place(store, Status.SCHEDULED) == 1
    assert api.post(f"{JOBS}/start_now/1", headers=headers).json()["job_id"] == 1


def test_a_replay_needs_session_and_permission_like_the_first(
    api: TestClient, ada: Headers, sign_in: Callable[[str], Headers], store: Store, metadata: str
) -> None:
    creator = sign_in("creator")
    body = [{"job_metadata": metadata}]
    api.post(JOBS, json=body, headers=keyed(creator))
    api.delete("/api/v26.1/session", headers=creator)
    answer = api.post(JOBS, json=body, headers=keyed(creator))
    assert failure(answer)[0] == "INVALID_SESSION_ID"
    answer = api.post(JOBS, json=body, headers=keyed(sign_in("reader")))
    assert failure(answer)[0] == "INSUFFICIENT_ACCESS"
    assert items(api.post(JOBS, json=body, headers=keyed(ada))), "a key is one user's"
