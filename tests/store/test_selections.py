"""A selection is exactly the jobs that a query meant at one moment."""

from collections.abc import Callable

import pytest

from rescind import limits
from rescind.errors import KeyTaken, TooManyFound, TooManyKept
from rescind.lifecycle import Status
from rescind.model import Actor, Once, RequestKey
from rescind.operation import Action, JobOutcome, Pinned, Rights, Wanted, Worked
from rescind.selection import All, Column, Compare, Operator, Order, Selection, Source
from rescind.store.protocol import Store
from store import harness
from store.harness import USER

BOB = 3
EVERYTHING = Rights(owner=None, running_allowed=True, hold_seconds=0)


@pytest.fixture(autouse=True)
def bob(store: Store) -> None:
    assert store.add_user("bob", "hash", frozenset()) == BOB


def pin(
    store: Store,
    meant: Selection | None = None,
    *,
    owner: int | None = None,
    name: str = "s-1",
    skip: int = 0,
    rows_max: int | None = None,
    once: Once[Pinned] | None = None,
) -> Pinned:
    return store.pin(
        name,
        USER.user_id,
        "SELECT id FROM job__sys",
        meant or Selection(),
        owner=owner,
        skip=skip,
        rows_max=rows_max,
        seconds=60,
        once=once,
    )


def pinned_ids(store: Store, selection_id: str = "s-1") -> list[int]:
    """What is in a selection: the jobs that an operation on it judges."""
    wanted = Wanted(id=f"of-{selection_id}", action=Action.START, actor=USER)
    assert store.begin(wanted, selection_id) == "BEGUN"
    return [one.id for one in run(store, wanted.id)]


def run(store: Store, operation_id: str, rights: Rights = EVERYTHING) -> list[JobOutcome]:
    """Work off all operations, and what became of the jobs of one."""
    while running := store.running_operations(limit=10):
        for number in running:
            worked = store.operate(number, lambda _user, _action: rights, leave_held=False)
            assert worked is Worked.DONE
    page = store.outcomes(operation_id, owner=None, code=None, limit=10**6, offset=0)
    assert page is not None
    assert page.total == len(page.outcomes)
    return page.outcomes


def submit(store: Store, count: int, user_id: int = USER.user_id) -> list[int]:
    metadata = harness.metadata()
    ids: list[int] = []
    while len(ids) < count:
        jobs = [harness.new_job(metadata=metadata)] * min(500, count - len(ids))
        ids += harness.submit_all(store, jobs, Actor(user_id=user_id, by="user"))
    return ids


def test_it_tells_how_many_stand_where_and_the_first_of_them(store: Store) -> None:
    ids = harness.place_all(store)
    found = pin(store)
    assert (found.id, found.query, found.left_out) == ("s-1", "SELECT id FROM job__sys", 0)
    assert found.total == len(Status)
    assert found.statuses == dict.fromkeys(sorted(Status), 1)
    assert {(job.id, job.status) for job in found.first} == {
        (job_id, status) for status, job_id in ids.items()
    }
    assert {job.title for job in found.first} == {"A job"}
    assert 0 < (found.expires_at - store.now()).total_seconds() <= limits.SELECTION_SECONDS
    assert store.selection("s-1", USER.user_id) == found
    assert pinned_ids(store) == sorted(ids.values())


def test_it_is_its_users_alone(store: Store) -> None:
    pin(store)
    assert store.selection("s-1", BOB) is None
    assert store.selection("s-2", USER.user_id) is None
    wanted = Wanted(id="o-1", action=Action.CANCEL, actor=Actor(user_id=BOB, by="user"))
    assert store.begin(wanted, "s-1") == "UNKNOWN"


def test_what_is_submitted_later_is_not_in_it_and_what_has_moved_stays(store: Store) -> None:
    first, second = submit(store, 2)
    pin(store, Selection(where=Compare(Column.STATUS, Operator.EQ, Status.QUEUED)))
    assert harness.cancel(store, first)
    submit(store, 1)
    assert pinned_ids(store) == [first, second]


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 2345])
def test_every_number_of_jobs_is_kept_whole(store: Store, count: int) -> None:
    ids = submit(store, count)
    found = pin(store)
    assert found.total == count
    assert len(found.first) == min(count, limits.SELECTION_JOBS_SHOWN)
    assert pinned_ids(store) == ids


def test_a_window_is_cut_in_the_order_of_the_query(store: Store) -> None:
    ids = submit(store, 5)
    newest = Selection(order=(Order(Column.ID, descending=True),))
    found = pin(store, newest, skip=1, rows_max=3)
    assert [job.id for job in found.first] == [ids[3], ids[2], ids[1]]
    assert (found.total, found.statuses) == (3, {"QUEUED": 3})
    assert pinned_ids(store) == ids[1:4]
    assert pin(store, newest, name="s-2", skip=4).total == 1
    assert pin(store, newest, name="s-3", rows_max=0).total == 0


def test_what_is_not_the_owners_is_counted_and_left_out(store: Store) -> None:
    mine, theirs = submit(store, 3), submit(store, 2, BOB)
    found = pin(store, owner=BOB)
    assert (found.total, found.left_out, found.statuses) == (2, 3, {"QUEUED": 2})
    assert pinned_ids(store) == theirs
    # A window is cut before that: it is the query's.
    assert pin(store, owner=BOB, rows_max=4, name="s-2").left_out == len(mine)


def test_unfinished_jobs_are_a_source_of_their_own(store: Store) -> None:
    place = harness.place_all(store)
    unfinished = {
        status for status, job_id in place.items() if harness.row(store, job_id).finished_at is None
    }
    found = pin(store, Selection(source=Source.LIVE_JOBS))
    assert set(found.statuses) == unfinished


def test_more_than_can_be_pinned_is_refused_and_nothing_kept(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(store, 3)
    monkeypatch.setattr(limits, "SELECTION_JOBS_MAX", 2)
    with pytest.raises(TooManyFound) as refused:
        pin(store)
    assert refused.value.total == 3
    assert store.selection("s-1", USER.user_id) is None
    assert pin(store, rows_max=2).total == 2


def test_a_user_has_a_bounded_number_of_them(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SELECTIONS_MAX", 2)
    pin(store)
    pin(store, name="s-2")
    with pytest.raises(TooManyKept):
        pin(store, name="s-3")


def test_one_that_is_not_all_there_cannot_be_used(
    store: Store, make_store: Callable[[], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service may be killed between two of the transactions that write it."""
    submit(store, 3)
    died = make_store()

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(died, "_keep_parts", die)
    with pytest.raises(KeyboardInterrupt):
        pin(died)
    assert store.selection("s-1", USER.user_id) is None
    wanted = Wanted(id="o-1", action=Action.CANCEL, actor=USER)
    assert store.begin(wanted, "s-1") == "UNKNOWN"


def test_one_that_loses_its_key_to_another_is_not_kept(
    store: Store, make_store: Callable[[], Store]
) -> None:
    key = RequestKey(user_id=2, method="POST", path="/s", key="k", request_hash=b"h")
    once: Once[Pinned] = Once(key, lambda pinned: f'"{pinned.id}"')
    pin(store, once=once)
    for number in range(limits.SELECTIONS_MAX + 1):
        with pytest.raises(KeyTaken):
            pin(make_store() if not number else store, name=f"t-{number}", once=once)
    assert store.selection("t-1", USER.user_id) is None
    assert pin(store, name="s-2").total == 0


def test_a_filter_is_a_filter(store: Store) -> None:
    ids = submit(store, 4)
    some = All(
        (
            Compare(Column.ID, Operator.GT, ids[0]),
            Compare(Column.ID, Operator.LT, ids[3]),
        )
    )
    assert pin(store, Selection(where=some)).total == 2
    assert pinned_ids(store) == ids[1:3]
