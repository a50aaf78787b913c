"""Real jobs in real processes, really cancelled, over HTTP."""

from collections.abc import Callable
from pathlib import Path
from time import monotonic

from process.conftest import Service, on_both_stores, show
from processes import programs_below

Serve = Callable[..., Service]


@on_both_stores
def test_what_a_hidden_grandchild_writes_stops_growing_at_cancelled(
    serve: Serve, tmp_path: Path
) -> None:
    service = serve()
    file = tmp_path / "ticks"
    [job_id] = service.submit(
        "write_from_afar__c", parameters={"file": str(file), "ignore": ["SIGTERM"]}
    )
    service.until_logged(job_id, "entered")
    assert programs_below(service.process.pid)
    assert service.cancel(job_id) == [{"responseStatus": "SUCCESS", "data": {"id": job_id}}]
    seconds = service.until_status(job_id, "CANCELLED")
    size = file.stat().st_size
    assert not programs_below(service.process.pid)
    [next_id] = service.submit("demo_sleep__c", parameters={"seconds": 0.3})
    service.until_status(next_id, "SUCCESS")
    assert file.stat().st_size == size
    assert service.evidence(job_id) == "KILLED"
    left = len(programs_below(service.process.pid))
    show(
        f"hidden grandchild: CANCELLED, KILLED after {seconds:.2f} s; the file has {size} bytes "
        f"then and {file.stat().st_size} later; processes left: {left}"
    )


@on_both_stores
def test_500_queued_jobs_behind_a_blocker_are_accepted_in_one_answer_and_none_starts(
    serve: Serve, tmp_path: Path
) -> None:
    service = serve("--slots", "1")
    ledger = tmp_path / "ledger"
    ledger.touch()
    [blocker] = service.submit("demo_sleep__c", parameters={"seconds": 600})
    service.until_status(blocker, "RUNNING")
    ids = service.submit("ledger__c", count=500, parameters={"ledger": str(ledger)})
    started = monotonic()
    data = service.cancel(*ids)
    answered = monotonic() - started
    assert data == [{"responseStatus": "SUCCESS", "data": {"id": job_id}} for job_id in ids]
    service.cancel(blocker)
    service.until_status(blocker, "CANCELLED")
    for job_id in ids:
        service.until_status(job_id, "CANCELLED")
    [last] = service.submit("ledger__c", parameters={"ledger": str(ledger), "seconds": 0})
    service.until_status(last, "SUCCESS")
    assert [line.split()[0] for line in ledger.read_text().splitlines()] == [str(last)]
    assert {service.evidence(job_id) for job_id in ids} == {"NEVER_STARTED"}
    show(f"500 QUEUED jobs: accepted in one answer after {answered * 1000:.0f} ms; started: 0")


@on_both_stores
def test_a_stubborn_job_is_killed_with_its_children(serve: Serve) -> None:
    service = serve()
    [job_id] = service.submit("demo_stubborn__c")
    service.until_logged(job_id, "I will not stop")
    assert len(programs_below(service.process.pid)) == 2
    service.cancel(job_id)
    assert service.status(job_id) in ("CANCELLING", "CANCELLED")
    seconds = service.until_status(job_id, "CANCELLED")
    assert service.evidence(job_id) == "KILLED"
    assert not programs_below(service.process.pid)
    show(f"demo_stubborn__c (1 s grace, 2 children): CANCELLED, KILLED after {seconds:.2f} s")


@on_both_stores
def test_cancel_is_heard_while_every_slot_is_busy(serve: Serve) -> None:
    service = serve("--slots", "2")
    ids = service.submit("demo_sleep__c", count=4, parameters={"seconds": 600})
    for job_id in ids[:2]:
        service.until_logged(job_id, "Sleeping")  # RUNNING is not yet entered
    service.cancel(*ids)
    for job_id in ids:
        service.until_status(job_id, "CANCELLED")
    assert [service.evidence(job_id) for job_id in ids] == [
        "STOPPED_ITSELF",
        "STOPPED_ITSELF",
        "NEVER_STARTED",
        "NEVER_STARTED",
    ]


@on_both_stores
def test_a_cancel_of_a_scheduled_job_is_settled_and_it_never_starts(serve: Serve) -> None:
    service = serve()
    [job_id] = service.submit("demo_sleep__c", run_date="2099-01-01T00:00:00Z")
    assert service.status(job_id) == "SCHEDULED"
    service.cancel(job_id)
    service.until_status(job_id, "CANCELLED")
    assert service.evidence(job_id) == "NEVER_STARTED"


def test_inline_jobs_stop_when_asked(serve: Serve) -> None:
    service = serve("--engine", "inline", jobs=("rescind.demo",))
    [job_id] = service.submit("demo_sleep__c", parameters={"seconds": 600})
    service.until_status(job_id, "RUNNING")
    service.cancel(job_id)
    service.until_status(job_id, "CANCELLED")
    assert service.evidence(job_id) in ("STOPPED_ITSELF", "NEVER_STARTED")
