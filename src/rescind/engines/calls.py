"""The two ways to call a job's function, a plain and an ``async`` one, and how each is stopped."""

import asyncio
import contextlib
import os
import selectors
import threading
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from types import CodeType, FrameType
from typing import Any, Protocol

from rescind.engines.interrupt import Where
from rescind.sdk.context import JobContext
from rescind.sdk.stop import Stop

EndCopy = Callable[[BaseException | None], None]
"""Ends the process that calls it if it is a copy that the code has forked."""


class Call(Protocol):
    """One call of a job's function. ``run`` is called once; the others from any thread."""

    def run(self) -> Any:
        """What the function returns; raises what it raises."""
        ...

    def cancel(self) -> None:
        """Tell it to stop; once more, if it has not noticed."""
        ...

    def where(self, frame: FrameType | None) -> Where:
        """What runs in a frame of the main thread."""
        ...


class PlainCall:
    """See :class:`Call`. Where the code runs a loop of its own, that loop's task is told."""

    def __init__(self, code: Callable[[JobContext], Any], context: JobContext, stop: Stop) -> None:
        self._code = code
        self._context = context
        self._stop = stop
        self._loop: LoopStop | None = None

    def run(self) -> Any:
        """See :meth:`Call.run`."""
        return self._code(self._context)

    def cancel(self) -> None:
        """See :meth:`Call.cancel`: there is no way but to interrupt it."""

    def where(self, frame: FrameType | None) -> Where:
        """See :meth:`Call.where`."""
        wanted: CodeType = self._code.__code__
        if not any(found.f_code is wanted for found in _stack(frame)):
            return Where.OUTSIDE
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            return Where.FUNCTION
        if self._loop is None or self._loop.loop is not running:
            self._loop = LoopStop(running, None, self._stop, self._stop.notice)
            self._loop.ask()
            return Where.OUTSIDE  # the loop may well turn
        return self._loop.where(frame)


class LoopStop:
    """The stop of an event loop: its task is cancelled as soon as the loop turns. ``task``: the one
    to cancel; None: the one that the loop runs until it is done.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        task: asyncio.Task[Any] | None,
        stop: Stop,
        on_cancel: Callable[[], None] = lambda: None,
    ) -> None:
        self.loop = loop
        self._task = task
        self._stop = stop
        self._on_cancel = on_cancel
        self._turned = False
        self._looks = 0

    def ask(self) -> None:
        """Have the task cancelled, from any thread."""
        with contextlib.suppress(RuntimeError):  # it has just been closed
            self.loop.call_soon_threadsafe(self.cancel)

    def cancel(self) -> None:
        """Cancel it, in the loop."""
        self._turned = True
        if self._stop.raised:
            return  # or its clean-up would be cut off
        self._on_cancel()
        for task in [self._task] if self._task is not None else _main_tasks(self.loop):
            task.cancel()

    def where(self, frame: FrameType | None) -> Where:
        """What runs in a frame of the loop's thread."""
        if self._turned:
            return Where.HEEDED
        if not any(_is_users(found) for found in _stack(frame)):
            return Where.OUTSIDE
        self._looks += 1
        if self._task is None and self._looks < _LOOKS:
            return Where.OUTSIDE
        tasks = [self._task] if self._task is not None else _main_tasks(self.loop)
        return Where.FUNCTION if asyncio.current_task(self.loop) in tasks else Where.BESIDE


_LOOKS = 5
"""That a loop which was told only just has time to turn."""


def _main_tasks(loop: asyncio.AbstractEventLoop) -> list[asyncio.Task[Any]]:
    """The task that the loop runs until it is done; where that cannot be told, all of them."""
    tasks = list(asyncio.all_tasks(loop))
    ends_loop = getattr(asyncio.base_events, "_run_until_complete_cb", None)
    main = [
        task
        for task in tasks
        if any(found[0] is ends_loop for found in getattr(task, "_callbacks", None) or ())
    ]
    return main or tasks


class AsyncCall:
    """See :class:`Call`. Its event loop tells its task, as soon as the loop turns."""

    def __init__(
        self,
        code: Callable[[JobContext], Awaitable[Any]],
        context: JobContext,
        stop: Stop,
        end_copy: EndCopy,
    ) -> None:
        self._code = code
        self._context = context
        self._stop = stop
        self._end_copy = end_copy
        self._lock = threading.Lock()
        self._loop: LoopStop | None = None
        self._asked = False

    def run(self) -> Any:
        """See :meth:`Call.run`."""
        return asyncio.run(self._main())

    def cancel(self) -> None:
        """See :meth:`Call.cancel`."""
        with self._lock:
            self._asked = True
            loop = self._loop
        if loop is not None:
            loop.ask()

    def where(self, frame: FrameType | None) -> Where:
        """See :meth:`Call.where`."""
        return Where.OUTSIDE if self._loop is None else self._loop.where(frame)

    async def _main(self) -> Any:
        task, running = asyncio.current_task(), asyncio.get_running_loop()
        with self._lock:
            self._loop = loop = LoopStop(running, task, self._stop)
            asked = self._asked
        self._stop.narrow(lambda: asyncio.current_task(running) is task)
        if asked:
            loop.cancel()
        try:
            result = await _Watched(self._code(self._context), self._heed)
            self._end_copy(None)  # at once: by closing its loop it would deafen the run's own
        except BaseException as error:
            self._end_copy(error)
            raise
        return result

    def _heed(self) -> None:
        """CancelledError is about to be raised in the function."""
        if self._asked:
            self._stop.raised = True
            self._stop.notice()


class _Watched:
    """An awaitable that tells when CancelledError is raised in it."""

    def __init__(self, awaited: Awaitable[Any], on_cancelled: Callable[[], None]) -> None:
        self._steps: Generator[Any, Any, Any] | Coroutine[Any, Any, Any] = (
            awaited if asyncio.iscoroutine(awaited) else awaited.__await__()
        )
        self._on_cancelled = on_cancelled

    def __await__(self) -> Generator[Any, Any, Any]:
        return self

    __iter__ = __await__

    def __next__(self) -> Any:
        return self._steps.send(None)

    def send(self, value: Any) -> Any:
        """As of a coroutine."""
        return self._steps.send(value)

    def throw(self, *error: Any) -> Any:
        """As of a coroutine."""
        if isinstance(error[0], asyncio.CancelledError) or error[0] is asyncio.CancelledError:
            self._on_cancelled()
        return self._steps.throw(*error)

    def close(self) -> None:
        """As of a coroutine."""
        self._steps.close()


_ASYNCIO = os.path.dirname(asyncio.__file__)  # noqa: PTH120 - compared with a frame's


def _is_users(frame: FrameType) -> bool:
    """Whether it is of none of those that make a loop turn."""
    name = frame.f_code.co_filename
    return not (name.startswith(_ASYNCIO) or name == selectors.__file__)


def _stack(frame: FrameType | None) -> Iterator[FrameType]:
    """A frame and those that called it, down to ours."""
    while frame is not None and frame.f_code.co_filename != __file__:
        yield frame
        frame = frame.f_back
