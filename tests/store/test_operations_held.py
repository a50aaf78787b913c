"""On PostgreSQL others may hold the jobs of a batch: it waits for nobody while it holds jobs."""

from collections.abc import Iterator

import psycopg
import pytest

from rescind.lifecycle import Status
from rescind.operation import Action, Operation, OperationStatus, Worked
from rescind.store.postgres.store import PostgresStore
from store import harness
from store.harness import USER
from store.test_operations import METADATA, begin, codes, operate, read, submit

LOCK = "SELECT 1 FROM job WHERE id = ANY(%s) FOR UPDATE"


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresStore]:
    store = PostgresStore(postgres_url)
    store.add_user("ada", "hash", frozenset())
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
    assert read(store).outcomes == {"ACCEPTED": 1000, "NOT_DONE": 500}
