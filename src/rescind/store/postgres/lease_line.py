"""The line on which a worker keeps its lease: a connection of its own, where no answer is waited
for longer than a bound. What the pool's connections are busy with does not hold it up; and a line
that is acknowledged but never answered, as a proxy may leave it, is given up in time.
"""

import threading
from datetime import timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row

from rescind.store.postgres.database import configure, conninfo, translated
from rescind.store.postgres.transaction import sql


class LeaseLine:
    """Runs statements of leases, one at a time. ``seconds``: for an answer."""

    def __init__(self, url: str, *, lease: timedelta, seconds: float) -> None:
        self._url = url
        self._lease = lease
        self._seconds = seconds
        self._connection: _Impatient | None = None
        self._lock = threading.Lock()

    def ask(self, name: str, worker: str) -> bool:
        """Run a statement, and commit; whether it returned a row. Raises StoreUnavailable."""
        try:
            with self._lock, translated():
                if self._connection is None:
                    self._connection = _Impatient.open(self._url, self._seconds)
                cursor = self._connection.execute(
                    sql(name).encode(), {"worker": worker, "lease": self._lease}
                )
                return cursor.description is not None and cursor.fetchone() is not None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class _Impatient(psycopg.Connection[dict[str, Any]]):
    """A connection that waits for nothing longer than a bound."""

    patience_seconds: float

    @classmethod
    def open(cls, url: str, seconds: float) -> "_Impatient":
        """Connect, and set what every promise rests on."""
        connection = cls.connect(conninfo(url), autocommit=True, row_factory=dict_row)
        assert isinstance(connection, cls)
        connection.patience_seconds = seconds
        try:
            configure(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def wait(self, *arguments: Any, **options: Any) -> Any:
        """As of any connection; raises OperationalError when there is no answer in time."""
        return super().wait(*arguments, **{"timeout": self.patience_seconds, **options})
