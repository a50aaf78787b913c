"""Queries: what VQL asks for, as far as the caller may see it."""

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from rescind import ids
from rescind.errors import QueryTooSlow, RequestRefused
from rescind.model import FoundRow
from rescind.selection import EVERYTHING, Column, Compare, Operator, Source, both
from rescind.service.policy import Caller, Permission, Profile, listable_owner
from rescind.store.protocol import Store
from rescind.vql import tree
from rescind.vql.parser import parse
from rescind.vql.planner import Plan, Shown, like, plan, target_named
from rescind.vql.targets import OURS, TARGETS, Field, Target


class Shape(Struct, frozen=True, kw_only=True):
    """What each row of an answer shows; kept with the ids of a query that has several pages."""

    target: str
    shown: tuple[Shown, ...]
    owner: int | None
    """Whose rows they are; None: everyone's."""

    @property
    def columns(self) -> list[Column]:
        """What of a row is needed."""
        fields = [one.what for one in self.shown if isinstance(one.what, Field)]
        return [field.column for field in fields if field.column is not None]


class Page(Struct, frozen=True, kw_only=True):
    """A page of the answer to a query."""

    shape: Shape
    rows: list[FoundRow]
    size: int
    """How many rows a page has at most."""
    offset: int
    total: int
    cursor: str | None
    """Where the other pages are; None if there are none, or more than are kept."""

    @property
    def cut(self) -> bool:
        """Whether there is more, and nothing that leads to it."""
        ends = self.offset + self.size >= self.total
        return self.cursor is None and self.size > 0 and not ends


def query(
    store: Store, profile: Profile, caller: Caller, text: str, *, seconds: float
) -> Page | list[Target] | Target:
    """A page of rows; for SHOW TARGETS the targets, for SHOW FIELDS one with the fields asked for.

    Raises RequestRefused: INCORRECT_QUERY_SYNTAX or INVALID_DATA for what cannot be asked,
    INSUFFICIENT_ACCESS in profile vault without the permission to read all jobs,
    OPERATION_NOT_ALLOWED for what takes longer than ``seconds``.
    """
    statement = parse(text)
    if isinstance(statement, tree.ShowTargets):
        return [
            target
            for target in TARGETS.values()
            if _known(target, profile) and _named(target.name, statement.like)
        ]
    without = () if profile is Profile.OPEN else OURS
    target = target_named(statement.target, without=without)
    if isinstance(statement, tree.ShowFields):
        fields = target.fields.items()
        wanted = {name: field for name, field in fields if _named(name, statement.like)}
        return replace(target, fields=wanted)
    planned = plan(text, statement, store.now())
    return _first_page(store, profile, caller, planned, seconds)


def page(
    store: Store,
    profile: Profile,
    caller: Caller,
    cursor_id: str,
    *,
    size: int,
    offset: int,
    seconds: float,
) -> Page:
    """A further page of a query that this caller made, with today's values of its rows.

    Raises RequestRefused, INVALID_DATA, when nothing is kept of it any more.
    """
    kept = store.cursor(cursor_id, caller.user.id) if ids.is_opaque(cursor_id) else None
    if kept is None:
        raise _not_kept()
    shape = msgspec.json.decode(kept.description, type=Shape)
    target = TARGETS[shape.target]
    source = target.source or Source.JOBS
    owner, _ = _owner(source, profile, caller)
    if not _known(target, profile) or owner not in (None, shape.owner):
        raise _not_kept()  # for who may see less by now
    wanted = kept.ids[offset : offset + size]
    with in_time(seconds):
        rows = store.select_again(source, shape.columns, wanted, seconds=seconds)
    return Page(
        shape=shape, rows=rows, size=size, offset=offset, total=len(kept.ids), cursor=cursor_id
    )


def _first_page(
    store: Store, profile: Profile, caller: Caller, planned: Plan, seconds: float
) -> Page:
    selection = planned.selection
    owner, column = _owner(selection.source, profile, caller)
    visible = EVERYTHING if owner is None else Compare(column, Operator.EQ, owner)
    shape = Shape(target=planned.target.name, shown=planned.shown, owner=owner)
    with in_time(seconds):
        found = store.select(
            replace(selection, where=both(selection.where, visible)),
            shape.columns,
            skip=planned.skip,
            rows_max=planned.rows_max,
            limit=planned.page_size,
            offset=planned.page_offset,
            seconds=seconds,
        )
    cursor = None
    if found.ids:
        cursor = ids.opaque_id()
        store.keep_cursor(cursor, caller.user.id, msgspec.json.encode(shape).decode(), found.ids)
    return Page(
        shape=shape,
        rows=found.rows,
        size=planned.page_size,
        offset=planned.page_offset,
        total=found.total,
        cursor=cursor,
    )


def _owner(source: Source, profile: Profile, caller: Caller) -> tuple[int | None, Column]:
    """Whose rows the caller may see, None for everyone's, and the column that says whose they are:
    jobs as in lists; users with the permission to edit them.
    """
    if source is Source.USERS:
        return None if caller.may(Permission.USERS_EDIT) else caller.user.id, Column.ID
    return listable_owner(caller, profile), Column.CREATED_BY


def _not_kept() -> RequestRefused:
    return RequestRefused(
        "INVALID_DATA", "The pages of this query are not kept any more; send the query again"
    )


def _known(target: Target, profile: Profile) -> bool:
    return profile is Profile.OPEN or target.name not in OURS


def _named(name: str, text: tree.Text | None) -> bool:
    return text is None or like(name, text.pieces)


@contextmanager
def in_time(seconds: float) -> Iterator[None]:
    """Raises RequestRefused, OPERATION_NOT_ALLOWED, for what the store gives up as too slow."""
    try:
        yield
    except QueryTooSlow:
        raise RequestRefused(
            "OPERATION_NOT_ALLOWED",
            f"The query was cancelled after {seconds:g} seconds; ask for less, or for what is "
            "narrower, such as one status or a range of dates",
        ) from None
