"""Bytes to text, and text to something short enough for a message."""

import unicodedata
from collections.abc import Collection
from difflib import get_close_matches

from rescind import limits
from rescind.errors import RequestRefused
from rescind.wire.error_types import ErrorType

BOM = b"\xef\xbb\xbf"


def invalid(message: str) -> RequestRefused:
    """A refusal of the whole request with INVALID_DATA."""
    return RequestRefused(ErrorType.INVALID_DATA, message)


def too_many(items: int, items_max: int) -> RequestRefused:
    """A refusal of a whole request for the number of its items: of those that were counted before
    it was clear."""
    return invalid(f"A request may name at most {items_max} jobs; this one names {items} or more")


def decode_utf8(body: bytes) -> str:
    """``body`` as text, without its byte order mark if it has one.

    Raises:
        RequestRefused: INVALID_DATA, naming the first byte (counted from 0) that is not UTF-8.
    """
    try:
        return body.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        message = f"The body is not UTF-8: invalid byte 0x{body[error.start]:02x} at byte"
        raise invalid(f"{message} {error.start}") from None


def shown(text: str) -> str:
    """``text`` as a message quotes it: in brackets, as Vault does, and shortened."""
    if len(text) > limits.ITEM_VALUE_CHARACTERS_SHOWN:
        text = text[: limits.ITEM_VALUE_CHARACTERS_SHOWN] + "…"
    return f"[{text}]"


def unknown(name: str, known: Collection[str]) -> str:
    """What to say of a name that is not ``known``: which of those is the nearest."""
    # As much of it as is shown: comparing costs memory for each character.
    compared = name[: limits.ITEM_VALUE_CHARACTERS_SHOWN].lower()
    [nearest] = get_close_matches(compared, known, n=1, cutoff=0)
    return f"{shown(name)} is not known; did you mean {nearest}? Known are {', '.join(known)}"


def one_line(text: str) -> str:
    """``text`` with control characters and line separators as Python writes them."""
    return "".join(
        char.encode("unicode_escape").decode()
        if unicodedata.category(char) in ("Cc", "Zl", "Zp")
        else char
        for char in text
    )
