"""The program that speaks with Ray, as the worker knows it: started again when it has ended."""

import contextlib
import os
import socket
import subprocess
import sys

from rescind import limits
from rescind.clock import Clock
from rescind.engines.process.frames import FrameReader, Message, frame
from rescind.errors import CannotStart

_READ_BYTES = 256 * 1024


class PlacerProgram:
    """See the module."""

    def __init__(self, address: str, clock: Clock) -> None:
        self._address = address
        self._clock = clock
        self._out = bytearray()
        self._early: list[Message] = []
        """Said together with that it has reached Ray."""
        self._looked_at = clock.elapsed()
        self._heard_at = clock.elapsed()
        self._frames = FrameReader()
        self._again_at: float | None = None
        self.socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._start()

    def _start(self) -> None:
        self.socket, theirs = socket.socketpair()
        words = [str(theirs.fileno()), str(os.getpid()), self._address]
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-P", "-m", "rescind.engines.ray.placer", *words],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._frames = FrameReader()
        self._out.clear()
        self._heard_at = self._clock.elapsed()

    def reach(self) -> str:
        """Where Ray knows this node. Raises CannotStart when Ray cannot be reached."""
        assert self.socket is not None
        self.socket.settimeout(limits.PLACER_REACH_SECONDS)
        try:
            while data := self.socket.recv(_READ_BYTES):
                self._early += self._frames.feed(data)
                if not self._early:
                    continue
                message = self._early.pop(0)
                if message["is"] != "reached":
                    raise CannotStart(str(message["error"]))
                self.socket.settimeout(None)
                return str(message["here"])
        except TimeoutError:
            pass
        finally:
            if self.socket.gettimeout() is not None:
                self.close()
        raise CannotStart(
            f"Ray at {self._address} cannot be reached: is it there, and is the extra installed "
            "(pip install 'rescind[ray]')?"
        )

    def say(self, message: Message) -> None:
        """Tell it something; one that is gone is started again, and what it was told is lost."""
        if self.socket is not None:
            self._out += frame(message)
            self._flush()

    @property
    def unsent(self) -> bool:
        """Whether it has not taken yet all that it was told."""
        return bool(self._out)

    def _flush(self) -> None:
        """It may stand still, as what it speaks with may: we must not."""
        with contextlib.suppress(OSError):  # full, or gone, which is heard
            while self._out and self.socket is not None:
                sent = self.socket.send(self._out, socket.MSG_DONTWAIT)
                del self._out[:sent]

    def hear(self) -> list[Message]:
        """What it has said."""
        if self.socket is None:
            return []
        self._flush()
        early, self._early = self._early, []
        now, looked_at = self._clock.elapsed(), self._looked_at
        self._looked_at = now
        if now >= looked_at + limits.PLACER_AGAIN_SECONDS:
            self._heard_at = now  # it is us who stood still, and maybe it as well
        try:
            data = self.socket.recv(_READ_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            if early or now < self._heard_at + limits.PLACER_REACH_SECONDS:
                return early
            return self._give_up("does not answer")
        except OSError:
            data = b""
        if not data:
            return self._give_up("is gone")
        self._heard_at = now
        messages = early + self._frames.feed(data)
        if any(message["is"] == "unreachable" for message in messages):
            self._end()  # it has said why, and ends
        return messages

    def _give_up(self, why: str) -> list[Message]:
        self._end()
        return [{"is": "unreachable", "error": f"Ray at {self._address} {why}."}]

    def look_after(self, now: float) -> None:
        """Start it again, when it has been gone for a while."""
        if self.socket is not None:
            return
        if self._again_at is None:
            self._again_at = now + limits.PLACER_AGAIN_SECONDS
        elif now >= self._again_at:
            self._again_at = None
            self._start()

    def _end(self) -> None:
        if self.socket is not None:
            self.socket.close()
        self.socket = None
        if self._process is not None:
            with contextlib.suppress(OSError):
                self._process.kill()
            self._process.wait()
        self._process = None

    def close(self) -> None:
        """End it."""
        self._end()
