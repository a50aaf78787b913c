"""On PostgreSQL others may hold the jobs of a batch: it waits for nobody while it holds jobs."""

from collections.abc import Callable, Iterator

import psycopg
import pytest

from rescind.errors import RequestRefused
from rescind.lifecycle import Status
from rescind.model import RerunCode, User
from rescind.operation import Action, Begun, Operation, OperationStatus, Worked
from rescind.service import operations, selections
from rescind.service.policy import Caller, Permission, Profile
from rescind.store.postgres.store import PostgresStore
from rescind.store.sql import reruns
from rescind.store.sql.rows import Row
from rescind.wire.listing import Window
from store import harness
from store.harness import USER
from store.test_operations import METADATA, begin, codes, operate, read, submit, undo

COPY = (
    "INSERT INTO job (job_metadata, title, status, priority, parameters, queue, processor, "
    "cancellable_in, grace_seconds, timeout_seconds, idempotent, attempts_max, retry_seconds, "
    "created_by, created_at, modified_by, modified_at, run_at, unique_key) "
    "SELECT job_metadata, title, 'QUEUED', priority, parameters, queue, processor, cancellable_in, "
    "grace_seconds, timeout_seconds, idempotent, attempts_max, retry_seconds, created_by, "
    "created_at, modified_by, modified_at, run_at, unique_key FROM job WHERE id = %s"
)
"""Somebody is about to submit what has the same unique key."""
LOCK = "SELECT 1 FROM job WHERE id = ANY(%s) FOR UPDATE"


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresStore]:
    store = PostgresStore(postgres_url)
    store.operation_batch_jobs = 250
    store.add_user("ada", "hash", frozenset())
    store.add_user("bob", "hash", frozenset())
    harness.register(store, METADATA)
    yield store
    store.close()


@pytest.mark.parametrize("action", [Action.CANCEL, Action.START])
def test_a_batch_with_held_jobs_is_done_once_they_are_free(
    store: PostgresStore, postgres_url: str, action: Action
) -> None:
    ids = [harness.scheduled(store, metadata=METADATA) for _ in range(3)]
    begin(store, ids, action)
    with psycopg.connect(postgres_url) as other:
        other.execute(LOCK, [ids[1:2]])
        assert operate(store) == [Worked.HELD]
        assert (read(store).done, harness.row(store, ids[0]).status) == (0, Status.SCHEDULED)
        assert harness.cancel(store, ids[2]), "it holds nothing meanwhile"
    assert operate(store) == [Worked.DONE]
    done = {Action.CANCEL: "ACCEPTED", Action.START: "STARTED"}[action]
    refused = {Action.CANCEL: "ALREADY_CANCELLING", Action.START: "NOT_SCHEDULED"}[action]
    assert codes(store) == {ids[0]: done, ids[1]: done, ids[2]: refused}


def test_what_stays_held_is_left_out_and_that_is_its_outcome(
    store: PostgresStore, postgres_url: str
) -> None:
    ids = submit(store, 4)
    forbidden = harness.metadata(cancellable_in=frozenset())
    never = harness.submit(store, harness.new_job(metadata=forbidden))
    done = harness.place(store, Status.SUCCESS)
    begin(store, [*ids, never, done])
    with psycopg.connect(postgres_url) as other:
        other.execute(LOCK, [[ids[1], done]])
        assert operate(store) == [Worked.HELD]
        assert operate(store, leave_held=True) == [Worked.DONE]
    assert codes(store) == {
        **dict.fromkeys(ids, "ACCEPTED"),
        ids[1]: "RACE_CONDITION",
        never: "NOT_CANCELLABLE",
        done: "FINISHED",
    }
    assert harness.row(store, ids[1]).status is Status.QUEUED


def test_an_operation_that_another_process_is_at_is_left_alone(
    store: PostgresStore, postgres_url: str
) -> None:
    begin(store, submit(store, 1))
    with psycopg.connect(postgres_url) as other:
        other.execute("SELECT 1 FROM operation FOR UPDATE")
        assert operate(store) == [Worked.NOTHING]
    assert operate(store) == [Worked.DONE]


def test_a_stop_waits_for_the_batch_that_is_being_done(
    store: PostgresStore, postgres_url: str
) -> None:
    """Either the batch is in its outcomes, or it has not happened."""
    ids = submit(store, 1500)
    begin(store, ids)
    operation: Operation | None = None
    with psycopg.connect(postgres_url) as other:
        other.execute("SELECT 1 FROM operation FOR UPDATE")
        with pytest.raises(Exception, match="lock timeout"):
            store.stop("o-1", owner=None)
        operation = read(store)
    assert operation.status is OperationStatus.RUNNING
    assert operate(store) == [Worked.DONE]
    assert store.stop("o-1", owner=USER.user_id) is OperationStatus.RUNNING
    assert read(store).outcomes == {"ACCEPTED": 250, "NOT_DONE": 1250}


def test_an_undo_that_waits_for_a_unique_key_lets_the_others_go_on(
    store: PostgresStore, postgres_url: str
) -> None:
    [keyed] = submit(store, 1, unique_key="k")
    begin(store, [keyed])
    assert operate(store) == [Worked.DONE]
    assert undo(store) is Begun.BEGUN
    begin(store, submit(store, 1), name="o-2")
    with psycopg.connect(postgres_url) as other:
        other.execute(COPY, [keyed])
        assert operate(store) == [Worked.HELD, Worked.DONE]
        assert store.stop("o-2", owner=None) is OperationStatus.DONE
    assert operate(store) == [Worked.DONE]
    assert codes(store, "u-1") == {keyed: "EXISTS"}


@pytest.mark.parametrize("undoing", [False, True])
def test_a_job_that_is_deleted_before_its_rerun_is_not_there(
    store: PostgresStore, postgres_url: str, monkeypatch: pytest.MonkeyPatch, undoing: bool
) -> None:
    """The pruner may come between the look at the old job and the new one."""
    gone, stays = submit(store, 2)
    for job_id in (gone, stays):
        assert harness.cancel(store, job_id)
        assert harness.settle(store, job_id)
    judge = reruns._code

    def deleted_then(row: Row, *, undo: bool) -> RerunCode:
        with psycopg.connect(postgres_url) as other:
            other.execute("DELETE FROM job WHERE id = %s", [gone])
        return judge(row, undo=undo)

    monkeypatch.setattr(reruns, "_code", deleted_then)
    verdicts = store.rerun([gone, stays], USER, undo=undoing, owner=None)
    assert set(verdicts) == {stays}
    assert verdicts[stays].code is RerunCode.SUBMITTED


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "", "x" * 36])
def test_what_cannot_be_an_id_is_not_there(store: PostgresStore, name: str) -> None:
    """PostgreSQL would not even look for some of these."""
    user = User(id=2, name="ada", permissions=frozenset(map(str, Permission)), active=True)
    caller = Caller(user=user, request_id="r")
    window = Window(limit=1, offset=0)
    asked: list[Callable[[], object]] = [
        lambda: selections.selection(store, caller, name),
        lambda: operations.begin(store, Profile.OPEN, caller, Action.CANCEL, name),
        lambda: operations.operation(store, caller, name),
        lambda: operations.outcomes(store, caller, name, window, None),
        lambda: operations.stop(store, caller, name),
        lambda: operations.undo(store, Profile.OPEN, caller, name),
    ]
    for ask in asked:
        with pytest.raises(RequestRefused, match="is not found"):
            ask()
