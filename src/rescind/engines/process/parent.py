"""The warm parent as its keeper knows it: started, listened to, asked to fork, started again."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence

from rescind import limits
from rescind.clock import Clock
from rescind.engines.process.frames import Message, packet_pair, receive_packet, unpack


class Parent:
    """See the module. ``how``: ``auto``, ``fork`` or ``fresh``."""

    def __init__(self, clock: Clock, modules: Sequence[str], *, how: str, group_only: bool) -> None:
        self._clock = clock
        self._modules = modules
        self._how = how
        self._reach = "group" if group_only else "tree"
        self._why: str | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._exited = False
        self._warm_by = 0.0
        self.is_warm = False
        """It has imported what it imports, and can fork."""
        self.error: str | None = None
        """Why it could not become warm."""

    @property
    def due(self) -> float | None:
        """When it must be warm."""
        return None if self.is_warm or self._process is None else self._warm_by

    @property
    def is_there(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None

    def start(self) -> None:
        """Start one."""
        self._socket, theirs = packet_pair()
        words = [str(theirs.fileno()), str(os.getpid()), self._how, self._reach, *self._modules]
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-P", "-m", "rescind.engines.process.warm", *words],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                process_group=0,
            )
        self._exited, self.is_warm, self.error = False, False, None
        # It says itself where it is when it takes too long, unless it cannot.
        self._warm_by = self._clock.elapsed() + self._import_seconds

    @property
    def _import_seconds(self) -> float:
        return max(1, len(self._modules)) * limits.IMPORT_SECONDS_MAX + 1

    @property
    def ready_seconds(self) -> float:
        """How long a run that it forks may take to be ready."""
        imports = self._import_seconds if self._how == "fresh" else 0.0
        return limits.BIRTH_SECONDS_MAX + imports

    def descriptors(self) -> list[int]:
        """What to listen to."""
        return [] if self._socket is None or self.is_warm else [self._socket.fileno()]

    def heed_exit(self, pid: int, status: int) -> None:
        """Somebody was reaped; maybe it."""
        if self._process is not None and pid == self._process.pid:
            self._process.returncode = os.waitstatus_to_exitcode(status)
            self._exited = True

    def look(self) -> Message | None:
        """Take in what it said and whether it lives; what its worker is told of it, if anything."""
        told = None
        if self._socket is not None:
            data = receive_packet(self._socket)
            if data:
                told = self._heed(unpack(data))
            elif data is not None:
                self._fail("ended the process")
        if self._exited:
            self._fail("ended the process")
        elif self.due is not None and self._clock.elapsed() >= self.due:
            self._fail(f"took longer than {limits.IMPORT_SECONDS_MAX:g} seconds")
        return told

    def _fail(self, how: str) -> None:
        """It is of no use any more."""
        if not self.is_warm and self._process is not None:
            self.error = f"Importing the job modules {how}."
        self._let_go()

    def _heed(self, message: Message) -> Message | None:
        if message["is"] == "broken":
            self.error = message["error"]
            self._let_go()
        elif self._how == "auto" and message["why"] is not None:
            self._how, self._why = "fresh", message["why"]
            self._let_go()  # it must not be forked; the next one imports nothing
        else:
            self.is_warm = True
            how = "fresh" if self._how == "fresh" else "fork"
            return {"is": "warm", "how": how, "why": self._why, "opened": message["opened"]}
        return None

    def fork(self, handed: Sequence[int], lock: int | None) -> None:
        """Have it fork an init and a run that these connect; they are let go of here."""
        assert self._socket is not None
        try:
            socket.send_fds(self._socket, [b"!"], [*handed, *([] if lock is None else [lock])])
        except OSError:
            self._let_go()  # it has just ended; the run is lost before its birth
        for number in handed:
            os.close(number)

    def _let_go(self) -> None:
        """End it: it may stand still. The keeper reaps it as everything else that is below it."""
        if self._socket is not None:
            self._socket.close()
        if self._process is not None:
            if not self._exited:
                os.kill(self._process.pid, signal.SIGKILL)  # ours, and not reaped
            self._process.returncode = self._process.returncode or 0
        self._socket, self._process = None, None
        self._exited, self.is_warm = False, False
