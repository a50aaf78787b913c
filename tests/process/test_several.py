"""Several processes on one PostgreSQL database: nobody leads, and everybody may go."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import psycopg
import pytest

from process.conftest import LEASE_SECONDS, Service, Worker, on_postgres, show
from processes import HANG_SECONDS, is_alive
from rescind import databases
from rescind.cli.exits import Exit
from rescind.engines.process.tree import descendants
from rescind.lifecycle import Move, Status
from rescind.store.protocol import Store
from rescind.store.sql.versions import SCHEMA_VERSION
from store import harness

pytestmark = on_postgres
Serve = Callable[..., Service]
Work = Callable[..., Worker]


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "ledger"
    path.touch()
    return path


@pytest.fixture
def store(database: str, serve: Serve) -> Iterator[Store]:
    """The database, beside the processes."""
    store = databases.open_store(database)
    yield store
    store.close()


def entered(ledger: Path, job_id: int) -> int:
    """How often a job's function was entered."""
    return [line.split()[0] for line in ledger.read_text().splitlines()].count(str(job_id))


def worker_of(store: Store, job_id: int) -> str:
    """Who claimed a job last."""
    claims = [event.by for event in store.events(job_id) if event.move is Move.CLAIM]
    return claims[-1]


def test_jobs_run_at_workers_and_any_serve_takes_requests(
    serve: Serve, work: Work, store: Store
) -> None:
    here, there = serve("--no-worker"), serve("--no-worker")
    workers = [work("--slots", "2")]
    ids = here.submit("demo_sleep__c", count=4, parameters={"seconds": 600})
    for job_id in ids[:2]:
        there.until_status(job_id, "RUNNING")
    assert [here.status(job_id) for job_id in ids[2:]] == ["QUEUED"] * 2
    workers.append(work("--slots", "2"))
    for job_id in ids:
        there.until_status(job_id, "RUNNING")
    assert {worker_of(store, job_id) for job_id in ids} == {worker.id for worker in workers}
    assert {worker.id for worker in store.workers()} == {worker.id for worker in workers}
    there.cancel(*ids)
    for job_id in ids:
        here.until_status(job_id, "CANCELLED")
    assert [worker.end() for worker in workers] == [0, 0]
    assert store.workers() == []


def test_a_busy_worker_hears_a_cancel_at_once(serve: Serve, work: Work) -> None:
    service = serve("--no-worker")
    work("--slots", "2")
    ids = service.submit("demo_sleep__c", count=40, parameters={"seconds": 600})
    times: list[float] = []
    for job_id in ids[:10]:
        service.until_logged(job_id, "Sleeping")
        service.cancel(job_id)
        times.append(service.until_status(job_id, "CANCELLED"))
        assert service.evidence(job_id) == "STOPPED_ITSELF"
    times.sort()
    show(
        "a cancel at a busy worker of another process, until CANCELLED: "
        f"median {times[5]:.3f} s, worst {times[-1]:.3f} s"
    )
    service.cancel(*ids)


def test_a_killed_workers_trees_are_gone_and_its_jobs_are_taken_when_its_lease_is_over(
    serve: Serve, work: Work, store: Store, ledger: Path
) -> None:
    service = serve("--no-worker")
    lost = work("--slots", "4")
    parameters = {"ledger": str(ledger)}
    [stubborn] = service.submit("holds_on__c", parameters=parameters)
    [hidden] = service.submit(
        "write_from_afar__c", parameters={"file": str(ledger) + ".ticks", "ignore": ["SIGTERM"]}
    )
    [plain] = service.submit("ledger__c", parameters=parameters)
    [again] = service.submit("idempotent_ledger__c", parameters=parameters)
    for job_id in (stubborn, hidden, plain, again):
        service.until_logged(job_id, "entered")
    tree = descendants(lost.process.pid)
    assert len(tree) > 8
    service.cancel(stubborn, hidden)
    lost.end(signal.SIGKILL)
    killed_at = store.now()
    end = monotonic() + HANG_SECONDS
    while any(is_alive(pid) for pid in tree):
        assert monotonic() < end, "the keepers take their trees down at once"
    other = work()
    for job_id in (stubborn, hidden):
        service.until_status(job_id, "CANCELLED")
        assert service.evidence(job_id) in ("KILLED", "WORKER_LOST")
    service.until_status(plain, "ERRORS_ENCOUNTERED")
    service.until(lambda: entered(ledger, again) == 2)
    assert worker_of(store, again) == other.id
    assert entered(ledger, plain) == 1
    taken = [store.events(job_id)[-1].at for job_id in (stubborn, hidden, plain)]
    waits = [(at - killed_at).total_seconds() for at in taken]
    lease = f"lease {LEASE_SECONDS:g} s"
    show(f"taken from a killed worker after {min(waits):.2f} to {max(waits):.2f} s ({lease})")
    assert lost.id in {worker.id for worker in store.workers()}, "it said no farewell"
    service.cancel(again)
    service.until_status(again, "CANCELLED")


def test_a_worker_that_stood_still_past_its_lease_writes_nothing(
    serve: Serve, work: Work, store: Store, ledger: Path
) -> None:
    service = serve("--no-worker")
    frozen = work("--slots", "3")
    parameters = {"ledger": str(ledger)}
    [plain] = service.submit("ledger__c", parameters=parameters)
    [again] = service.submit("idempotent_ledger__c", parameters=parameters)
    [cancelled] = service.submit("holds_on__c", parameters=parameters)
    ids = (plain, again, cancelled)
    for job_id in ids:
        service.until_logged(job_id, "entered")
    runs = [int(line.split()[2]) for line in ledger.read_text().splitlines()]
    frozen.process.send_signal(signal.SIGSTOP)
    service.cancel(cancelled)
    other = work("--slots", "3")
    service.until(lambda: entered(ledger, again) == 2)
    assert not any(is_alive(pid) for pid in runs), "its keepers fenced them before"
    service.until_status(plain, "ERRORS_ENCOUNTERED")
    service.until_status(cancelled, "CANCELLED")
    assert service.evidence(cancelled) == "WORKER_LOST"

    def written() -> list[object]:
        return [(store.job(job_id), store.events(job_id), store.log(job_id)) for job_id in ids]

    # What the other worker writes of its own run comes a moment after the entry.
    service.until(lambda: service.log(again).count("entered") == 2)
    before = written()
    frozen.process.send_signal(signal.SIGCONT)
    fillers = service.submit("demo_sleep__c", count=5, parameters={"seconds": 600})
    for job_id in fillers:
        service.until_status(job_id, "RUNNING")
    assert frozen.id in {worker_of(store, job_id) for job_id in fillers}, "it works again"
    assert written() == before
    service.cancel(again, *fillers)
    for job_id in (again, *fillers):
        service.until_status(job_id, "CANCELLED")
    assert entered(ledger, plain) == 1
    assert other.alive


def test_a_worker_that_is_told_to_stop_drains_and_others_go_on(
    serve: Serve, work: Work, store: Store, ledger: Path
) -> None:
    (ledger.parent / "rescind.toml").write_text("drain_seconds = 1.5\n")
    service = serve("--no-worker")
    leaving = work("--slots", "3")
    parameters = {"ledger": str(ledger)}
    [quick] = service.submit("ledger__c", parameters={**parameters, "seconds": 1})
    [plain] = service.submit("ledger__c", parameters=parameters)
    [again] = service.submit("idempotent_ledger__c", parameters=parameters)
    for job_id in (quick, plain, again):
        service.until_logged(job_id, "entered")
    other = work("--slots", "3")
    started = monotonic()
    assert leaving.end(signal.SIGTERM) == 0
    show(f"a worker with drain_seconds 1.5 was gone {monotonic() - started:.2f} s after SIGTERM")
    assert service.status(quick) == "SUCCESS"
    service.until_status(plain, "ERRORS_ENCOUNTERED")
    service.until(lambda: entered(ledger, again) == 2)
    assert worker_of(store, again) == other.id
    assert [worker.id for worker in store.workers()] == [other.id]
    service.cancel(again)
    service.until_status(again, "CANCELLED")


def test_a_process_that_is_left_two_versions_behind_ends_and_says_so(
    serve: Serve, work: Work, database: str, tmp_path: Path
) -> None:
    service, worker = serve("--no-worker"), work()
    with psycopg.connect(database, autocommit=True) as administrator:
        administrator.execute("UPDATE schema_version SET version = version + 1")
        assert service.readiness == (200, "ready"), "one step ahead is served"
        administrator.execute("UPDATE schema_version SET version = version + 1")
    for program in (service, worker):
        assert program.process.wait(30) == Exit.SCHEMA
        program.end()
    said = (tmp_path / "stderr.txt").read_text()
    assert f"schema version {SCHEMA_VERSION + 2}" in said
    assert f"serves {SCHEMA_VERSION} and {SCHEMA_VERSION + 1}" in said


def test_one_living_process_is_enough(serve: Serve, work: Work, store: Store, ledger: Path) -> None:
    """The only serve is killed after it accepted a cancel; a worker settles it all the same."""
    service = serve("--no-worker")
    work("--slots", "1")
    [running] = service.submit("ledger__c", parameters={"ledger": str(ledger)})
    service.until_logged(running, "entered")
    queued = service.submit("ledger__c", count=500, parameters={"ledger": str(ledger)})
    service.cancel(*queued)
    service.cancel(running)
    service.end(signal.SIGKILL)
    ids = (running, *queued)

    def all_cancelled() -> bool:
        jobs = [store.job(job_id) for job_id in ids]
        return all(job is not None and job.status is Status.CANCELLED for job in jobs)

    assert harness.eventually(all_cancelled)
    assert ledger.read_text().count("\n") == 1


def test_a_row_that_somebody_holds_costs_the_other_499_a_second(
    serve: Serve, store: Store, database: str, tmp_path: Path
) -> None:
    service = serve()
    ids = service.submit("demo_sleep__c", count=500, run_date="2099-01-01T00:00:00Z")
    with psycopg.connect(database) as other:
        other.execute("SELECT 1 FROM job WHERE id = %s FOR UPDATE", [ids[7]])
        started = monotonic()
        data = service.cancel(*ids)
        show(f"500 cancels, one beside a held row: answered after {monotonic() - started:.2f} s")
    refused = [item for item in data if item["responseStatus"] != "SUCCESS"]
    assert [data.index(item) for item in refused] == [7]
    assert refused[0]["errors"]["type"] == "RACE_CONDITION"
    said = (tmp_path / "stderr.txt").read_text().splitlines()
    [line] = [line for line in said if "a cancel was accepted" in line]
    assert '"jobs": 499' in line
    [accepted] = service.cancel(ids[7])
    assert accepted["responseStatus"] == "SUCCESS"
