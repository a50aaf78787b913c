"""JSON in: the parts of msgspec's decoder that hostile input needs something done before.

msgspec skips nested values by recursion, reports a lone surrogate as truncated input, and says a
byte but neither line nor column.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from rescind import limits
from rescind.wire.text import BOM, decode_utf8, invalid, too_many

_REST_OF_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+(?P<closed>"?)', re.DOTALL)
# A string that is not closed reaches to the end: without the "?" each quote in it would start
# the search anew, and the time would grow with the square of the body.
_STRING_OR_STRUCTURE = re.compile(rb'"(?:[^"\\]++|\\.)*+(?P<closed>"?)|[\[\]{},]', re.DOTALL)

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_ESCAPE = re.compile(
    rb"""
      \\u[dD][89abAB][0-9a-fA-F]{2} \\u[dD][c-fC-F][0-9a-fA-F]{2}  # a pair: one character
    | (?P<half> \\u[dD][89a-fA-F][0-9a-fA-F]{2} )
    | \\.
    """,
    re.DOTALL | re.VERBOSE,
)
_NUL_ESCAPE = rb"\u0000"

_MALFORMED = re.compile(r"JSON is malformed: (?P<reason>.+) \(byte (?P<byte>[0-9]+)\)")
_TRAILING = "trailing characters"


def _structure(text: bytes) -> Iterator[bytes]:
    """The brackets, braces and commas outside the strings of a JSON text, whatever it holds: in
    time linear in its length, and in portions, so that other threads get their turn.
    """
    position, in_string = 0, False
    while position < len(text):
        end = position + limits.PARSE_PORTION_BYTES
        if in_string:
            rest = _REST_OF_STRING.match(text, position, end)
            if rest is None or rest.end() == position:
                return  # the text ends in half an escape
            position, in_string = rest.end(), not rest["closed"]
            continue
        for found in _STRING_OR_STRUCTURE.finditer(text, position, end):
            if found["closed"] is None:
                yield found[0]
            elif not found["closed"]:
                position, in_string = found.end(), True
                break
        else:
            position = end


def _bound(text: bytes, items_max: int | None = None) -> None:
    """Look through ``text`` without recursion, and no further than it may be read; raises
    _TooDeepError, or RequestRefused where the outermost array has more than ``items_max`` elements.
    """
    depth, items = 0, 1
    for mark in _structure(text):
        if mark in b"[{":
            depth += 1
            if depth > limits.JSON_DEPTH_MAX:
                raise _TooDeepError
        elif mark in b"]}":
            depth -= 1
        elif depth == 1:
            items += 1
            if items_max is not None and items > items_max:
                raise too_many(items, items_max)


class _TooDeepError(Exception):
    """Nested beyond ``JSON_DEPTH_MAX``."""


def read_array(body: bytes, items_max: int) -> list[bytes]:
    r"""The elements of a JSON array, each as its own JSON text.

    Depth and count are judged before the first element is looked at, and no more is read than
    shows that either is too high. In the texts, half of a surrogate
    pair stands as ``\u0000``: both are refused in every text field, and so by one check.

    Raises:
        RequestRefused: INVALID_DATA, for bytes that are not UTF-8, malformed JSON (saying line
            and column from 1, and byte from 0), nesting beyond ``JSON_DEPTH_MAX``, a value other
            than an array, or more elements than ``items_max``.
    """
    decode_utf8(body)
    text = body.removeprefix(BOM)
    is_array = text.lstrip(b" \t\r\n").startswith(b"[")
    try:
        _bound(text, items_max if is_array else None)
    except _TooDeepError:
        raise invalid(f"Malformed JSON: nested more than {limits.JSON_DEPTH_MAX} deep") from None
    try:
        raws = msgspec.json.decode(mask_lone_surrogates(text), type=list[msgspec.Raw])
    except msgspec.ValidationError as error:
        got = str(error).rpartition("got ")[2].strip("`")
        raise invalid(f"The body must be a JSON array of objects, not of type [{got}]") from None
    except msgspec.DecodeError as error:
        start = len(BOM) if body.startswith(BOM) else 0
        raise invalid(_where(str(error), text, start)) from None
    return [bytes(raw) for raw in raws]


def read_object(text: bytes) -> dict[str, Any]:
    """The JSON object in ``text``, which comes from a cell or from an array that was read.

    Raises:
        ValueError: it is not a JSON object, or nested beyond ``JSON_DEPTH_MAX``; the message goes
            on from the value: "must be …".
    """
    try:
        _bound(text)
    except _TooDeepError:
        raise ValueError(f"must not be nested more than {limits.JSON_DEPTH_MAX} deep") from None
    try:
        return msgspec.json.decode(mask_lone_surrogates(text), type=dict[str, Any])
    except msgspec.ValidationError as error:
        if "out of range" in str(error):
            raise ValueError("must not hold numbers that are out of range") from None
        raise ValueError("must be a JSON object") from None
    except msgspec.DecodeError as error:
        reason = str(error).removeprefix("JSON is malformed: ").lower()
        raise ValueError(f"must be a JSON object: {reason}") from None


def mask_lone_surrogates(text: bytes) -> bytes:
    """``text`` with each escaped half of a surrogate pair replaced by an escaped U+0000, which is
    as long, so that positions stay right."""
    if _SURROGATE.search(text) is None:
        return text
    return _ESCAPE.sub(lambda escape: _NUL_ESCAPE if escape["half"] else escape[0], text)


def _where(problem: str, text: bytes, start: int) -> str:
    """The decoder's message with line and column; ``text`` begins at byte ``start`` of the body."""
    match = _MALFORMED.fullmatch(problem)
    if match is None:
        reason, byte = "it ends too early", len(text)
    else:
        reason, byte = match["reason"], int(match["byte"])
    if reason == _TRAILING:
        byte -= 1  # msgspec names the byte after the first one that trails
    line = text.count(b"\n", 0, byte) + 1
    line_start = text.rfind(b"\n", 0, byte) + 1
    column = len(text[line_start:byte].decode(errors="replace")) + 1
    return f"Malformed JSON at line {line}, column {column} (byte {start + byte}): {reason}"
