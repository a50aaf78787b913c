"""The connection to a run, as its keeper hears it."""

import contextlib
import socket
from collections.abc import Callable

from rescind import limits
from rescind.engines.process.frames import (
    MalformedFrameError,
    Message,
    pack,
    packet_pair,
    receive_packet,
    unpack,
)


class Voice:
    """See the module. What comes goes to ``on_message``."""

    def __init__(self) -> None:
        self.on_message: Callable[[Message], None] = lambda _: None
        self._line, line = packet_pair()
        self.handed = line.detach()
        """The other end."""
        self.connected = True
        """Neither the run nor a copy of it has closed the connection."""
        self.broken: str | None = None
        """Why the run cannot be understood any more."""

    def send(self, message: Message) -> None:
        """Tell the run something; that it does not listen shows otherwise."""
        with contextlib.suppress(OSError):
            self._line.send(pack(message), socket.MSG_DONTWAIT)

    def descriptors(self) -> list[int]:
        """What to listen to, as far as it has not been closed."""
        return [self._line.fileno()] if self.connected else []

    def hear(self) -> bool:
        """Take in one message. Whether there may be more."""
        if not self.connected:
            return False
        data = receive_packet(self._line)
        if data is None:
            return False
        self.connected = bool(data)
        if data:
            try:
                self.on_message(unpack(data))
            except (MalformedFrameError, KeyError, TypeError, ValueError) as error:
                self.connected = False
                self.broken = f"The job's process broke its connection: {error}"
        return self.connected

    def hear_rest(self) -> None:
        """When nobody speaks any more: what it still holds, within bounds."""
        for _ in range(limits.LAST_WORDS_PACKETS_MAX):
            if not self.hear():
                break

    def close(self) -> None:
        """Let go of the connection."""
        self._line.close()
