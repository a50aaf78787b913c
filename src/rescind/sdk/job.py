"""``@job``: declares that a function is a job's code."""

import inspect
import math
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


_NAME_RULE = (
    "be lower-case words joined by single underscores, then __c, at most "
    f"{limits.NAME_CHARACTERS_MAX} characters before it"
)
_TITLE_RULE = f"be a text of 1 to {limits.TITLE_CHARACTERS_MAX} characters"
_POSITIVE = math.ulp(0.0)
_MINUTES_MAX = 2**31


class Processor:
    """A function with what ``@job`` says of it; calling it calls the function."""

    def __init__(
        self,
        code: Code,
        metadata: JobMetadata,
        *,
        runs_per_process: int = 1,
        interrupted_with_hook: bool = True,
        cpus: float = 1.0,
        memory_mib: int = 0,
    ) -> None:
        """``interrupted_with_hook``: its ``interrupt_seconds`` hold also when it has a hook."""
        self.code = code
        self.metadata = metadata
        self.runs_per_process = runs_per_process
        self.cpus, self.memory_mib = cpus, memory_mib
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
    runs_per_process: int = 1,
    cpus: float = 1.0,
    memory_mib: int = 0,
) -> Callable[[Code], Processor]:
    """Declare a function of one :class:`JobContext`, plain or ``async``, as the code of a job.

    ``name`` is that of its job metadata: lower case, ending in ``__c``. ``idempotent``: it may
    be started again after its worker was lost. ``cancellable_in``: of QUEUEING, QUEUED and
    RUNNING; SCHEDULED always is. ``grace_seconds``: how long it may take to stop when asked
    politely. ``interrupt_seconds``: after which part of that, at most half, a function that has not
    noticed is interrupted; None: never; by default 1, and None where there is an ``on_cancel``
    hook. ``terminate_seconds``: between SIGTERM and SIGKILL. ``attempts_max`` and
    ``retry_seconds``: how often, and after which doubling delay, it is tried again when it raises.
    ``runs_per_process``: how many runs of it a process may serve, one after the other, because its
    code leaves nothing behind that another run would find. ``cpus`` and ``memory_mib``: what the
    engine ``ray`` finds a node with room for; others do not heed them.

    Raises ConfigurationError naming everything that is wrong.
    """
    permitted = ", ".join(sorted(CANCELLABLE_IN_DEFAULT))
    asked = _statuses(cancellable_in)
    checks: list[tuple[str, Any, bool, str]] = [
        ("name", name, _is_name(name), _NAME_RULE),
        ("title", title, title is None or _is_title(title), _TITLE_RULE),
        ("queue", queue, _is_queue(queue), "be the name of a queue"),
        ("idempotent", idempotent, isinstance(idempotent, bool), "be True or False"),
        ("cancellable_in", cancellable_in, asked is not None, f"be of {permitted}"),
        _within("grace_seconds", grace_seconds, 0, limits.GRACE_SECONDS_MAX),
        _within("timeout_minutes", timeout_minutes, _POSITIVE, limits.TIMEOUT_MINUTES_MAX),
        _within("inactivity_minutes", inactivity_minutes, _POSITIVE, _MINUTES_MAX, none=True),
        _within("attempts_max", attempts_max, 1, limits.ATTEMPTS_MAX, kind=int),
        _within("retry_seconds", retry_seconds, 0, limits.RETRY_SECONDS_MAX),
        _within("terminate_seconds", terminate_seconds, 0, limits.TERMINATE_SECONDS_MAX),
        _within("runs_per_process", runs_per_process, 1, limits.RUNS_PER_PROCESS_MAX, kind=int),
        _within("cpus", cpus, 0, limits.CPUS_MAX),
        _within("memory_mib", memory_mib, 0, limits.MEMORY_MIB_MAX, kind=int),
    ]
    if interrupt_seconds is not UNSET:
        most = limits.GRACE_SECONDS_MAX
        checks.append(_within("interrupt_seconds", interrupt_seconds, 0, most, none=True))
    problems = [
        f"@job({_shown(name)}): {argument} {_shown(value)} must {rule}."
        for argument, value, fine, rule in checks
        if not fine
    ]
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
            cancellable_in=asked or frozenset(),
            grace_seconds=float(grace_seconds),
            timeout_seconds=timeout_minutes * 60.0,
            inactivity_seconds=None if inactivity_minutes is None else inactivity_minutes * 60.0,
            attempts_max=attempts_max,
            retry_seconds=float(retry_seconds),
            terminate_seconds=float(terminate_seconds),
        )
        if interrupt_seconds is not UNSET:
            explicit = None if interrupt_seconds is None else float(interrupt_seconds)
            metadata = structs.replace(metadata, interrupt_seconds=explicit)
        return Processor(
            code,
            metadata,
            runs_per_process=runs_per_process,
            interrupted_with_hook=interrupt_seconds is not UNSET,
            cpus=float(cpus),
            memory_mib=memory_mib,
        )

    return declare


def _is_name(name: object) -> bool:
    longest = limits.NAME_CHARACTERS_MAX + len("__c")
    return isinstance(name, str) and bool(_NAME.fullmatch(name)) and len(name) <= longest


def _is_queue(queue: object) -> bool:
    return isinstance(queue, str) and queue != ""


def _is_title(title: object) -> bool:
    return isinstance(title, str) and 0 < len(title) <= limits.TITLE_CHARACTERS_MAX


def _statuses(given: object) -> frozenset[Status] | None:
    """The statuses that these are, if a job may be cancelled in each."""
    if isinstance(given, str) or not isinstance(given, Iterable):
        return None
    words = [str(status) for status in given]
    permitted = CANCELLABLE_IN_DEFAULT.issuperset(words)
    return frozenset(Status(word) for word in words) if permitted else None


def _within(
    name: str,
    value: object,
    least: float,
    most: float,
    *,
    kind: type[int] | type[float] = float,
    none: bool = False,
) -> tuple[str, Any, bool, str]:
    kinds = int if kind is int else (int, float)
    is_one = isinstance(value, kinds) and not isinstance(value, bool)
    fine = (none and value is None) or (is_one and least <= value <= most)  # type: ignore[operator]
    noun = "a whole number" if kind is int else "a number"
    above = "more than 0, at most" if least == _POSITIVE else f"from {least:g} to"
    return name, value, fine, f"be {noun} {above} {most:g}{', or None' if none else ''}"


def _shown(value: object) -> str:
    text = repr(value)
    most = limits.ITEM_VALUE_CHARACTERS_SHOWN
    return text if len(text) <= most else f"{text[:most]}…"
