"""A tree to what it asks for: a filter of known columns, and what to show of the rows."""

import re
from collections import Counter
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from msgspec import Struct

from rescind import limits, selection
from rescind.errors import RequestRefused
from rescind.selection import NOTHING, Column, Filter, Operator, Order, Selection, Source
from rescind.vql import tree
from rescind.vql.refusals import invalid, syntax_error
from rescind.vql.targets import ALIASES, TARGETS, Field, Target, Type

_NUMBER_MAX = 2**63 - 1
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,3})?)?Z"
)
_DAYS = re.compile(r"(LAST_DAYS|NEXT_DAYS|DAYS_AGO):([0-9]+)")
_WINDOW = {"LIMIT": "PAGESIZE", "OFFSET": "PAGEOFFSET"}
"""Older words, which do not count beside the newer ones."""


class Nested(Struct, frozen=True, tag=True, tag_field="kind"):
    """A query within the selected fields: what a relationship leads to has no rows yet."""


class Shown(Struct, frozen=True):
    """One member of each row of the answer: under which key, and what stands there."""

    key: str
    what: Field | Nested


class Plan(Struct, frozen=True, kw_only=True):
    """What a query asks for."""

    target: Target
    shown: tuple[Shown, ...]
    selection: Selection
    skip: int
    rows_max: int | None
    """How many rows there are at most, after ``skip``; None: all."""
    page_size: int
    page_offset: int


def plan(query: str, statement: tree.Query, now: datetime) -> Plan:
    """What a statement asks for at an instant; ``query`` is its text, for messages.

    Raises RequestRefused, INVALID_DATA or INCORRECT_QUERY_SYNTAX, for what cannot be asked.
    """
    return _Planner(query, statement, now).plan()


def target_named(name: str, *, without: Collection[str] = ()) -> Target:
    """A target. Raises RequestRefused, INVALID_DATA, for what is none, or stands in ``without``."""
    if name not in TARGETS or name in without:
        raise invalid(f"{name} is not a queryable object; please refer to api documentation")
    return TARGETS[name]


_Scalar: TypeAlias = int | str | datetime | None


class _Planner:
    def __init__(
        self, query: str, statement: tree.Query, now: datetime, *, within: bool = False
    ) -> None:
        self._query = query
        self._within = within
        self._statement = statement
        self._target = target_named(statement.target)
        self._conditions = 0
        self._today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)

    def plan(self) -> Plan:
        statement, target = self._statement, self._target
        shown = tuple(map(self._shown, statement.items))
        self._each_once(shown)
        where: Filter = selection.EVERYTHING
        if statement.where is not None:
            where = self._filter(statement.where, 1)
        if target.source is None:
            where = NOTHING
        window = self._window()
        return Plan(
            target=target,
            shown=shown,
            selection=Selection(
                source=target.source or Source.JOBS,
                where=where,
                order=self._order(),
            ),
            skip=window.get("SKIP", 0),
            rows_max=window.get("MAXROWS"),
            page_size=min(window.get("PAGESIZE", limits.QUERY_ROWS_DEFAULT), limits.QUERY_ROWS_MAX),
            page_offset=window.get("PAGEOFFSET", 0),
        )

    def _window(self) -> dict[str, int]:
        given: dict[str, int] = {}
        for word, number in self._statement.tails:
            if word in given:
                raise syntax_error(self._query, f"{word} stands more than once")
            if not 0 <= number <= limits.PAGE_OFFSET_MAX:
                raise invalid(f"{word} [{number}] must be from 0 to {limits.PAGE_OFFSET_MAX}")
            given[word] = number
        return {
            **{_WINDOW.get(word, word): given[word] for word in given if word in _WINDOW},
            **{word: given[word] for word in given if word not in _WINDOW},
        }

    def _each_once(self, shown: tuple[Shown, ...]) -> None:
        """A field once, and a name once: a row has no two members of one name, and an answer is as
        large as its rows are.
        """
        fields = [item.what for item in self._statement.items if isinstance(item.what, tree.Field)]
        for what in ([one.key for one in shown], [_key(field) for field in fields]):
            again = [name for name, count in Counter(what).items() if count > 1]
            if again:
                raise invalid(f"'{again[0]}' stands more than once in 'select fields'")

    # What is selected

    def _shown(self, item: tree.Item) -> Shown:
        if isinstance(item.what, tree.Query):
            return Shown(self._nested(item.what), Nested())
        return Shown(item.alias or _key(item.what), self._field(item.what, "select fields"))

    def _nested(self, query: tree.Query) -> str:
        """The relationship that a query in the selected fields follows, which is its key."""
        relationship = query.target
        if relationship not in self._target.relationships:
            raise invalid(
                f"{relationship} is not a relationship of {self._target.name}; please refer to api "
                "documentation"
            )
        inner = tree.Query(
            items=query.items,
            target=self._target.relationships[relationship],
            where=query.where,
            order=query.order,
            tails=query.tails,
        )
        self._inner(inner).plan()
        return relationship

    def _inner(self, query: tree.Query) -> "_Planner":
        """The planner of a query within this one, which holds no other."""
        if self._within:
            raise syntax_error(self._query, "a query within a query may not hold another")
        return _Planner(self._query, query, self._today, within=True)

    def _order(self) -> tuple[Order, ...]:
        """Each column once: again it changes nothing."""
        wanted: dict[Column, Order] = {}
        for ordering in self._statement.order:
            column = self._ordered_by(ordering.field)
            if column is not None:
                wanted.setdefault(column, Order(column, ordering.descending))
        return tuple(wanted.values())

    def _ordered_by(self, field: tree.Field) -> Column | None:
        """The column to order by; None where all rows have the same."""
        if field.relationship is not None:
            raise invalid("ORDER BY a field of a relationship is not supported")
        return self._field(field, "order by fields").column

    def _field(self, field: tree.Field, place: str) -> Field:
        target = self._target
        if field.relationship is not None:
            if field.relationship not in target.relationships:
                raise invalid(f"Unknown relationship '{field.relationship}' in '{place}'")
            target = TARGETS[target.relationships[field.relationship]]
        name = ALIASES.get(field.name, field.name)
        if name not in target.fields:
            raise invalid(f"Unknown field '{field.name}' in '{place}'")
        return target.fields[name]

    # Which rows

    def _filter(self, condition: tree.Condition, depth: int) -> Filter:
        if depth > limits.QUERY_DEPTH_MAX:
            raise invalid(f"A query may be nested at most {limits.QUERY_DEPTH_MAX} deep")
        match condition:
            case tree.AllOf(parts):
                return selection.All(tuple(self._filter(part, depth + 1) for part in parts))
            case tree.AnyOf(parts):
                return selection.Any(tuple(self._filter(part, depth + 1) for part in parts))
            case tree.Negated(part):
                if not self._target.free:
                    raise self._unsupported("NOT")
                return selection.Not(self._filter(part, depth + 1))
            case _:
                self._conditions += 1
                if self._conditions > limits.QUERY_CONDITIONS_MAX:
                    most = limits.QUERY_CONDITIONS_MAX
                    raise invalid(
                        f"A query has at most {most} conditions; CONTAINS takes many values"
                    )
                return self._comparison(condition, self._field(condition.field, "where fields"))

    def _comparison(self, condition: tree.Comparison, field: Field) -> Filter:
        match condition:
            case tree.Compared(named, operator, value):
                return self._compared(named, field, Operator(operator), value)
            case tree.Between(named, least, most):
                self._no_literals(field, least, most)
                ends = ((Operator.GE, least), (Operator.LE, most))
                return selection.All(tuple(self._compare(named, field, *end) for end in ends))
            case tree.Contains(named, values):
                self._no_literals(field, *values)
                return _one_of(field, tuple(self._scalar(named, field, one) for one in values))
            case tree.Like(named, text):
                return self._like(named, field, text)
            case tree.InQuery(named, query):
                return self._in_query(named, field, query)

    def _in_query(self, named: tree.Field, field: Field, query: tree.Query) -> Filter:
        relationship = query.target
        name = self._target.relationships.get(relationship, relationship)
        inner = tree.Query(items=query.items, target=name, where=query.where)
        selected = self._inner(inner).plan()
        rows = self._target.source is not None and selected.target.source is not None
        if len(selected.shown) != 1 or rows:
            raise invalid(f"IN is not supported with a query of {relationship}")
        what = selected.shown[0].what
        if isinstance(what, Field) and what.type is not field.type:
            raise invalid(f"{named.name} and what IN selects are not of one type")
        return NOTHING  # of rows that nobody has

    def _like(self, named: tree.Field, field: Field, text: tree.Text) -> Filter:
        if field.type is not Type.STRING:
            raise invalid(f"LIKE is not supported on {named.name}, which is no String")
        if len(text.pieces) > 1 and not text.pieces[0] and not self._target.free:
            raise self._unsupported("LIKE with % at the beginning")
        first, *rest = text.pieces
        # What stands between two % that touch each other says nothing.
        pieces = (first, *[piece for piece in rest[:-1] if piece], *rest[-1:])
        if sum(map(len, pieces)) > limits.TITLE_CHARACTERS_MAX:
            return NOTHING  # no text is so long
        if field.column is not None:
            return selection.Like(field.column, pieces)
        return _truth(field.constant is not None and like(field.constant, pieces))

    def _compared(
        self, named: tree.Field, field: Field, operator: Operator, value: tree.Value
    ) -> Filter:
        days = self._days(value) if field.type is Type.DATETIME else None
        if days is not None:
            return _in_days(field, operator, *days)
        return self._compare(named, field, operator, value)

    def _compare(
        self, named: tree.Field, field: Field, operator: Operator, value: tree.Value
    ) -> Filter:
        scalar = self._scalar(named, field, value)
        if scalar is None and operator not in (Operator.EQ, Operator.NE):
            raise invalid("null can be compared with = and != alone")
        return _compare(field, operator, scalar)

    # Values

    def _scalar(self, field: tree.Field, found: Field, value: tree.Value) -> _Scalar:
        """The value as the field's type has it; None for null."""
        if isinstance(value, tree.Word):
            if value.text == "null":
                return None
            raise invalid(f"[{value.text}] is no value of {field.name}: texts stand in quotes")
        match found.type:
            case Type.STRING if isinstance(value, tree.Text):
                return value.literal
            case Type.ID | Type.NUMBER:
                text = str(value.value) if isinstance(value, tree.Number) else value.literal
                if re.fullmatch(r"-?[0-9]{1,19}", text) and abs(int(text)) <= _NUMBER_MAX:
                    return int(text)
            case Type.DATETIME if isinstance(value, tree.Text):
                return _instant(field, value.literal)
        shown = value.value if isinstance(value, tree.Number) else value.literal
        raise invalid(f"[{shown}] is no value of {field.name}, which is a {found.type}")

    def _days(self, value: tree.Value) -> tuple[datetime, datetime] | None:
        """The first instant of a date literal's days, and that after them; None for no literal."""
        if not isinstance(value, tree.Word):
            return None
        word, day = value.text.upper(), timedelta(days=1)
        today = self._today
        if word == "TODAY":
            return today, today + day
        found = _DAYS.fullmatch(word)
        if found is None:
            return None
        number = int(found[2])
        try:
            match found[1]:
                case "LAST_DAYS":
                    return today - number * day, today + day
                case "NEXT_DAYS":
                    return today + day, today + (number + 1) * day
                case _:
                    return today - number * day, today - (number - 1) * day
        except OverflowError:
            raise invalid(f"[{value.text}] leads out of the calendar") from None

    def _no_literals(self, found: Field, *values: tree.Value) -> None:
        if found.type is Type.DATETIME and any(map(self._days, values)):
            raise invalid("Date literals can be compared with the symbols = != < <= > >= alone")

    def _unsupported(self, what: str) -> RequestRefused:
        return syntax_error(self._query, f"{what} is not supported on [{self._target.name}]")


def like(text: str, pieces: tuple[str, ...]) -> bool:
    """Whether a text has the pieces of a pattern; see :class:`rescind.selection.Like`."""
    first, *between = pieces
    if not between:
        return text == first
    last = between.pop()
    if not (text.startswith(first) and text.endswith(last)):
        return False
    at, end = len(first), len(text) - len(last)
    for piece in between:
        # The first place there is leaves the most to what comes after it.
        at = text.find(piece, at, end) + len(piece)
        if at < len(piece):
            return False
    return at <= end


def _key(field: tree.Field) -> str:
    """What a field is called in the answer, unless it is given another name."""
    return f"{field.relationship}.{field.name}" if field.relationship else field.name


def _truth(holds: bool) -> Filter:
    return selection.EVERYTHING if holds else NOTHING


def _compare(field: Field, operator: Operator, value: _Scalar) -> Filter:
    if field.column is not None:
        return selection.Compare(field.column, operator, value)
    return _truth(holds(field.constant, operator, value))


def _one_of(field: Field, values: tuple[_Scalar, ...]) -> Filter:
    if field.column is None:
        return _truth(field.constant in values)
    some = tuple(value for value in values if value is not None)
    found: Filter = selection.OneOf(field.column, some)
    if None in values:
        found = selection.Any((found, selection.Compare(field.column, Operator.EQ, None)))
    return found


def holds(has: _Scalar, operator: Operator, value: _Scalar) -> bool:
    """Whether a comparison holds for what a row has; see :class:`rescind.selection.Compare`."""
    if operator in (Operator.EQ, Operator.NE):
        return (has == value) is (operator is Operator.EQ)
    if has is None or value is None:
        return False
    if has == value:
        return operator in (Operator.LE, Operator.GE)
    less: bool = has < value  # type: ignore[operator]  # they are of one type
    return less is (operator in (Operator.LT, Operator.LE))


def _in_days(field: Field, operator: Operator, first: datetime, after: datetime) -> Filter:
    """A comparison with days: before their first instant, within them, or after them."""
    match operator:
        case Operator.LT:
            return _compare(field, Operator.LT, first)
        case Operator.LE:
            return _compare(field, Operator.LT, after)
        case Operator.GT:
            return _compare(field, Operator.GE, after)
        case Operator.GE:
            return _compare(field, Operator.GE, first)
        case Operator.EQ:
            parts = (Operator.GE, first), (Operator.LT, after)
            return selection.All(tuple(_compare(field, *part) for part in parts))
        case _:
            within = (Operator.LT, first), (Operator.GE, after), (Operator.EQ, None)
            return selection.Any(tuple(_compare(field, *part) for part in within))


def _instant(field: tree.Field, text: str) -> datetime:
    """``'2026-11-24'``, its midnight in UTC, or ``'2026-11-24T03:00:00.000Z'``."""
    try:
        if _DATE.fullmatch(text):
            return datetime.fromisoformat(text).replace(tzinfo=UTC)
        if _INSTANT.fullmatch(text):
            return datetime.fromisoformat(text)
    except ValueError:
        pass
    raise invalid(
        f"[{text}] is no value of {field.name}: a DateTime is written '2026-11-24' or "
        "'2026-11-24T03:00:00.000Z', in UTC"
    )
