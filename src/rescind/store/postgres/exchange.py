"""Wake-ups between the processes on one PostgreSQL database, by LISTEN and NOTIFY.

A wake-up says nothing but that rows of its channel may want looking at. It is sent after the
commit it speaks of, in a transaction of its own: inside, it would make commits wait for one
another.
"""

import contextlib
import os
import select
import threading
from collections.abc import Collection

import psycopg

from rescind.store.postgres.database import connect, translated
from rescind.store.postgres.transaction import Connection
from rescind.store.protocol import Channel

_PREFIX = "rescind_"


class PostgresExchange:
    """See :class:`rescind.store.protocol.Exchange`. One connection, outside any pool."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Connection | None = None
        self._lock = threading.Lock()
        self._pending: set[Channel] = set()
        self._heard: set[Channel] = set()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)

    def post(self, channels: Collection[Channel]) -> None:
        """See :meth:`Exchange.post`."""
        with self._lock:
            self._pending.update(channels)
        self.wake()

    @property
    def pending(self) -> bool:
        """See :meth:`Exchange.pending`."""
        return bool(self._pending)

    def send(self) -> None:
        """See :meth:`Exchange.send`."""
        with self._lock:
            channels, self._pending = self._pending, set()
        if not channels:
            return
        try:
            self._execute(
                "SELECT pg_notify(name, '') FROM unnest(%s::text[]) AS name",
                [_PREFIX + channel for channel in sorted(channels)],
            )
        except BaseException:
            self.post(channels)
            raise

    def receive(self) -> set[Channel]:
        """See :meth:`Exchange.receive`."""
        self._execute("")  # takes in what has come, and notices a connection that is gone
        heard, self._heard = self._heard, set()
        return heard

    def wait(self, seconds: float) -> None:
        """See :meth:`Exchange.wait`."""
        poll = select.poll()
        poll.register(self._wake_read, select.POLLIN)
        if self._connection is not None:
            poll.register(self._connection.fileno(), select.POLLIN)
        poll.poll(seconds * 1000)
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wake_read, 512):
                pass

    def wake(self) -> None:
        """See :meth:`Exchange.wake`."""
        with contextlib.suppress(OSError):  # full, which wakes; or closed
            os.write(self._wake_write, b"!")

    def close(self) -> None:
        """See :meth:`Exchange.close`."""
        self._disconnect()
        for descriptor in {self._wake_read, self._wake_write} - {-1}:
            os.close(descriptor)
        self._wake_read = self._wake_write = -1

    def _execute(self, text: str, *parameters: object) -> None:
        try:
            with translated():
                if self._connection is None:
                    self._connection = self._connect()
                self._connection.execute(text.encode(), parameters or None)
        except BaseException:
            self._disconnect()
            raise

    def _connect(self) -> Connection:
        connection = connect(self._url, autocommit=True)
        connection.add_notify_handler(self._hear)
        listens = (f'LISTEN "{_PREFIX}{channel}";' for channel in Channel)
        connection.execute("".join(listens).encode())
        # Whatever was sent until now was not heard.
        self._heard.update(Channel)
        return connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _hear(self, notification: psycopg.Notify) -> None:
        ours = self._connection is not None and (
            notification.pid == self._connection.info.backend_pid
        )
        name = notification.channel.removeprefix(_PREFIX)
        if not ours and name in set(Channel):
            self._heard.add(Channel(name))
