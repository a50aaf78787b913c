"""Output in pieces to whole lines of bounded length."""

from rescind import limits


class Lines:
    """Takes bytes as they come, gives lines; what is not UTF-8 becomes U+FFFD."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """The lines that ``data`` completes; one that is too long is broken."""
        *whole, rest = (self._rest + data).split(b"\n")
        while len(rest) > limits.LOG_LINE_BYTES_MAX:
            whole.append(rest[: limits.LOG_LINE_BYTES_MAX])
            rest = rest[limits.LOG_LINE_BYTES_MAX :]
        self._rest = rest
        return [piece for line in whole for piece in broken(line)]

    def close(self) -> list[str]:
        """The last line, if it was never ended."""
        rest, self._rest = self._rest, b""
        return broken(rest) if rest else []


def broken(line: bytes) -> list[str]:
    """A line in pieces that are not too long."""
    size = limits.LOG_LINE_BYTES_MAX
    pieces = [line[start : start + size] for start in range(0, len(line), size)] or [b""]
    return [piece.rstrip(b"\r").decode("utf-8", "replace") for piece in pieces]
