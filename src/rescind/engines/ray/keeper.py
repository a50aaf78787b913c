"""A keeper on a node of a cluster: as every keeper, but its worker is reached by TCP.

It is detached from whoever has started it, so that nobody's clean-up takes it along. It asks its
worker for time again and again: each answer says for how many seconds, counted from the question.
Who hears no answer kills what it keeps, and goes; its worker waits as long before it takes the run
for lost.
"""

import contextlib
import os
import socket
import sys

import msgspec
from msgspec import Struct

from rescind import limits
from rescind.clock import SystemClock
from rescind.engines.process.frames import FrameReader, Message, frame
from rescind.engines.process.keeper import Keeper
from rescind.engines.process.parent import Parent
from rescind.engines.process.system import (
    become_subreaper,
    forget_environment,
    name_process,
)
from rescind.engines.ray import handshake


class Spec(Struct, frozen=True, kw_only=True):
    """What a keeper on a node is told when it is started."""

    id: str
    secret: bytes
    """Of this keeper alone. It stands in no environment and no list of arguments."""
    host: str
    port: int
    """Where its worker listens."""
    modules: list[str]
    warm: str
    folder: str
    """Where job modules are looked for, too, if it is there."""


class NodeKeeper(Keeper):
    """See the module."""

    def __init__(
        self, clock: SystemClock, worker: socket.socket, parent: Parent, until: float
    ) -> None:
        """``until``: when it goes, unless it hears that it may go on."""
        super().__init__(clock, worker, parent, None)
        self._until = until
        self._beats: dict[int, float] = {}
        """When each question that was not answered was asked."""
        self._beat = 0
        self._beat_at = 0.0
        self._beat_seconds = limits.NODE_BEAT_SECONDS

    def _own_due(self) -> float | None:
        return min(self._until, self._beat_at)

    def _hear_worker(self) -> bool:
        heard = super()._hear_worker()
        now = self._clock.elapsed()
        if now >= self._beat_at:
            self._beat += 1
            self._beat_at = now + self._beat_seconds
            self._beats[self._beat] = now
            self._send({"is": "beat", "beat": self._beat})
        return heard and now < self._until

    def _obey(self, message: Message) -> None:
        if message["do"] == "go on":
            asked_at = self._beats.pop(message["beat"], None)
            for older in [beat for beat in self._beats if beat < message["beat"]]:
                del self._beats[older]
            if asked_at is not None:
                self._until = asked_at + message["seconds"]
                often = message["seconds"] / limits.LEASE_RENEWALS
                self._beat_seconds = min(limits.NODE_BEAT_SECONDS, often)
                message = {"do": "fence", "run": self._run_id(), "fence_at": self._until}
        elif message["do"] == "end":
            self._until = min(self._until, self._clock.elapsed() + message["seconds"])
            message = {"do": "fence", "run": self._run_id(), "fence_at": self._until}
        elif message["do"] == "run":
            message = {**message, "fence_at": self._until}
        super()._obey(message)

    def _run_id(self) -> list[int] | None:
        return None if self._run is None else self._run.id

    def keep(self) -> None:
        """As every keeper; its last word is that nothing is left."""
        super().keep()
        self._send({"is": "gone"})


def _connected(spec: Spec, clock: SystemClock) -> tuple[socket.socket, float]:
    """The connection to the worker, after each has proved itself to the other, and until when the
    keeper may go on without hearing more. Raises OSError when there is no such worker.
    """
    worker = socket.create_connection((spec.host, spec.port), limits.NODE_CONNECT_SECONDS)
    worker.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    asked = handshake.nonce()
    worker.sendall(frame({"is": "keeper", "id": spec.id, "nonce": asked}))
    frames = FrameReader()
    answer = _next(worker, frames)
    if not handshake.proves(answer, spec.secret, handshake.WORKER, asked):
        raise OSError("whoever answers is not our worker")
    proof = handshake.proof(spec.secret, handshake.KEEPER, answer["nonce"])
    proved_at = clock.elapsed()
    worker.sendall(frame({"is": "proved", "proof": proof}))
    seconds = float(_next(worker, frames)["seconds"])
    worker.settimeout(None)
    return worker, proved_at + seconds


def _next(worker: socket.socket, frames: FrameReader) -> Message:
    """The one message that comes."""
    while True:
        data = worker.recv(limits.NODE_HELLO_BYTES_MAX)
        if not data:
            raise OSError("the worker does not want us")
        if found := frames.feed(data):
            return found[0]


def _detach() -> None:
    """Become nobody's child, and of no group and no session of others."""
    for _ in range(2):
        if os.fork() > 0:
            os._exit(0)
        with contextlib.suppress(OSError):  # the second time it is not needed
            os.setsid()


def main() -> None:
    """Keep: its spec comes by standard input, ended; the argument is a descriptor that hears its
    pid, and stays open as long as the keeper lives.
    """
    hold = int(sys.argv[1])
    spec = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Spec)
    _detach()
    os.set_inheritable(hold, False)
    os.write(hold, f"{os.getpid()}\n".encode())
    forget_environment("RESCIND_")
    name_process("rescind-keeper")
    _leave_streams()
    with contextlib.suppress(OSError):
        os.chdir(spec.folder)
    clock = SystemClock()
    worker, until = _connected(spec, clock)
    worker.set_inheritable(False)
    become_subreaper()
    parent = Parent(clock, spec.modules, how=spec.warm, group_only=False)
    NodeKeeper(clock, worker, parent, until).keep()


def _leave_streams() -> None:
    """Whoever has started it must not wait for its output."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1):
        os.dup2(nowhere, number)


if __name__ == "__main__":
    main()
