"""One run of one processor's code, wherever it happens: entered, told to stop, ended."""

import asyncio
import contextlib
import importlib
import inspect
import os
import threading
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any

import msgspec

from rescind import limits
from rescind.engines.leaving import leave_copy
from rescind.engines.lines import storable
from rescind.engines.protocol import Ending
from rescind.sdk.context import JobCancelled, JobContext
from rescind.sdk.job import Code, Processor


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How the code came to its end."""

    ending: Ending
    result: Any = None
    error: str | None = None


def resolve(path: str) -> Processor:
    """The processor at ``module:attribute``.

    Raises whatever importing its module raises, or LookupError when there is none.
    """
    module_name, _, attribute = path.partition(":")
    found = getattr(importlib.import_module(module_name), attribute, None)
    if not isinstance(found, Processor):
        raise LookupError(  # noqa: TRY004 - what is missing there is a job
            f"{path} is not a job: nothing there was declared with @job"
        )
    return found


class Execution:
    """Runs one processor. ``run`` is called once; ``stop`` from another thread, at any time.

    ``on_enter`` is called when nothing can keep it from entering the function any more, and before
    it does.
    """

    def __init__(
        self,
        processor: Processor,
        context: JobContext,
        on_enter: Callable[[], None] = lambda: None,
    ) -> None:
        self._processor = processor
        self._context = context
        self._on_enter = on_enter
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._cancel_task: Callable[[], None] | None = None
        self._entered = False
        self._hook_ended = threading.Event()
        self._hook_ended.set()

    def stop(self, reason: str) -> None:
        """Tell the code to stop, by every polite means, and run its hook; the first call counts."""
        with self._lock:
            if self._context.cancelled.is_set():
                return
            self._context.stop_reason = reason
            self._context.cancelled.set()
            cancel_task, entered = self._cancel_task, self._entered
            if entered and self._processor.cancel_hook is not None:
                self._hook_ended.clear()
        if cancel_task is not None:
            cancel_task()
        if not self._hook_ended.is_set():
            self._run_hook(self._processor.cancel_hook)

    def run(self) -> Outcome:
        """Enter the function and wait for its end, and its hook's."""
        with self._lock:
            if self._context.cancelled.is_set():
                return Outcome(ending=Ending.NOT_ENTERED)
            self._on_enter()
            self._entered = True
        outcome = self._call()
        with self._lock:
            self._entered = False  # from here on no hook is begun
        self._hook_ended.wait()
        return outcome

    def _call(self) -> Outcome:
        try:
            result = self._returned()
            self._end_copy(None)
        except BaseException as error:  # noqa: BLE001 - a user's code may raise anything
            self._end_copy(error)
            stopped = self._context.cancelled.is_set()
            if stopped and isinstance(error, JobCancelled | asyncio.CancelledError):
                return Outcome(ending=Ending.STOPPED)
            return Outcome(ending=Ending.RAISED, error=error_text(error))
        return _bounded(result)

    def _end_copy(self, error: BaseException | None) -> None:
        """A copy that the code has forked, and that came back here, does not speak for the run."""
        if os.getpid() != self._pid:
            leave_copy(error)

    def _returned(self) -> Any:
        code = self._processor.code
        if inspect.iscoroutinefunction(code):
            return asyncio.run(self._awaited(code))
        return code(self._context)

    async def _awaited(self, code: Code) -> Any:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None

        def cancel_task() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has just been closed
                loop.call_soon_threadsafe(task.cancel)

        with self._lock:
            self._cancel_task = cancel_task
            if self._context.cancelled.is_set():
                task.cancel()
        try:
            result = await code(self._context)
            self._end_copy(None)  # at once: by closing its loop it would deafen the run's own
        except BaseException as error:
            self._end_copy(error)
            raise
        return result

    def _run_hook(self, hook: Code | None) -> None:
        assert hook is not None
        try:
            returned = hook(self._context)
            if inspect.iscoroutine(returned):
                asyncio.run(returned)
            self._end_copy(None)
        except BaseException as error:  # noqa: BLE001 - a user's code may raise anything
            self._end_copy(error)
            with contextlib.suppress(JobCancelled):
                self._context.log(f"The on_cancel hook failed:\n{error_text(error)}")
        finally:
            self._hook_ended.set()


def error_text(error: BaseException) -> str:
    """The traceback without our own frames in front; its end, when it is too long."""
    lines = traceback.format_exception(type(error), error, _users_part(error.__traceback__))
    encoded = storable("".join(lines).rstrip()).encode()
    return encoded[-limits.ERROR_BYTES_MAX :].decode("utf-8", "ignore")


def _users_part(frames: TracebackType | None) -> TracebackType | None:
    """The traceback from the first frame of the user's; asyncio's count as ours."""
    ours = (__file__, asyncio.runners.__file__, asyncio.base_events.__file__)
    while frames is not None and frames.tb_frame.f_code.co_filename in ours:
        frames = frames.tb_next
    return frames


def _bounded(result: Any) -> Outcome:
    """A returned value, if it is JSON and not too large."""
    try:
        size = len(msgspec.json.encode(result))
    except (TypeError, ValueError, RecursionError) as error:
        return Outcome(ending=Ending.RAISED, error=f"The job's result is not JSON: {error}")
    if size > limits.RESULT_BYTES_MAX:
        message = f"The job's result has {size} bytes of JSON, more than {limits.RESULT_BYTES_MAX}"
        return Outcome(ending=Ending.RAISED, error=message)
    plain = msgspec.to_builtins(result)
    if _depth(plain) > limits.JSON_DEPTH_MAX:
        message = f"The job's result is nested deeper than {limits.JSON_DEPTH_MAX}"
        return Outcome(ending=Ending.RAISED, error=message)
    return Outcome(ending=Ending.RETURNED, result=plain)


def _depth(value: Any) -> int:
    """How deep lists and dicts are nested."""
    depth, level = 0, [value]
    while level := [item for item in level if isinstance(item, list | dict)]:
        depth += 1
        level = [
            member
            for item in level
            for member in (item.values() if isinstance(item, dict) else item)
        ]
    return depth
