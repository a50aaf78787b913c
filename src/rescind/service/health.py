"""Whether the service can serve. Anyone may ask, so the question is not put to the store each
time: a real write would be a brake on everything else.
"""

import threading
from collections.abc import Callable

import structlog

from rescind import limits
from rescind.clock import Clock
from rescind.errors import StoreUnavailable
from rescind.store.protocol import Store

_log = structlog.get_logger()


class Health:
    """Asks the store at most every ``READY_CHECK_SECONDS``. ``problem``: why no job runs here."""

    def __init__(
        self, store: Store, clock: Clock, problem: Callable[[], str | None] = lambda: None
    ) -> None:
        self.draining = False
        """Whether this process was told to stop: who balances load should go elsewhere."""
        self._on_drain: list[Callable[[], object]] = []
        self._problem = problem
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._asked_at = float("-inf")
        self._ready = False

    def on_drain(self, told: Callable[[], object]) -> None:
        """Have ``told`` called when this process is told to stop."""
        self._on_drain.append(told)

    def drain(self) -> None:
        """This process was told to stop."""
        self.draining = True
        for told in self._on_drain:
            told()

    def trouble(self) -> str | None:
        """Why this process should be sent nothing, in a line; None when it can serve."""
        if self.draining:
            return "draining"
        if not self._store_is_there():
            return "unavailable"
        problem = self._problem()
        return None if problem is None else f"unavailable: {problem}"

    def _store_is_there(self) -> bool:
        """Whether it could be read and written when it was last asked."""
        with self._lock:
            if self._clock.elapsed() >= self._asked_at + limits.READY_CHECK_SECONDS:
                self._ready = self._ask()
                self._asked_at = self._clock.elapsed()
            return self._ready

    def _ask(self) -> bool:
        try:
            self._store.check()
        except StoreUnavailable:
            return False
        except Exception:  # noqa: BLE001 - whatever is wrong with it, it cannot serve; it is logged
            _log.exception("the store cannot be checked")
            return False
        return True
