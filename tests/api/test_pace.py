"""How often a client may ask: one job's status, requests in all, and sign-ins."""

import time

import argon2
import pytest
import structlog
from msgspec.structs import replace
from starlette.testclient import TestClient

from api.conftest import PASSWORD, failure
from rescind import limits
from rescind.api.application import application
from rescind.api.http import Context
from rescind.api.routes import ROUTES
from rescind.clock import ManualClock, SystemClock
from rescind.errors import RequestRefused
from rescind.lifecycle import Status
from rescind.service import passwords
from rescind.service.policy import Profile
from rescind.service.sign_in import SignIns
from rescind.store.protocol import Store
from rescind.ui.pages import ERROR_PAGES
from store import harness

JOBS = "/api/v26.1/services/jobs"
Headers = dict[str, str]
in_vault = pytest.mark.parametrize("context", ["vault"], indirect=True)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(SystemClock().now())


@pytest.fixture
def api(context: Context, clock: ManualClock) -> TestClient:
    app = application(replace(context, clock=clock), ROUTES, ERROR_PAGES)
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


# Sign-ins


def sign_in(api: TestClient, password: str, name: str = "reader") -> tuple[str | None, str | None]:
    """The type of its error, if any, and by how many milliseconds it was delayed, if at all."""
    answer = api.post("/api/v26.1/auth", data={"username": name, "password": password})
    errors = answer.json().get("errors", [{"type": None}])
    return errors[0]["type"], answer.headers.get("x-vaultapi-responsedelay")


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Delays are told, and not waited for."""

    async def sleep(_seconds: float) -> None:
        return None

    monkeypatch.setattr("anyio.sleep", sleep)


WRONG, INCORRECT = "wrong wrong", "USERNAME_OR_PASSWORD_INCORRECT"


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("name", ["reader", "no such user"])
def test_in_profile_open_wrong_passwords_are_answered_late_and_right_ones_are_not(
    api: TestClient, clock: ManualClock, name: str
) -> None:
    for _ in range(30):
        assert sign_in(api, PASSWORD) == (None, None), "right ones do not count"
    found = [sign_in(api, WRONG, name) for _ in range(12)]
    assert found == [(INCORRECT, None)] * 10 + [(INCORRECT, "1000")] * 2
    assert sign_in(api, PASSWORD) == (None, None)
    assert sign_in(api, WRONG, "creator") == (INCORRECT, None), "each name has a count of its own"
    clock.advance(60)
    assert sign_in(api, WRONG, name) == (INCORRECT, None)


@in_vault
@pytest.mark.usefixtures("at_once")
def test_in_profile_vault_twenty_sign_ins_a_minute_are_answered(
    api: TestClient, clock: ManualClock
) -> None:
    clock.advance(60 - clock.elapsed() % 60)
    found = [sign_in(api, PASSWORD) for _ in range(21)]
    assert found == [
        *[(None, None)] * 10,
        *[(None, "500")] * 10,
        ("API_LIMIT_EXCEEDED", None),
    ]
    assert sign_in(api, PASSWORD, "creator") == (None, None)
    clock.advance(60)
    assert sign_in(api, PASSWORD) == (None, None)


@in_vault
@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("name", ["reader", "no such user"])
def test_in_profile_vault_five_failures_lock_a_user_out(
    api: TestClient, clock: ManualClock, name: str
) -> None:
    right = None if name == "reader" else INCORRECT
    for _ in range(4):
        assert sign_in(api, WRONG, name)[0] == INCORRECT
    assert sign_in(api, PASSWORD)[0] is None, "which starts the count anew"
    for _ in range(5 if name == "reader" else 1):
        assert sign_in(api, WRONG, name)[0] == INCORRECT
    clock.advance(60)
    assert sign_in(api, PASSWORD, name)[0] == "USER_LOCKED_OUT"
    assert sign_in(api, PASSWORD, "creator")[0] is None
    clock.advance(14 * 60 - 1)
    assert sign_in(api, WRONG, name)[0] == "USER_LOCKED_OUT", "which does not make it longer"
    clock.advance(1)
    assert sign_in(api, PASSWORD, name)[0] == right


def test_names_are_forgotten_when_too_many_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SIGN_IN_NAMES_MAX", 3)
    tried = SignIns()
    for number in range(40):
        tried.failed(Profile.VAULT, f"name {number}", 0.0)
        for _ in range(5):
            tried.failed(Profile.VAULT, "always", 0.0)
    with pytest.raises(RequestRefused, match="locked out"):
        tried.begin(Profile.VAULT, "always", 1.0)
    for number in range(40):
        assert tried.begin(Profile.VAULT, f"name {number}", 1.0) == 0.0


def test_a_failed_sign_in_is_logged(api: TestClient) -> None:
    with structlog.testing.capture_logs() as lines:
        sign_in(api, WRONG)
        sign_in(api, PASSWORD)
    assert lines == [
        {
            "event": "a sign-in failed",
            "user_name": "[reader]",
            "type": INCORRECT,
            "client": "testclient",
            "log_level": "warning",
        }
    ]


# Passwords


def test_a_hash_of_an_older_kind_is_made_anew_when_its_user_signs_in(
    api: TestClient, store: Store
) -> None:
    old = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD)
    user = store.user_by_name("reader")
    assert user is not None
    store.set_password(user[0].id, old)
    assert sign_in(api, WRONG)[0] == INCORRECT
    assert store.user_by_name("reader") == (user[0], old)
    assert sign_in(api, PASSWORD)[0] is None
    found = store.user_by_name("reader")
    assert found is not None
    assert not passwords.is_outdated(found[1] or "")
    assert sign_in(api, PASSWORD)[0] is None
