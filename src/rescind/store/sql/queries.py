"""Queries: rows that a selection means, and the ids of those that have more than one page."""

from collections.abc import Sequence
from datetime import timedelta

from rescind import limits
from rescind.model import Cursor, Found, FoundRow
from rescind.selection import EVERYTHING, Column, Selection, Source
from rescind.store.sql import filters
from rescind.store.sql.packing import pack_ids, unpack_ids
from rescind.store.sql.statements import Statements, Transaction

_AGE = timedelta(seconds=limits.CURSOR_SECONDS)


class Queries(Statements):
    """See :class:`rescind.store.protocol.QueryStore`."""

    def select(
        self,
        selection: Selection,
        columns: Sequence[Column],
        *,
        skip: int,
        rows_max: int | None,
        limit: int,
        offset: int,
        seconds: float,
    ) -> Found:
        with self._query(seconds) as transaction:
            where = filters.where(selection.where, transaction.dialect)
            pieces = {
                "rows": rows_of(transaction, selection),
                "where": where.text,
                "order": filters.order_by(selection, transaction.dialect),
            }
            [row] = transaction.composed("selected_total", pieces, **where.parameters)
            left = max(0, row["total"] - skip)
            total = left if rows_max is None else min(left, rows_max)

            def found(columns: Sequence[Column], offset: int, limit: int) -> list[FoundRow]:
                window = {"limit": min(limit, total - offset), "offset": skip + offset}
                if window["limit"] <= 0:
                    return []
                named = {**pieces, "columns": ", ".join(_with_id(columns))}
                return transaction.composed("selected", named, **where.parameters, **window)

            several = limit > 0 and (offset > 0 or total > limit)
            if not several or total > limits.CURSOR_IDS_MAX:
                return Found(rows=found(columns, offset, limit), total=total, ids=[])
            ids = [row["id"] for row in found([], 0, total)]
            rows = _again(transaction, selection.source, columns, ids[offset : offset + limit])
        return Found(rows=rows, total=total, ids=ids)

    def select_again(
        self, source: Source, columns: Sequence[Column], ids: Sequence[int], *, seconds: float
    ) -> list[FoundRow]:
        with self._query(seconds) as transaction:
            return _again(transaction, source, columns, ids)

    def keep_cursor(
        self, cursor_id: str, user_id: int, description: str, ids: Sequence[int]
    ) -> None:
        with self._write() as transaction:
            transaction.run(
                "keep_cursor",
                id=cursor_id,
                user_id=user_id,
                description=description,
                ids=pack_ids(ids),
            )
            transaction.run("forget_cursors", user_id=user_id, most=limits.CURSORS_MAX)

    def cursor(self, cursor_id: str, user_id: int) -> Cursor | None:
        with self._write() as transaction:
            found = transaction.rows("cursor", id=cursor_id, user_id=user_id, age=_AGE)
        if not found:
            return None
        return Cursor(description=found[0]["description"], ids=unpack_ids(found[0]["ids"]))

    def prune_cursors(self, *, limit: int) -> int:
        with self._write() as transaction:
            return len(transaction.rows("prune_cursors", age=_AGE, limit=limit))


def rows_of(transaction: Transaction, selection: Selection) -> str:
    """The text that has the rows; where there is a filter, all jobs are divided as the indexes
    are.
    """
    if selection.source is Source.JOBS and selection.where != EVERYTHING:
        parts = (transaction.text(source) for source in (Source.LIVE_JOBS, Source.ENDED_JOBS))
        return " UNION ALL ".join(parts)
    return transaction.text(selection.source)


def _again(
    transaction: Transaction, source: Source, columns: Sequence[Column], ids: Sequence[int]
) -> list[FoundRow]:
    named = {"rows": transaction.text(source), "columns": ", ".join(_with_id(columns))}
    found = transaction.composed("selected_again", named, ids=list(ids))
    by_id = {row["id"]: row for row in found}
    return [by_id[row_id] for row_id in ids if row_id in by_id]


def _with_id(columns: Sequence[Column]) -> list[Column]:
    return list(dict.fromkeys([Column.ID, *columns]))
