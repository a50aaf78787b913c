"""``@job``: declares that a function is a job's code."""

import inspect
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from msgspec import UNSET, UnsetType, structs

from rescind import limits
from rescind.errors import ConfigurationError
from rescind.lifecycle import CANCELLABLE_IN_DEFAULT, Status
from rescind.model import DEFAULT_QUEUE, JobMetadata
from rescind.sdk.context import JobContext

Code = Callable[[JobContext], Any] | Callable[[JobContext], Awaitable[Any]]

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*__c")


class Processor:
    """A function with what ``@job`` says of it; calling it calls the function."""

    def __init__(
        self, code: Code, metadata: JobMetadata, *, interrupted_with_hook: bool = True
    ) -> None:
        """``interrupted_with_hook``: its ``interrupt_seconds`` hold also when it has a hook."""
        self.code = code
        self.metadata = metadata
        self._interrupted_with_hook = interrupted_with_hook
        self.cancel_hook: Code | None = None
        self.__name__ = code.__name__
        self.__doc__ = code.__doc__
        self.__wrapped__ = code

    def __call__(self, context: JobContext) -> Any:
        """Call the function itself."""
        return self.code(context)

    def on_cancel(self, hook: Code) -> Code:
        """Declare (as a decorator) what to call once when a run is told to stop.

        The hook runs beside the function, on another thread: use it to unblock what the function
        waits for, such as a query. The run is over when both have ended. A function with a hook is
        interrupted only if ``interrupt_seconds`` is given.
        """
        if not self._interrupted_with_hook:
            self.metadata = structs.replace(self.metadata, interrupt_seconds=None)
        self.cancel_hook = hook
        return hook


def job(
    name: str,
    *,
    title: str | None = None,
    queue: str = DEFAULT_QUEUE,
    idempotent: bool = False,
    cancellable_in: Iterable[str] = CANCELLABLE_IN_DEFAULT,
    grace_seconds: float = limits.GRACE_SECONDS_DEFAULT,
    timeout_minutes: float = limits.TIMEOUT_MINUTES_DEFAULT,
    inactivity_minutes: float | None = None,
    attempts_max: int = 1,
    retry_seconds: float = limits.RETRY_SECONDS_DEFAULT,
    interrupt_seconds: float | UnsetType | None = UNSET,
    terminate_seconds: float = limits.TERMINATE_SECONDS_DEFAULT,
) -> Callable[[Code], Processor]:
    """Declare a function of one :class:`JobContext`, plain or ``async``, as the code of a job.

    ``name`` is that of its job metadata: lower case, ending in ``__c``. ``idempotent``: it may
    be started again after its worker was lost. ``cancellable_in``: of QUEUEING, QUEUED and
    RUNNING; SCHEDULED always is. ``grace_seconds``: how long it may take to stop when asked
    politely. ``interrupt_seconds``: after which part of that, at most half, a function that has not
    noticed is interrupted; None: never; by default 1, and None where there is an ``on_cancel``
    hook. ``terminate_seconds``: between SIGTERM and SIGKILL. ``attempts_max`` and
    ``retry_seconds``: how often, and after which doubling delay, it is tried again when it raises.

    Raises ConfigurationError naming everything that is wrong.
    """
    asked = [str(status) for status in cancellable_in]
    permitted = sorted(CANCELLABLE_IN_DEFAULT)
    checks = {
        f"name {name!r} must be lower-case words joined by single underscores, then __c, "
        f"at most {limits.NAME_CHARACTERS_MAX} characters before it": bool(_NAME.fullmatch(name))
        and len(name) <= limits.NAME_CHARACTERS_MAX + len("__c"),
        f"title {title!r} must have 1 to {limits.TITLE_CHARACTERS_MAX} characters": title is None
        or 0 < len(title) <= limits.TITLE_CHARACTERS_MAX,
        f"cancellable_in {asked} must be of {', '.join(permitted)}": set(asked) <= set(permitted),
        f"grace_seconds {grace_seconds!r} must be from 0 to {limits.GRACE_SECONDS_MAX:g}": 0
        <= grace_seconds
        <= limits.GRACE_SECONDS_MAX,
        f"timeout_minutes {timeout_minutes!r} must be more than 0, at most "
        f"{limits.TIMEOUT_MINUTES_MAX}": 0 < timeout_minutes <= limits.TIMEOUT_MINUTES_MAX,
        f"inactivity_minutes {inactivity_minutes!r} must be more than 0": inactivity_minutes is None
        or inactivity_minutes > 0,
        f"attempts_max {attempts_max!r} must be from 1 to {limits.ATTEMPTS_MAX}": 1
        <= attempts_max
        <= limits.ATTEMPTS_MAX,
        f"retry_seconds {retry_seconds!r} must be from 0 to {limits.RETRY_SECONDS_MAX:g}": 0
        <= retry_seconds
        <= limits.RETRY_SECONDS_MAX,
        f"interrupt_seconds {interrupt_seconds!r} must be from 0 to {limits.GRACE_SECONDS_MAX:g}, "
        "or None": interrupt_seconds is None
        or interrupt_seconds is UNSET
        or 0 <= interrupt_seconds <= limits.GRACE_SECONDS_MAX,
        f"terminate_seconds {terminate_seconds!r} must be from 0 to "
        f"{limits.TERMINATE_SECONDS_MAX:g}": 0 <= terminate_seconds <= limits.TERMINATE_SECONDS_MAX,
    }
    problems = [f"@job({name!r}): {sentence}." for sentence, fine in checks.items() if not fine]
    if problems:
        raise ConfigurationError(*problems)

    def declare(code: Code) -> Processor:
        if not inspect.isfunction(code):
            raise ConfigurationError(f"@job({name!r}): it must stand over a function.")
        metadata = JobMetadata(
            name=name,
            processor=f"{code.__module__}:{code.__qualname__}",
            title=title or name,
            queue=queue,
            idempotent=idempotent,
            cancellable_in=frozenset(Status(status) for status in asked),
            grace_seconds=float(grace_seconds),
            timeout_seconds=timeout_minutes * 60.0,
            inactivity_seconds=None if inactivity_minutes is None else inactivity_minutes * 60.0,
            attempts_max=attempts_max,
            retry_seconds=float(retry_seconds),
            terminate_seconds=float(terminate_seconds),
        )
        if interrupt_seconds is UNSET:
            return Processor(code, metadata, interrupted_with_hook=False)
        explicit = None if interrupt_seconds is None else float(interrupt_seconds)
        return Processor(code, structs.replace(metadata, interrupt_seconds=explicit))

    return declare
