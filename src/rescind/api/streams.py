"""Pages that go on while somebody watches: server-sent events, one look at the store for all who
watch the same.

Everything here happens on the event loop; a look takes a thread while it lasts, a stream none.
"""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import structlog

from rescind import limits
from rescind.api.http import Live, Request
from rescind.errors import RequestRefused, StoreUnavailable
from rescind.wire.error_types import ErrorType

_log = structlog.get_logger()

Run = Callable[[Callable[[], Any]], Awaitable[Any]]
"""How something that blocks is done: on a thread of a bounded pool."""


class Streams:
    """All that are open in this process."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._watches: dict[object, _Watch] = {}
        self._open: Counter[int] = Counter()
        """How many each user has."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._draining = False

    def drain(self) -> None:
        """End them all, and begin no other; from any thread."""
        self._draining = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        for watch in self._watches.values():
            watch.end()

    def require_room(self, request: Request) -> None:
        """Raises RequestRefused, API_LIMIT_EXCEEDED, where there is no room for another stream."""
        user_id, most = request.signed_in.user.id, limits.LIVE_STREAMS_OF_USER_MAX
        if self._draining or self._open.total() >= limits.LIVE_STREAMS_MAX:
            raise RequestRefused(ErrorType.API_LIMIT_EXCEEDED, "No more streams can be followed.")
        if self._open[user_id] >= most:
            raise RequestRefused(ErrorType.API_LIMIT_EXCEEDED, f"You follow {most} streams.")

    async def follow(
        self, live: Live, request: Request, still: Callable[[], bool]
    ) -> AsyncIterator[bytes]:
        """The events of one stream: ``regions``, JSON of HTML by the ids of elements, whenever some
        have changed; ``over`` when whoever watches may no longer, as ``still`` tells.
        """
        self._loop = asyncio.get_running_loop()
        user_id = request.signed_in.user.id
        self._open[user_id] += 1
        watch = self._watches.get(live.key)
        if watch is None or watch.ended:  # somebody slow may still hold one that has ended
            watch = self._watches[live.key] = _Watch(live, self._run, self._watches.__len__)
        watch.watchers += 1
        try:
            async for event in self._events(watch, still):
                yield event
        finally:
            self._open[user_id] -= 1
            watch.watchers -= 1
            if not watch.watchers:
                watch.end()
                if self._watches.get(live.key) is watch:
                    del self._watches[live.key]

    async def _events(self, watch: "_Watch", still: Callable[[], bool]) -> AsyncIterator[bytes]:
        watch.begin()
        loop = asyncio.get_running_loop()
        seen, looked_at = 0, loop.time()
        yield b"retry: 1000\n\n"
        while not (watch.ended or self._draining):
            left = looked_at + limits.LIVE_SESSION_SECONDS - loop.time()
            if left <= 0:
                if not await self._still(still):
                    yield OVER
                    return
                looked_at = loop.time()
                yield b": still here\n\n"  # a client that is gone is noticed
            elif changed := watch.since(seen):
                seen = watch.version
                yield _event("regions", json.dumps(changed))
            else:
                await watch.change(left)
        if watch.refusal is not None:
            yield _event("refused", json.dumps(watch.refusal))

    async def _still(self, still: Callable[[], bool]) -> bool:
        try:
            return bool(await self._run(still))
        except StoreUnavailable:
            return True  # it is asked again


def _event(name: str, data: str) -> bytes:
    return f"event: {name}\ndata: {data}\n\n".encode("utf-8", "replace")


OVER = _event("over", "")
"""Whoever watches may no longer."""


class _Watch:
    """What some streams show, looked at again and again while there are any."""

    def __init__(self, live: Live, run: Run, among: Callable[[], int]) -> None:
        """``among``: how many there are, this one counted."""
        self._live = live
        self._run = run
        self._among = among
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._regions: dict[str, tuple[int, str]] = {}
        """The HTML of each, and since which version."""
        self._took = 0.0
        """The last look, in seconds, without waiting for its thread."""
        self.watchers = 0
        self.version = 0
        self.ended = False
        self.refusal: str | None = None
        """Why it cannot be shown any more."""

    def begin(self) -> None:
        """Begin to look, if nobody has yet."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._look_on())

    def end(self) -> None:
        """End all streams that show it."""
        self.ended = True
        self._changed.set()
        if self._task is not None:
            self._task.cancel()

    def since(self, version: int) -> Mapping[str, str]:
        """The regions that have changed after a version."""
        return {name: html for name, (at, html) in self._regions.items() if at > version}

    async def change(self, seconds: float) -> None:
        """Wait for the next version, or for so long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)

    async def _look_on(self) -> None:
        time = asyncio.get_running_loop().time
        state: object = None
        while not self.ended:
            try:
                look = await self._run(partial(self._looked, state, time))
            except RequestRefused as refusal:
                self.refusal = refusal.message
                self.end()
                return
            except StoreUnavailable as error:
                _log.warning("store unavailable", what="a page that goes on", error=str(error))
                look = None
            except Exception:  # noqa: BLE001 - whoever watches asks anew; it is logged
                _log.exception("a look failed")
                self.end()
                return
            if look is not None:
                state, regions = look
                self._tell(regions)
            took = self._took * self._among()
            await asyncio.sleep(max(limits.LIVE_LOOK_SECONDS, took / limits.LIVE_LOOK_SHARE))

    def _looked(
        self, before: object, time: Callable[[], float]
    ) -> tuple[object, Mapping[str, str]] | None:
        """What there is to see, and how it looks; None if that is as before."""
        began = time()
        state = self._live.look()
        regions = None if state == before else self._live.regions(state)
        self._took = time() - began
        return None if regions is None else (state, regions)

    def _tell(self, regions: Mapping[str, str]) -> None:
        new = {
            name: (self.version + 1, html)
            for name, html in regions.items()
            if name not in self._regions or self._regions[name][1] != html
        }
        if new:
            self.version += 1
            self._regions |= new
            self._changed.set()
            self._changed = asyncio.Event()
