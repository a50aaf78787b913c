"""The two clients against a real service, in both profiles."""

import asyncio
import inspect
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from process.conftest import Service
from rescind import client as public
from rescind.client import (
    AsyncClient,
    CannotReach,
    Client,
    JobCancelled,
    JobFailed,
    NewJob,
    NotEnded,
    NotInThisProfile,
    NotPermitted,
    NotSignedIn,
    Refused,
    WaitedInVain,
    kept,
)
from rescind.lifecycle import Status

LATER = datetime(2099, 1, 1, tzinfo=UTC)
Serve = Callable[..., Service]


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No session and no variable of whoever runs the tests."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("RESCIND_URL", "RESCIND_USERNAME", "RESCIND_PASSWORD"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def service(serve: Serve) -> Service:
    return serve("--slots", "2")


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    with Client(service.address, "admin", service.password) as client:
        yield client


def public_methods(kind: type[Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in vars(kind).items()
        if inspect.isfunction(value) and not name.startswith("_")
    }


def test_both_clients_have_the_same_methods_with_the_same_arguments() -> None:
    plain, awaited = public_methods(Client), public_methods(AsyncClient)
    assert list(plain) == list(awaited)
    for name, method in plain.items():
        ours, theirs = inspect.signature(method), inspect.signature(awaited[name])
        assert ours.parameters == theirs.parameters, name
        returns = str(ours.return_annotation).replace("Iterator", "AsyncIterator")
        assert returns.replace("typing.", "") == str(theirs.return_annotation).replace(
            "typing.", ""
        )
        assert (method.__doc__ or "") == (awaited[name].__doc__ or ""), name
        assert method.__doc__, name
        generator = inspect.isgeneratorfunction(method) or "Iterator" in returns
        awaits = inspect.isasyncgenfunction if generator else inspect.iscoroutinefunction
        assert awaits(awaited[name]), name


def test_importing_it_imports_no_driver_and_no_server() -> None:
    code = "import sys, rescind.client; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "httpx2" in loaded
    assert not loaded & {"apsw", "psycopg", "psycopg_pool", "starlette", "uvicorn", "typer", "rich"}
    done = subprocess.run(
        [sys.executable, "-c", "import sys, rescind; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "httpx2" not in done.stdout.split()


def test_everything_public_is_documented() -> None:
    for name in public.__all__:
        assert getattr(public, name).__doc__, name


def test_a_weeks_work_without_a_line_of_http(client: Client) -> None:
    job_id = client.submit("demo_count__c", parameters={"items": 2, "seconds_per_item": 0})
    told: list[tuple[int, int]] = []
    ends = client.wait(job_id, timeout=60, on_progress=lambda done, of: told.append((done, of)))
    assert ends == {job_id: Status.SUCCESS}
    assert told[-1] == (1, 1)
    assert client.result(job_id) is not None
    assert client.status(job_id).status is Status.SUCCESS
    details = client.details(job_id)
    assert (details.id, details.title, details.status) == (job_id, "Count", Status.SUCCESS)
    assert [move.move for move in details.moves] == ["submit", "claim", "finish"]
    assert details.moves[0].from_status is None
    assert "Job Completion Status: SUCCESS" in "".join(client.log(job_id))
    [again] = client.rerun(job_id)
    assert (again.job_id, again.code) == (job_id, "SUBMITTED")
    assert client.details(again.new_id or 0).rerun_of == job_id
    assert client.tasks(job_id) == []
    client.wait([job_id, again.new_id or 0])
    assert [job.job_id for job in client.histories(status="SUCCESS")] == [again.new_id, job_id]


def test_any_number_of_ids_is_cancelled_in_batches_in_order(client: Client) -> None:
    items = [NewJob(job_metadata="demo_sleep__c", run_date=LATER)] * 1203
    submitted = client.submit_many([*items, NewJob(job_metadata="unknown__c")])
    assert submitted[-1].id is None
    assert "unknown__c" in (submitted[-1].error or "")
    ids = [job.id or 0 for job in submitted[:-1]]
    assert ids == sorted(ids)
    assert len([*client.monitors()]) == 1203
    outcomes = client.cancel([*ids, 10**9, ids[0]], reason="falscher Monat: März")
    assert [one.job_id for one in outcomes] == [*ids, 10**9, ids[0]]
    assert {one.code for one in outcomes[:1203]} == {"ACCEPTED"}
    unknown, again = outcomes[1203:]
    assert (unknown.accepted, unknown.code, unknown.status) == (False, "UNKNOWN", None)
    assert "not found" in (unknown.message or "")
    assert again.code in ("ALREADY_CANCELLING", "ALREADY_CANCELLED")
    assert again.accepted is (again.code == "ALREADY_CANCELLING")
    assert client.details(ids[7]).moves[1].reason == "falscher Monat: März"
    with pytest.raises(JobCancelled, match=r"ended as CANCELLED \(and 1202 more\)") as ended:
        client.wait(ids, timeout=60)
    assert (ended.value.job_id, len(ended.value.ends)) == (ids[0], 1203)
    rows = client.query("SELECT id FROM job__sys ORDER BY id")
    assert [row["id"] for row in rows] == ids
    assert {one.code for one in client.rerun(ids[:2], undo=True)} == {"SUBMITTED"}


def test_what_matches_is_selected_cancelled_and_taken_back(client: Client) -> None:
    ids = [client.submit("demo_sleep__c", run_date=LATER, title="Mine") for _ in range(3)]
    selection = client.select("SELECT id FROM job__sys WHERE job_title__sys = 'Mine'")
    assert (selection.total, selection.statuses) == (3, {"SCHEDULED": 3})
    assert [job.id for job in selection.first] == ids
    assert client.selection(selection.selection_id) == selection
    operation_id = client.operate(selection.selection_id, "cancel", reason="too many")
    while client.operation(operation_id).stopped < 3:
        pass
    operation = client.operation(operation_id)
    assert (operation.status, operation.outcomes) == ("DONE", {"ACCEPTED": 3})
    assert operation.reason == "too many"
    assert [one.id for one in client.outcomes(operation_id, code="ACCEPTED")] == ids
    undo_id = client.undo(operation_id)
    while client.operation(undo_id).status == "RUNNING":
        pass
    assert [one.code for one in client.outcomes(undo_id)] == ["SUBMITTED"] * 3
    assert [one.operation_id for one in client.operations()] == [undo_id, operation_id]
    with pytest.raises(Refused, match="has ended"):
        client.stop(undo_id)


def test_a_log_is_followed_to_its_end(client: Client) -> None:
    job_id = client.submit("demo_count__c", parameters={"items": 5, "seconds_per_item": 0.1})
    text = "".join(client.log(job_id, follow=True))
    assert text == "".join(client.log(job_id))
    assert "Job Completion Status: SUCCESS" in text


def test_what_a_job_ended_with_is_raised(client: Client) -> None:
    failing = client.submit("demo_fail__c")
    with pytest.raises(JobFailed, match="ERRORS_ENCOUNTERED"):
        client.wait(failing)
    with pytest.raises(JobFailed):
        client.result(failing)
    waiting = client.submit("demo_sleep__c", run_date=LATER)
    with pytest.raises(NotEnded):
        client.result(waiting)
    with pytest.raises(WaitedInVain) as vain:
        client.wait([waiting], timeout=0.2)
    assert (vain.value.left, isinstance(vain.value, TimeoutError)) == ([waiting], True)
    with pytest.raises(Refused, match=r"Job \[999\] is not found"):
        client.wait([waiting, 999])


def test_a_refusal_says_what_is_wrong_and_which_request_it_was(client: Client) -> None:
    with pytest.raises(Refused, match="unknown__c") as refused:
        client.submit("unknown__c")
    with pytest.raises(Refused, match="is not found") as refused:
        client.status(999)
    assert refused.value.error_type == "INVALID_DATA"
    assert refused.value.request_id
    assert refused.value.request_id in str(refused.value)
    with pytest.raises(Refused, match="SELEKT"):
        list(client.query("SELEKT id"))


def test_nobody_is_let_in_without_the_right_password(service: Service) -> None:
    with Client(service.address) as client, pytest.raises(NotSignedIn, match="rescind login"):
        client.status(1)
    with (
        Client(service.address, "admin", "wrong password") as client,
        pytest.raises(NotSignedIn),
    ):
        client.status(1)


def test_the_environment_signs_in_and_so_does_the_kept_session(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESCIND_URL", service.address)
    monkeypatch.setenv("RESCIND_USERNAME", "admin")
    monkeypatch.setenv("RESCIND_PASSWORD", service.password)
    with Client() as client:
        assert client.submit("demo_sleep__c", run_date=LATER) == 1
    monkeypatch.delenv("RESCIND_USERNAME")
    monkeypatch.delenv("RESCIND_PASSWORD")
    session = service.client.headers["Authorization"]
    kept.keep(kept.KeptSession(url=service.address, username="admin", session_id=session))
    assert kept.path().stat().st_mode & 0o777 == 0o600
    for _ in range(2):  # it is not ended by who only borrows it
        with Client() as client:
            assert client.status(1).status is Status.SCHEDULED
    with Client("http://127.0.0.1:1") as elsewhere, pytest.raises(NotSignedIn):
        elsewhere.status(1)


def test_a_session_that_is_over_is_opened_again_and_ended_at_the_end(service: Service) -> None:
    with Client(service.address, "admin", service.password) as client:
        client.submit("demo_sleep__c", run_date=LATER)
        first = client._conversation.session_id
        service.client.delete("/session", headers={"Authorization": first or ""})
        assert client.status(1).id == 1
        second = client._conversation.session_id
        assert second != first
    answer = service.client.get("/services/jobs/1", headers={"Authorization": second or ""})
    assert answer.json()["errors"][0]["type"] == "INVALID_SESSION_ID"


def test_a_service_that_comes_back_answers_a_request_once(
    serve: Serve, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service is killed after it has done something, and before anybody has heard of it."""
    with Client(service.address, "admin", service.password) as client:
        client.submit("demo_sleep__c", run_date=LATER)
        send, done = client._send, list[bytes]()

        def lost(request: Any) -> Any:
            answer = send(request)
            if not done:
                done.append(answer.content)
                raise CannotReach("the answer is lost")
            return answer

        monkeypatch.setattr(client, "_send", lost)
        assert client.submit("demo_sleep__c", run_date=LATER) == 2
        assert len(done) == 1
        assert len([*client.monitors()]) == 2


def test_what_cannot_be_reached_is_said_with_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rescind.limits.CLIENT_AGAIN_SECONDS_MIN", 0.001)
    client = Client("http://127.0.0.1:1", "a", "b")
    with pytest.raises(CannotReach, match=r"http://127\.0\.0\.1:1 cannot be reached"):
        client.status(1)
    client.close()


def test_profile_vault_has_the_rest_of_it(serve: Serve) -> None:
    service = serve("--profile", "vault")
    with Client(service.address, "admin", service.password) as client:
        job_id = client.submit("demo_sleep__c", run_date=LATER)
        [outcome] = client.cancel(job_id)
        assert (outcome.accepted, outcome.code) == (True, None)
        with pytest.raises(JobCancelled):
            client.wait(job_id)
        for ours in (
            lambda: client.details(job_id),
            lambda: client.rerun(job_id),
            lambda: client.select("SELECT id FROM job__sys"),
            lambda: [*client.operations()],
        ):
            with pytest.raises(NotInThisProfile):
                ours()


def test_who_may_not_is_told_so(service: Service, database: str) -> None:
    subprocess.run(
        [
            *(sys.executable, "-m", "rescind.cli", "user", "add", "bob", "--password-stdin"),
            *("--database", database),
        ],
        input="long enough\n",
        text=True,
        check=True,
    )
    with (
        Client(service.address, "bob", "long enough") as client,
        pytest.raises(NotPermitted, match="jobs_create"),
    ):
        client.submit("demo_sleep__c")


def test_the_same_awaited(service: Service) -> None:
    async def week() -> None:
        async with AsyncClient(service.address, "admin", service.password) as client:
            job_id = await client.submit("demo_count__c", parameters={"items": 1})
            assert await client.wait(job_id) == {job_id: Status.SUCCESS}
            assert "SUCCESS" in "".join([text async for text in client.log(job_id, follow=True)])
            ids = [await client.submit("demo_sleep__c", run_date=LATER) for _ in range(3)]
            assert [job.job_id async for job in client.monitors()] == ids
            assert [one.code for one in await client.cancel(ids)] == ["ACCEPTED"] * 3
            with pytest.raises(JobCancelled):
                await client.wait(ids)
            rows = client.query("SELECT id FROM job_history__sys ORDER BY id")
            assert [row["id"] async for row in rows] == [job_id, *ids]

    asyncio.run(week())
    assert service.end(signal.SIGTERM) == 0
