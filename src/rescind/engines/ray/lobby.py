"""Where keepers on nodes come in: whoever connects must prove within a while which keeper it is."""

import socket
from collections.abc import Iterator, Mapping

from rescind import limits
from rescind.clock import Clock
from rescind.engines.process.frames import FrameReader, MalformedFrameError, Message, frame
from rescind.engines.ray import handshake
from rescind.engines.ray.place import Place, Stage
from rescind.engines.ray.sealing import Certificate, Plain, Sealing
from rescind.errors import CannotStart


class Guest:
    """Somebody who connects, and has until then to prove who it is."""

    def __init__(self, connection: socket.socket, sealing: Sealing, until: float) -> None:
        self.connection = connection
        self.sealing = sealing
        self.until = until
        self.frames = FrameReader(limits.NODE_HELLO_BYTES_MAX)
        self.asked = handshake.nonce()
        self.id: str | None = None
        self.spoke = False


class Lobby:
    """Listens on ``host`` and ``port``; raises CannotStart when it cannot."""

    def __init__(
        self, clock: Clock, host: str, port: int, certificate: Certificate | None = None
    ) -> None:
        self._clock = clock
        self._certificate = certificate
        self._guests: dict[int, Guest] = {}
        self._deaf_until = clock.elapsed()
        try:
            self._listener = socket.create_server((host, port), backlog=limits.NODE_HELLOS_MAX)
        except OSError as error:
            raise CannotStart(
                f"Keepers cannot be listened for on {host} port {port}: {error.strerror}."
            ) from error
        self._listener.setblocking(False)
        self.host, self.port = self._listener.getsockname()[:2]

    @property
    def certificate(self) -> bytes | None:
        """What a keeper knows its worker by (DER), where they speak within TLS."""
        return None if self._certificate is None else self._certificate.der

    def descriptors(self) -> list[int]:
        """What to listen to."""
        listening = self._clock.elapsed() >= self._deaf_until
        return [*([self._listener.fileno()] if listening else []), *self._guests]

    def welcome(self, places: Mapping[str, Place]) -> Iterator[tuple[Place, Guest]]:
        """Let in who knocks, and give those who have proved which keeper they are. They say nothing
        more before they are welcomed.
        """
        try:
            for _ in range(limits.NODE_ACCEPTS_MAX):
                connection, _ = self._listener.accept()
                connection.setblocking(False)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if len(self._guests) >= limits.NODE_HELLOS_MAX:
                    silent = (number for number, guest in self._guests.items() if not guest.spoke)
                    self._turn_away(next(silent, next(iter(self._guests))))
                until = self._clock.elapsed() + limits.NODE_HELLO_SECONDS
                sealing = Plain() if self._certificate is None else self._certificate.sealing()
                self._guests[connection.fileno()] = Guest(connection, sealing, until)
        except (BlockingIOError, ConnectionError):
            pass
        except OSError:  # no descriptors are left: who waits is let in when there are
            self._deaf_until = self._clock.elapsed() + limits.KEEPER_LOOK_SECONDS
        heard = 0
        for number, guest in list(self._guests.items()):
            if self._clock.elapsed() >= guest.until:
                self._turn_away(number)
                continue
            if heard == 2 * limits.NODE_ACCEPTS_MAX:
                break  # others are heard the next time: to prove oneself costs us time
            try:
                data = self._data(guest)
                heard += data is not None
                known = None if data is None else self._hear(guest, data, places)
            except (MalformedFrameError, KeyError, TypeError, ValueError, OSError):
                self._turn_away(number)
                continue
            if known is not None:
                del self._guests[number]
                yield places[known], guest

    def _data(self, guest: Guest) -> bytes | None:
        """What has come from it, if anything. Raises OSError when it has gone."""
        try:
            data = guest.connection.recv(limits.NODE_HELLO_BYTES_MAX)
        except BlockingIOError:
            return None
        if not data:
            raise OSError("gone")
        guest.spoke = True
        return data

    def _hear(self, guest: Guest, data: bytes, places: Mapping[str, Place]) -> str | None:
        """The keeper that it has proved to be, once it has. Raises for who cannot be one."""
        clear = guest.sealing.opened(data)
        guest.connection.sendall(guest.sealing.sealed())
        for message in guest.frames.feed(clear):
            if self._heed(guest, message, places):
                return guest.id
        return None

    def _heed(self, guest: Guest, message: Message, places: Mapping[str, Place]) -> bool:
        """Whether it has proved who it is."""
        if guest.id is None:
            place = places[message["id"]]
            proof = handshake.proof(place.secret, handshake.WORKER, message["nonce"])
            answer = frame({"proof": proof, "nonce": guest.asked})
            guest.connection.sendall(guest.sealing.sealed(answer))
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
