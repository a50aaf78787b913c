"""The statements of ``queries.sql``, and how they are run."""

from collections.abc import Callable, Iterator
from importlib import resources
from typing import Any

import aiosql
import apsw

from rescind.clock import Clock, from_milliseconds, to_milliseconds
from rescind.store.protocol import Channel
from rescind.store.rows import of_json
from rescind.store.sqlite.database import Database

_QUERIES = aiosql.from_str(
    resources.files(__package__).joinpath("queries.sql").read_text(),
    "apsw",
    mandatory_parameters=False,
)


def sql(name: str) -> str:
    """The text of one statement."""
    return str(getattr(_QUERIES, name).sql)


def run(connection: apsw.Connection, name: str, /, **parameters: Any) -> apsw.Cursor:
    """Run one statement; its rows come as tuples."""
    return connection.execute(sql(name), parameters)


def run_named(
    connection: apsw.Connection, name: str, /, **parameters: Any
) -> Iterator[dict[str, Any]]:
    """Run one statement; its rows come by column name, in Python's own types."""
    cursor = run(connection, name, **parameters)
    readers: list[tuple[str, Callable[[Any], Any]]] = []
    for row in cursor:
        if not readers:
            columns = [column[0] for column in cursor.get_description()]
            readers = [(column, _READERS.get(column, _as_it_is)) for column in columns]
        yield {
            column: None if value is None else read(value)
            for (column, read), value in zip(readers, row, strict=True)
        }


def _as_it_is(value: Any) -> Any:
    return value


_READERS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("active", "after_cancel", "idempotent"), bool),
    **dict.fromkeys(("cancellable_in", "permissions"), of_json),
    **dict.fromkeys(
        (
            *("at", "created_at", "modified_at", "run_at", "held_until", "queued_at"),
            *("started_at", "finished_at", "lease_expires_at", "seen_at"),
        ),
        from_milliseconds,
    ),
}
"""What SQLite has no type for, by the name of the column."""


class Statements:
    """What every part of the SQLite store stands on: a database, a clock, and its listeners."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._listeners: list[Callable[[Channel], None]] = []

    def _now(self) -> int:
        return to_milliseconds(self._clock.now())

    def _signal(self, *channels: Channel) -> None:
        """Wake the loops; called after the commit, never within a transaction."""
        for listener in self._listeners:
            for channel in channels:
                listener(channel)
