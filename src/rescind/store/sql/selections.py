"""Selections: the ids of exactly the jobs that a query means at one moment."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct, structs

from rescind import limits
from rescind.errors import KeyTaken, TooManyFound, TooManyKept
from rescind.lifecycle import Status
from rescind.model import Once
from rescind.operation import FirstJob, Pinned
from rescind.selection import Selection, Source
from rescind.store.sql import filters, keys, rows
from rescind.store.sql.packing import pack_ids
from rescind.store.sql.queries import rows_of
from rescind.store.sql.rows import Row
from rescind.store.sql.statements import Statements, Transaction, with_pieces

_AGE = timedelta(seconds=limits.SELECTION_SECONDS)
_MARGIN = timedelta(seconds=limits.SELECTION_MARGIN_SECONDS)
_PART = limits.SELECTION_PART_JOBS


class _Found(Struct, frozen=True, kw_only=True):
    """What is told of the jobs that a query means, beside their ids; see Pinned."""

    total: int
    left_out: int
    statuses: dict[str, int]
    first: list[FirstJob]

    def pinned(self, selection_id: str, query: str, expires_at: datetime) -> Pinned:
        """The same, of a selection that can be used."""
        return Pinned(id=selection_id, query=query, expires_at=expires_at, **structs.asdict(self))


class Selections(Statements):
    """See :class:`rescind.store.protocol.OperationStore`."""

    def pin(
        self,
        selection_id: str,
        user_id: int,
        query: str,
        meant: Selection,
        *,
        owner: int | None,
        skip: int,
        rows_max: int | None,
        seconds: float,
        once: Once[Pinned] | None = None,
    ) -> Pinned:
        with self._query(seconds) as transaction:
            window = {"skip": skip, "rows_max": rows_max, "owner": owner}
            found, job_ids = _find(transaction, meant, window)
        with self._write() as transaction:
            kept = transaction.rows(
                "keep_selection",
                id=selection_id,
                user_id=user_id,
                query=query,
                total=found.total,
                shown=rows.to_json(found),
                age=_AGE,
                most=limits.SELECTIONS_MAX,
            )
        if not kept:
            raise TooManyKept
        # In several transactions, so that they hold up nobody; it can be used after the last.
        for first in range(0, len(job_ids), _PART * limits.SELECTION_PARTS_AT_ONCE):
            self._keep_parts(selection_id, first, job_ids)
        try:
            with self._write() as transaction:
                keys.take(transaction, once)
                [row] = transaction.rows("complete_selection", id=selection_id, age=_AGE)
                pinned = found.pinned(selection_id, query, row["expires_at"])
                keys.keep(transaction, once, pinned)
        except KeyTaken:
            with self._write_once() as transaction:
                transaction.run("forget_selection", id=selection_id)
            raise
        return pinned

    def _keep_parts(self, selection_id: str, first: int, job_ids: Sequence[int]) -> None:
        last = min(len(job_ids), first + _PART * limits.SELECTION_PARTS_AT_ONCE)
        with self._write() as transaction:
            for start in range(first, last, _PART):
                part = job_ids[start : start + _PART]
                transaction.run(
                    "keep_part",
                    id=selection_id,
                    number=start // _PART,
                    first_id=part[0],
                    ids=pack_ids(part),
                )

    def selection(self, selection_id: str, user_id: int) -> Pinned | None:
        with self._read_once() as transaction:
            found = transaction.rows("selection", id=selection_id, user_id=user_id)
        if not found:
            return None
        [row] = found
        shown = msgspec.json.decode(row["shown"], type=_Found)
        return shown.pinned(row["id"], row["query"], row["expires_at"])

    def prune_selections(self, *, limit: int) -> int:
        with self._write_once() as transaction:
            return len(transaction.rows("prune_selections", margin=_MARGIN, limit=limit))


def _find(
    transaction: Transaction, meant: Selection, window: dict[str, int | None]
) -> tuple[_Found, list[int]]:
    """What is told of the jobs that are meant, and the ids of those that are the owner's, all of
    one moment. Raises TooManyFound.
    """
    if window["skip"] and window["rows_max"] is None:
        window = {**window, "rows_max": limits.PAGE_OFFSET_MAX}
    where = filters.where(meant.where, transaction.dialect)
    order = filters.order_by(meant, transaction.dialect)
    inner = {"rows": rows_of(transaction, meant), "where": where.text, "order": order}
    pieces = {"meant": with_pieces(transaction.text("meant"), inner), "order": order}
    asked = {**where.parameters, **window}
    counts = transaction.composed("count_meant", pieces, **asked)
    statuses = {row["status"]: row["total"] - row["left_out"] for row in counts}
    total = sum(statuses.values())
    if total > limits.SELECTION_JOBS_MAX:
        raise TooManyFound(total)
    job_ids = transaction.numbers("meant_ids", pieces, **asked)
    first = _first(transaction, meant, pieces, asked, job_ids[: limits.SELECTION_JOBS_SHOWN])
    found = _Found(
        total=total,
        left_out=sum(row["left_out"] for row in counts),
        statuses={status: count for status, count in statuses.items() if count},
        first=[FirstJob(**{**row, "status": Status(row["status"])}) for row in first],
    )
    return found, job_ids


def _first(
    transaction: Transaction,
    meant: Selection,
    pieces: Mapping[str, str],
    asked: Mapping[str, Any],
    least: Sequence[int],
) -> Sequence[Row]:
    """The first jobs in the order of the query; with none, those with the ``least`` ids."""
    if meant.order:
        most = limits.SELECTION_JOBS_SHOWN
        return transaction.composed("first_meant", pieces, **asked, first=most)
    shown = {"rows": transaction.text(Source.JOBS), "columns": "id, title, status"}
    found = transaction.composed("selected_again", shown, ids=list(least))
    return sorted(found, key=lambda row: int(row["id"]))
