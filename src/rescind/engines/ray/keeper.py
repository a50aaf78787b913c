"""A keeper on a node of a cluster: as every keeper, but its worker is reached by TCP.

It is detached from whoever has started it, so that nobody's clean-up takes it along. It asks its
worker for time again and again: each answer says for how many seconds, counted from the question.
Who hears no answer kills what it keeps, and goes; its worker waits as long before it takes the run
for lost.
"""

import contextlib
import os
import signal
import socket
import sys
from typing import NamedTuple, NoReturn

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
from rescind.engines.ray.sealing import Sealing, of_keeper


class Spec(Struct, frozen=True, kw_only=True):
    """What a keeper on a node is told when it is started."""

    id: str
    secret: bytes
    """Of this keeper alone. It stands in no environment and no list of arguments."""
    host: str
    port: int
    """Where its worker listens."""
    certificate: bytes | None = None
    """Of its worker, DER; None: they speak without TLS."""
    modules: list[str]
    warm: str
    folder: str
    """Where job modules are looked for, too, if it is there."""


class NodeKeeper(Keeper):
    """See the module."""

    def __init__(self, clock: SystemClock, welcome: "Welcome", parent: Parent) -> None:
        super().__init__(clock, welcome.worker, parent, None)
        self._sealing = welcome.sealing
        self._until = welcome.until
        """When it goes, unless it hears that it may go on."""
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
            if asked_at is None:
                return
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

    def _opened(self, data: bytes) -> bytes:
        try:
            clear = self._sealing.opened(data)
        except OSError:
            self._until = self._clock.elapsed()  # there is no hearing it any more
            return b""
        self._out += self._sealed(b"")
        return clear

    def _sealed(self, data: bytes) -> bytes:
        try:
            return self._sealing.sealed(data)
        except OSError:
            self._until = self._clock.elapsed()
            return b""

    def _run_id(self) -> list[int] | None:
        return None if self._run is None else self._run.id

    def keep(self) -> None:
        """As every keeper; its last word is that nothing is left."""
        super().keep()
        self._send({"is": "gone"})


class Welcome(NamedTuple):
    """What a keeper has when each has proved itself to the other."""

    worker: socket.socket
    sealing: Sealing
    until: float
    """When it goes, unless it hears more."""


class _Knock:
    """A connection to the worker, before that has said that the keeper is welcome. Raises OSError
    when there is no such worker.
    """

    def __init__(self, spec: Spec) -> None:
        self._frames = FrameReader()
        self._sealing = of_keeper(spec.certificate)
        self._worker = socket.create_connection((spec.host, spec.port), limits.NODE_CONNECT_SECONDS)
        self._worker.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sealing.opened(b"")
        while not self._sealing.shaken:
            self._worker.sendall(self._sealing.sealed())
            self._sealing.opened(self._come())

    def welcome(self, spec: Spec, clock: SystemClock) -> Welcome:
        asked = handshake.nonce()
        self._say({"is": "keeper", "id": spec.id, "nonce": asked})
        answer = self._next()
        if not handshake.proves(answer, spec.secret, handshake.WORKER, asked):
            raise OSError("whoever answers is not our worker")
        proof = handshake.proof(spec.secret, handshake.KEEPER, answer["nonce"])
        proved_at = clock.elapsed()
        self._say({"is": "proved", "proof": proof})
        seconds = float(self._next()["seconds"])
        self._worker.settimeout(None)
        return Welcome(self._worker, self._sealing, proved_at + seconds)

    def _say(self, message: Message) -> None:
        self._worker.sendall(self._sealing.sealed(frame(message)))

    def _next(self) -> Message:
        """The one message that comes."""
        while True:
            if found := self._frames.feed(self._sealing.opened(self._come())):
                return found[0]

    def _come(self) -> bytes:
        data = self._worker.recv(limits.NODE_HELLO_BYTES_MAX)
        if not data:
            raise OSError("the worker does not want us")
        return data


def _detach(hold: int) -> None:
    """Become the child of nobody but a guard, and of no group and no session of others."""
    if os.fork() > 0:
        os._exit(0)
    os.setsid()
    if (keeper := os.fork()) > 0:
        os.close(hold)
        _guard(keeper)
    os.setsid()


def _guard(keeper: int) -> NoReturn:
    """Make a keeper go on whenever something has stopped it, as a job may: it keeps its run's
    times. Ends with it.
    """
    name_process("rescind-guard")
    _leave_streams()
    while True:
        _, status = os.waitpid(keeper, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            os._exit(0)
        os.kill(keeper, signal.SIGCONT)


def main() -> None:
    """Keep: its spec comes by standard input, ended; the argument is a descriptor that stays open
    as long as the keeper lives.
    """
    hold = int(sys.argv[1])
    spec = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Spec)
    _detach(hold)
    os.set_inheritable(hold, False)
    forget_environment("RESCIND_")
    name_process("rescind-keeper")
    _leave_streams()
    with contextlib.suppress(OSError):
        os.chdir(spec.folder)
    clock = SystemClock()
    welcome = _Knock(spec).welcome(spec, clock)
    welcome.worker.set_inheritable(False)
    become_subreaper()
    parent = Parent(clock, spec.modules, how=spec.warm, group_only=False)
    NodeKeeper(clock, welcome, parent).keep()


def _leave_streams() -> None:
    """Whoever has started it must not wait for its output."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1):
        os.dup2(nowhere, number)


if __name__ == "__main__":
    main()
