"""Operations: begun, worked off batch by batch, stopped, undone, read.

An operation's row says how far it has come; it is written in the transaction that does a batch,
so that whoever goes on with it, after whatever has happened, does each batch once.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta

from rescind import limits
from rescind.model import Actor, CancelCode, Once, User
from rescind.operation import (
    NOT_DONE,
    Action,
    Begun,
    Operation,
    OperationPage,
    OperationStatus,
    OutcomePage,
    Rights,
    Wanted,
    Worked,
)
from rescind.store.protocol import Channel
from rescind.store.sql import keys, rows
from rescind.store.sql.batches import act
from rescind.store.sql.outcomes import accepted_of, batch_of, page, told
from rescind.store.sql.packing import (
    code_byte,
    pack_codes,
    pack_new_ids,
    pack_statuses,
)
from rescind.store.sql.rows import Row
from rescind.store.sql.statements import Moved, RowsHeldError, Statements, Transaction


class Operations(Statements):
    """See :class:`rescind.store.protocol.OperationStore`."""

    operation_batch_jobs: int
    """Of new operations: how many jobs a batch has."""

    def begin(self, wanted: Wanted, selection_id: str, *, once: Once[Begun] | None = None) -> Begun:
        with self._write() as transaction:
            keys.take(transaction, once)
            asked = {
                "selection_id": selection_id,
                "batch_jobs": self.operation_batch_jobs,
                "action": wanted.action,
            }
            begun = Begun.BEGUN
            if not transaction.rows("begin_operation", **_asked(wanted), **asked):
                user_id = wanted.actor.user_id
                there = transaction.rows("selection", id=selection_id, user_id=user_id)
                begun = Begun.TOO_MANY if there else Begun.UNKNOWN
            keys.keep(transaction, once, begun)
        self._signal({Channel.OPERATION})
        return begun

    def undo(
        self,
        wanted: Wanted,
        operation_id: str,
        *,
        owner: int | None,
        once: Once[Begun] | None = None,
    ) -> Begun:
        with self._write() as transaction:
            keys.take(transaction, once)
            found = _find(transaction, operation_id, owner)
            begun = Begun.UNKNOWN if found is None else _undo(transaction, wanted, found)
            keys.keep(transaction, once, begun)
        self._signal({Channel.OPERATION})
        return begun

    def stop(
        self,
        operation_id: str,
        *,
        owner: int | None,
        once: Once[OperationStatus | None] | None = None,
    ) -> OperationStatus | None:
        with self._write() as transaction:
            keys.take(transaction, once)
            before = None
            if found := _find(transaction, operation_id, owner):
                [row] = transaction.rows("hold_operation", number=found["number"])
                before = OperationStatus(row["status"])
                if before is OperationStatus.RUNNING:
                    left = {NOT_DONE: row["total"] - row["done"]}
                    _go_on(transaction, row, {}, left, OperationStatus.STOPPED)
            keys.keep(transaction, once, before)
        return before

    def running_operations(self, *, limit: int) -> list[int]:
        with self._read_once() as transaction:
            return [row["number"] for row in transaction.rows("running_operations", limit=limit)]

    def operate(
        self,
        number: int,
        rights: Callable[[User, Action], Rights],
        *,
        leave_held: bool,
    ) -> Worked:
        moved: Moved = []
        try:
            with self._write_waiting(limits.OPERATOR_WAIT_SECONDS) as transaction:
                part = limits.SELECTION_PART_JOBS
                taken = transaction.rows("take_operation", number=number, part_jobs=part)
                if taken:
                    moved = _work(transaction, taken[0], rights, leave_held=leave_held)
        except RowsHeldError:
            return Worked.HELD
        self._wake(moved)
        return Worked.DONE if taken else Worked.NOTHING

    def operations(self, *, limit: int, offset: int, owner: int | None) -> OperationPage:
        with self._read() as transaction:
            [counted] = transaction.rows("operations_total", owner=owner)
            found = transaction.rows("operations", limit=limit, offset=offset, owner=owner)
            return OperationPage(operations=told(transaction, found), total=counted["total"])

    def operation(self, operation_id: str, *, owner: int | None) -> Operation | None:
        with self._read() as transaction:
            found = _find(transaction, operation_id, owner)
            return None if found is None else told(transaction, [found])[0]

    def outcomes(
        self,
        operation_id: str,
        *,
        owner: int | None,
        code: str | None,
        limit: int,
        offset: int,
    ) -> OutcomePage | None:
        with self._read() as transaction:
            found = _find(transaction, operation_id, owner)
            if found is None:
                return None
            counts: dict[str, int] = rows.of_json(found["outcomes"])
            total = sum(counts.values()) if code is None else counts.get(code, 0)
            wanted = None if code is None else code_byte(code)
            outcomes = list(page(transaction, found, wanted, limit, offset))
        return OutcomePage(outcomes=outcomes, total=total)

    def prune_operations(self, *, age_seconds: float, limit: int) -> int:
        with self._write_once() as transaction:
            age = timedelta(seconds=age_seconds)
            return len(transaction.rows("prune_operations", age=age, limit=limit))


def _asked(wanted: Wanted) -> dict[str, object]:
    actor = wanted.actor
    return {
        "id": wanted.id,
        "user_id": actor.user_id,
        "reason": actor.reason,
        "request_id": actor.request_id,
        "most": limits.OPERATIONS_RUNNING_MAX,
    }


def _find(transaction: Transaction, operation_id: str, owner: int | None) -> Row | None:
    found = transaction.rows("operations", id=operation_id, owner=owner, limit=1, offset=0)
    return found[0] if found else None


def _undo(transaction: Transaction, wanted: Wanted, source: Row) -> Begun:
    """Begin to take back what an operation has cancelled. Of one that has ended, nothing changes
    any more but what undoes it, which the insert decides.
    """
    if source["action"] != Action.CANCEL:
        return Begun.NO_CANCEL
    if source["status"] == OperationStatus.RUNNING:
        return Begun.RUNNING
    age = timedelta(seconds=limits.UNDO_SECONDS)
    if not transaction.rows("ended_lately", number=source["number"], age=age):
        return Begun.TOO_OLD
    total = rows.of_json(source["outcomes"]).get(CancelCode.ACCEPTED, 0)
    asked = {**_asked(wanted), "undo_of": source["number"], "total": total}
    if transaction.rows("begin_undo", **asked):
        return Begun.BEGUN
    again = _find(transaction, source["id"], None)
    undone = again is not None and again["undone_by"] is not None
    return Begun.UNDONE if undone else Begun.TOO_MANY


def _work(
    transaction: Transaction,
    operation: Row,
    rights: Callable[[User, Action], Rights],
    *,
    leave_held: bool,
) -> Moved:
    """Do the next batch, and keep what became of it. Raises RowsHeldError unless ``leave_held``."""
    action = Action(operation["action"])
    actor = Actor(
        user_id=operation["created_by"],
        by="user",
        reason=operation["reason"],
        request_id=operation["request_id"],
    )
    number = operation["batches_done"]
    ids = batch_of(operation, number, operation["ids"])
    if action is Action.UNDO:
        ids = accepted_of(ids, operation["codes"])
    allowed = rights(rows.to_user({**operation, "id": operation["user_id"]}), action)
    moved, outcomes = act(transaction, action, ids, actor, allowed) if ids else ([], [])
    if not leave_held and any(one.code == CancelCode.RACE_CONDITION for one in outcomes):
        raise RowsHeldError
    transaction.run(
        "keep_outcomes",
        operation=operation["number"],
        number=number,
        codes=pack_codes(one.code for one in outcomes),
        statuses=pack_statuses(one.status for one in outcomes),
        new_ids=pack_new_ids([one.new_id for one in outcomes]),
    )
    last = number + 1 == operation["batches"]
    status = OperationStatus.DONE if last else OperationStatus.RUNNING
    done = {"done": operation["done"] + len(ids), "batches_done": number + 1}
    _go_on(transaction, operation, done, Counter(one.code for one in outcomes), status)
    return moved


def _go_on(
    transaction: Transaction,
    operation: Row,
    done: Mapping[str, int],
    outcomes: Mapping[str, int],
    status: OperationStatus,
) -> None:
    counted = Counter(rows.of_json(operation["outcomes"])) + Counter(outcomes)
    transaction.rows(
        "go_on",
        number=operation["number"],
        **{"done": operation["done"], "batches_done": operation["batches_done"], **done},
        outcomes=rows.to_json(dict(sorted(counted.items()))),
        status=status,
    )
