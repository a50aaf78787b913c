"""Text to a tree. A library reads the grammar; here is what its nodes become."""

import re
from functools import cache
from importlib import resources
from typing import Any, cast

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from rescind import limits
from rescind.errors import RequestRefused
from rescind.vql import tree
from rescind.vql.refusals import invalid, syntax_error, unknown_function

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_ESCAPE = re.compile(r"\\(.)|''|%", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}


def parse(text: str) -> tree.Statement:
    """The tree of a statement.

    Raises RequestRefused with Vault's words, INCORRECT_QUERY_SYNTAX, for what cannot be read, and
    INVALID_DATA for what is too long or nested too deeply.
    """
    if len(text) > limits.QUERY_CHARACTERS_MAX:
        raise invalid(f"A query has at most {limits.QUERY_CHARACTERS_MAX} characters")
    if _UNSTORABLE.search(text):
        raise invalid("A query must not hold U+0000 or a lone surrogate")
    try:
        statement: Any = _parser().parse(text)
    except UnexpectedToken as error:
        token = "end of the query" if error.token.type == "$END" else str(error.token)
        raise _unknown_token(text, token, error) from None
    except UnexpectedCharacters as error:
        raise _unknown_token(text, str(error.char), error) from None
    except _UnknownFunctionError as error:
        raise unknown_function(text, str(error)) from None
    return cast("tree.Statement", statement)


def _unknown_token(text: str, token: str, error: UnexpectedInput) -> RequestRefused:
    at = len(text) if error.line < 0 else error.pos_in_stream
    line = text.count("\n") + 1 if error.line < 0 else error.line
    return syntax_error(
        text, f"Unknown token [{token}] found near position [{at}] at line [{line}]"
    )


class _UnknownFunctionError(Exception):
    """A function is called: there is none."""


class _Trees(Transformer[Token, Any]):
    """What the nodes of ``grammar.lark`` become, from the leaves up."""

    def start(self, children: list[Any]) -> Any:
        return children[0]

    def show_targets(self, children: list[Any]) -> tree.ShowTargets:
        return tree.ShowTargets(*children)

    def show_fields(self, children: list[Any]) -> tree.ShowFields:
        return tree.ShowFields(str(children[0]), *children[1:])

    def like_name(self, children: list[Any]) -> tree.Text:
        return _text(children[0])

    def query(self, children: list[Any]) -> tree.Query:
        items, target, *rest = children
        clauses = dict(clause for clause in rest if clause[0] != "tail")
        tails = tuple(clause[1] for clause in rest if clause[0] == "tail")
        return tree.Query(items=items, target=str(target), tails=tails, **clauses)

    def select_list(self, children: list[Any]) -> tuple[tree.Item, ...]:
        return tuple(children)

    def item(self, children: list[Any]) -> tree.Item:
        field, *alias = children
        return tree.Item(field, *map(str, alias))

    def nested(self, children: list[Any]) -> tree.Item:
        return tree.Item(children[0])

    def field(self, children: list[Any]) -> tree.Field:
        *relationship, name = map(str, children)
        return tree.Field(name, *relationship)

    def function(self, children: list[Any]) -> tree.Field:
        raise _UnknownFunctionError(str(children[0]))

    def where(self, children: list[Any]) -> tuple[str, tree.Condition]:
        return "where", children[0]

    def any_of(self, children: list[Any]) -> tree.AnyOf:
        return tree.AnyOf(tuple(children))

    def all_of(self, children: list[Any]) -> tree.AllOf:
        return tree.AllOf(tuple(children))

    def negated(self, children: list[Any]) -> tree.Negated:
        return tree.Negated(children[0])

    def compare(self, children: list[Any]) -> tree.Compared:
        field, operator, value = children
        return tree.Compared(field, str(operator), _value(value))

    def between(self, children: list[Any]) -> tree.Between:
        field, least, most = children
        return tree.Between(field, _value(least), _value(most))

    def contains(self, children: list[Any]) -> tree.Contains:
        field, *values = children
        return tree.Contains(field, tuple(map(_value, values)))

    def like(self, children: list[Any]) -> tree.Like:
        return tree.Like(children[0], _text(children[1]))

    def in_query(self, children: list[Any]) -> tree.InQuery:
        return tree.InQuery(*children)

    def order(self, children: list[Any]) -> tuple[str, tuple[tree.Ordering, ...]]:
        return "order", tuple(children)

    def ordering(self, children: list[Any]) -> tree.Ordering:
        field, *direction = children
        return tree.Ordering(field, bool(direction) and direction[0].upper() == "DESC")

    def tail(self, children: list[Any]) -> tuple[str, tuple[str, int]]:
        word, number = children
        return "tail", (word.upper(), int(number))


def _value(token: Token) -> tree.Value:
    if token.type == "STRING":
        return _text(token)
    if token.type == "NUMBER":
        return tree.Number(int(token))
    return tree.Word(str(token))


def _text(token: Token) -> tree.Text:
    """The text between the quotes; an escape stands for its character, a bare ``%`` for a gap."""
    pieces, piece, end = [], "", 0
    inside = token[1:-1]
    for found in _ESCAPE.finditer(inside):
        piece += inside[end : found.start()]
        end = found.end()
        if found[0] == "%":
            pieces.append(piece)
            piece = ""
        elif found[0] == "''":
            piece += "'"
        else:
            piece += _ESCAPED.get(found[1], found[1])
    return tree.Text((*pieces, piece + inside[end:]))


@cache
def _parser() -> Lark:
    return Lark(
        resources.files(__package__).joinpath("grammar.lark").read_text(),
        parser="lalr",
        transformer=_Trees(),
        propagate_positions=False,
        maybe_placeholders=False,
    )
