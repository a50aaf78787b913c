"""The takeover: what an earlier owner of the store ran may go on until its keepers end it."""

from collections.abc import Callable, Collection, Mapping
from typing import Generic, Protocol, TypeVar

import structlog

from rescind import limits
from rescind.model import RunRef
from rescind.runtime.loop import EventWaiter
from rescind.store.protocol import Channel

_log = structlog.get_logger()
_Place = TypeVar("_Place")


class OwnedStore(Protocol):
    """A store that has one owner at a time."""

    def end_runs(self, runs: Collection[RunRef]) -> None:
        """These runs of an earlier owner go on no longer."""
        ...


class Takeover(Generic[_Place]):
    """Waits for keepers of an earlier owner; see :class:`rescind.runtime.loop.Loop`."""

    name = "takeover"
    wakes_on: frozenset[Channel] = frozenset()

    def __init__(
        self,
        store: OwnedStore,
        going: Mapping[_Place, RunRef | None],
        look: Callable[[Collection[_Place]], Mapping[_Place, RunRef | None]],
    ) -> None:
        """``going``: the keepers that were there at the start, and what each may be running;
        ``look``: of these, those that still are.
        """
        self.waiter = EventWaiter()
        self._store = store
        self._going = going
        self._look = look

    def step(self) -> float:
        """End what has ended."""
        if not self._going:
            return limits.TAKEOVER_IDLE_SECONDS
        still = self._look(list(self._going))
        # A keeper that lives may have told, too, that nothing of its run is left.
        were = [(place, run) for place, run in self._going.items() if run is not None]
        ended = [run for place, run in were if still.get(place) != run]
        if ended:
            self._store.end_runs(ended)
            _log.info("runs of an earlier service have ended", jobs=[run.job_id for run in ended])
        self._going = still
        return limits.TAKEOVER_POLL_SECONDS
