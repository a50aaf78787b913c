"""Messages between worker, keeper and child: JSON objects behind their length."""

import json
import struct
from typing import Any

from rescind import limits

_LENGTH = struct.Struct(">I")

Message = dict[str, Any]

BROKEN_EXIT = 70
"""The exit status of a child that has lost its connection."""


class MalformedFrameError(ValueError):
    """What came is no frame; the other side cannot be trusted any more."""


def frame(message: Message) -> bytes:
    """One message as bytes."""
    payload = json.dumps(message, separators=(",", ":")).encode()
    return _LENGTH.pack(len(payload)) + payload


class FrameReader:
    """Takes bytes as they come, gives whole messages."""

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
            try:
                message = json.loads(bytes(self._buffer[_LENGTH.size : end]))
            except (ValueError, RecursionError) as error:
                raise MalformedFrameError(str(error)) from error
            if not isinstance(message, dict):
                raise MalformedFrameError("a frame that is no object")
            messages.append(message)
            del self._buffer[:end]
        return messages
