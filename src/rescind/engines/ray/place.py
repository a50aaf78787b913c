"""A keeper on some node, as the worker knows it: asked for, connected, ready, running, gone."""

import contextlib
import socket
import threading
from enum import Enum

from msgspec import Struct

from rescind import ids, limits
from rescind.engines.process.frames import FrameReader, Message, frame
from rescind.engines.protocol import Order
from rescind.model import RunRef


class Shape(Struct, frozen=True):
    """What a run asks of its node."""

    cpus: float = 1.0
    memory_mib: int = 0
    """0: it does not say."""


class Stage(Enum):
    """How far a keeper is."""

    ASKED = "Ray looks for a place, or its keeper is on its way"
    KEPT = "connected: it is ready, gets ready, or runs"
    LOST = "its connection has ended, and it may still live until its time is up"
    ENDING = "it was told to end, and has not said that nothing is left"


class Place:
    """See the module. ``send`` and what it leads to may be called from any thread."""

    def __init__(self, shape: Shape, now: float) -> None:
        self.id = ids.opaque_id()
        self.secret = ids.mark() + ids.mark()
        self.shape = shape
        self.stage = Stage.ASKED
        self.asked_at = now
        self.idle_at = now
        self.until = now
        """Until then it was told to go on: if it is not heard any more, it has ended by then."""
        self.socket: socket.socket | None = None
        self.frames = FrameReader(2 * limits.FRAME_BYTES_MAX)
        self.ready = False
        self.problem: str | None = None
        self.order: Order | None = None
        """What it is to run once it is ready."""
        self.run: RunRef | None = None
        self.stopping = False
        self.permitted = False
        self._lock = threading.RLock()

    def is_over(self, now: float) -> bool:
        """Whether it has ended by now, heard or not: it had its time, and some to kill and go."""
        return now >= self.until + limits.LEASE_MARGIN_SECONDS

    def connect(self, connection: socket.socket, seconds: float, now: float) -> None:
        """Its keeper is there, has proved it, and may go on for so long."""
        self.socket, self.stage, self.until = connection, Stage.KEPT, now + seconds
        self.send({"do": "welcome", "seconds": seconds})

    def send(self, message: Message) -> bool:
        """Whether it could be sent: what does not fit into the connection at once is not."""
        data = frame(message)
        with self._lock:
            if self.socket is None:
                return False
            try:
                return self.socket.send(data, socket.MSG_DONTWAIT) == len(data)
            except OSError:
                return False

    def start(self, run: RunRef, message: Message) -> bool:
        """Start a run; whether its keeper could be told."""
        with self._lock:
            self.run, self.stopping, self.permitted, self.ready = run, False, False, False
            return self.send(message)

    def permit(self, run: RunRef, message: Message) -> None:
        """Answer a run, if it is this one's."""
        with self._lock:
            if self.run == run:
                self.permitted = self.permitted or bool(message["allowed"])
                self.send(message)

    def stop(self, run: RunRef, message: Message) -> bool:
        """Ask the run to stop, once; False when its keeper has not been told of it yet."""
        with self._lock:
            if self.run == run and not self.stopping:
                self.stopping = True
                self.send(message)
            return self.run == run

    def let_go(self) -> None:
        """Tell it to end, by ending what it hears."""
        with self._lock:
            if self.socket is not None:
                with contextlib.suppress(OSError):
                    self.socket.shutdown(socket.SHUT_WR)
        self.stage, self.ready = Stage.ENDING, False

    def close(self) -> None:
        """Forget its connection."""
        with self._lock:
            if self.socket is not None:
                self.socket.close()
            self.socket = None
