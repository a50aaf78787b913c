"""Text and output to lines that can be kept: of bounded length, without what no store holds."""

from rescind import limits


class Lines:
    """Takes output in pieces as they come, gives whole lines."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """The lines that ``data`` completes; one that is too long is broken."""
        *whole, rest = (self._rest + data).split(b"\n")
        while len(rest) > limits.LOG_LINE_BYTES_MAX:
            whole.append(rest[: limits.LOG_LINE_BYTES_MAX])
            rest = rest[limits.LOG_LINE_BYTES_MAX :]
        self._rest = rest
        return [piece for line in whole for piece in _pieces(line)]

    def close(self) -> list[str]:
        """The last line, if it was never ended."""
        rest, self._rest = self._rest, b""
        return _pieces(rest) if rest else []


def lines_of(text: str) -> list[str]:
    """The lines of a text."""
    return [
        piece for line in text.encode("utf-8", "replace").split(b"\n") for piece in _pieces(line)
    ]


def storable(text: str) -> str:
    """``text`` with U+FFFD for what PostgreSQL does not hold: U+0000 and lone surrogates."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _pieces(line: bytes) -> list[str]:
    """A line in pieces that are not too long."""
    size = limits.LOG_LINE_BYTES_MAX
    pieces = [line[start : start + size] for start in range(0, len(line), size)] or [b""]
    return [storable(piece.rstrip(b"\r").decode("utf-8", "replace")) for piece in pieces]
