"""Every status, every move: what lands, what it leaves, and what it writes down."""

from datetime import timedelta

import pytest

from rescind.lifecycle import BIRTHS, FINAL, Evidence, Move, Status
from rescind.model import Actor, RunEnd, RunProgress, RunRef, RunRetry
from rescind.store.protocol import Channel, Store
from store import harness
from store.harness import SYSTEM, USER, WORKER, new_job, place, row, scheduled, submit, submit_all


@pytest.mark.parametrize("move", harness.TRY)
@pytest.mark.parametrize("status", Status)
def test_a_move_lands_only_where_it_starts_from(store: Store, status: Status, move: Move) -> None:
    harness.check_move(store, status, move)


def test_every_move_is_tried() -> None:
    assert {*harness.TRY, Move.SUBMIT} == set(Move)


def test_a_due_job_is_born_queued_and_a_later_one_scheduled(store: Store) -> None:
    now = store.now()
    due, past, later = submit_all(
        store,
        [
            new_job(),
            new_job(run_at=now - timedelta(days=1)),
            new_job(run_at=now + timedelta(hours=1)),
        ],
        USER,
    )
    assert row(store, due).status is Status.QUEUED
    assert row(store, past).status is Status.QUEUED
    assert row(store, past).run_at == now - timedelta(days=1)
    assert row(store, later).status is Status.SCHEDULED
    assert {row(store, job_id).status for job_id in (due, past, later)} <= BIRTHS


def test_submitted_jobs_get_ascending_ids_in_request_order(store: Store) -> None:
    ids = submit_all(store, [new_job(title=f"job {n}") for n in range(500)], USER)
    assert ids == sorted(set(ids))
    assert [row(store, job_id).title for job_id in ids] == [f"job {n}" for n in range(500)]


def test_submit_copies_what_decides_about_a_job_to_its_row(store: Store) -> None:
    metadata = harness.metadata(
        idempotent=True,
        cancellable_in=frozenset({Status.QUEUED}),
        grace_seconds=1.5,
        timeout_seconds=7.0,
        inactivity_seconds=3.0,
        attempts_max=4,
        retry_seconds=0.25,
        interrupt_seconds=0.5,
        terminate_seconds=2.0,
    )
    job_id = submit(
        store,
        new_job(metadata=metadata, title="T \u00e9", parameters={"a": [1, 2.5, None]}, priority=7),
    )
    job = row(store, job_id)
    assert (job.job_metadata, job.processor, job.queue) == (
        metadata.name,
        metadata.processor,
        metadata.queue,
    )
    assert (job.title, job.parameters, job.priority) == ("T \u00e9", {"a": [1, 2.5, None]}, 7)
    assert job.cancellable_in == {Status.QUEUED}
    assert (job.grace_seconds, job.timeout_seconds, job.inactivity_seconds) == (1.5, 7.0, 3.0)
    assert (job.idempotent, job.attempts_max, job.retry_seconds) == (True, 4, 0.25)
    assert (job.interrupt_seconds, job.terminate_seconds) == (0.5, 2.0)
    assert (job.created_by, job.modified_by) == (2, 2)


def test_a_job_that_is_not_interrupted_says_so_on_its_row(store: Store) -> None:
    metadata = harness.metadata(interrupt_seconds=None)
    assert row(store, submit(store, new_job(metadata=metadata))).interrupt_seconds is None


def test_claims_come_by_priority_then_run_date_then_id(store: Store) -> None:
    metadata = harness.metadata()
    now = store.now()
    first = submit(store, new_job(metadata=metadata, priority=50))
    urgent = submit(store, new_job(metadata=metadata, priority=1))
    older = submit(store, new_job(metadata=metadata, run_at=now - timedelta(hours=1)))
    last = submit(store, new_job(metadata=metadata, priority=100))
    store.lease(WORKER.by)
    claimed = [
        store.claim(WORKER, names=[metadata.name], limit=2),
        store.claim(WORKER, names=[metadata.name], limit=9),
    ]
    assert [[job.id for job in jobs] for jobs in claimed] == [[urgent, older], [first, last]]


def test_a_worker_claims_only_what_it_can_run(store: Store) -> None:
    job_id = submit(store)
    assert store.claim(WORKER, names=["another__c"], limit=9) == []
    assert store.claim(WORKER, names=[], limit=9) == []
    assert row(store, job_id).status is Status.QUEUED


def test_a_claim_gives_a_lease_and_counts_an_attempt(store: Store) -> None:
    job_id = submit(store)
    assert harness.claim(store, job_id)
    job = row(store, job_id)
    assert (job.worker, job.attempt, job.evidence) == (WORKER.by, 1, None)
    assert job.started_at is not None


@pytest.mark.parametrize("status", sorted(FINAL))
def test_what_a_job_held_is_free_when_it_has_ended(store: Store, status: Status) -> None:
    job = row(store, place(store, status))
    assert job.worker is None
    assert job.finished_at is not None


def test_a_finish_by_another_worker_or_attempt_does_not_land(store: Store) -> None:
    job_id = place(store, Status.RUNNING)
    run = harness.run_of(store, job_id)
    end = RunEnd(run=run, status=Status.SUCCESS, evidence=Evidence.STOPPED_ITSELF)
    stale = RunEnd(
        run=RunRef(job_id, run.attempt - 1), status=Status.SUCCESS, evidence=end.evidence
    )
    assert store.finish(Actor(by="worker-2"), [end]) == set()
    assert store.finish(WORKER, [stale]) == set()
    assert row(store, job_id).status is Status.RUNNING
    assert store.finish(WORKER, [end]) == {job_id}


def test_a_finish_keeps_result_error_and_evidence(store: Store) -> None:
    first, second = place(store, Status.RUNNING), place(store, Status.RUNNING)
    landed = store.finish(
        WORKER,
        [
            RunEnd(
                run=harness.run_of(store, first),
                status=Status.SUCCESS,
                evidence=Evidence.STOPPED_ITSELF,
                result={"rows": [1, 2]},
            ),
            RunEnd(
                run=harness.run_of(store, second),
                status=Status.ERRORS_ENCOUNTERED,
                evidence=Evidence.KILLED,
                error="Traceback \u2026",
            ),
        ],
    )
    assert landed == {first, second}
    assert row(store, first).result == {"rows": [1, 2]}
    assert row(store, second).error == "Traceback \u2026"
    assert row(store, second).evidence is Evidence.KILLED


def test_a_job_that_nobody_stopped_shows_no_evidence(store: Store) -> None:
    job_id = place(store, Status.RUNNING)
    run = harness.run_of(store, job_id)
    end = RunEnd(run=run, status=Status.SUCCESS, evidence=Evidence.STOPPED_ITSELF, stopped=False)
    assert store.finish(WORKER, [end]) == {job_id}
    assert row(store, job_id).evidence is None


def test_a_retry_is_due_after_its_delay(store: Store) -> None:
    job_id = place(store, Status.RUNNING)
    before = store.now()
    assert harness.retry(store, job_id, delay_seconds=60)
    job = row(store, job_id)
    assert before + timedelta(seconds=60) <= job.run_at <= (store.now() + timedelta(seconds=60))
    assert store.stage(SYSTEM, limit=9) == []
    assert (job.error, job.attempt) == ("boom", 1)


def test_a_start_hold_keeps_a_job_queueing_until_it_has_passed(store: Store) -> None:
    job_id = scheduled(store)
    assert harness.start(store, job_id, hold_seconds=3600)
    assert row(store, job_id).status is Status.QUEUEING
    assert store.queue(SYSTEM, limit=9) == []
    assert store.next_due() is not None


def test_starting_brings_the_planned_start_forward(store: Store) -> None:
    job_id = scheduled(store)
    assert harness.start(store, job_id)
    assert row(store, job_id).run_at <= store.now()


def test_an_idempotent_job_runs_again_after_its_lease_is_lost(store: Store) -> None:
    job_id = place(store, Status.RUNNING, new_job(metadata=harness.metadata(idempotent=True)))
    assert harness.rescue(store, job_id)
    assert row(store, job_id).status is Status.QUEUED
    assert harness.claim(store, job_id)
    assert row(store, job_id).attempt == 2


def test_a_job_that_is_not_idempotent_is_never_started_again(store: Store) -> None:
    job_id = place(store, Status.RUNNING)
    assert harness.rescue(store, job_id)
    job = row(store, job_id)
    assert job.status is Status.ERRORS_ENCOUNTERED
    assert "not idempotent" in (job.error or "")


def test_a_job_given_back_before_its_function_was_entered_runs_again(store: Store) -> None:
    job_id = place(store, Status.RUNNING)
    assert harness.release(store, job_id, Evidence.NEVER_STARTED)
    assert harness.rescued(store) == [job_id]
    assert row(store, job_id).status is Status.QUEUED


def test_a_running_job_under_a_living_lease_is_not_rescued(store: Store) -> None:
    place(store, Status.RUNNING)
    assert store.rescue(SYSTEM, limit=9) == []


def test_progress_lands_only_while_running(store: Store) -> None:
    job_id = place(store, Status.RUNNING)
    run = harness.run_of(store, job_id)
    store.write_progress(WORKER.by, [RunProgress(run=run, done=3, total=9)])
    assert (row(store, job_id).progress_done, row(store, job_id).progress_total) == (3, 9)
    assert harness.cancel(store, job_id)
    store.write_progress(WORKER.by, [RunProgress(run=run, done=4, total=9)])
    assert row(store, job_id).progress_done == 3


def test_registering_an_unknown_queue_writes_nothing(store: Store) -> None:
    metadata = harness.metadata(queue="elsewhere__c")
    assert harness.register(store, metadata) == ["elsewhere__c"]
    assert store.metadata([metadata.name]) == {}


def test_metadata_is_kept_as_declared_and_replaced_as_a_whole(store: Store) -> None:
    first = harness.metadata(cancellable_in=frozenset({Status.QUEUED}), inactivity_seconds=9.0)
    assert harness.register(store, first) == []
    assert store.metadata([first.name, "other__c"]) == {first.name: first}
    second = harness.metadata(name=first.name, title="New", attempts_max=3)
    assert harness.register(store, second) == []
    assert store.metadata([first.name]) == {first.name: second}


def test_every_event_says_who_when_why_and_by_which_request(store: Store) -> None:
    job_id = submit(store)
    assert harness.cancel(store, job_id)
    [born, cancelled] = store.events(job_id)
    assert (born.move, born.from_status, born.to_status) == (Move.SUBMIT, None, Status.QUEUED)
    assert (cancelled.user_id, cancelled.by) == (2, "user")
    assert (cancelled.reason, cancelled.request_id) == ("a test", "r-1")
    assert born.at <= cancelled.at <= store.now()


def test_wake_ups_say_where_jobs_have_come_to(store: Store) -> None:
    heard: list[Channel] = []
    store.subscribe(heard.append)
    job_id = submit(store)
    scheduled(store)
    harness.cancel(store, job_id)
    running = place(store, Status.RUNNING)
    harness.release(store, running)
    assert heard == [
        Channel.QUEUED,
        Channel.SCHEDULED,
        Channel.CANCELLING,
        Channel.QUEUED,
        Channel.RELEASED,
    ]


def test_latest_jobs_page_downwards_and_respect_the_owner(store: Store) -> None:
    ids = submit_all(store, [new_job() for _ in range(5)], USER)
    page = store.latest_jobs(limit=2, below=2**63 - 1, owner=None)
    assert [job.id for job in page] == [ids[4], ids[3]]
    page = store.latest_jobs(limit=9, below=ids[3], owner=2)
    assert [job.id for job in page] == [ids[2], ids[1], ids[0]]
    assert store.latest_jobs(limit=9, below=ids[3], owner=1) == []


def test_there_is_no_job_where_there_is_none(store: Store) -> None:
    assert store.job(1) is None
    assert store.start(1, USER, hold_seconds=0, owner=None) is None
    assert store.events(1) == []
    assert store.log(1) == []


def test_events_keep_the_error_of_each_attempt(store: Store) -> None:
    job_id = place(store, Status.RUNNING, new_job(metadata=harness.metadata(attempts_max=3)))
    run = harness.run_of(store, job_id)
    for number in (1, 2):
        retried = RunRetry(
            run=run, evidence=Evidence.STOPPED_ITSELF, error=f"error {number}", delay_seconds=0
        )
        assert store.retry(WORKER, [retried]) == {job_id}
        assert store.stage(SYSTEM, limit=9) == [job_id]
        assert harness.claim(store, job_id)
        run = harness.run_of(store, job_id)
    end = RunEnd(
        run=run,
        status=Status.ERRORS_ENCOUNTERED,
        evidence=Evidence.STOPPED_ITSELF,
        error="error 3",
    )
    assert store.finish(WORKER, [end]) == {job_id}
    errors = [(event.move, event.attempt, event.error) for event in store.events(job_id)]
    assert [error for error in errors if error[2] is not None] == [
        (Move.RETRY, 1, "error 1"),
        (Move.RETRY, 2, "error 2"),
        (Move.FINISH, 3, "error 3"),
    ]


@pytest.mark.parametrize("idempotent", [True, False])
def test_the_event_of_a_rescue_says_what_became_of_the_attempt(
    store: Store, idempotent: bool
) -> None:
    job_id = place(store, Status.RUNNING, new_job(metadata=harness.metadata(idempotent=idempotent)))
    assert harness.rescue(store, job_id)
    again = "is started again" if idempotent else "is not started again"
    assert again in (harness.last_event(store, job_id).error or "")


def test_a_run_that_never_started_has_no_error(store: Store) -> None:
    job_id = place(store, Status.RUNNING)
    assert harness.release(store, job_id, Evidence.NEVER_STARTED)
    assert harness.rescued(store) == [job_id]
    assert harness.last_event(store, job_id).error is None


def test_a_cancel_does_not_tell_the_error_of_an_earlier_attempt(store: Store) -> None:
    job_id = place(store, Status.RUNNING)
    assert harness.retry(store, job_id, delay_seconds=600)
    assert harness.cancel(store, job_id)
    assert harness.settle(store, job_id)
    assert [event.error for event in store.events(job_id)][-2:] == [None, None]


def test_what_could_not_run_says_why_in_its_event(store: Store) -> None:
    job_id = place(store, Status.FAILED_TO_RUN)
    assert harness.last_event(store, job_id).error == row(store, job_id).error


def test_details_are_the_job_and_its_moves(store: Store) -> None:
    job_id = place(store, Status.CANCELLED)
    found = store.details(job_id)
    assert found is not None
    assert (found.job, found.events) == (row(store, job_id), store.events(job_id))
    assert {event.user_name for event in found.events} == {"ada", "System"}
    assert store.details(job_id, owner=USER.user_id) == found
    assert store.details(job_id, owner=1) is None
    assert store.details(job_id + 1) is None
