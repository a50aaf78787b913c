"""A keeper on some node, as the worker knows it: asked for, connected, ready, running, gone."""

import contextlib
import select
import socket
import threading
from enum import Enum

from msgspec import Struct

from rescind import ids, limits
from rescind.engines.process.frames import FrameReader, Message, frame, is_lost
from rescind.engines.protocol import Order
from rescind.engines.ray.sealing import Plain, Sealing
from rescind.model import RunRef

_READ_BYTES = 256 * 1024


class Shape(Struct, frozen=True, order=True):
    """What a run asks of its node, or what there is of that."""

    cpus: float = 1.0
    memory_mib: int = 0
    """0: it does not say."""

    def fits(self, there: "Shape") -> bool:
        """Whether there is enough."""
        return self.cpus <= there.cpus and self.memory_mib <= there.memory_mib

    def __add__(self, other: "Shape") -> "Shape":
        return Shape(self.cpus + other.cpus, self.memory_mib + other.memory_mib)

    def times_in(self, there: "Shape") -> int:
        """How often it fits."""
        times = [float(limits.SLOTS_MAX)]
        if self.cpus > 0:
            times.append(there.cpus // self.cpus)
        if self.memory_mib > 0:
            times.append(there.memory_mib // self.memory_mib)
        return int(min(times))

    def __str__(self) -> str:
        processors = "processor" if self.cpus == 1 else "processors"
        memory = f" and {self.memory_mib:,} MiB" if self.memory_mib else ""
        return f"{self.cpus:g} {processors}{memory}"


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
        self.waits_since = now
        """Since when its first order, or the order that it has, waits for its keeper."""
        self.idle_at = now
        self.until = now
        """Until then it was told to go on: if it is not heard any more, it has ended by then."""
        self.socket: socket.socket | None = None
        self._frames = FrameReader(2 * limits.FRAME_BYTES_MAX)
        self._sealing: Sealing = Plain()
        self._out = bytearray()
        self.ready = False
        self.order: Order | None = None
        """What it is to run once it is ready."""
        self.run: RunRef | None = None
        self.stopping = False
        self.permitted = False
        self._lock = threading.RLock()

    def is_over(self, now: float) -> bool:
        """Whether it has ended by now, heard or not: it had its time, and some to kill and go."""
        return now >= self.until + limits.LEASE_MARGIN_SECONDS

    def connect(
        self, connection: socket.socket, sealing: Sealing, seconds: float, now: float
    ) -> None:
        """Its keeper is there, has proved it, and may go on for so long."""
        self.socket, self._sealing = connection, sealing
        self.stage = Stage.KEPT
        self.may_go_on(now + seconds)
        self.send({"do": "welcome", "seconds": seconds})

    def may_go_on(self, until: float) -> None:
        """It is told so now. It may not hear of less than it was told before."""
        self.until = max(self.until, until)

    def send(self, message: Message) -> bool:
        """Send something; whether its keeper was connected, as far as is known. What the connection
        does not take at once is ``unsent``: see :meth:`flush`.
        """
        with self._lock:
            if self.socket is None:
                return False
            try:
                self._out += self._sealing.sealed(frame(message))
            except OSError:  # TLS has failed: it is heard as the end of the connection
                with contextlib.suppress(OSError):
                    self.socket.shutdown(socket.SHUT_RDWR)
            self.flush()
            return True

    @property
    def unsent(self) -> bool:
        """Whether something waits until the connection takes more."""
        return bool(self._out)

    def flush(self) -> None:
        """Send what the connection takes of what is unsent."""
        with self._lock:
            try:
                while self._out and self.socket is not None:
                    sent = self.socket.send(self._out, socket.MSG_DONTWAIT)
                    del self._out[:sent]
            except OSError as error:
                if is_lost(error):  # nobody takes it any more: what comes last is still heard
                    self._out.clear()

    def has_said_more(self) -> bool:
        """Whether its keeper has said something, or gone, that was not heard yet."""
        with self._lock:
            if self.socket is None:
                return False
            poll = select.poll()
            poll.register(self.socket, select.POLLIN)
            return bool(poll.poll(0))

    def hear(self) -> list[Message] | None:
        """What its keeper has said; None when it is connected no more. Raises MalformedFrameError,
        and OSError when it cannot be its keeper who says it.
        """
        with self._lock:
            assert self.socket is not None
            try:
                data = self.socket.recv(_READ_BYTES, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return []
            except OSError:
                data = b""
            if not data:
                return None
            clear = self._sealing.opened(data)
            self._out += self._sealing.sealed()
            self.flush()
        return self._frames.feed(clear)

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
