"""The HTTP server: uvicorn, over connections of which a stranger may open as many as they like."""

import asyncio
import contextlib
import resource
import socket
from asyncio import Task, TimerHandle, Transport
from collections.abc import Iterator
from enum import Enum
from typing import Any, cast

import h11
import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from rescind import limits

_log = structlog.get_logger()


class _Turn(Enum):
    """What a connection waits for."""

    HEADER = "the client's next request"
    BODY = "the rest of the client's request"
    OURS = "our answer"
    ANSWER = "the client, who does not take our answer"


class _Connections:
    """Those that are open, and which of them wait for their client, the longest first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: set[_Connection] = set()
        self._waiting: dict[_Connection, None] = {}

    def opened(self, connection: "_Connection") -> None:
        """One more. There is always room for it: where there is none, another one ends."""
        if len(self._open) >= self._most:
            self.end_one()
        self._open.add(connection)
        self._waiting[connection] = None

    def turned(self, connection: "_Connection", *, waiting: bool) -> None:
        """A connection waits for its client from now on, or no longer."""
        self._waiting.pop(connection, None)
        if waiting and connection in self._open:
            self._waiting[connection] = None

    def ended(self, connection: "_Connection") -> None:
        """One less."""
        self._open.discard(connection)
        self._waiting.pop(connection, None)

    def end_one(self) -> bool:
        """End the one that has waited the longest for its client, if one does."""
        for connection in self._waiting:
            self.ended(connection)
            connection.end()
            return True
        return False


class _Connection(H11Protocol):
    """One connection. A client has a bounded time for each header, from the moment that it
    connects, TLS included, and to take something of an answer; the gate bounds that of a body.
    """

    def __init__(self, connections: _Connections, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._connections = connections
        # As uvicorn's own, which says that they are always there.
        self._socket: Transport | None = None
        self._request: RequestResponseCycle | None = None
        self._is_full = False
        """Of what we have sent and the client does not take."""
        self._opening: Task[Any] | None = None
        self._turn: _Turn | None = None
        self._timer: TimerHandle | None = None
        self._unsent = 0

    def open(self, opening: Task[Any]) -> None:
        """It has been accepted, and ``opening`` makes it ready to be used."""
        self._opening = opening
        opening.add_done_callback(self._opened)
        self._connections.opened(self)
        self._look()

    def _opened(self, opening: Task[Any]) -> None:
        if opening.cancelled() or opening.exception() is not None:
            self._over()  # no TLS, say; nobody was connected

    def end(self) -> None:
        """Let go of it at once."""
        if self._socket is not None:
            self._socket.abort()
        elif self._opening is not None:
            self._opening.cancel()

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override] # as uvicorn
        super().connection_made(transport)
        self._socket = transport

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._over()

    def handle_events(self) -> None:
        super().handle_events()
        self._request = self.cycle
        self._look()

    def send_400_response(self, msg: str) -> None:
        """See uvicorn; but whatever was being answered meanwhile is not answered any more, and what
        was answered stands.
        """
        if (request := cast("RequestResponseCycle | None", self.cycle)) is not None:
            request.disconnected = True
            request.message_event.set()
        with contextlib.suppress(h11.LocalProtocolError):  # there is no answering in this state
            super().send_400_response(msg)
        self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """See uvicorn; but there is nothing to install, and strangers write no log."""

    def on_response_complete(self) -> None:
        self._look()
        super().on_response_complete()
        self._look()

    def eof_received(self) -> bool | None:  # type: ignore[override] # as asyncio has it
        """Who has asked and says nothing more still gets the answer; but no more of a stream, which
        has no end. TLS has no such half.
        """
        if self._turn is not _Turn.OURS or self._request is None or self.scheme == "https":
            return None
        if self._request.response_started:
            return None
        self._request.keep_alive = False
        return True

    def pause_writing(self) -> None:
        super().pause_writing()
        self._is_full = True
        self._look()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._is_full = False
        self._look()

    def _look(self) -> None:
        """Whose turn it is now."""
        if self._is_full:
            turn = _Turn.ANSWER
        elif self._request is None or self._request.response_complete:
            turn = _Turn.HEADER
        else:
            turn = _Turn.BODY if self._request.more_body else _Turn.OURS
        if turn is self._turn:
            return
        self._turn = turn
        self._connections.turned(self, waiting=turn is not _Turn.OURS)
        self._stop_timer()
        if turn is _Turn.HEADER:
            self._start_timer(limits.HEADER_SECONDS_MAX)
        elif turn is _Turn.ANSWER:
            self._start_timer(limits.ANSWER_SECONDS_MAX)

    def _start_timer(self, seconds: float) -> None:
        self._unsent = 0 if self._socket is None else self._socket.get_write_buffer_size()
        self._timer = self.loop.call_later(seconds, self._time_is_up)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_is_up(self) -> None:
        if self._socket is not None and self._socket.get_write_buffer_size() < self._unsent:
            # It is slow, but it takes what it has asked for.
            self._start_timer(limits.ANSWER_SECONDS_MAX)
        else:
            self.end()

    def _over(self) -> None:
        self._stop_timer()
        self._connections.ended(self)


class Server(uvicorn.Server):
    """Says when it is ready; until then nothing is promised. It hears no signals itself, and
    accepts connections itself.
    """

    def __init__(
        self, application: ASGIApp, banner: list[str], *, certificate: str | None, key: str | None
    ) -> None:
        """Raises OSError (ssl's errors are such) where the TLS files are no use."""
        config = uvicorn.Config(
            application,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            h11_max_incomplete_event_size=limits.HEADER_BYTES_MAX,
            ssl_certfile=certificate,
            ssl_keyfile=key,
            timeout_graceful_shutdown=5,
        )
        config.load()
        super().__init__(config)
        self._banner = banner
        self._connections = _Connections(_connections_max())
        self._opening: set[Task[Any]] = set()
        self._accepting: list[Task[None]] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See :meth:`uvicorn.Server.startup`."""
        self.servers = []
        loop = asyncio.get_running_loop()
        for listener in sockets or ():
            listener.setblocking(False)
            self._accepting.append(loop.create_task(self._accept(listener)))
        self.started = True
        print("\n".join(self._banner), flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See :meth:`uvicorn.Server.shutdown`."""
        for task in (*self._accepting, *self._opening):
            task.cancel()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """See :meth:`uvicorn.Server.capture_signals`."""
        yield

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(listener)
            except OSError as error:  # the client is gone again, or there are too many files open
                _log.warning("a connection was not accepted", error=str(error))
                self._connections.end_one()
                await asyncio.sleep(limits.ACCEPT_AGAIN_SECONDS)
                continue
            self._open(accepted)
            await asyncio.sleep(0)  # those who are connected have their turn, too

    def _open(self, accepted: socket.socket) -> None:
        connection = _Connection(
            self._connections,
            config=self.config,
            server_state=self.server_state,
            app_state={},
        )
        loop = asyncio.get_running_loop()
        opening = loop.create_task(
            loop.connect_accepted_socket(
                lambda: connection,
                accepted,
                ssl=self.config.ssl,
                ssl_shutdown_timeout=limits.HEADER_SECONDS_MAX if self.config.ssl else None,
            )
        )
        self._opening.add(opening)
        opening.add_done_callback(self._opening.discard)
        connection.open(opening)


def _connections_max() -> int:
    """As many as is named, but no more than half of the files that this process may open."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return limits.CONNECTIONS_MAX if files < 0 else min(limits.CONNECTIONS_MAX, files // 2)
