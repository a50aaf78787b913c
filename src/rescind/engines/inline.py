"""An engine for tests and tutorials: it runs the code in the worker's own thread.

It can ask (``cancelled``, the hook, asyncio's cancellation, checkpoints), but neither interrupt nor
force: a function that does not heed is waited for. One run at a time, and
while it runs its worker does nothing else: there are no time-outs, and a run whose lease is lost
goes on.
"""

import threading
from collections.abc import Mapping, Sequence

from rescind.clock import Clock
from rescind.engines.describe import add_working_directory, checked, describe
from rescind.engines.execution import Execution, Outcome, error_text, resolve
from rescind.engines.lines import lines_of
from rescind.engines.protocol import (
    Asked,
    Ended,
    Ending,
    EngineEvent,
    Logged,
    Order,
    Progressed,
    StopReason,
)
from rescind.lifecycle import Evidence
from rescind.model import JobMetadata, RunRef
from rescind.sdk.context import JobContext
from rescind.sdk.stop import Stop


class InlineEngine:
    """See the module, and :class:`rescind.engines.protocol.Engine`."""

    def __init__(self, modules: Sequence[str], *, clock: Clock) -> None:
        add_working_directory()
        self._modules = modules
        self._clock = clock
        self._woken = threading.Event()
        self._lock = threading.Lock()
        self._order: Order | None = None
        self._allowed: bool | None = None
        self._stop_reason: StopReason | None = None
        self._execution: Execution | None = None
        self._events: list[EngineEvent] = []

    def describe(self) -> Sequence[JobMetadata]:
        """See :meth:`Engine.describe`."""
        return checked(describe(self._modules))

    @property
    def problem(self) -> str | None:
        """See :meth:`Engine.problem`: it has imported them itself."""
        return None

    def obstacles(self) -> Mapping[str, str]:
        """See :meth:`Engine.obstacles`: all run here."""
        return {}

    def free(self) -> int:
        """See :meth:`Engine.free`."""
        return int(self._order is None)

    def start(self, order: Order) -> None:
        """See :meth:`Engine.start`."""
        with self._lock:
            self._order, self._allowed, self._stop_reason = order, None, None
        self._events.append(Asked(order.run))

    def permit(self, run: RunRef, allowed: bool) -> None:
        """See :meth:`Engine.permit`."""
        if self._order is not None and self._order.run == run:
            self._allowed = allowed

    def stop(self, run: RunRef, reason: StopReason) -> None:
        """See :meth:`Engine.stop`."""
        with self._lock:
            if self._order is None or self._order.run != run or self._stop_reason is not None:
                return
            self._stop_reason = reason
            execution = self._execution
        if execution is not None and execution.stop(reason):
            execution.run_hook()
        self.wake()

    def fence(self, at: float) -> None:
        """See :meth:`Engine.fence`; this engine cannot kill."""

    def poll(self, timeout_seconds: float) -> list[EngineEvent]:
        """See :meth:`Engine.poll`; this is where the code runs."""
        if self._order is not None and (self._allowed is not None or self._stop_reason):
            self._run(self._order)
        elif not self._events:
            self._woken.wait(timeout_seconds)
        self._woken.clear()
        heard, self._events = self._events, []
        return heard

    def wake(self) -> None:
        """See :meth:`Engine.wake`."""
        self._woken.set()

    def close(self) -> None:
        """See :meth:`Engine.close`; nothing runs between two polls."""

    def _run(self, order: Order) -> None:
        outcome = self._outcome(order)
        with self._lock:
            self._order, self._execution = None, None
        entered = outcome.ending is not Ending.NOT_ENTERED
        self._events.append(
            Ended(
                run=order.run,
                ending=outcome.ending,
                evidence=Evidence.STOPPED_ITSELF if entered else Evidence.NEVER_STARTED,
                result=outcome.result,
                error=outcome.error,
                noticed=outcome.noticed,
            )
        )

    def _outcome(self, order: Order) -> Outcome:
        if not self._allowed:
            return Outcome(ending=Ending.NOT_ENTERED)
        try:
            processor = resolve(order.processor)
        except Exception as error:  # noqa: BLE001 - importing runs a user's code
            return Outcome(ending=Ending.RAISED, error=error_text(error))
        stop = Stop()
        context = JobContext(
            job_id=order.run.job_id,
            attempt=order.run.attempt,
            parameters=order.parameters,
            on_log=lambda text: self._log(order.run, text),
            on_progress=lambda done, total: self._events.append(Progressed(order.run, done, total)),
            stop=stop,
        )
        execution = Execution(processor, context, stop)
        with self._lock:
            self._execution, reason = execution, self._stop_reason
        if reason is not None:
            execution.stop(reason)
        return execution.run()

    def _log(self, run: RunRef, text: str) -> None:
        at, after = self._clock.now(), self._stop_reason is StopReason.CANCEL
        self._events.extend(Logged(run, at, line, after) for line in lines_of(text))
