"""How often a client may ask in profile vault: one job's status, and requests in all."""

import time

import pytest
from msgspec.structs import replace
from starlette.testclient import TestClient

from api.conftest import failure
from rescind import limits
from rescind.api.application import application
from rescind.api.http import Context
from rescind.api.routes import ROUTES
from rescind.clock import ManualClock, SystemClock
from rescind.lifecycle import Status
from rescind.store.protocol import Store
from store import harness

JOBS = "/api/v26.1/services/jobs"
Headers = dict[str, str]
in_vault = pytest.mark.parametrize("context", ["vault"], indirect=True)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(SystemClock().now())


@pytest.fixture
def api(context: Context, clock: ManualClock) -> TestClient:
    app = application(replace(context, clock=clock), ROUTES)
    return TestClient(app, base_url="http://rescind.example")


def succeeds(api: TestClient, headers: Headers, path: str) -> bool:
    answer = api.get(path, headers=headers)
    if answer.json()["responseStatus"] == "SUCCESS":
        return True
    assert failure(answer) == ("API_LIMIT_EXCEEDED", "Too many polling requests")
    return False


@in_vault
def test_a_jobs_status_is_answered_once_in_ten_seconds(
    api: TestClient, ada: Headers, store: Store, clock: ManualClock
) -> None:
    first, second = (harness.place(store, Status.RUNNING) for _ in range(2))
    assert succeeds(api, ada, f"{JOBS}/{first}")
    assert succeeds(api, ada, f"{JOBS}/{second}"), "each job has a time of its own"
    clock.advance(9.9)
    assert not succeeds(api, ada, f"{JOBS}/{first}")
    clock.advance(0.1)
    assert succeeds(api, ada, f"{JOBS}/{first}"), "a refusal does not make the wait longer"
    assert not succeeds(api, ada, f"{JOBS}/{first}")


@in_vault
def test_other_requests_of_a_job_do_not_count(api: TestClient, ada: Headers, store: Store) -> None:
    job_id = harness.place(store, Status.QUEUED)
    for _ in range(2):
        assert succeeds(api, ada, f"{JOBS}/{job_id}/tasks")
        body = [{"job_id": job_id}]
        answer = api.post(f"{JOBS}/actions/cancel", json=body, headers=ada)
        assert answer.json()["data"][0]["responseStatus"] == "SUCCESS"
    assert failure(api.get(f"{JOBS}/99", headers=ada))[0] == "INVALID_DATA"
    assert failure(api.get(f"{JOBS}/99", headers=ada))[0] == "INVALID_DATA"
    assert succeeds(api, ada, f"{JOBS}/{job_id}")


def test_in_profile_open_a_status_may_be_asked_for_at_any_time(
    api: TestClient, ada: Headers, store: Store
) -> None:
    job_id = harness.place(store, Status.RUNNING)
    assert succeeds(api, ada, f"{JOBS}/{job_id}")
    assert succeeds(api, ada, f"{JOBS}/{job_id}")


@pytest.mark.parametrize("context", ["open", "vault"], indirect=True)
def test_beyond_the_burst_limit_answers_are_delayed_in_profile_vault(
    api: TestClient,
    ada: Headers,
    context: Context,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "BURST_REQUESTS_MAX", 3)

    def ask() -> tuple[str, str | None, float]:
        begin = time.monotonic()
        answer = api.get("/api/v26.1/objects/users/me", headers=ada)
        assert answer.json()["responseStatus"] == "SUCCESS"
        headers = answer.headers
        left, delay = headers["x-vaultapi-burstlimitremaining"], "x-vaultapi-responsedelay"
        return left, headers.get(delay), time.monotonic() - begin

    assert [ask()[:2] for _ in range(3)] == [("2", None), ("1", None), ("0", None)]
    left, delay, seconds = ask()
    held_up = context.settings.profile == "vault"
    assert (left, delay) == ("0", "500" if held_up else None)
    assert seconds >= 0.5 or not held_up
    clock.advance(limits.BURST_WINDOW_SECONDS)
    assert ask()[:2] == ("2", None), "a new window"
