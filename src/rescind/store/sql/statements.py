"""How named statements are run; each database has its own way, behind these two protocols."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from importlib import resources
from typing import Any, NamedTuple, Protocol

from rescind.lifecycle import Move, Status
from rescind.model import Actor, Job
from rescind.store.protocol import Channel
from rescind.store.sql import rows
from rescind.store.sql.filters import Dialect
from rescind.store.sql.rows import Row

Moved = list[tuple[int, Status]]
"""The ids of the jobs a move moved, ascending, and where to."""

_WAKES: Mapping[Status, Channel] = {
    Status.SCHEDULED: Channel.SCHEDULED,
    Status.QUEUEING: Channel.SCHEDULED,
    Status.QUEUED: Channel.QUEUED,
    Status.CANCELLING: Channel.CANCELLING,
}
"""Who wants to know that a job has come to stand there."""


_PIECE = re.compile(r"\{(\w+)\}")
_OPTIONAL = re.compile(r"^.*-- if (\w+)$\n?", re.MULTILINE)


def shared_sql() -> str:
    """The statements that are the same for every database."""
    ours = resources.files(__package__)
    return "\n".join(ours.joinpath(f"{name}.sql").read_text() for name in ("shared", "operations"))


def fitted(text: str, parameters: Mapping[str, Any]) -> str:
    """A statement without its optional lines: one that ends in ``-- if name`` stands only where
    that parameter is given. The database plans what is asked for, not what might be.
    """
    return _OPTIONAL.sub(lambda line: line[0] if parameters.get(line[1]) is not None else "", text)


def with_pieces(text: str, pieces: Mapping[str, str]) -> str:
    """A statement with its pieces put in."""
    return _PIECE.sub(lambda found: pieces[found[1]], text)


WHOLE = frozenset({Move.CLAIM, Move.RESCUE, Move.FAIL})
"""The moves whose statements return whole jobs, as they stand then."""

RERUN = "rerun"
"""The statement that submits jobs anew; it also returns ``rerun_of``."""


class AskedMove(NamedTuple):
    """One move to run, and who asks for it."""

    move: Move
    actor: Actor
    parameters: Mapping[str, Any]
    statement: str = ""
    """Its own, where it is not the one with the move's name."""

    @property
    def name(self) -> str:
        """Of its statement."""
        return self.statement or self.move


def moved_of(found: Iterable[Row]) -> Moved:
    """Which jobs a move moved, and where to."""
    return [(row["id"], Status(row["status"])) for row in found]


def move_in(transaction: "Transaction", move: Move, actor: Actor, **parameters: Any) -> Moved:
    """Run one move in a transaction."""
    [found] = transaction.moves(AskedMove(move, actor, parameters))
    return moved_of(found)


def statuses_in(
    transaction: "Transaction", ids: Sequence[int], owner: int | None
) -> dict[int, Status]:
    """Where jobs stand, as far as they are there and, if given, ``owner``'s."""
    found = transaction.rows("statuses", ids=ids, owner=owner)
    return {row["id"]: Status(row["status"]) for row in found}


class RowsHeldError(Exception):
    """Others hold rows that are wanted; nothing was done."""


class Transaction(Protocol):
    """One transaction. Parameters are Python values: lists and lists of dicts are sets, and
    timedeltas lengths of time.
    """

    def moves(self, *asked: AskedMove) -> list[list[Row]]:
        """Run the statements of moves, in order, and record their events; what each moved, by id:
        ``id`` and ``status``, or the whole job if it is one of WHOLE; see also RERUN.
        """
        ...

    def rows(self, name: str, /, **parameters: Any) -> list[Row]:
        """Run a statement, :func:`fitted` to its parameters; what it returns."""
        ...

    def run(self, name: str, /, **parameters: Any) -> None:
        """Run a statement that returns nothing."""
        ...

    @property
    def dialect(self) -> Dialect:
        """How filters are written here."""
        ...

    def text(self, name: str) -> str:
        """The text of a statement, to be part of another."""
        ...

    def composed(self, name: str, pieces: Mapping[str, str], /, **parameters: Any) -> list[Row]:
        """Run a statement with ``pieces`` of our own text in place of their names in braces,
        :func:`fitted`; it is planned for its parameters.
        """
        ...

    def numbers(
        self, name: str, pieces: Mapping[str, str] | None = None, /, **parameters: Any
    ) -> list[int]:
        """As ``composed``, for a statement that returns one whole number a row: a million of them
        cost a tenth of what rows do.
        """
        ...


class Statements(ABC):
    """What every part of a store stands on: transactions, and its listeners."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[Channel], None]] = []

    @abstractmethod
    def _write(self) -> AbstractContextManager[Transaction]:
        """A transaction that is on disk when its block is left, or never was."""

    @abstractmethod
    def _write_once(self) -> AbstractContextManager[Transaction]:
        """As ``_write``, for one statement, or one move."""

    @abstractmethod
    def _write_briefly(self, seconds: float) -> AbstractContextManager[Transaction]:
        """As ``_write``; raises RowsHeldError when a statement of it takes longer than ``seconds``,
        which it does when others hold what it wants.
        """

    @abstractmethod
    def _write_waiting(self, seconds: float) -> AbstractContextManager[Transaction]:
        """As ``_write``; raises RowsHeldError when a statement of it has waited so long for what
        others hold.
        """

    @abstractmethod
    def _read(self) -> AbstractContextManager[Transaction]:
        """One consistent view of what is committed."""

    @abstractmethod
    def _read_once(self) -> AbstractContextManager[Transaction]:
        """As ``_read``, for one statement that looks up what it wants by a key."""

    @abstractmethod
    def _query(self, seconds: float) -> AbstractContextManager[Transaction]:
        """As ``_read``; raises QueryTooSlow when a statement takes longer than ``seconds``."""

    def subscribe(self, listener: Callable[[Channel], None]) -> None:
        """See :meth:`rescind.store.protocol.Store.subscribe`."""
        self._listeners.append(listener)

    def wake(self, channels: Collection[Channel]) -> None:
        """Wake the loops of this process."""
        for channel in channels:
            for listener in self._listeners:
                listener(channel)

    def _signal(self, channels: Collection[Channel]) -> None:
        """Say that rows of these channels have changed; called after the commit, never within a
        transaction.
        """
        self.wake(channels)

    def _wake(self, moved: Moved) -> None:
        """Signal once for each kind of place that jobs have come to."""
        self._signal({_WAKES[status] for _, status in moved if status in _WAKES})

    def _move(self, move: Move, actor: Actor, **parameters: Any) -> list[int]:
        """One move as a transaction of its own; the ids of the jobs it moved, ascending."""
        with self._write_once() as transaction:
            [found] = transaction.moves(AskedMove(move, actor, parameters))
        self._wake(moved_of(found))
        return [row["id"] for row in found]

    def _move_jobs(self, move: Move, actor: Actor, **parameters: Any) -> list[Job]:
        """As ``_move``, for one of WHOLE; the jobs as they stand then, by id."""
        with self._write_once() as transaction:
            [found] = transaction.moves(AskedMove(move, actor, parameters))
        self._wake(moved_of(found))
        return [rows.to_job(row) for row in found]
