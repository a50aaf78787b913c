"""How often the status of one job may be asked for in profile vault (Vault: Job Status)."""

import threading
from collections import OrderedDict

from rescind import limits


class Polling:
    """Counts what this process has answered."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answered: OrderedDict[int, float] = OrderedDict()
        """When each job was answered, oldest first; forgotten when its time is over."""

    def admit(self, job_id: int, elapsed: float) -> bool:
        """Whether the job may be answered now; a refusal does not make the wait longer."""
        with self._lock:
            over = elapsed - limits.STATUS_POLL_SECONDS
            while self._answered and next(iter(self._answered.values())) <= over:
                self._answered.popitem(last=False)
            if job_id in self._answered:
                return False
            self._answered[job_id] = elapsed
            return True
