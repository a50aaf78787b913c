"""What people look at: jobs in the order in which they matter, and how many come and go."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import NamedTuple

from rescind.lifecycle import FINAL, Status
from rescind.model import Job, JobListing, Passage, Run
from rescind.selection import Filter
from rescind.store.sql import filters, rows
from rescind.store.sql.statements import Statements, Transaction


class _Band(NamedTuple):
    """Jobs that have an index of their own, and in which order they are shown."""

    statuses: frozenset[Status]
    where: str
    order: str


def _waiting(status: Status, order: str) -> _Band:
    return _Band(frozenset({status}), f"status = '{status}'", order)


_BANDS = (
    _Band(
        frozenset({Status.RUNNING}),
        "worker IS NOT NULL AND status = 'RUNNING'",
        "started_at, id",
    ),
    _waiting(Status.CANCELLING, "id"),
    _waiting(Status.QUEUED, "priority, run_at, id"),
    _waiting(Status.QUEUEING, "held_until, id"),
    _waiting(Status.SCHEDULED, "run_at, id"),
    _Band(FINAL, "finished_at IS NOT NULL", "finished_at DESC, id DESC"),
)
"""What runs comes first, the longest above; then what waits, in the order of its start; then what
has ended, the latest above."""


class Listing(Statements):
    """See :class:`rescind.store.protocol.PageStore`."""

    def listing(
        self,
        where: Filter,
        statuses: Collection[Status],
        *,
        limit: int,
        offset: int,
        seconds: float,
    ) -> JobListing:
        wanted = frozenset(statuses)
        jobs: list[Job] = []
        totals: dict[Status, int] = {}
        with self._query(seconds) as transaction:
            condition = filters.where(where, transaction.dialect)
            for band in _BANDS:
                pieces = {"band": band.where, "where": condition.text}
                found = transaction.composed("listed_totals", pieces, **condition.parameters)
                of_band = {Status(row["status"]): int(row["total"]) for row in found}
                totals |= of_band
                some = wanted & band.statuses
                total = sum(of_band.get(status, 0) for status in some)
                take = min(limit - len(jobs), total - offset)
                if take > 0:
                    page = _page(transaction, band, some, condition, limit=take, offset=offset)
                    jobs += page
                offset = max(0, offset - total)
            names = _names(transaction, {job.created_by for job in jobs})
        return JobListing(jobs=jobs, user_names=names, totals=totals)

    def user_names(self, ids: Collection[int]) -> dict[int, str]:
        with self._read_once() as transaction:
            return _names(transaction, ids)

    def runs(self, *, limit: int) -> list[Run]:
        with self._read_once() as transaction:
            return [
                Run(**{**row, "status": Status(row["status"])})
                for row in transaction.rows("runs", limit=limit)
            ]

    def passages(self, since: datetime, width: timedelta, *, seconds: float) -> list[Passage]:
        with self._query(seconds) as transaction:
            pieces = {"live": transaction.text("live_jobs")}
            found = transaction.composed("passages", pieces, since=since, width=width)
        return [Passage(**{**row, "status": Status(row["status"])}) for row in found]


def _page(
    transaction: Transaction,
    band: _Band,
    statuses: Collection[Status],
    condition: filters.Sql,
    *,
    limit: int,
    offset: int,
) -> list[Job]:
    """Jobs of one band, in its order."""
    some = "true"
    if statuses != band.statuses:
        names = ", ".join(f"'{status}'" for status in sorted(statuses))
        some = f"status IN ({names})"
    pieces = {
        "band": f"{band.where} AND {some}",
        "where": condition.text,
        "order": band.order,
    }
    window = {"limit": limit, "offset": offset}
    found = transaction.composed("listed", pieces, **condition.parameters, **window)
    return [rows.to_job(row) for row in found]


def _names(transaction: Transaction, ids: Collection[int]) -> dict[int, str]:
    found = transaction.rows("user_names", ids=sorted(ids)) if ids else []
    return {row["id"]: row["name"] for row in found}
