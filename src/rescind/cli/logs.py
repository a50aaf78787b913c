"""The service's log: on standard error, JSON lines, or text on a terminal. What a library or Python
itself has to say comes out in the same form.
"""

import contextlib
import logging
import sys
import threading
from collections.abc import Callable
from typing import Any, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from rescind import limits
from rescind.clock import SystemClock


class _Unfailing:
    """Standard error, whose end or full disk must not end the service: a line that cannot be
    written is lost.
    """

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            return sys.stderr.write(text)
        return 0

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.flush()


class Throttle:
    """Lets through so many lines a second; the first one after that says how many it held back."""

    def __init__(self, elapsed: Callable[[], float]) -> None:
        self._elapsed = elapsed
        self._lock = threading.Lock()
        self._second = 0
        self._lines = 0
        self._held_back = 0

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        """As a processor of structlog."""
        with self._lock:
            second = int(self._elapsed())
            if second != self._second:
                self._second, self._lines = second, 0
            self._lines += 1
            if self._lines > limits.SERVICE_LOG_LINES_PER_SECOND:
                self._held_back += 1
                raise structlog.DropEvent
            if self._held_back:
                event["lines_held_back"], self._held_back = self._held_back, 0
        return event


class _Handler(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """A line that is held back, or cannot be said, is none."""


def log_to_stderr() -> None:
    """Set it up, for this process."""
    people = sys.stderr.isatty()
    stream = cast("TextIO", _Unfailing())
    throttle = Throttle(SystemClock().elapsed)
    before: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # Never the values of local variables.
        *([] if people else [structlog.processors.format_exc_info]),
        throttle,
    ]
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if people
        else structlog.processors.JSONRenderer(default=repr)
    )
    structlog.configure(
        processors=[*before, renderer], logger_factory=structlog.PrintLoggerFactory(stream)
    )
    _take_in_others(stream, before, renderer)


def _take_in_others(stream: TextIO, before: list[Processor], renderer: Processor) -> None:
    """What goes through the logging module, warnings, and what nobody catches."""
    handler = _Handler(stream)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_logger_name, *before],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.captureWarnings(capture=True)
    # The pool tells of every attempt to connect; that the store is away, we say ourselves.
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
    sys.unraisablehook = lambda given: _tell("an exception was ignored", given.exc_value)
    threading.excepthook = lambda given: _tell("a thread ended", given.exc_value)


def _tell(event: str, error: BaseException | None) -> None:
    given: Any = error or False
    structlog.get_logger().error(event, exc_info=given)
