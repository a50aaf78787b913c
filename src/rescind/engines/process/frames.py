"""Messages between worker, keeper, init and run: maps of MessagePack.

Between worker and keeper they stand in a stream, each behind its length. Below the keeper each is
one packet (``SOCK_SEQPACKET``): the system keeps packets whole whoever writes them, so that forked
copies of a run and its threads may all speak at once, and one that is killed while it speaks breaks
nothing.
"""

import errno
import socket
import struct
from typing import Any

import msgspec

from rescind import limits

_LENGTH = struct.Struct(">I")

Message = dict[str, Any]

PACKET_BYTES_MAX = 192 * 1024
"""More than any message of ours has, less than Linux lets a socket hold by default."""

BROKEN_EXIT = 70
"""The exit status of a run that has lost its connection."""


_LOST = {
    errno.EBADF,
    errno.ECONNREFUSED,
    errno.ECONNRESET,
    errno.EDESTADDRREQ,
    errno.ENOTCONN,
    errno.ENOTSOCK,
    errno.EPIPE,
    errno.ESHUTDOWN,
}


def is_lost(error: OSError) -> bool:
    """Whether it tells of a connection that is no more. TimeoutError, which handlers of signals
    raise in whatever is at work, is an OSError, too.
    """
    return error.errno in _LOST


class MalformedFrameError(ValueError):
    """What came is no message; the other side cannot be trusted any more."""


def pack(message: Message) -> bytes:
    """One message as the bytes of a packet."""
    return msgspec.msgpack.encode(message)


def unpack(data: bytes) -> Message:
    """The message of a packet. Raises MalformedFrameError."""
    try:
        message = msgspec.msgpack.decode(data)
    except (ValueError, RecursionError) as error:  # msgspec's and Unicode's errors are ValueErrors
        raise MalformedFrameError(str(error)) from error
    if not isinstance(message, dict):
        raise MalformedFrameError("a frame that is no map")
    return message


def frame(message: Message) -> bytes:
    """One message as bytes of a stream."""
    payload = pack(message)
    return _LENGTH.pack(len(payload)) + payload


def packet_pair() -> tuple[socket.socket, socket.socket]:
    """Two connected sockets for packets."""
    # macOS has no SEQPACKET for local sockets; with DGRAM, an end that closes shows as an error.
    kind = getattr(socket, "SOCK_SEQPACKET", socket.SOCK_DGRAM)
    return socket.socketpair(socket.AF_UNIX, kind)


def receive_packet(end: socket.socket) -> bytes | None:
    """The next packet; nothing when the other end is gone, None when there is none yet."""
    try:
        return end.recv(PACKET_BYTES_MAX, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    except ConnectionResetError:
        # The other end has gone without hearing all that it was told. That is said first, once;
        # what it had said itself comes after.
        return receive_packet(end)
    except OSError:
        return b""


class FrameReader:
    """Takes the bytes of a stream as they come, gives whole messages."""

    def __init__(self, bytes_max: int = limits.FRAME_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """The messages that ``data`` completes. Raises MalformedFrameError."""
        self._buffer += data
        messages: list[Message] = []
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > self._bytes_max:
                raise MalformedFrameError(f"a frame of {length} bytes")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                break
            messages.append(unpack(bytes(self._buffer[_LENGTH.size : end])))
            del self._buffer[:end]
        return messages
