"""Where keepers on nodes come in: whoever connects must prove within a while which keeper it is."""

import contextlib
import socket
from collections.abc import Iterator, Mapping

from rescind import limits
from rescind.clock import Clock
from rescind.engines.process.frames import FrameReader, MalformedFrameError, Message, frame
from rescind.engines.ray import handshake
from rescind.engines.ray.place import Place, Stage
from rescind.errors import CannotStart


class _Guest:
    """Somebody who has proved nothing yet."""

    def __init__(self, connection: socket.socket, until: float) -> None:
        self.connection = connection
        self.until = until
        self.frames = FrameReader(limits.NODE_HELLO_BYTES_MAX)
        self.asked = handshake.nonce()
        self.id: str | None = None


class Lobby:
    """Listens on ``host`` and ``port``; raises CannotStart when it cannot."""

    def __init__(self, clock: Clock, host: str, port: int) -> None:
        self._clock = clock
        self._guests: dict[int, _Guest] = {}
        try:
            self._listener = socket.create_server((host, port), backlog=limits.NODE_HELLOS_MAX)
        except OSError as error:
            raise CannotStart(
                f"Keepers cannot be listened for on {host} port {port}: {error.strerror}."
            ) from error
        self._listener.setblocking(False)
        self.host, self.port = self._listener.getsockname()[:2]

    def descriptors(self) -> list[int]:
        """What to listen to."""
        return [self._listener.fileno(), *self._guests]

    def welcome(self, places: Mapping[str, Place]) -> Iterator[tuple[Place, socket.socket]]:
        """Let in who knocks, and give those who have proved which keeper they are. They say nothing
        more before they are welcomed.
        """
        with contextlib.suppress(BlockingIOError, OSError):
            while True:
                connection, _ = self._listener.accept()
                connection.setblocking(False)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if len(self._guests) >= limits.NODE_HELLOS_MAX:
                    self._turn_away(next(iter(self._guests)))
                until = self._clock.elapsed() + limits.NODE_HELLO_SECONDS
                self._guests[connection.fileno()] = _Guest(connection, until)
        for number, guest in list(self._guests.items()):
            if self._clock.elapsed() >= guest.until:
                self._turn_away(number)
                continue
            try:
                known = self._hear(guest, places)
            except (MalformedFrameError, KeyError, TypeError, ValueError, OSError):
                self._turn_away(number)
                continue
            if known is not None:
                del self._guests[number]
                yield places[known], guest.connection

    def _hear(self, guest: _Guest, places: Mapping[str, Place]) -> str | None:
        """The keeper that it has proved to be, once it has. Raises for who cannot be one."""
        try:
            data = guest.connection.recv(limits.NODE_HELLO_BYTES_MAX)
        except BlockingIOError:
            return None
        if not data:
            raise OSError("gone")
        for message in guest.frames.feed(data):
            if self._heed(guest, message, places):
                return guest.id
        return None

    def _heed(self, guest: _Guest, message: Message, places: Mapping[str, Place]) -> bool:
        """Whether it has proved who it is."""
        if guest.id is None:
            place = places[message["id"]]
            proof = handshake.proof(place.secret, handshake.WORKER, message["nonce"])
            guest.connection.send(frame({"proof": proof, "nonce": guest.asked}))
            guest.id = place.id
            return False
        place = places[guest.id]
        if place.stage is not Stage.ASKED:
            raise ValueError("it is there already")
        if not handshake.proves(message, place.secret, handshake.KEEPER, guest.asked):
            raise ValueError("no proof")
        return True

    def _turn_away(self, number: int) -> None:
        self._guests.pop(number).connection.close()

    def close(self) -> None:
        """Listen no more."""
        self._listener.close()
        for number in list(self._guests):
            self._turn_away(number)
