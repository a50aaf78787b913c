"""What code logs by :mod:`logging`, where it has set up nothing that prints it."""

import contextlib
import logging
import sys
from collections.abc import Callable
from typing import Any

_ELSEWHERE = (
    "HTTPHandler",
    "NTEventLogHandler",
    "SMTPHandler",
    "SocketHandler",
    "SysLogHandler",
)
"""Of :mod:`logging.handlers`, those that send elsewhere."""


def _prints_nothing(handler: logging.Handler) -> bool:
    """Whether it is known to print nothing. Any other may, and then its lines are those to show."""
    handlers = sys.modules.get("logging.handlers")  # costs every slot memory to import
    elsewhere = () if handlers is None else tuple(getattr(handlers, name) for name in _ELSEWHERE)
    return isinstance(handler, (logging.FileHandler, logging.NullHandler, *elsewhere))


class LogHandler(logging.Handler):
    """Passes level, logger and message on, from INFO on; not what another handler prints."""

    def __init__(self, log: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self._log = log
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))

    def createLock(self) -> None:  # noqa: N802 - logging's name
        """None: a signal's handler may log while its thread does."""
        self.lock = contextlib.nullcontext()  # type: ignore[assignment]  # acquire and release are below

    def acquire(self) -> None:
        """See :meth:`createLock`."""

    def release(self) -> None:
        """See :meth:`createLock`."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log it."""
        if self._is_printed(record):
            return
        try:
            self._log(self.format(record))
        except Exception:  # noqa: BLE001 - a message that cannot be put together
            self.handleError(record)

    def _is_printed(self, record: logging.LogRecord) -> bool:
        logger: logging.Logger | None = logging.getLogger(record.name)
        while logger is not None:
            for handler in logger.handlers:
                if handler is self or _prints_nothing(handler):
                    continue
                if record.levelno >= handler.level:
                    return True
            logger = logger.parent if logger.propagate else None
        return False


class _Handlers(list[Any]):
    """Handlers. Ours does not count: ``logging.basicConfig`` sets up what is asked of it."""

    def __len__(self) -> int:
        return sum(not isinstance(handler, LogHandler) for handler in self)


def take_logging(log: Callable[[str], None]) -> None:
    """Send what code logs by :mod:`logging` to ``log``."""
    root = logging.getLogger()
    if not root.handlers and root.level == logging.WARNING:
        root.setLevel(logging.INFO)
    others = [handler for handler in root.handlers if not isinstance(handler, LogHandler)]
    root.handlers = _Handlers([*others, LogHandler(log)])
