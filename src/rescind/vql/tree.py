"""A query as it was written, before anybody knows what it is about."""

from typing import TypeAlias

from msgspec import Struct


class Text(Struct, frozen=True):
    """A text in quotes, its escapes resolved but for those of ``%``: ``pieces`` are the texts
    between the ``%`` that stand for anything.
    """

    pieces: tuple[str, ...]

    @property
    def literal(self) -> str:
        """The text where ``%`` stands for itself."""
        return "%".join(self.pieces)


class Number(Struct, frozen=True):
    """A whole number."""

    value: int


class Word(Struct, frozen=True):
    """``null``, ``true``, ``false``, a date literal, or what is none of them."""

    text: str


Value: TypeAlias = Text | Number | Word


class Field(Struct, frozen=True):
    """The name of a field, maybe by a relationship of the target."""

    name: str
    relationship: str | None = None


class Compared(Struct, frozen=True):
    """``field = value`` and the other symbols."""

    field: Field
    operator: str
    value: Value


class Between(Struct, frozen=True):
    """``field BETWEEN least AND most``, both included."""

    field: Field
    least: Value
    most: Value


class Contains(Struct, frozen=True):
    """``field CONTAINS (value, …)``: it has one of them."""

    field: Field
    values: tuple[Value, ...]


class Like(Struct, frozen=True):
    """``field LIKE 'text'``."""

    field: Field
    text: Text


class InQuery(Struct, frozen=True):
    """``field IN (SELECT …)``."""

    field: Field
    query: "Query"


class AllOf(Struct, frozen=True):
    """``… AND …``."""

    parts: "tuple[Condition, ...]"


class AnyOf(Struct, frozen=True):
    """``… OR …``."""

    parts: "tuple[Condition, ...]"


class Negated(Struct, frozen=True):
    """``NOT ( … )``."""

    part: "Condition"


Comparison: TypeAlias = Compared | Between | Contains | Like | InQuery
Condition: TypeAlias = Comparison | AllOf | AnyOf | Negated


class Item(Struct, frozen=True):
    """What is selected, and the name it is given."""

    what: "Field | Query"
    alias: str | None = None


class Ordering(Struct, frozen=True):
    """``ORDER BY field``."""

    field: Field
    descending: bool


class Query(Struct, frozen=True, kw_only=True):
    """``SELECT … FROM target …``."""

    items: tuple[Item, ...]
    target: str
    where: Condition | None = None
    order: tuple[Ordering, ...] = ()
    tails: tuple[tuple[str, int], ...] = ()
    """``MAXROWS``, ``PAGESIZE`` and the like with their numbers, in their order."""


class ShowTargets(Struct, frozen=True):
    """``SHOW TARGETS [LIKE 'text']``."""

    like: Text | None = None


class ShowFields(Struct, frozen=True):
    """``SHOW FIELDS FROM target [LIKE 'text']``."""

    target: str
    like: Text | None = None


Statement: TypeAlias = Query | ShowTargets | ShowFields
