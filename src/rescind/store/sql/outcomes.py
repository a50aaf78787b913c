"""What became of the jobs of operations: read from the batches that are done."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from rescind import limits
from rescind.model import CancelCode
from rescind.operation import NOT_DONE, Action, JobOutcome, Operation, OperationStatus
from rescind.store.sql import rows
from rescind.store.sql.packing import code_byte, code_of, status_of, unpack_ids
from rescind.store.sql.rows import Row
from rescind.store.sql.statements import Transaction

_PART = limits.SELECTION_PART_JOBS
_ACCEPTED, _NOT_DONE = code_byte(CancelCode.ACCEPTED), code_byte(NOT_DONE)


def _source(transaction: Transaction, operation: Row) -> Row | None:
    """The operation whose cancels one takes back, if it does that."""
    if operation["undo_of"] is None:
        return None
    return transaction.rows("source", number=operation["undo_of"])[0]


def _ids(transaction: Transaction, operation: Row, source: Row | None, number: int) -> list[int]:
    """The jobs of one batch of an operation, ascending: of its selection, or those of a batch of
    another operation whose cancel that had accepted.
    """
    if source is None:
        part = number * operation["batch_jobs"] // _PART
        return batch_of(operation, number, _part(transaction, operation, part))
    [done] = transaction.rows("batch_outcomes", operation=source["number"], number=number)
    return accepted_of(_ids(transaction, source, None, number), done["codes"])


def _part(transaction: Transaction, operation: Row, number: int) -> bytes:
    """One part of an operation's selection, packed."""
    selection_id = operation["selection_id"]
    [part] = transaction.rows("part", selection_id=selection_id, number=number)
    ids: bytes = part["ids"]
    return ids


def batch_of(operation: Row, number: int, part: bytes) -> list[int]:
    """The jobs of one batch, of the part that has them."""
    size = operation["batch_jobs"]
    first = number * size % _PART
    return unpack_ids(part)[first : first + size]


def accepted_of(ids: Sequence[int], codes: bytes) -> list[int]:
    """Those whose cancel was accepted, of those that were judged."""
    return [job_id for job_id, code in zip(ids, bytes(codes), strict=False) if code == _ACCEPTED]


def _codes(
    transaction: Transaction, operation: Row, first: int | None = None, after: int | None = None
) -> list[bytes]:
    window = {"first": first, "after": after}
    found = transaction.rows("batch_codes", operation=operation["number"], **window)
    return [bytes(row["codes"]) for row in found]


def _all_codes(transaction: Transaction, operation: Row, source: Row | None) -> list[bytes]:
    """What became of the jobs of each batch, a byte each; of a stopped operation, of all."""
    codes = _codes(transaction, operation)
    if operation["status"] != OperationStatus.STOPPED:
        return codes
    if source is None:
        batch, total = operation["batch_jobs"], operation["total"]
        left = range(len(codes) * batch, total, batch)
        lengths = [min(batch, total - start) for start in left]
    else:
        lengths = [batch.count(_ACCEPTED) for batch in _codes(transaction, source)[len(codes) :]]
    return [*codes, *(bytes([_NOT_DONE]) * length for length in lengths)]


def page(
    transaction: Transaction, operation: Row, wanted: int | None, limit: int, offset: int
) -> Iterator[JobOutcome]:
    """The outcomes with a code, or all, from ``offset`` on, ascending by id."""
    source = _source(transaction, operation)
    for number, codes in enumerate(_all_codes(transaction, operation, source)):
        count = len(codes) if wanted is None else codes.count(wanted)
        if offset >= count:
            offset -= count
            continue
        places = [at for at, code in enumerate(codes) if wanted in (None, code)]
        places = places[offset : offset + limit]
        yield from _outcomes(transaction, operation, source, number, codes, places)
        offset, limit = 0, limit - len(places)
        if not limit:
            return


def _outcomes(
    transaction: Transaction,
    operation: Row,
    source: Row | None,
    number: int,
    codes: bytes,
    places: Sequence[int],
) -> Iterator[JobOutcome]:
    ids = _ids(transaction, operation, source, number)
    found = transaction.rows("batch_outcomes", operation=operation["number"], number=number)
    statuses = bytes(found[0]["statuses"]) if found else bytes(len(codes))
    new_ids = unpack_ids(found[0]["new_ids"]) if found and found[0]["new_ids"] else [0] * len(ids)
    for at in places:
        yield JobOutcome(
            id=ids[at],
            code=code_of(codes[at]),
            status=status_of(statuses[at]),
            new_id=new_ids[at] or None,
        )


def told(transaction: Transaction, found: Sequence[Row]) -> list[Operation]:
    """Operations, and how many of the jobs whose cancel they accepted have stopped: all but those
    that are CANCELLING. What is not there any more has been CANCELLED first.
    """
    cancels = [row for row in found if _accepted(row)]
    going = transaction.numbers("cancelling_ids") if cancels else []
    return [_operation(row, _accepted(row) - _going(transaction, row, going)) for row in found]


def _accepted(row: Row) -> int:
    accepted: int = rows.of_json(row["outcomes"]).get(CancelCode.ACCEPTED, 0)
    return accepted


def _going(transaction: Transaction, operation: Row, going: Sequence[int]) -> int:
    """How many jobs whose cancel an operation accepted are among those that have yet to stop."""
    if not going or not _accepted(operation):
        return 0
    starts = transaction.rows("part_starts", selection_id=operation["selection_id"])
    by_part = _by_part(going, [row["first_id"] for row in starts])
    if not by_part:
        return 0
    first, after = min(by_part), max(by_part) + 1
    batches = _PART // operation["batch_jobs"]
    codes = b"".join(_codes(transaction, operation, first * batches, after * batches))
    count = 0
    for number, ids in by_part.items():
        judged = codes[(number - first) * _PART : (number - first + 1) * _PART]
        accepted = accepted_of(unpack_ids(_part(transaction, operation, number)), judged)
        count += len(set(accepted).intersection(ids))
    return count


def _by_part(ids: Iterable[int], starts: Sequence[int]) -> dict[int, list[int]]:
    """In which part each id would be, if it is in one."""
    found = defaultdict(list)
    for job_id in ids:
        number = bisect_right(starts, job_id) - 1
        if number >= 0:
            found[number].append(job_id)
    return found


def _operation(row: Row, stopped: int) -> Operation:
    return Operation(
        id=row["id"],
        action=Action(row["action"]),
        status=OperationStatus(row["status"]),
        total=row["total"],
        done=row["done"],
        stopped=stopped,
        outcomes=rows.of_json(row["outcomes"]),
        query=row["query"],
        created_by=row["created_by"],
        created_at=row["created_at"],
        ended_at=row["ended_at"],
        reason=row["reason"],
        undo_of=row["undo_of_id"],
        undone_by=row["undone_by"],
    )
