"""Running the statements of ``queries.sql`` and ``moves.sql`` on PostgreSQL."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import aiosql
import psycopg
from psycopg.rows import dict_row, scalar_row

from rescind.model import Job
from rescind.store.sql.filters import Dialect
from rescind.store.sql.rows import Row
from rescind.store.sql.statements import RERUN, WHOLE, AskedMove, fitted, shared_sql, with_pieces

Connection = psycopg.Connection[dict[str, Any]]


def _load(text: str) -> Any:
    return aiosql.from_str(text, "psycopg", mandatory_parameters=False)


def _text(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text()


_QUERIES, _MOVES = (
    _load("\n".join([shared_sql(), _text("queries.sql"), _text("operations.sql")])),
    _load(_text("moves.sql")),
)


def sql(name: str) -> str:
    """The text of one statement of ``queries.sql``."""
    return str(getattr(_QUERIES, name).sql).rstrip().rstrip(";")


@cache
def move_sql(name: str) -> str:
    """The whole statement of a move: it, its events, and what it says."""
    move_text = str(getattr(_MOVES, name).sql).rstrip().rstrip(";")
    said = sql("moved")
    if name in WHOLE:
        said = with_pieces(sql("moved_jobs"), {"columns": ", ".join(Job.__struct_fields__)})
    elif name == RERUN:
        said = sql("moved_reruns")
    return f"WITH {move_text}, recorded AS ({sql('record')}) {said}"


def _pattern(pieces: Sequence[str]) -> str:
    return "%".join(re.sub(r"[%_\\]", r"\\\g<0>", piece) for piece in pieces)


_DIALECT = Dialect(
    parameter="%({})s",
    by_code_point=' COLLATE "C"',
    one_of="{} = ANY({})",
    like="{} LIKE {}",
    pattern=_pattern,
)


class PostgresTransaction:
    """See :class:`rescind.store.sql.statements.Transaction`."""

    def __init__(self, connection: Connection, **always: Any) -> None:
        self._connection = connection
        self._always = always

    def moves(self, *asked: AskedMove) -> list[list[Row]]:
        """See :meth:`Transaction.moves`. What is asked for together takes one round trip."""
        if len(asked) == 1:
            return [self._move(asked[0]).fetchall()]
        with self._connection.pipeline():
            cursors = [self._move(one) for one in asked]
            return [cursor.fetchall() for cursor in cursors]

    def _move(self, asked: AskedMove) -> psycopg.Cursor[dict[str, Any]]:
        actor, parameters = asked.actor, asked.parameters
        return self._execute(
            fitted(move_sql(asked.name), parameters),
            move=asked.move,
            user_id=actor.user_id,
            by=actor.by,
            reason=actor.reason,
            request_id=actor.request_id,
            **parameters,
        )

    def rows(self, name: str, /, **parameters: Any) -> list[Row]:
        """See :meth:`Transaction.rows`."""
        text = sql(name)
        fits = fitted(text, parameters)
        # What has optional lines is planned for its parameters: how many rows there are of a
        # status, or of a day, makes all the difference.
        prepare = False if "-- if" in text else None
        return self._execute(fits, prepare=prepare, **parameters).fetchall()

    def run(self, name: str, /, **parameters: Any) -> None:
        """See :meth:`Transaction.run`."""
        self._execute(sql(name), **parameters)

    @property
    def dialect(self) -> Dialect:
        """See :meth:`Transaction.dialect`."""
        return _DIALECT

    def text(self, name: str) -> str:
        """See :meth:`Transaction.text`."""
        return sql(name)

    def composed(self, name: str, pieces: Mapping[str, str], /, **parameters: Any) -> list[Row]:
        """See :meth:`Transaction.composed`."""
        text = fitted(with_pieces(sql(name), pieces), parameters)
        return self._execute(text, prepare=False, **parameters).fetchall()

    def numbers(
        self, name: str, pieces: Mapping[str, str] | None = None, /, **parameters: Any
    ) -> list[int]:
        """See :meth:`Transaction.numbers`."""
        text = fitted(with_pieces(sql(name), pieces or {}), parameters)
        cursor = self._connection.cursor(row_factory=scalar_row)
        return cursor.execute(text.encode(), parameters, prepare=False, binary=True).fetchall()

    def _execute(
        self, text: str, /, *, prepare: bool | None = None, **parameters: Any
    ) -> psycopg.Cursor[dict[str, Any]]:
        arrays = {
            name: list(value) for name, value in parameters.items() if isinstance(value, tuple)
        }
        return self._connection.cursor(row_factory=dict_row).execute(
            text.encode(), {**parameters, **arrays, **self._always}, prepare=prepare
        )
