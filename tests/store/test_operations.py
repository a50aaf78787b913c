"""An operation does one thing to each job of a selection, and each job has one outcome."""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from random import Random
from threading import Barrier, Event

import pytest

from processes import HANG_SECONDS
from rescind import limits
from rescind.lifecycle import CANCELLABLE, FINAL, Evidence, Status
from rescind.model import Actor, RunEnd, RunRef, RunRelease, User
from rescind.operation import (
    NOBODY,
    NOT_DONE,
    Action,
    Begun,
    JobOutcome,
    Operation,
    OperationStatus,
    Rights,
    Wanted,
    Worked,
)
from rescind.selection import Column, OneOf, Selection
from rescind.store.protocol import Store
from rescind.store.sql import operations
from rescind.store.sql.operations import Operations
from store import harness
from store.harness import USER

BOB = Actor(user_id=3, by="user", request_id="r-3")
ALL = Rights(owner=None, running_allowed=True, hold_seconds=0)
METADATA = harness.metadata()


@pytest.fixture(autouse=True)
def registered(store: Store) -> None:
    assert isinstance(store, Operations)
    store.operation_batch_jobs = 250
    assert store.add_user("bob", "hash", frozenset()) == BOB.user_id
    harness.register(store, METADATA)


def submit(store: Store, count: int, **changes: object) -> list[int]:
    ids: list[int] = []
    while len(ids) < count:
        job = harness.new_job(**{"metadata": METADATA, **changes})
        ids += harness.submit_all(store, [job] * min(500, count - len(ids)))
    return ids


def pin(store: Store, ids: Sequence[int], name: str = "s-1", user: Actor = USER) -> str:
    meant = Selection(where=OneOf(Column.ID, tuple(ids)))
    store.pin(name, user.user_id, "q", meant, owner=None, skip=0, rows_max=None, seconds=60)
    return name


def begin(
    store: Store,
    ids: Sequence[int],
    action: Action = Action.CANCEL,
    name: str = "o-1",
    user: Actor = USER,
) -> str:
    selection_id = pin(store, ids, f"of-{name}", user)
    assert store.begin(Wanted(id=name, action=action, actor=user), selection_id) is Begun.BEGUN
    return name


def undo(store: Store, name: str = "o-1", new: str = "u-1", owner: int | None = None) -> Begun:
    return store.undo(Wanted(id=new, action=Action.UNDO, actor=BOB), name, owner=owner)


def operate(store: Store, rights: Rights = ALL, *, leave_held: bool = False) -> list[Worked]:
    """One batch of each operation."""

    def told(_user: User, _action: Action) -> Rights:
        return rights

    running = store.running_operations(limit=10)
    return [store.operate(number, told, leave_held=leave_held) for number in running]


def run(store: Store, rights: Rights = ALL) -> None:
    while worked := operate(store, rights):
        assert set(worked) == {Worked.DONE}


def read(store: Store, name: str = "o-1") -> Operation:
    operation = store.operation(name, owner=None)
    assert operation is not None
    return operation


def outcomes(store: Store, name: str = "o-1", code: str | None = None) -> list[JobOutcome]:
    page = store.outcomes(name, owner=None, code=code, limit=10**6, offset=0)
    assert page is not None
    assert page.total == len(page.outcomes)
    return page.outcomes


def codes(store: Store, name: str = "o-1") -> dict[int, str]:
    """The outcome of each job: one of each, ascending, and the counts agree."""
    found = {one.id: one.code for one in outcomes(store, name)}
    assert list(found) == sorted(found)
    assert len(found) == len(outcomes(store, name))
    assert dict(Counter(found.values())) == read(store, name).outcomes
    return found


def settle(store: Store) -> None:
    while store.settle(harness.SYSTEM, limit=500):
        pass


def test_every_status_has_its_outcome_of_a_cancel(store: Store) -> None:
    place = harness.place_all(store)
    begin(store, [*place.values(), 10**9])
    run(store)
    expected = {
        Status.CANCELLING: "ALREADY_CANCELLING",
        Status.CANCELLED: "ALREADY_CANCELLED",
        **dict.fromkeys(CANCELLABLE, "ACCEPTED"),
        **dict.fromkeys(FINAL - {Status.CANCELLED}, "FINISHED"),
    }
    assert codes(store) == {place[status]: code for status, code in expected.items()}
    for one in outcomes(store):
        row = harness.row(store, one.id)
        assert one.status is row.status
        assert one.new_id is None
        if one.code == "ACCEPTED":
            event = harness.last_event(store, one.id)
            assert (event.user_id, event.by, event.reason) == (2, "user", "a test")
            assert event.request_id == "r-1"


def test_every_status_has_its_outcome_of_a_start_and_of_a_rerun(store: Store) -> None:
    place = harness.place_all(store)
    begin(store, [*place.values()], Action.START)
    run(store)
    started = codes(store)
    assert started.pop(place[Status.SCHEDULED]) == "STARTED"
    assert set(started.values()) == {"NOT_SCHEDULED"}
    ids = {
        status: harness.place(store, status, harness.new_job(metadata=METADATA))
        for status in (Status.SUCCESS, Status.CANCELLED)
    }
    begin(store, [*ids.values(), *submit(store, 1)], Action.RERUN, "o-2")
    run(store)
    again = {one.id: one for one in outcomes(store, "o-2")}
    assert [one.code for one in again.values()] == ["SUBMITTED", "SUBMITTED", "NOT_FINISHED"]
    for job_id in ids.values():
        assert harness.row(store, again[job_id].new_id or 0).rerun_of == job_id


def test_it_goes_on_batch_by_batch_and_tells_how_far_it_has_come(store: Store) -> None:
    ids = submit(store, 600)
    begin(store, ids)
    first = read(store)
    assert (first.status, first.total, first.done) == (OperationStatus.RUNNING, 600, 0)
    assert (first.action, first.query, first.reason) == (Action.CANCEL, "q", "a test")
    assert (first.created_by, first.ended_at, first.outcomes) == (2, None, {})
    for done in (250, 500):
        assert operate(store) == [Worked.DONE]
        assert (read(store).status, read(store).done) == (OperationStatus.RUNNING, done)
        assert list(codes(store)) == ids[:done]
    assert operate(store) == [Worked.DONE]
    assert operate(store) == []
    last = read(store)
    assert (last.status, last.done, last.outcomes) == ("DONE", 600, {"ACCEPTED": 600})
    assert last.ended_at is not None
    assert last.ended_at >= last.created_at


def test_what_is_told_as_stopped_has_stopped(store: Store) -> None:
    ids = submit(store, 1500)
    running = harness.place(store, Status.RUNNING)
    other = harness.place(store, Status.CANCELLING)
    begin(store, [*ids, running, other])
    run(store)
    operation = read(store)
    assert (operation.stopped, operation.outcomes["ACCEPTED"]) == (0, 1501)
    store.settle(harness.SYSTEM, limit=500)
    assert read(store).stopped == 500
    settle(store)
    assert read(store).stopped == 1500
    assert harness.row(store, running).status is Status.CANCELLING
    assert harness.release(store, running)
    settle(store)
    assert read(store).stopped == 1501


def test_the_outcomes_come_page_by_page_and_by_code(store: Store) -> None:
    ids = submit(store, 2050)
    for job_id in ids[900:1100]:
        assert harness.cancel(store, job_id)
    begin(store, ids)
    run(store)

    def page(offset: int, limit: int, code: str | None = None) -> list[int]:
        found = store.outcomes("o-1", owner=None, code=code, limit=limit, offset=offset)
        assert found is not None
        assert found.total == {"ALREADY_CANCELLING": 200, "FINISHED": 0}.get(code or "", 2050)
        return [one.id for one in found.outcomes]

    assert [job_id for at in range(0, 2050, 300) for job_id in page(at, 300)] == ids
    already = ids[900:1100]
    assert page(0, 1000, "ALREADY_CANCELLING") == already
    assert page(90, 20, "ALREADY_CANCELLING") == already[90:110]
    assert page(199, 20, "ALREADY_CANCELLING") == already[199:]
    assert page(0, 10, "FINISHED") == page(2050, 10) == page(10**12, 10) == []


def test_a_stopped_one_leaves_the_rest_as_it_was(store: Store) -> None:
    ids = submit(store, 1050)
    begin(store, ids)
    operate(store)
    assert store.stop("o-1", owner=BOB.user_id) is None
    assert store.stop("o-1", owner=None) is OperationStatus.RUNNING
    assert store.stop("o-1", owner=2) is OperationStatus.STOPPED
    assert operate(store) == []
    operation = read(store)
    assert (operation.status, operation.done) == (OperationStatus.STOPPED, 250)
    assert operation.outcomes == {"ACCEPTED": 250, NOT_DONE: 800}
    found = codes(store)
    assert [found[job_id] for job_id in ids] == ["ACCEPTED"] * 250 + [NOT_DONE] * 800
    assert {one.status for one in outcomes(store, code=NOT_DONE)} == {None}
    assert harness.row(store, ids[250]).status is Status.QUEUED


def test_an_undo_takes_back_what_was_accepted_and_nothing_else(store: Store) -> None:
    ids = submit(store, 1200)
    mine = ids[100]
    assert harness.cancel(store, mine)
    running = harness.place(store, Status.RUNNING)
    begin(store, [*ids, running])
    assert undo(store) is Begun.RUNNING
    operate(store)
    assert store.stop("o-1", owner=None) is OperationStatus.RUNNING  # 250 of 1201
    assert undo(store, owner=BOB.user_id) is Begun.UNKNOWN
    assert undo(store) is Begun.BEGUN
    run(store)
    found = codes(store, "u-1")
    assert list(found) == [job_id for job_id in ids[:250] if job_id != mine]
    assert set(found.values()) == {"SUBMITTED"}
    operation = read(store, "u-1")
    assert (operation.action, operation.total, operation.undo_of) == (Action.UNDO, 249, "o-1")
    assert (operation.created_by, operation.stopped, operation.query) == (3, 0, "q")
    assert read(store).undone_by == "u-1"
    for one in outcomes(store, "u-1")[::100]:
        new = harness.row(store, one.new_id or 0)
        assert (new.rerun_of, new.undo, new.created_by) == (one.id, True, 2)
        assert harness.last_event(store, new.id).user_id == BOB.user_id


def test_an_undo_says_of_each_why_it_was_not_undone(store: Store) -> None:
    running = harness.place(store, Status.RUNNING, harness.new_job(metadata=METADATA))
    going, ended, taken, undone = [running, *submit(store, 3, unique_key=None)]
    [keyed] = submit(store, 1, unique_key="k")
    begin(store, [going, ended, taken, undone, keyed])
    run(store)
    assert store.rerun([undone], USER, undo=True, owner=None)[undone].code == "SUBMITTED"
    submit(store, 1, unique_key="k")
    assert undo(store) is Begun.BEGUN
    run(store)
    assert codes(store, "u-1") == {
        going: "NOT_FINISHED",
        ended: "SUBMITTED",
        taken: "SUBMITTED",
        undone: "ALREADY_UNDONE",
        keyed: "EXISTS",
    }


def test_it_is_undone_once_unless_that_was_stopped(store: Store) -> None:
    ids = submit(store, 500)
    begin(store, ids)
    run(store)
    assert undo(store) is Begun.BEGUN
    assert undo(store, new="u-2") is Begun.UNDONE
    operate(store)
    assert store.stop("u-1", owner=None) is OperationStatus.RUNNING
    assert read(store).undone_by is None
    assert read(store, "u-1").outcomes == {"SUBMITTED": 250, NOT_DONE: 250}
    assert [one.id for one in outcomes(store, "u-1", NOT_DONE)] == ids[250:]
    assert undo(store, new="u-2") is Begun.BEGUN
    run(store)
    assert read(store, "u-2").outcomes == {"ALREADY_UNDONE": 250, "SUBMITTED": 250}
    assert undo(store, new="u-3") is Begun.UNDONE
    assert read(store).undone_by == "u-2"


def test_only_a_cancel_is_undone_and_only_for_a_time(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    [job_id] = submit(store, 1)
    begin(store, [job_id], Action.START)
    begin(store, [job_id], name="o-2")
    run(store)
    assert undo(store) is Begun.NO_CANCEL
    assert undo(store, "o-9") is Begun.UNKNOWN
    monkeypatch.setattr(limits, "UNDO_SECONDS", 0)
    assert undo(store, "o-2") is Begun.TOO_OLD
    monkeypatch.undo()
    assert undo(store, "o-2") is Begun.BEGUN
    run(store)
    assert undo(store, "u-1", "u-2") is Begun.NO_CANCEL


def test_one_without_jobs_is_done_at_once(store: Store) -> None:
    begin(store, [])
    assert (read(store).status, outcomes(store)) == (OperationStatus.DONE, [])
    assert undo(store) is Begun.BEGUN
    assert read(store, "u-1").status is OperationStatus.DONE


def test_a_user_has_a_bounded_number_running(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "OPERATIONS_RUNNING_MAX", 1)
    ids = submit(store, 2)
    begin(store, ids)
    wanted = Wanted(id="o-2", action=Action.CANCEL, actor=USER)
    assert store.begin(wanted, "of-o-1") is Begun.TOO_MANY
    run(store)
    assert store.begin(wanted, "of-o-1") is Begun.BEGUN


# While it passes


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("finishes", "FINISHED"),
        ("is claimed", "ACCEPTED"),
        ("is rescued", "ACCEPTED"),
        ("is cancelled by another", "ALREADY_CANCELLING"),
    ],
)
def test_what_happens_between_two_batches_is_judged_as_it_then_is(
    store: Store, what: str, code: str
) -> None:
    ids = submit(store, 250)
    job_id = harness.submit(store, harness.new_job(metadata=harness.metadata(idempotent=True)))
    if what != "is claimed" and not what.endswith("another"):
        assert harness.claim(store, job_id)
    begin(store, [*ids, job_id])
    assert operate(store) == [Worked.DONE]
    happens: dict[str, Callable[[], bool]] = {
        "finishes": lambda: harness.finish(store, job_id),
        "is claimed": lambda: harness.claim(store, job_id),
        "is rescued": lambda: harness.rescue(store, job_id) or True,
        "is cancelled by another": lambda: harness.cancel(store, job_id),
    }
    assert happens[what]()
    before = harness.row(store, job_id).status
    assert operate(store) == [Worked.DONE]
    expected = "FINISHED" if before in FINAL else code
    assert codes(store)[job_id] == expected
    cancels = [event for event in store.events(job_id) if event.move == "cancel"]
    assert len(cancels) == (0 if expected == "FINISHED" else 1)


def test_two_operations_over_one_selection_accept_each_job_once(store: Store) -> None:
    ids = submit(store, 1500)
    selection_id = pin(store, ids)
    for name in ("o-1", "o-2"):
        wanted = Wanted(id=name, action=Action.CANCEL, actor=USER)
        assert store.begin(wanted, selection_id) is Begun.BEGUN
    run(store)
    first, second = codes(store, "o-1"), codes(store, "o-2")
    for job_id in ids:
        assert {first[job_id], second[job_id]} == {"ACCEPTED", "ALREADY_CANCELLING"}


def test_each_batch_asks_anew_what_its_user_may(store: Store) -> None:
    ids = submit(store, 600)
    begin(store, ids, user=BOB)
    asked: list[tuple[str, bool, Action]] = []
    answers = iter([None, NOBODY, BOB.user_id])

    def rights(user: User, action: Action) -> Rights:
        asked.append((user.name, user.active, action))
        return Rights(owner=next(answers), running_allowed=True, hold_seconds=0)

    [number] = store.running_operations(limit=1)
    assert store.operate(number, rights, leave_held=False) is Worked.DONE
    store.set_active(BOB.user_id, False)
    assert store.operate(number, rights, leave_held=False) is Worked.DONE
    assert store.operate(number, rights, leave_held=False) is Worked.DONE
    assert asked == [("bob", True, "cancel"), ("bob", False, "cancel"), ("bob", False, "cancel")]
    assert read(store).outcomes == {"ACCEPTED": 250, "UNKNOWN": 350}
    assert {one.status for one in outcomes(store, code="UNKNOWN")} == {None}
    assert harness.row(store, ids[300]).status is Status.QUEUED


def test_a_batch_that_does_not_commit_has_not_happened(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outcomes are written with what they are of: killed before that, it is done again."""
    ids = submit(store, 10)
    begin(store, ids)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(operations, "_go_on", die)
    with pytest.raises(KeyboardInterrupt):
        operate(store)
    monkeypatch.undo()
    assert (read(store).done, outcomes(store)) == (0, [])
    assert harness.row(store, ids[0]).status is Status.QUEUED
    run(store)
    assert read(store).outcomes == {"ACCEPTED": 10}


def test_of_many_who_work_at_once_each_batch_is_done_once(
    make_store: Callable[[], Store], store: Store
) -> None:
    ids = submit(store, 3000)
    begin(store, ids)
    barrier = Barrier(4)

    def work(other: Store) -> Counter[Worked]:
        barrier.wait()
        done: Counter[Worked] = Counter()
        while other.running_operations(limit=1):
            done.update(operate(other))
        return done

    with ThreadPoolExecutor(4) as pool:
        found = sum(pool.map(work, [store, *(make_store() for _ in range(3))]), Counter[Worked]())
    assert found[Worked.DONE] == 12
    assert set(codes(store)) == set(ids)
    assert read(store).outcomes == {"ACCEPTED": 3000}
    for job_id in ids[::250]:
        assert [event.move for event in store.events(job_id)] == ["submit", "cancel"]


def test_amid_everything_else_accepted_means_that_this_operation_cancelled_it(
    make_store: Callable[[], Store], store: Store
) -> None:
    """Others claim, finish, give back, rescue and cancel the same jobs at the same time."""
    ids = submit(store, 1500)
    begin(store, ids, user=BOB)
    over = Event()

    def until_over(act: Callable[[Store], object]) -> None:
        other = make_store()
        while not over.is_set():
            act(other)

    def run_some(other: Store) -> None:
        other.lease(harness.WORKER.by)
        claimed = other.claim(harness.WORKER, names=[METADATA.name], limit=9)
        runs = [RunRef(job.id, job.attempt) for job in claimed]
        other.finish(harness.WORKER, [ended(run) for run in runs[:3]])
        killed = [RunRelease(run=run, evidence=Evidence.KILLED) for run in runs[3:6]]
        other.release(harness.WORKER.by, killed)

    chosen = Random(7)
    acts: list[Callable[[Store], object]] = [
        run_some,
        lambda other: other.rescue(harness.SYSTEM, limit=50),
        lambda other: other.cancel(chosen.sample(ids, 5), USER, running_allowed=True, owner=None),
        lambda other: other.settle(harness.SYSTEM, limit=50),
    ]
    with ThreadPoolExecutor(len(acts)) as pool:
        others = [pool.submit(until_over, act) for act in acts]
        while store.running_operations(limit=1):
            operate(store, leave_held=True)
        over.set()
        for other in others:
            other.result(HANG_SECONDS)
    for job_id, code in codes(store).items():
        by = [event.user_id for event in store.events(job_id) if event.move == "cancel"]
        assert (by == [BOB.user_id]) is (code == "ACCEPTED"), (job_id, code)
        assert len(by) <= 1
    assert set(codes(store)) == set(ids)


def ended(run: RunRef) -> RunEnd:
    return RunEnd(run=run, status=Status.SUCCESS, evidence=Evidence.STOPPED_ITSELF)


# Keeping


def test_what_is_kept_goes_after_its_time_the_undo_first(store: Store) -> None:
    begin(store, submit(store, 3))
    run(store)
    assert undo(store) is Begun.BEGUN
    run(store)
    assert store.prune_operations(age_seconds=3600, limit=5) == 0
    assert store.prune_operations(age_seconds=0, limit=5) == 1
    assert store.operation("u-1", owner=None) is None
    assert store.prune_operations(age_seconds=0, limit=5) == 1
    assert store.operation("o-1", owner=None) is None
    assert store.operations(limit=5, offset=0, owner=None).operations == []


def test_a_selection_is_kept_for_its_operation_and_goes_after_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = submit(store, 1200)
    selections = "rescind.store.sql.selections"
    monkeypatch.setattr(f"{selections}._AGE", timedelta(milliseconds=1))
    monkeypatch.setattr(f"{selections}._MARGIN", timedelta(0))
    pin(store, ids, "unused")
    assert harness.eventually(lambda: store.prune_selections(limit=5) == 1)
    monkeypatch.setattr(f"{selections}._AGE", timedelta(seconds=1))
    begin(store, ids)
    assert harness.eventually(lambda: store.selection("of-o-1", 2) is None)
    assert store.prune_selections(limit=5) == 0
    run(store)
    assert len(codes(store)) == 1200
    assert store.prune_operations(age_seconds=0, limit=5) == 1
    assert store.prune_selections(limit=5) == 1


def test_they_are_listed_newest_first_to_who_may_see_them(store: Store) -> None:
    [job_id] = submit(store, 1)
    for name, user in (("o-1", USER), ("o-2", BOB), ("o-3", USER)):
        begin(store, [job_id], name=name, user=user)
    every = store.operations(limit=2, offset=0, owner=None)
    assert [one.id for one in every.operations] == ["o-3", "o-2"]
    assert every.total == 3
    mine = store.operations(limit=5, offset=0, owner=BOB.user_id)
    assert ([one.id for one in mine.operations], mine.total) == (["o-2"], 1)
    assert store.operation("o-1", owner=BOB.user_id) is None
    assert store.outcomes("o-1", owner=BOB.user_id, code=None, limit=1, offset=0) is None
