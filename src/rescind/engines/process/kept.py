"""The child and its run, as their keeper knows them."""

import contextlib
import os
import socket
import subprocess
import sys

from rescind.engines.lines import Lines
from rescind.engines.process.frames import FrameReader, Message, frame

OUTPUTS = 2
"""Standard output and standard error."""


class KeptChild:
    """The child process and what connects it."""

    def __init__(self, modules: list[str]) -> None:
        ours, theirs = socket.socketpair()
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("RESCIND_")
        }
        program = "rescind.engines.process.child"
        self.process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-P", "-m", program, str(theirs.fileno()), str(os.getpid()), *modules],
            env=environment,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
        )
        theirs.close()
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.socket = ours
        self.pid = self.process.pid
        self.frames = FrameReader()
        self.outputs = {
            stream.fileno(): Lines() for stream in (self.process.stdout, self.process.stderr)
        }
        self.connected = True
        self.status: int | None = None
        """How it exited, once reaped."""
        for number in (ours.fileno(), *self.outputs):
            os.set_blocking(number, False)

    def send(self, message: Message) -> None:
        """Send a message; a child that does not read is as good as dead, which shows otherwise."""
        with contextlib.suppress(OSError):
            self.socket.sendall(frame(message))

    def descriptors(self) -> list[int]:
        """What to wait for: its outputs and its connection, as far as it has not closed them."""
        return [*self.outputs, *([self.socket.fileno()] if self.connected else [])]

    def close(self) -> None:
        """Let go of what connected it."""
        self.socket.close()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()


class KeptRun:
    """The run that the child is busy with."""

    def __init__(self, order: Message) -> None:
        self.id: list[int] = order["run"]
        self.grace_seconds: float = order["grace_seconds"]
        self.entered = False
        self.stopping = False
        self.force_at: float | None = None
        """When its grace is over."""
        self.fence_at: float | None = order["fence_at"]
        """When its lease is about to be over, and it must not go on."""

    @property
    def ends_at(self) -> float | None:
        """When it is to be ended by force, as things stand."""
        return min((at for at in (self.force_at, self.fence_at) if at is not None), default=None)
