"""Burst accounting: requests per user in fixed windows, reported in headers."""

import threading
from datetime import datetime

from rescind import limits
from rescind.clock import to_milliseconds


class Burst:
    """Counts what this process has answered."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._window = 0
        self._counts: dict[int, int] = {}

    def count(self, user_id: int, now: datetime) -> int:
        """Count one request; how many the user has left in this window, negative beyond it."""
        window = to_milliseconds(now) // (limits.BURST_WINDOW_SECONDS * 1000)
        with self._lock:
            if window != self._window:
                self._window = window
                self._counts.clear()
            self._counts[user_id] = self._counts.get(user_id, 0) + 1
            return limits.BURST_REQUESTS_MAX - self._counts[user_id]
