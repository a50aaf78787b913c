"""Runs on another host, and what becomes of them when it cannot be reached."""

import re
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from certificates import certificate
from hosts.conftest import HERE, RAY_PORT, OtherHost
from process.conftest import FINAL, Service, on_postgres, show
from processes import HANG_SECONDS, is_alive

OPTIONS = ("--engine", "ray", "--slots", "8", "--ray-address", f"{HERE}:{RAY_PORT}")
Serve = Callable[..., Service]


@pytest.fixture
def service(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    """One whose keepers reach it within TLS."""
    file, key = certificate(tmp_path / "keepers")
    monkeypatch.setenv("RESCIND_KEEPER_TLS_CERTIFICATE", str(file))
    monkeypatch.setenv("RESCIND_KEEPER_TLS_KEY", str(key))
    return serve(*OPTIONS, jobs=("hosts.jobs_there",))


def entered(service: Service, name: str, count: int, **parameters: str) -> dict[int, int]:
    """Submit jobs and wait until they have entered; the process of each."""
    ids = service.submit(name, count, parameters=parameters)
    for job_id in ids:
        service.until_logged(job_id, "entered as")
    return {job_id: pid_of(service, job_id) for job_id in ids}


def pid_of(service: Service, job_id: int) -> int:
    """The process of a job's latest run."""
    return int(re.findall(r"entered as (\d+)", service.log(job_id))[-1])


def details(service: Service, job_id: int) -> dict[str, Any]:
    data: dict[str, Any] = service.client.get(f"/services/jobs/{job_id}/details").json()["data"]
    return data


def interfaces_of(pid: int) -> Sequence[str]:
    """What a process can reach others by."""
    lines = Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]
    return sorted(line.partition(":")[0].strip() for line in lines)


@on_postgres
def test_a_run_on_another_host_is_stopped_as_one_here(
    other_host: OtherHost, service: Service
) -> None:
    runs = entered(service, "stays__c", 3)
    for pid in runs.values():
        assert "there" in interfaces_of(pid)
    service.cancel(*runs)
    for job_id, pid in runs.items():
        service.until_status(job_id, "CANCELLED")
        assert not is_alive(pid)
        assert service.evidence(job_id) == "STOPPED_ITSELF"


@on_postgres
def test_a_cable_that_is_out_for_a_moment_costs_nothing(
    other_host: OtherHost, service: Service, tmp_path: Path
) -> None:
    runs = entered(service, "ticks__c", 2, folder=str(tmp_path))
    marks = [tmp_path / str(job_id) for job_id in runs]
    other_host.cut()
    before = [file.stat().st_size for file in marks]
    service.until(
        lambda: all(
            file.stat().st_size >= size + 10 for file, size in zip(marks, before, strict=True)
        )
    )
    other_host.mend()
    for job_id in runs:
        service.until_status(job_id, "SUCCESS")
        assert re.findall(r"tick (\d+)", service.log(job_id)) == [str(tick) for tick in range(60)]
        assert details(service, job_id)["attempt"] == 1


def ended_before_it_is_said(service: Service, runs: dict[int, int]) -> None:
    """Wait until all jobs have been decided; see that each run had ended when its was."""
    started = monotonic()
    left = dict(runs)
    while left:
        assert monotonic() < started + HANG_SECONDS
        for job_id, pid in list(left.items()):
            lived = is_alive(pid)
            if service.status(job_id) in (*FINAL, "QUEUED", "SCHEDULED"):
                assert not lived, "it is said to have ended, and lives"
                show(f"job {job_id} was decided after {monotonic() - started:.1f} s")
                del left[job_id]


@on_postgres
def test_what_a_host_that_is_cut_off_runs_has_ended_before_that_is_said(
    other_host: OtherHost, service: Service
) -> None:
    once = entered(service, "stays__c", 2)
    cancelled = entered(service, "stays__c", 1)
    again = entered(service, "stays_again__c", 1)
    runs = {**once, **cancelled, **again}
    other_host.cut()
    service.cancel(*cancelled)
    ended_before_it_is_said(service, runs)
    for job_id in once:
        assert service.status(job_id) == "ERRORS_ENCOUNTERED"
        assert details(service, job_id)["evidence"] == "WORKER_LOST"
    for job_id in cancelled:
        assert service.status(job_id) == "CANCELLED"
        assert details(service, job_id)["evidence"] == "WORKER_LOST"
    other_host.mend()
    other_host.join()  # Ray takes what was away for long for dead
    for job_id in again:
        service.until(lambda: pid_of(service, job_id) != again[job_id])  # noqa: B023 - at once
        assert details(service, job_id)["attempt"] == 2
        service.cancel(job_id)
        service.until_status(job_id, "CANCELLED")
        assert service.evidence(job_id) == "STOPPED_ITSELF"


def test_a_service_that_is_started_again_waits_for_what_it_cannot_reach(
    other_host: OtherHost, serve: Serve
) -> None:
    service = serve(*OPTIONS, jobs=("hosts.jobs_there",))
    cancelled = entered(service, "stays_again__c", 1)
    again = entered(service, "stays_again__c", 1)
    other_host.cut()
    service.end(signal.SIGKILL)
    service = serve(*OPTIONS, jobs=("hosts.jobs_there",))
    service.cancel(*cancelled)
    assert all(is_alive(pid) for pid in (*cancelled.values(), *again.values()))
    ended_before_it_is_said(service, {**cancelled, **again})
    for job_id in cancelled:
        assert service.status(job_id) == "CANCELLED"
    other_host.mend()
    other_host.join()
    for job_id, pid in again.items():
        service.until(lambda: pid_of(service, job_id) != pid)  # noqa: B023 - at once
        service.cancel(job_id)
        service.until_status(job_id, "CANCELLED")
        assert service.evidence(job_id) == "STOPPED_ITSELF"
