"""Text and output to lines that can be kept: of bounded length, without what no store holds."""

from rescind import limits


def lines_of(text: str) -> list[str]:
    """The lines of a text."""
    return lines_of_block(encoded(text) + b"\n")


def lines_of_block(block: bytes) -> list[str]:
    """The lines of bytes that end with a line feed; one that is too long is broken."""
    return [piece for line in block[:-1].split(b"\n") for piece in _pieces(line)]


def encoded(text: str) -> bytes:
    """A text in UTF-8; what is no character is replaced."""
    return text.encode("utf-8", "replace")


def storable(text: str) -> str:
    """``text`` with U+FFFD for what PostgreSQL does not hold: U+0000 and lone surrogates."""
    return encoded(text.replace("\0", "\ufffd")).decode()


def cut(line: bytes, size: int) -> int:
    """Where to break a line so that no character is cut: at ``size`` bytes, or a little before."""
    for at in range(size, size - 4, -1):
        if line[at] & _CONTINUES_MASK != _CONTINUES:
            return at
    return size


_CONTINUES_MASK, _CONTINUES = 0xC0, 0x80
"""How a byte begins that continues a character of UTF-8."""


def _pieces(line: bytes) -> list[str]:
    """A line in pieces that are not too long."""
    pieces = []
    line = line.removesuffix(b"\r")
    while len(line) > limits.LOG_LINE_BYTES_MAX:
        size = cut(line, limits.LOG_LINE_BYTES_MAX)
        pieces.append(line[:size])
        line = line[size:]
    return [storable(piece.decode("utf-8", "replace")) for piece in (*pieces, line)]
