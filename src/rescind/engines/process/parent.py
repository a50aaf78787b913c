"""The warm parent as its keeper knows it: started, listened to, asked to fork, started again."""

import os
import socket
import subprocess
import sys
from collections.abc import Sequence

from rescind.engines.process.frames import PACKET_BYTES_MAX, Message, packet_pair, unpack


class Parent:
    """See the module. ``how``: ``auto``, ``fork`` or ``fresh``."""

    def __init__(self, modules: Sequence[str], *, how: str, group_only: bool) -> None:
        self._modules = modules
        self._how = how
        self._reach = "group" if group_only else "tree"
        self._why: str | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._exited = False
        self.is_warm = False
        """It has imported what it imports, and can fork."""
        self.error: str | None = None
        """Why it could not become warm."""

    @property
    def is_there(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None

    def start(self) -> None:
        """Start one."""
        self._socket, theirs = packet_pair()
        self._socket.setblocking(False)
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
            try:
                data = self._socket.recv(PACKET_BYTES_MAX)
            except OSError:
                data = b""
            if data:
                told = self._heed(unpack(data))
        if self._exited:
            if not self.is_warm and self.error is None:
                status = None if self._process is None else self._process.returncode
                self.error = f"Importing the job modules ended the process (exit status {status})."
            self._let_go()
        return told

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
            self.is_warm = False  # it has just ended; the run is lost before its birth
        for number in handed:
            os.close(number)

    def _let_go(self) -> None:
        """Without its connection it exits, and the keeper reaps it as everything else."""
        if self._socket is not None:
            self._socket.close()
        if self._process is not None:
            self._process.returncode = self._process.returncode or 0
        self._socket, self._process = None, None
        self._exited, self.is_warm = False, False
