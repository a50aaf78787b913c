"""The init of one run as its keeper knows it: ordered, listened to, taken for lost when silent."""

import contextlib
import socket
from collections.abc import Callable

from rescind import limits
from rescind.clock import Clock
from rescind.engines.process.frames import Message, packet_pair, receive_packet, unpack
from rescind.engines.process.init import ASK
from rescind.engines.process.tree import Force


class Watcher:
    """See the module. ``on_message`` takes what it says of its run while this lives."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.on_message: Callable[[Message], None] = lambda _: None
        self._socket, theirs = packet_pair()
        self.handed = theirs.detach()
        """The other end."""
        self.gone = False
        """Nothing of the run is left; it says so, and how that came."""
        self.lost = False
        """It says nothing any more."""
        self.status: int | None = None
        self.force = Force.NONE
        self._asked = False
        self._answer_by: float | None = clock.elapsed() + limits.BIRTH_SECONDS_MAX

    @property
    def due(self) -> float | None:
        """When it must have said something."""
        return self._answer_by

    def act(self) -> None:
        """It, or who should have forked it, may have been silent for too long."""
        if self._answer_by is not None and self._clock.elapsed() >= self._answer_by:
            self.lost = True

    def order(self, order: bytes) -> None:
        """Whatever is ordered, it must answer in time."""
        self._answer_by = self._clock.elapsed() + limits.INIT_ANSWER_SECONDS
        with contextlib.suppress(OSError):  # gone or full: it will not answer
            self._socket.send(order, socket.MSG_DONTWAIT)

    def begin(self) -> None:
        """There is another run."""
        self._asked = False

    def ask(self) -> None:
        """Does it still answer? Once."""
        if not self._asked:
            self._asked = True
            self.order(ASK)

    def descriptors(self) -> list[int]:
        """What to listen to."""
        return [] if self.lost or self.gone else [self._socket.fileno()]

    def hear(self) -> None:
        """Take in what it said."""
        data = receive_packet(self._socket)
        if not data:
            self.lost |= data is not None and not self.gone
            return
        message = unpack(data)
        self._answer_by = None
        match message["is"]:
            case "here":
                pass  # it lives
            case "gone":
                self.gone = True
                self.status, self.force = message["status"], Force(message["force"])
            case kind:
                if kind == "killing":
                    self._answer_by = self._clock.elapsed() + limits.INIT_ANSWER_SECONDS
                self.on_message(message)

    def close(self) -> None:
        """Let go of the connection."""
        self._socket.close()
