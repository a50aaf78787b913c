"""Payloads to bytes: JSON, and XML by one rule.

A payload is a mapping of mappings, lists, texts, numbers, booleans and None; not nested so deep
that recursion ends, which bodies and results are kept from by their own limits.
"""

import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from rescind.wire.negotiation import AnswerFormat

CONTENT_TYPES: Mapping[AnswerFormat, str] = {
    AnswerFormat.JSON: "application/json;charset=UTF-8",
    AnswerFormat.XML: "application/xml;charset=UTF-8",
}

_ROOT = "ApiRestResult"
_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'

_REPLACEMENT = "\ufffd"
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NOT_UTF8 = re.compile(r"[\ud800-\udfff]")
# A bare carriage return would reach the reader as a line feed (XML 1.0, 2.11).
_MARKUP = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*+")
_NOT_NAME = re.compile(r"(?:^[^A-Za-z_]|[^A-Za-z0-9_.-]|_(?=x(?:[0-9A-Fa-f]{4}){1,2}_))")


def render(payload: Mapping[str, Any], answer_format: AnswerFormat) -> tuple[bytes, str]:
    """``payload`` as a body, and its Content-Type. JSON ends in a line feed, as text does."""
    body = to_json(payload) + b"\n" if answer_format is AnswerFormat.JSON else to_xml(payload)
    return body, CONTENT_TYPES[answer_format]


def to_json(payload: Mapping[str, Any]) -> bytes:
    """``payload`` as JSON. NaN and infinities become null, lone surrogates U+FFFD."""
    try:
        return msgspec.json.encode(payload)
    except UnicodeEncodeError:
        return msgspec.json.encode(_encodable(payload))


def to_xml(payload: Mapping[str, Any]) -> bytes:
    """``payload`` as XML 1.0.

    The root is ``ApiRestResult``; an object's members are elements in their order; a list named
    ``data`` holds ``row`` elements, any other list the singular of its name; ``errors`` holds
    ``error``, also when it is a single object. None is left out, and so are NaN and infinities.
    What XML cannot carry becomes U+FFFD. A key that is no XML name is escaped as SQL/XML does it
    (ISO 9075-14): ``1a`` becomes ``_x0031_a``.
    """
    parts = [_DECLARATION]
    _element(parts, _ROOT, payload)
    return "".join(parts).encode()


def _element(parts: list[str], name: str, value: Any) -> None:
    text = _text(value)
    if text is None:
        return
    tag = _tag(name)
    parts.append(f"<{tag}>{text}")
    if isinstance(value, Mapping):
        if name == "errors":
            value = {"error": value}
        for key, member in value.items():
            _element(parts, key, member)
    elif isinstance(value, list | tuple):
        item_name = _item_name(name)
        for member in value:
            _element(parts, item_name, member)
    parts.append(f"</{tag}>")


def _text(value: Any) -> str | None:
    """The text of an element, empty for what has elements in it; None for what is left out."""
    match value:
        case Mapping() | list() | tuple():
            return ""
        case str():
            return _NOT_XML.sub(_REPLACEMENT, value).translate(_MARKUP)
        case bool():
            return "true" if value else "false"
        case float() if not math.isfinite(value):
            return None
        case None:
            return None
        case _:
            return str(value)


def _item_name(list_name: str) -> str:
    """``data`` → ``row``, ``histories`` → ``history``, ``vaultIds`` → ``vaultId``."""
    if list_name == "data":
        return "row"
    if list_name.endswith("ies"):
        return list_name.removesuffix("ies") + "y"
    return list_name.removesuffix("s") or list_name


@lru_cache(maxsize=256)  # nearly all names are ours; those of parameters are anybody's
def _tag(name: str) -> str:
    if _NAME.fullmatch(name) and "_x" not in name:
        return name
    # An underscore that looks like the start of an escape is escaped too, so that each can be
    # read back. Non-ASCII letters are escaped as well: parsers disagree on which are names.
    return _NOT_NAME.sub(_escape, name) or "_"


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"_x{code:04X}_" if code <= 0xFFFF else f"_x{code:08X}_"  # noqa: PLR2004 -- the last code of the first plane


def _encodable(value: Any) -> Any:
    """``value`` without lone surrogates."""
    match value:
        case str():
            return _NOT_UTF8.sub(_REPLACEMENT, value)
        case Mapping():
            return {_encodable(key): _encodable(member) for key, member in value.items()}
        case list() | tuple():
            return [_encodable(member) for member in value]
        case _:
            return value
