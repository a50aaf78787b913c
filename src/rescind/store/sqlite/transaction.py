"""Running the statements of ``queries.sql`` on SQLite."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from importlib import resources
from typing import Any

import aiosql
import apsw

from rescind.clock import Clock, from_milliseconds, to_milliseconds
from rescind.store.sql.filters import Dialect
from rescind.store.sql.rows import Row, of_json, to_json
from rescind.store.sql.statements import AskedMove, fitted, shared_sql, with_pieces


@cache
def _queries() -> Any:
    ours = resources.files(__package__)
    text = "\n".join(ours.joinpath(f"{name}.sql").read_text() for name in ("queries", "operations"))
    text = shared_sql() + "\n" + text
    return aiosql.from_str(text, "apsw", mandatory_parameters=False)


def sql(name: str) -> str:
    """The text of one statement."""
    return str(getattr(_queries(), name).sql)


class SqliteTransaction:
    """See :class:`rescind.store.sql.statements.Transaction`. Sets travel as JSON, lengths of
    time and instants as milliseconds; the whole transaction happens at one instant, ``:now``.
    """

    def __init__(self, connection: apsw.Connection, clock: Clock) -> None:
        self._connection = connection
        self._now = to_milliseconds(clock.now())

    def moves(self, *asked: AskedMove) -> list[list[Row]]:
        """See :meth:`Transaction.moves`."""
        return [self._move(one) for one in asked]

    def _move(self, asked: AskedMove) -> list[Row]:
        actor = asked.actor
        cursor = self._execute(asked.name, user_id=actor.user_id, **asked.parameters)
        found = sorted(_read(cursor), key=lambda row: int(row["id"]))
        if found:
            self._execute(
                "record",
                move=asked.move,
                moved=[row["id"] for row in found],
                user_id=actor.user_id,
                by=actor.by,
                reason=actor.reason,
                request_id=actor.request_id,
            )
        return found

    def rows(self, name: str, /, **parameters: Any) -> list[Row]:
        """See :meth:`Transaction.rows`."""
        return _read(self._execute(name, **parameters))

    def run(self, name: str, /, **parameters: Any) -> None:
        """See :meth:`Transaction.run`."""
        self._execute(name, **parameters)

    @property
    def dialect(self) -> Dialect:
        """See :meth:`Transaction.dialect`."""
        return _DIALECT

    def text(self, name: str) -> str:
        """See :meth:`Transaction.text`."""
        return sql(name).rstrip().rstrip(";")

    def composed(self, name: str, pieces: Mapping[str, str], /, **parameters: Any) -> list[Row]:
        """See :meth:`Transaction.composed`."""
        return _read(self._composed(name, pieces, parameters))

    def numbers(
        self, name: str, pieces: Mapping[str, str] | None = None, /, **parameters: Any
    ) -> list[int]:
        """See :meth:`Transaction.numbers`."""
        return [row[0] for row in self._composed(name, pieces or {}, parameters)]

    def _composed(
        self, name: str, pieces: Mapping[str, str], parameters: Mapping[str, Any]
    ) -> apsw.Cursor:
        values = {parameter: _adapted(value) for parameter, value in parameters.items()}
        text = fitted(with_pieces(sql(name), pieces), parameters)
        return self._connection.execute(text, values)

    def _execute(self, name: str, /, **parameters: Any) -> apsw.Cursor:
        values = {parameter: _adapted(value) for parameter, value in parameters.items()}
        text = fitted(sql(name), parameters)
        return self._connection.execute(text, {**values, "now": self._now})


def _read(cursor: apsw.Cursor) -> list[Row]:
    read: list[Row] = []
    for row in cursor:
        if not read:
            columns = [column[0] for column in cursor.get_description()]
            readers = [(column, _READERS[column]) for column in columns if column in _READERS]
        values = dict(zip(columns, row, strict=True))
        for column, reader in readers:
            if values[column] is not None:
                values[column] = reader(values[column])
        read.append(values)
    return read


def _glob(pieces: Sequence[str]) -> str:
    """SQLite's LIKE knows no upper and lower case; GLOB does."""
    return "*".join(re.sub(r"[*?\[]", r"[\g<0>]", piece) for piece in pieces)


_DIALECT = Dialect(
    parameter=":{}",
    by_code_point="",
    one_of="{} IN (SELECT value FROM json_each({}))",
    like="{} GLOB {}",
    pattern=_glob,
)


def _adapted(value: Any) -> Any:
    if isinstance(value, list | tuple):
        moments = any(isinstance(one, datetime) for one in value)
        return to_json([_adapted(one) for one in value] if moments else value)
    if isinstance(value, timedelta):
        return value // timedelta(milliseconds=1)
    if isinstance(value, datetime):
        return to_milliseconds(value)
    return value


_READERS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("active", "alive", "idempotent", "known", "readable", "undo"), bool),
    **dict.fromkeys(("cancellable_in", "permissions"), of_json),
    **dict.fromkeys(
        (
            *("at", "created_at", "modified_at", "run_at", "held_until", "queued_at"),
            *("started_at", "finished_at", "lease_expires_at", "seen_at", "now"),
            *("expires_at", "ended_at"),
        ),
        from_milliseconds,
    ),
}
"""What SQLite has no type for, by the name of the column."""
