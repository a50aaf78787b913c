"""A flood of one kind from one process, until it is terminated: so many connections that send the
same again as soon as they are answered; or that send a beginning, then nothing, or a byte now and
then. The latter come back about a second after they were let go.

Arguments: host, port, how many connections, and ``asks``, ``holds`` or ``drips``; what they send
comes on standard input.
"""

import random
import selectors
import socket
import sys
import time

DRIP_SECONDS = 0.5
"""Between two bytes of one connection."""
BACK_SECONDS = {"asks": 0.0, "holds": 1.0, "drips": 1.0}
ROUND_SECONDS = 0.05


class Connection:
    """One that comes back when it is let go."""

    back_at: float | None = None

    def __init__(
        self,
        address: tuple[str, int],
        said: bytes,
        selector: selectors.BaseSelector,
        back_seconds: float,
    ) -> None:
        self._address, self._said, self._selector = address, said, selector
        self._back_seconds = back_seconds
        self._left, self._heard = b"", b""
        self.connect()

    def connect(self) -> None:
        self.back_at = None
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.connect_ex(self._address)
        self._left, self._heard = self._said, b""
        self._selector.register(self.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, self)

    def turn(self, events: int) -> None:
        try:
            if events & selectors.EVENT_WRITE:
                self._left = self._left[self.socket.send(self._left[:65536]) :]
                if not self._left:
                    self._selector.modify(self.socket, selectors.EVENT_READ, self)
            if events & selectors.EVENT_READ:
                self._hear(self.socket.recv(262144))
        except BlockingIOError:
            pass
        except OSError:
            self._again()

    def _again(self) -> None:
        self._selector.unregister(self.socket)
        self.socket.close()
        self.back_at = time.monotonic() + self._back_seconds * random.uniform(0.5, 1.5)

    def _hear(self, part: bytes) -> None:
        if not part:
            self._again()
            return
        self._heard += part
        head, found, rest = self._heard.partition(b"\r\n\r\n")
        if found and len(rest) >= int(head.lower().partition(b"content-length: ")[2].split()[0]):
            self._left, self._heard = self._said, b""
            self._selector.modify(self.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, self)

    def drip(self) -> None:
        if not self._left and self.back_at is None:
            self._left = b"x"
            self._selector.modify(self.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, self)


def main() -> None:
    host, port, count, how = sys.argv[1:]
    said = sys.stdin.buffer.read()
    selector = selectors.DefaultSelector()
    address, back = (host, int(port)), BACK_SECONDS[how]
    connections = [Connection(address, said, selector, back) for _ in range(int(count))]
    rounds = round(DRIP_SECONDS / ROUND_SECONDS)
    turn, turn_at = 0, time.monotonic()
    while True:
        for key, events in selector.select(ROUND_SECONDS):
            key.data.turn(events)
        for connection in connections:
            if connection.back_at is not None and time.monotonic() >= connection.back_at:
                connection.connect()
        if how == "drips" and time.monotonic() >= turn_at:
            turn, turn_at = (turn + 1) % rounds, turn_at + ROUND_SECONDS
            for connection in connections[turn::rounds]:
                connection.drip()


if __name__ == "__main__":
    main()
