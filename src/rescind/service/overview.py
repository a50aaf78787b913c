"""What people look at: the jobs that matter, who runs them, and how they come and go."""

from collections.abc import Collection
from datetime import datetime, timedelta

from msgspec import Struct

from rescind import limits
from rescind.lifecycle import Status
from rescind.model import JobListing, LiveWorker, Passage, Run
from rescind.selection import EVERYTHING, Column, Compare, Filter, Operator, both
from rescind.service.policy import Caller, Permission, readable_owner
from rescind.service.query import in_time
from rescind.store.protocol import Store
from rescind.vql import tree
from rescind.vql.parser import parse
from rescind.vql.planner import plan
from rescind.wire.listing import Window


def meant(store: Store, conditions: str) -> Filter:
    """The filter that some conditions of VQL on ``job__sys`` mean now; without any, everything.

    Raises RequestRefused, INVALID_DATA or INCORRECT_QUERY_SYNTAX, for what cannot be asked.
    """
    if not conditions:
        return EVERYTHING
    text = f"SELECT id FROM job__sys WHERE {conditions}"  # noqa: S608 - VQL, which is parsed
    statement = parse(text)
    assert isinstance(statement, tree.Query)
    return plan(text, statement, store.now()).selection.where


def listing(
    store: Store,
    caller: Caller,
    where: Filter,
    statuses: Collection[Status],
    window: Window,
    *,
    seconds: float,
) -> JobListing:
    """A page of the jobs that the caller may read and the filter and statuses mean, what runs
    first. Raises RequestRefused, OPERATION_NOT_ALLOWED, for what takes longer than ``seconds``.
    """
    owner = readable_owner(caller)
    visible = EVERYTHING if owner is None else Compare(Column.CREATED_BY, Operator.EQ, owner)
    with in_time(seconds):
        return store.listing(
            both(where, visible),
            statuses,
            limit=window.limit,
            offset=window.offset,
            seconds=seconds,
        )


class Fleet(Struct, frozen=True):
    """The workers, and what they run."""

    workers: list[LiveWorker]
    runs: list[Run]
    """No more than ``PAGE_RUNS_MAX``, by worker."""


def fleet(store: Store, caller: Caller) -> Fleet:
    """Who runs jobs, and which. Raises RequestRefused for who may not read all jobs."""
    caller.require(Permission.JOBS_READ)
    return Fleet(store.workers(), store.runs(limit=limits.PAGE_RUNS_MAX))


class Activity(Struct, frozen=True, kw_only=True):
    """What came and went lately, in periods of one width."""

    since: datetime
    width: timedelta
    periods: int
    passages: list[Passage]


def activity(store: Store, caller: Caller, *, seconds: float) -> Activity:
    """How jobs came and went in the last day, up to now. Raises RequestRefused for who may not
    read all jobs, and as :func:`listing` does.
    """
    caller.require(Permission.JOBS_READ)
    width, periods = timedelta(seconds=limits.CHART_PERIOD_SECONDS), limits.CHART_PERIODS
    since = store.now() - periods * width
    with in_time(seconds):
        passages = store.passages(since, width, seconds=seconds)
    return Activity(since=since, width=width, periods=periods, passages=passages)
