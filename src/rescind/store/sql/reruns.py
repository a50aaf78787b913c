"""Jobs that are submitted anew, and cancels that are taken back."""

from collections.abc import Mapping, Sequence

from rescind.lifecycle import FINAL, WAITING, Evidence, Move, Status
from rescind.model import Actor, Once, RerunCode, RerunVerdict
from rescind.store.sql import keys
from rescind.store.sql.rows import Row
from rescind.store.sql.statements import (
    RERUN,
    AskedMove,
    Moved,
    Statements,
    Transaction,
    moved_of,
)

Verdicts = dict[int, RerunVerdict]


class Reruns(Statements):
    """See :meth:`rescind.store.protocol.JobStore.rerun`."""

    def rerun(
        self,
        ids: Sequence[int],
        actor: Actor,
        *,
        undo: bool,
        owner: int | None,
        once: Once[Verdicts] | None = None,
    ) -> Verdicts:
        with self._write() as transaction:
            keys.take(transaction, once)
            moved, verdicts = rerun_in(transaction, ids, actor, undo=undo, owner=owner)
            keys.keep(transaction, once, verdicts)
        self._wake(moved)
        return verdicts


def rerun_in(
    transaction: Transaction, ids: Sequence[int], actor: Actor, *, undo: bool, owner: int | None
) -> tuple[Moved, Verdicts]:
    """What was submitted, and a verdict for each job that was found.

    A job that may be submitted anew may be so for good, but for what others insert meanwhile: the
    insert itself decides about that.
    """
    # `or None`: what is asked for one of the two alone stands in lines that are left out.
    asked = {"ids": ids, "owner": owner, "undo": undo or None}
    judged = {row["id"]: row for row in transaction.rows("judge_rerun", **asked)}
    codes = {job_id: _code(row, undo=undo) for job_id, row in judged.items()}
    wanted = [job_id for job_id, code in codes.items() if code is RerunCode.SUBMITTED]
    if not wanted:
        return [], {job_id: _verdict(row, codes[job_id]) for job_id, row in judged.items()}
    parameters = {"ids": wanted, "undo": undo}
    [found] = transaction.moves(AskedMove(Move.SUBMIT, actor, parameters, RERUN))
    new = {row["rerun_of"]: row["id"] for row in found}
    if missing := [job_id for job_id in wanted if job_id not in new]:
        for job_id in missing:
            del judged[job_id]  # it may have been deleted meanwhile
        for row in transaction.rows("judge_rerun", **{**asked, "ids": missing}):
            judged[row["id"]] = row
            codes[row["id"]] = _code(row, undo=undo)
            if codes[row["id"]] is RerunCode.SUBMITTED:  # nobody has undone it: it is the key
                codes[row["id"]] = RerunCode.EXISTS
    verdicts = {
        job_id: _verdict(row, codes[job_id], new.get(job_id)) for job_id, row in judged.items()
    }
    return moved_of(found), verdicts


def _verdict(row: Row, code: RerunCode, new_id: int | None = None) -> RerunVerdict:
    return RerunVerdict(code, Status(row["status"]), new_id or row.get("undone_by"))


def _code(row: Mapping[str, object], *, undo: bool) -> RerunCode:
    """The one place that decides whether a job may be submitted anew."""
    code = _undo_code(row) if undo else _rerun_code(row)
    if code is RerunCode.SUBMITTED and not row["known"]:
        return RerunCode.METADATA_UNKNOWN
    return code


def _rerun_code(row: Mapping[str, object]) -> RerunCode:
    return RerunCode.SUBMITTED if row["status"] in FINAL else RerunCode.NOT_FINISHED


def _undo_code(row: Mapping[str, object]) -> RerunCode:
    cancelled = row["status"] == Status.CANCELLED
    if not cancelled and row["status"] != Status.CANCELLING:
        return RerunCode.NOT_CANCELLED
    if row["undone_by"] is not None:
        return RerunCode.ALREADY_UNDONE
    if row["cancelled_in"] in WAITING or (cancelled and row["evidence"] == Evidence.NEVER_STARTED):
        return RerunCode.SUBMITTED
    return RerunCode.HAD_STARTED if cancelled else RerunCode.NOT_FINISHED
