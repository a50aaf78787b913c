"""The service is killed, stopped and started again; what it promised is kept."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import pytest

from process.conftest import FINAL, Service, on_both_stores, show
from processes import is_alive, named
from rescind import databases
from rescind.engines.process.tree import descendants

Serve = Callable[..., Service]


def entered(ledger: Path) -> list[str]:
    """The ids of the jobs whose function was entered, in order."""
    return [line.split()[0] for line in ledger.read_text().splitlines()]


def keeper_above(run: int) -> int:
    """The pid of the keeper that a run is below."""
    pid = run
    while Path(f"/proc/{pid}/comm").read_text() != "rescind-keeper\n":
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return pid


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "ledger"
    path.touch()
    return path


@on_both_stores
def test_a_killed_service_loses_no_accepted_cancel_and_no_job(serve: Serve, ledger: Path) -> None:
    service = serve("--slots", "3")
    parameters = {"ledger": str(ledger)}
    [stubborn] = service.submit("holds_on__c", parameters=parameters)
    [plain] = service.submit("ledger__c", parameters=parameters)
    [again] = service.submit("idempotent_ledger__c", parameters=parameters)
    for job_id in (stubborn, plain, again):
        service.until_logged(job_id, "entered")
    cancelled = service.submit("ledger__c", count=20, parameters=parameters)
    kept = service.submit("ledger__c", count=3, parameters={**parameters, "seconds": 0})
    service.cancel(*cancelled, stubborn)
    tree = descendants(service.process.pid)
    service.end(signal.SIGKILL)

    service = serve("--slots", "3")
    service.until(lambda: not any(is_alive(pid) for pid in tree))
    for job_id in (*cancelled, stubborn):
        service.until_status(job_id, "CANCELLED")
    assert service.evidence(stubborn) in ("WORKER_LOST", "KILLED")
    assert {service.evidence(job_id) for job_id in cancelled} == {"NEVER_STARTED"}
    service.until_status(plain, "ERRORS_ENCOUNTERED")
    assert "not idempotent" in service.log(plain)
    service.until(lambda: entered(ledger).count(str(again)) == 2)
    service.cancel(again)
    for job_id in kept:
        service.until_status(job_id, "SUCCESS")
    counts = {job_id: entered(ledger).count(str(job_id)) for job_id in (*cancelled, plain, *kept)}
    assert counts == {**dict.fromkeys(cancelled, 0), plain: 1, **dict.fromkeys(kept, 1)}


def test_a_keeper_that_stands_still_holds_up_its_own_job_and_no_other(
    serve: Serve, ledger: Path
) -> None:
    service = serve("--slots", "3")
    parameters = {"ledger": str(ledger)}
    [held] = service.submit("idempotent_ledger__c", parameters=parameters)
    [cancelled] = service.submit("slow_to_die__c", parameters=parameters)
    [other] = service.submit("idempotent_ledger__c", parameters=parameters)
    for job_id in (held, cancelled, other):
        service.until_logged(job_id, "entered")
    entries = map(str.split, ledger.read_text().splitlines())
    runs = {int(words[0]): int(words[2]) for words in entries}
    keepers = [keeper_above(runs[job_id]) for job_id in (held, cancelled)]
    service.cancel(cancelled)
    service.until_logged(cancelled, "told")  # who tells it makes its keeper go on
    for pid in keepers:
        os.kill(pid, signal.SIGSTOP)
    service.end(signal.SIGKILL)
    started = monotonic()
    service = serve("--slots", "3")
    show(f"beside two stopped keepers the next is ready after {monotonic() - started:.2f} s")
    said = (ledger.parent / "stderr.txt").read_text()
    [line] = [line for line in said.splitlines() if "may still be going" in line]
    assert f'"jobs": [{held}, {cancelled}]' in line or f'"jobs": [{cancelled}, {held}]' in line
    service.until(lambda: entered(ledger).count(str(other)) == 2)
    [new] = service.submit("ledger__c", parameters={**parameters, "seconds": 0})
    service.until_status(new, "SUCCESS")
    assert service.status(held) == "RUNNING"
    assert service.status(cancelled) in ("CANCELLING", "CANCELLED")
    assert entered(ledger).count(str(held)) == 1
    assert is_alive(runs[held])
    for pid in keepers:
        os.kill(pid, signal.SIGCONT)
    service.until(lambda: entered(ledger).count(str(held)) == 2)
    assert not is_alive(runs[held])
    service.until_status(cancelled, "CANCELLED")
    service.cancel(held, other)
    for job_id in (held, other):
        service.until_status(job_id, "CANCELLED")


@on_both_stores
def test_a_stopped_service_drains_and_a_deploy_is_no_cancel(serve: Serve, ledger: Path) -> None:
    (ledger.parent / "rescind.toml").write_text("drain_seconds = 1.0\n")
    service = serve("--slots", "3")
    parameters = {"ledger": str(ledger)}
    [quick] = service.submit("ledger__c", parameters={**parameters, "seconds": 0.5})
    [plain] = service.submit("ledger__c", parameters=parameters)
    [again] = service.submit("idempotent_ledger__c", parameters=parameters)
    for job_id in (quick, plain, again):
        service.until_logged(job_id, "entered")
    [waiting] = service.submit("ledger__c", parameters={**parameters, "seconds": 0})
    assert service.end(signal.SIGTERM) == 0

    service = serve()
    assert service.status(quick) == "SUCCESS"
    assert service.status(plain) == "ERRORS_ENCOUNTERED"
    service.until(lambda: entered(ledger).count(str(again)) == 2)
    service.until_status(waiting, "SUCCESS")
    assert entered(ledger).count(str(plain)) == 1
    service.cancel(again)
    service.until_status(again, "CANCELLED")


def test_a_second_signal_does_not_wait(serve: Serve, ledger: Path) -> None:
    (ledger.parent / "rescind.toml").write_text("drain_seconds = 600.0\n")
    service = serve()
    [job_id] = service.submit("ledger__c", parameters={"ledger": str(ledger)})
    service.until_logged(job_id, "entered")
    tree = descendants(service.process.pid)
    service.process.send_signal(signal.SIGINT)
    stderr = ledger.parent / "stderr.txt"
    service.until(lambda: "draining" in stderr.read_text())
    assert service.end(signal.SIGINT) == 128 + signal.SIGINT
    service.until(lambda: not any(is_alive(pid) for pid in tree))


def test_a_deploy_waits_for_what_takes_long_to_stop_and_costs_it_nothing(
    serve: Serve, ledger: Path
) -> None:
    (ledger.parent / "rescind.toml").write_text("drain_seconds = 0.1\n")
    service = serve()
    [job_id] = service.submit("slow_to_die__c", parameters={"ledger": str(ledger)})
    service.until_logged(job_id, "entered")
    assert service.end(signal.SIGTERM) == 0
    service = serve()
    service.until(lambda: entered(ledger).count(str(job_id)) == 2)
    assert "failure" not in service.log(job_id)
    moves = service.client.get(f"/services/jobs/{job_id}/details").json()["data"]["moves"]
    assert [move["evidence"] for move in moves if move["move"] == "rescue"] == ["KILLED"]
    service.end(signal.SIGKILL)


def test_the_api_answers_while_the_worker_drains(serve: Serve, ledger: Path) -> None:
    (ledger.parent / "rescind.toml").write_text("drain_seconds = 600.0\n")
    service = serve("--slots", "2")
    ids = service.submit("ledger__c", count=2, parameters={"ledger": str(ledger)})
    for job_id in ids:
        service.until_logged(job_id, "entered")
    service.process.send_signal(signal.SIGTERM)
    service.until(lambda: service.readiness == (503, "draining"))
    [waiting] = service.submit("demo_sleep__c", parameters={"seconds": 0})
    service.cancel(*ids)
    for job_id in ids:
        service.until(lambda: service.status(job_id) == "CANCELLED")  # noqa: B023 - called at once
        if job_id == ids[0]:
            break  # when the last has stopped, the service ends
    assert service.ended() == 0
    service = serve()
    assert [service.status(job_id) for job_id in ids] == ["CANCELLED"] * 2
    service.until_status(waiting, "SUCCESS")


@pytest.mark.parametrize("ignored", [True, False])
def test_a_terminal_that_is_closed_drains_unless_that_was_to_be_ignored(
    serve: Serve, ledger: Path, monkeypatch: pytest.MonkeyPatch, ignored: bool
) -> None:
    handler = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        service = serve()
    finally:
        signal.signal(signal.SIGHUP, handler)
    service.process.send_signal(signal.SIGHUP)
    if ignored:
        [job_id] = service.submit("demo_sleep__c", parameters={"seconds": 0})
        service.until_status(job_id, "SUCCESS")
        assert service.readiness == (200, "ready")
    else:
        assert service.ended() == 0
        assert "draining" in (ledger.parent / "stderr.txt").read_text()


@on_both_stores
def test_a_killed_keeper_init_or_run_ends_its_job_and_is_replaced(serve: Serve) -> None:
    service = serve("--slots", "1")
    for word in ("keeper", "init", "run"):
        [job_id] = service.submit("demo_sleep__c", parameters={"seconds": 600})
        service.until_logged(job_id, "Sleeping")
        # The other one waits for the next job; the older one keeps this one.
        victim = min(named(service.process.pid, f"rescind-{word}"))
        os.kill(victim, signal.SIGKILL)
        service.until_status(job_id, *FINAL)
        assert service.status(job_id) == "ERRORS_ENCOUNTERED"
    [job_id] = service.submit("demo_sleep__c", parameters={"seconds": 0})
    service.until_status(job_id, "SUCCESS")


def test_a_signal_while_it_starts_ends_it(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "import pathlib, time\npathlib.Path('importing').touch()\ntime.sleep(60)\n"
    )
    command = [sys.executable, "-m", "rescind.cli", "serve", "--port", "0", "--jobs", "slow"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL) as starting:
        while not (tmp_path / "importing").exists():
            assert starting.poll() is None
        starting.send_signal(signal.SIGTERM)
        assert starting.wait(20) == 128 + signal.SIGTERM


def rescind(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rescind.cli", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_second_service_on_the_same_file_is_turned_away_by_name(
    serve: Serve, tmp_path: Path
) -> None:
    service = serve()
    url = f"sqlite:///{tmp_path}/rescind.db"
    second = rescind("serve", "--port", "0", "--database", url, folder=tmp_path)
    assert second.returncode == 3
    assert f"pid {service.process.pid}" in second.stderr
    assert len(second.stderr.splitlines()) == 1


def test_a_port_in_use_is_one_clear_line(serve: Serve, tmp_path: Path) -> None:
    port = serve().address.rpartition(":")[2]
    other = rescind("serve", "--port", port, "--database", "sqlite:///other.db", folder=tmp_path)
    assert other.returncode == 3
    assert len(other.stderr.splitlines()) == 1
    assert port in other.stderr


@on_both_stores
def test_users_are_looked_after_beside_a_running_service(
    serve: Serve, tmp_path: Path, database: str
) -> None:
    service = serve()
    url = database
    added = subprocess.run(
        [
            *(sys.executable, "-m", "rescind.cli", "user", "add", "ci", "--password-stdin"),
            *("--permission", "jobs_create", "--database", url),
        ],
        input="twelve letters\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert "api_access jobs_create" in added.stdout
    form = {"username": "ci", "password": "twelve letters"}
    assert service.client.post("/auth", data=form).json()["responseStatus"] == "SUCCESS"
    rescind("user", "disable", "ci", "--database", url, folder=tmp_path)
    answer = service.client.post("/auth", data=form).json()
    assert answer["errors"][0]["type"] == "INACTIVE_USER"


def test_the_database_and_the_password_are_kept(serve: Serve) -> None:
    service = serve()
    [job_id] = service.submit("demo_sleep__c", parameters={"seconds": 0})
    service.until_status(job_id, "SUCCESS")
    assert service.end() == 0
    service = serve()
    assert service.status(job_id) == "SUCCESS"
    assert "password:" not in service.banner[1]
    assert any("start afresh" in line for line in service.banner)


def test_a_killed_service_is_no_worker_any_more_when_the_next_has_started(
    serve: Serve, database: str
) -> None:
    serve().end(signal.SIGKILL)
    service = serve()
    store = databases.open_store(database)
    [worker] = store.workers()
    assert worker.pid == service.process.pid
    assert service.end() == 0
    assert store.workers() == []
    store.close()
