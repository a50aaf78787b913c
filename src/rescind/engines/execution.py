"""One run of one processor's code, wherever it happens: entered, told to stop, ended."""

import asyncio
import importlib
import inspect
import math
import os
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any

import msgspec

from rescind import limits
from rescind.engines import calls
from rescind.engines.calls import AsyncCall, Call, PlainCall
from rescind.engines.interrupt import Interrupt
from rescind.engines.leaving import leave_copy
from rescind.engines.lines import storable
from rescind.engines.protocol import Ending
from rescind.sdk.context import JobContext
from rescind.sdk.job import Code, Processor
from rescind.sdk.stop import Stop, is_cancellation


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How the code came to its end."""

    ending: Ending
    result: Any = None
    error: str | None = None
    noticed: bool = False
    """Whether it had noticed that it was told to stop."""


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
    """Runs one processor. ``run`` is called once; ``stop`` and ``interrupt`` from another thread,
    at any time.

    ``stop``: that of ``context``. ``on_enter`` is called when nothing can keep it from entering the
    function any more, and before it does. ``interruptible``: it runs in the main thread.
    """

    def __init__(
        self,
        processor: Processor,
        context: JobContext,
        stop: Stop,
        *,
        on_enter: Callable[[], None] = lambda: None,
        interruptible: bool = False,
    ) -> None:
        self._processor = processor
        self._context = context
        self._stop = stop
        self._on_enter = on_enter
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._call = self._call_of(processor.code)
        self._interrupt = Interrupt(stop, self._call.where) if interruptible else None
        self._told = False
        self._entered = False
        self._unblocked = False
        """A hook has been run: what the function raises then tells of that."""
        self._hook_ended = threading.Event()
        self._hook_ended.set()

    def _call_of(self, code: Code) -> Call:
        if inspect.iscoroutinefunction(code):
            return AsyncCall(code, self._context, self._stop, self._end_copy)
        return PlainCall(code, self._context, self._stop)

    def stop(self, reason: str) -> bool:
        """Tell the code to stop; the first call counts. Whether :meth:`run_hook` must follow."""
        with self._lock:
            if self._told:
                return False
            self._told = True
            self._stop.reason = reason
            self._stop.event.set()
            entered = self._entered
            if has_hook := entered and self._processor.cancel_hook is not None:
                self._hook_ended.clear()
                self._unblocked = True
        if entered:
            self._call.cancel()
        return has_hook

    def prepare_interrupt(self, programs: Sequence[int]) -> None:
        """These (pidfds, which are taken over) are about to be ended; returns when nothing speaks
        against that.
        """
        if self._interrupt is not None and self._entered and programs:
            self._interrupt.prepare(programs)

    def interrupt(self, *, insist: bool) -> None:
        """It should have noticed by now: tell its loop again, or raise JobCancelled in it; even if
        it seems to be cleaning up, if ``insist`` is said.
        """
        with self._lock:
            if not self._entered or self._stop.noticed or self._interrupt is None:
                return
        self._call.cancel()
        self._interrupt.fire(insist=insist)

    def run(self) -> Outcome:
        """Enter the function and wait for its end, and its hook's."""
        with self._lock:
            if self._told:
                return Outcome(ending=Ending.NOT_ENTERED)
            self._on_enter()
            self._entered = True
        outcome = self._outcome()
        with self._lock:
            self._entered = False  # from here on no hook is begun
        self._hook_ended.wait()
        return outcome

    def _outcome(self) -> Outcome:
        try:
            try:
                result = self._call.run()
            finally:
                if self._interrupt is not None:
                    self._interrupt.end()
            self._end_copy(None)
        except BaseException as error:  # noqa: BLE001 - a user's code may raise anything
            self._end_copy(error)
            if self._told and is_cancellation(error):
                return Outcome(ending=Ending.STOPPED, noticed=True)
            text = error_text(error)
            if self._told:
                self._context.log(f"It was told to stop, and failed:\n{text}")
            noticed = self._stop.noticed or self._unblocked
            return Outcome(ending=Ending.RAISED, error=text, noticed=noticed)
        return msgspec.structs.replace(_bounded(result), noticed=self._stop.noticed)

    def _end_copy(self, error: BaseException | None) -> None:
        """A copy that the code has forked, and that came back here, does not speak for the run."""
        if os.getpid() != self._pid:
            leave_copy(error)

    def run_hook(self) -> None:
        """Run the hook, in a thread of its own if the function may have to be interrupted."""
        hook = self._processor.cancel_hook
        assert hook is not None
        try:
            returned = hook(self._context)
            if inspect.iscoroutine(returned):
                asyncio.run(returned)
            self._end_copy(None)
        except BaseException as error:  # noqa: BLE001 - a user's code may raise anything
            self._end_copy(error)
            if not is_cancellation(error):
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
    ours = (__file__, calls.__file__, asyncio.runners.__file__, asyncio.base_events.__file__)
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
    if _has_no_number(plain):
        message = "The job's result holds NaN or an infinity, which JSON does not have"
        return Outcome(ending=Ending.RAISED, error=message)
    if _depth(plain) > limits.JSON_DEPTH_MAX:
        message = f"The job's result is nested deeper than {limits.JSON_DEPTH_MAX}"
        return Outcome(ending=Ending.RAISED, error=message)
    return Outcome(ending=Ending.RETURNED, result=plain)


def _levels(value: Any) -> Iterator[list[Any]]:
    """What a value of JSON holds, level by level."""
    level = [value]
    while level:
        yield level
        level = [
            member
            for item in level
            if isinstance(item, list | dict)
            for member in (item.values() if isinstance(item, dict) else item)
        ]


def _depth(value: Any) -> int:
    """How deep lists and dicts are nested."""
    return sum(any(isinstance(item, list | dict) for item in level) for level in _levels(value))


def _has_no_number(value: Any) -> bool:
    """Whether a float in it is none that JSON can say."""
    return any(
        isinstance(item, float) and not math.isfinite(item)
        for level in _levels(value)
        for item in level
    )
