"""Which rows are meant: one way to say it, for everything that comes to ask.

A filter is a tree of comparisons of known columns with values. It knows no text of a query and no
SQL. A comparison with a column that is empty does not hold, but for NE, which does, and for those
with None, which ask for just that; so every filter either holds for a row or does not, and NOT is
the other rows.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct


class Source(StrEnum):
    """Where the rows are looked for."""

    LIVE_JOBS = "live_jobs"
    ENDED_JOBS = "ended_jobs"
    JOBS = "every_job"
    USERS = "users"


class Column(StrEnum):
    """What of a row can be asked for; the value is the name of the column. All but NAME are a
    job's, ID and NAME a user's.
    """

    ID = "id"
    NAME = "name"
    JOB_METADATA = "job_metadata"
    TITLE = "title"
    STATUS = "status"
    CREATED_BY = "created_by"
    CREATED_AT = "created_at"
    RUN_AT = "run_at"
    QUEUED_AT = "queued_at"
    STARTED_AT = "started_at"
    FINISHED_AT = "finished_at"
    PRIORITY = "priority"
    UNIQUE_KEY = "unique_key"
    WORKER = "worker"
    RERUN_OF = "rerun_of"


class Operator(StrEnum):
    """How a column is compared with a value."""

    EQ = "="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="


Value: TypeAlias = int | str | datetime | None


class Compare(Struct, frozen=True, tag=True):
    """A column compared with a value of its type. Texts are compared by code points. None is
    compared by EQ and NE alone.
    """

    column: Column
    operator: Operator
    value: Value


class OneOf(Struct, frozen=True, tag=True):
    """A column that has one of some values; None is not among them."""

    column: Column
    values: tuple[Value, ...]


class Like(Struct, frozen=True, tag=True):
    """A text that has these pieces in this order: the first at its beginning, the last at its
    end, anything between them. A single piece is the whole text.
    """

    column: Column
    pieces: tuple[str, ...]


class All(Struct, frozen=True, tag=True):
    """What all parts hold for; without any part, every row."""

    parts: "tuple[Filter, ...]" = ()


class Any(Struct, frozen=True, tag=True):
    """What any part holds for; without any part, no row."""

    parts: "tuple[Filter, ...]" = ()


class Not(Struct, frozen=True, tag=True):
    """What a part does not hold for."""

    part: "Filter"


Filter: TypeAlias = Compare | OneOf | Like | All | Any | Not

EVERYTHING, NOTHING = All(), Any()


class Order(Struct, frozen=True):
    """By what rows are ordered; an empty column comes first, or last when ``descending``."""

    column: Column
    descending: bool = False


class Selection(Struct, frozen=True, kw_only=True):
    """Rows, ordered; those that are alike in that, by their id."""

    source: Source = Source.JOBS
    where: Filter = EVERYTHING
    order: tuple[Order, ...] = ()


def both(*filters: Filter) -> Filter:
    """What all filters hold for."""
    wanted: Sequence[Filter] = [part for part in filters if part != EVERYTHING]
    return wanted[0] if len(wanted) == 1 else All(tuple(wanted))
