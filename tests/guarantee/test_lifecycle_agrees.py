"""G3: lifecycle.py, the trigger and the statements say the same. The statements are covered by
``tests/store/test_moves.py``, which tries every move in every status.
"""

from contextlib import nullcontext
from itertools import product
from pathlib import Path

import apsw
import pytest

from rescind.clock import SystemClock
from rescind.lifecycle import (
    BIRTHS,
    CANCELLABLE,
    CANCELLABLE_IN_DEFAULT,
    FINAL,
    MOVES,
    TRANSITIONS,
    Move,
    Status,
)
from rescind.store.sqlite.database import connect
from rescind.store.sqlite.migration import migrate
from rescind.store.sqlite.store import SqliteStore
from store import harness


def test_cancelling_has_one_exit() -> None:
    assert {pair for pair in TRANSITIONS if pair[0] is Status.CANCELLING} == {
        (Status.CANCELLING, Status.CANCELLED)
    }


def test_every_status_can_be_reached_and_every_final_one_is_an_end() -> None:
    assert BIRTHS | {target for _, target in TRANSITIONS} == set(Status)
    assert not FINAL & {source for source, _ in TRANSITIONS}
    assert Status.CANCELLED in FINAL


def test_every_move_has_one_row() -> None:
    assert [rule.move for rule in MOVES] == list(Move)


def test_scheduled_is_always_cancellable_and_never_listed() -> None:
    assert CANCELLABLE - {Status.SCHEDULED} == CANCELLABLE_IN_DEFAULT


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("db") / "rescind.db"
    migrate(path)
    return path


SETS = (
    "UPDATE job SET status = :to, worker = iif(:to IN ('RUNNING', 'CANCELLING'), 'w', NULL), "
    "started_at = 1, evidence = 'KILLED', finished_at = iif(:final, 1, NULL) WHERE id = :id"
)


@pytest.mark.parametrize(("source", "target"), list(product(Status, Status)))
def test_the_trigger_lets_through_exactly_the_legal_transitions(
    file: Path, source: Status, target: Status
) -> None:
    store = SqliteStore(file, SystemClock())
    if store.user_by_name("ada") is None:
        store.add_user("ada", "hash", frozenset())
    job_id = harness.place(store, source)
    store.close()
    connection = connect(file)
    legal = (source, target) in TRANSITIONS
    values = {"to": target, "final": target in FINAL, "id": job_id}
    with nullcontext() if legal else pytest.raises(apsw.ConstraintError, match="no move leads"):
        connection.execute(SETS, values)
    connection.close()


@pytest.mark.parametrize("status", Status)
def test_the_database_lets_jobs_be_born_only_where_submit_puts_them(
    file: Path, status: Status
) -> None:
    connection = connect(file)
    insert = (
        "INSERT INTO job (job_metadata, title, status, priority, parameters, queue, processor, "
        "cancellable_in, grace_seconds, timeout_seconds, idempotent, attempts_max, retry_seconds, "
        "created_by, created_at, modified_by, modified_at, run_at, worker, started_at, "
        "finished_at, evidence) VALUES ('m', 't', :status, 1, '{}', 'default__c', 'p', '[]', 1.0, "
        "1.0, 0, 1, 1.0, 1, 1, 1, 1, 1, :worker, 1, :finished, 'KILLED')"
    )
    values = {
        "status": status,
        "worker": "w" if status is Status.RUNNING else None,
        "finished": 1 if status in FINAL else None,
    }
    born = status in BIRTHS
    with nullcontext() if born else pytest.raises(apsw.ConstraintError, match="may not be born"):
        connection.execute(insert, values)
    connection.close()


def test_events_are_never_changed_and_go_only_with_their_job(file: Path) -> None:
    store = SqliteStore(file, SystemClock())
    if store.user_by_name("ada") is None:
        store.add_user("ada", "hash", frozenset())
    job_id = harness.submit(store)
    store.close()
    connection = connect(file)
    connection.execute("PRAGMA foreign_keys = ON")
    with pytest.raises(apsw.ConstraintError, match="never changed"):
        connection.execute("UPDATE job_event SET by = 'x' WHERE job_id = ?", (job_id,))
    with pytest.raises(apsw.ConstraintError, match="only with its job"):
        connection.execute("DELETE FROM job_event WHERE job_id = ?", (job_id,))
    connection.execute("DELETE FROM job WHERE id = ?", (job_id,))
    left = connection.execute("SELECT count(*) FROM job_event WHERE job_id = ?", (job_id,)).get
    assert left == 0
    connection.close()
