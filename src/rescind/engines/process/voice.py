"""What a run says and prints, as its keeper hears it."""

import contextlib
import os
import socket
from collections.abc import Callable

from rescind import limits
from rescind.engines.lines import Lines
from rescind.engines.process.frames import (
    MalformedFrameError,
    Message,
    pack,
    packet_pair,
    receive_packet,
    unpack,
)

_READ_BYTES = 64 * 1024


class Voice:
    """The connection to a run and its two outputs. What comes goes to ``on_message`` and
    ``on_lines``.
    """

    def __init__(
        self, on_message: Callable[[Message], None], on_lines: Callable[[list[str]], None]
    ) -> None:
        self._on_message = on_message
        self._on_lines = on_lines
        self._line, line = packet_pair()
        outputs, handed = zip(os.pipe(), os.pipe(), strict=True)
        self._outputs = {number: Lines() for number in outputs}
        self.handed: list[int] = [line.detach(), *handed]
        """The other ends: connection, standard output, standard error."""
        for number in outputs:
            os.set_blocking(number, False)
        self.connected = True
        """Neither the run nor a copy of it has closed the connection."""
        self.broken: str | None = None
        """Why the run cannot be understood any more."""

    def begin(self) -> None:
        """What was printed until now belongs to no job."""
        for number in self._outputs:
            with contextlib.suppress(BlockingIOError):
                for _ in range(limits.LAST_WORDS_BYTES_MAX // _READ_BYTES):
                    if not os.read(number, _READ_BYTES):
                        break
            self._outputs[number] = Lines()

    def send(self, message: Message) -> None:
        """Tell the run something; that it does not listen shows otherwise."""
        with contextlib.suppress(OSError):
            self._line.send(pack(message), socket.MSG_DONTWAIT)

    def descriptors(self) -> list[int]:
        """What to listen to, as far as it has not been closed."""
        return [*self._outputs, *([self._line.fileno()] if self.connected else [])]

    def hear(self) -> None:
        """Take in some of it."""
        self._read_outputs()
        self._read_line()

    def hear_rest(self) -> None:
        """When nobody speaks any more: what the pipes still hold, within bounds."""
        for _ in range(limits.LAST_WORDS_BYTES_MAX // _READ_BYTES):
            if not self._read_outputs():
                break
        for _ in range(limits.LAST_WORDS_PACKETS_MAX):
            if not self._read_line():
                break
        for lines in self._outputs.values():
            self._on_lines(lines.close())

    def close(self) -> None:
        """Let go of what connected the run."""
        self._line.close()
        for number in self._outputs:
            os.close(number)

    def _read_outputs(self) -> bool:
        """Whether there may be more."""
        more = False
        for number, lines in list(self._outputs.items()):
            try:
                data = os.read(number, _READ_BYTES)
            except OSError:
                continue
            self._on_lines(lines.feed(data) if data else lines.close())
            more |= bool(data)
            if not data:
                os.close(number)
                del self._outputs[number]
        return more

    def _read_line(self) -> bool:
        """Whether there may be more."""
        if not self.connected:
            return False
        data = receive_packet(self._line)
        if data is None:
            return False
        self.connected = bool(data)
        if data:
            try:
                self._on_message(unpack(data))
            except (MalformedFrameError, KeyError, TypeError, ValueError) as error:
                self.connected = False
                self.broken = f"The job's process broke its connection: {error}"
        return self.connected
