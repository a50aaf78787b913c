"""Filters to SQL: names of known columns, and a parameter for each value. No text comes from
outside but as a parameter.
"""

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from rescind import selection
from rescind.selection import (
    Column,
    Compare,
    Filter,
    Like,
    OneOf,
    Operator,
    Order,
    Selection,
    Value,
)

_TEXTS = frozenset(
    {
        *(Column.NAME, Column.JOB_METADATA, Column.TITLE, Column.STATUS, Column.UNIQUE_KEY),
        Column.WORKER,
    }
)


class Dialect(Struct, frozen=True):
    """How a database writes what the two differ in."""

    parameter: str
    """A parameter, with ``{}`` for its name."""
    by_code_point: str
    """What makes a text compare by its code points."""
    one_of: str
    """How a column, the first ``{}``, is compared with a list, the second: one parameter, however
    many values."""
    like: str
    """How a column, the first ``{}``, is compared with a pattern, the second."""
    pattern: Callable[[Sequence[str]], str]
    """The pattern of some pieces with anything between them."""


class Sql(Struct):
    """A part of a statement, and its parameters by name."""

    text: str
    parameters: dict[str, Any]


def where(wanted: Filter, dialect: Dialect) -> Sql:
    """The condition of a filter."""
    writer = _Writer(dialect)
    return Sql(writer.text(wanted, negated=False), writer.parameters)


class _Writer:
    """Writes one condition, and gathers its parameters."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self.parameters: dict[str, Any] = {}

    def text(self, part: Filter, *, negated: bool) -> str:
        """A part. What is NULL for an empty column does not hold; below a NOT it is made false."""
        match part:
            case selection.All(parts):
                return _joined("AND", [self.text(one, negated=negated) for one in parts]) or "true"
            case selection.Any(parts):
                return _joined("OR", [self.text(one, negated=negated) for one in parts]) or "false"
            case selection.Not(inner):
                return f"(NOT {self.text(inner, negated=True)})"
            case _:
                condition = self._condition(part)
                return f"coalesce({condition}, false)" if negated else condition

    def _condition(self, part: OneOf | Like | Compare) -> str:
        if isinstance(part, OneOf):
            return self._dialect.one_of.format(part.column, self._bound(list(part.values)))
        if isinstance(part, Like):
            pattern = self._bound(self._dialect.pattern(part.pieces))
            return self._dialect.like.format(part.column, pattern)
        return self._comparison(part.column, part.operator, part.value)

    def _comparison(self, column: Column, operator: Operator, value: Value) -> str:
        if value is None:
            return f"({column} IS {'NULL' if operator is Operator.EQ else 'NOT NULL'})"
        if operator is Operator.EQ:
            return f"{column} = {self._bound(value)}"
        if operator is Operator.NE:
            return f"({column} IS NULL OR {column} <> {self._bound(value)})"
        return f"{_ordered(column, self._dialect)} {operator} {self._bound(value)}"

    def _bound(self, value: Value | list[Value]) -> str:
        name = f"value_{len(self.parameters)}"
        self.parameters[name] = value
        return self._dialect.parameter.format(name)


def order_by(wanted: Selection, dialect: Dialect) -> str:
    """The order of rows, in which no two are alike."""
    terms = [_term(order, dialect) for order in wanted.order]
    return ", ".join([*terms, "id"])


def _term(order: Order, dialect: Dialect) -> str:
    direction = "DESC NULLS LAST" if order.descending else "ASC NULLS FIRST"
    return f"{_ordered(order.column, dialect)} {direction}"


def _ordered(column: Column, dialect: Dialect) -> str:
    return f"{column}{dialect.by_code_point}" if column in _TEXTS else str(column)


def _joined(word: str, parts: list[str]) -> str:
    """Many parts, balanced: a long row of them is no deep tree for the database's parser."""
    if len(parts) <= 1:
        return "".join(parts)
    half = len(parts) // 2
    return f"({_joined(word, parts[:half])} {word} {_joined(word, parts[half:])})"
