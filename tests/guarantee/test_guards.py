"""The suite sees a missing guard: each guard is deleted from its statement, and the check of
every status and move must fail. The trigger is dropped too, so that it cannot help.
"""

import re
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from rescind.clock import SystemClock
from rescind.lifecycle import CANCELLABLE_IN_DEFAULT, Move, Status
from rescind.store.protocol import Store
from rescind.store.sqlite import transaction
from rescind.store.sqlite.database import connect
from rescind.store.sqlite.migration import migrate
from rescind.store.sqlite.store import SqliteStore
from store import harness, test_cancel, test_moves


def matrix(move: Move) -> Callable[[Store], None]:
    def check(store: Store) -> None:
        for status in Status:
            harness.check_move(store, status, move)

    return check


def forbidden_everywhere(store: Store) -> None:
    for status in CANCELLABLE_IN_DEFAULT:
        test_cancel.test_a_job_is_cancelled_only_where_its_row_permits(store, status)


GUARDS: list[tuple[str, str | re.Pattern[str], str, Callable[[Store], None]]] = [
    ("start", "AND status = 'SCHEDULED'", "", matrix(Move.START)),
    ("stage", "status = 'SCHEDULED'", "true", matrix(Move.STAGE)),
    (
        "queue",
        "AND held_until <= :now",
        "",
        test_moves.test_a_start_hold_keeps_a_job_queueing_until_it_has_passed,
    ),
    ("claim", "status = 'QUEUED'", "true", matrix(Move.CLAIM)),
    (
        "finish",
        "AND job.status = 'RUNNING' AND job.worker = :worker",
        "AND :worker NOT NULL",
        matrix(Move.FINISH),
    ),
    (
        "finish",
        "AND job.worker = :worker",
        "AND :worker NOT NULL",
        test_moves.test_a_finish_by_another_worker_or_attempt_does_not_land,
    ),
    (
        "finish",
        "AND job.attempt = e.value ->> 'attempt'",
        "",
        test_moves.test_a_finish_by_another_worker_or_attempt_does_not_land,
    ),
    (
        "retry",
        "AND job.status = 'RUNNING' AND job.worker = :worker",
        "AND :worker NOT NULL",
        matrix(Move.RETRY),
    ),
    ("rescue", "status = 'RUNNING'", "true", matrix(Move.RESCUE)),
    (
        "cancel",
        "AND instr(cancellable_in, '\"' || status || '\"') > 0",
        "",
        forbidden_everywhere,
    ),
    (
        "cancel",
        "(status = 'SCHEDULED'",
        "(true",
        matrix(Move.CANCEL),
    ),
    (
        "cancel",
        "AND (status <> 'RUNNING' OR :running_allowed)",
        "AND :running_allowed NOT NULL",
        test_cancel.test_a_running_job_is_not_cancelled_where_the_profile_forbids_it,
    ),
    (
        "cancel",
        "AND (:owner IS NULL OR created_by = :owner)",
        "AND iif(:owner, true, true)",
        test_cancel.test_a_job_of_another_owner_answers_like_one_that_does_not_exist,
    ),
    (
        "settle",
        "AND (worker IS NULL OR evidence IS NOT NULL OR lease_expires_at <= :now)",
        "",
        test_cancel.test_what_was_running_settles_only_when_it_has_stopped,
    ),
    ("settle", "status = 'CANCELLING'", "true", matrix(Move.SETTLE)),
    ("miss", "AND status = 'SCHEDULED'", "", matrix(Move.MISS)),
    (
        "fail",
        re.compile(r"(?<=WHERE )status = '\w+'|status IN \(.*\)"),  # it chooses by them, too
        "status NOT NULL",
        matrix(Move.FAIL),
    ),
    (
        "running",
        "AND status = 'RUNNING'",
        "",
        test_cancel.test_a_function_may_be_entered_only_while_its_run_is_running,
    ),
    (
        "write_progress",
        "AND job.status = 'RUNNING'",
        "",
        test_moves.test_progress_lands_only_while_running,
    ),
]


@pytest.fixture
def bare_store(tmp_path: Path) -> Store:
    """A store whose database has lost its trigger."""
    path = tmp_path / "rescind.db"
    migrate(path)
    connection = connect(path)
    connection.execute("DROP TRIGGER job_moves")
    connection.close()
    store = SqliteStore(path, SystemClock())
    store.add_user("ada", "hash", frozenset())
    return store


@pytest.mark.parametrize(("name", "guard", "without", "check"), GUARDS)
def test_a_statement_without_its_guard_is_seen(
    bare_store: Store,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    guard: str | re.Pattern[str],
    without: str,
    check: Callable[[Store], None],
) -> None:
    text = transaction.sql
    pattern = re.compile(re.escape(guard)) if isinstance(guard, str) else guard
    assert pattern.search(text(name)), "the guard to delete is not there"
    check(bare_store)
    monkeypatch.setattr(
        transaction,
        "sql",
        lambda asked: pattern.sub(without, text(asked)) if asked == name else text(asked),
    )
    with pytest.raises((AssertionError, apsw.ConstraintError)):
        check(bare_store)
    bare_store.close()
