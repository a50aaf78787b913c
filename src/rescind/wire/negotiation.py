"""Which format a body is in, and which one its answer is wanted in."""

import re
from collections.abc import Iterator
from enum import StrEnum

from rescind.errors import RequestRefused
from rescind.wire.text import invalid, shown


class Format(StrEnum):
    """What a request body may be."""

    JSON = "application/json"
    CSV = "text/csv"


class AnswerFormat(StrEnum):
    """What an answer may be."""

    JSON = "application/json"
    XML = "application/xml"


_CHARSETS = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(rf';[ \t]*({_WORD})[ \t]*=[ \t]*("(?:[^"\\]|\\.)*+"|[^;]*+)')


def content_format(content_type: str | None) -> Format:
    """The format that a Content-Type header names; JSON when there is none.

    Case does not count, and parameters are ignored, except that the charset must be one that
    UTF-8 covers.

    Raises:
        RequestRefused: INVALID_DATA, for any other type or charset.
    """
    sent = (content_type or "").strip(" \t")
    if not sent:
        return Format.JSON
    media_type, semicolon, rest = sent.partition(";")
    try:
        format_ = Format(media_type.rstrip(" \t").lower())
    except ValueError:
        raise _unsupported(sent) from None
    for name, value in _PARAMETER.findall(semicolon + rest):
        if name.lower() == "charset" and value.strip(' \t"').lower() not in _CHARSETS:
            raise _unsupported(sent)
    return format_


def _unsupported(sent: str) -> RequestRefused:
    supported = " and ".join(Format)
    return invalid(f"Unsupported Content-Type {shown(sent)}: supported are {supported}, in UTF-8")


_NAMES: dict[AnswerFormat, frozenset[str]] = {
    AnswerFormat.JSON: frozenset({"application/json"}),
    AnswerFormat.XML: frozenset({"application/xml", "text/xml"}),
}
# One element of the header; a comma within quotes does not end it.
_ELEMENT = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*+"?)++')
_RANGE = re.compile(rf"({_WORD})/({_WORD})")
# Java's own header has `q=.2`, and `*` for `*/*`.
_QUALITY = re.compile(r"0(?:\.[0-9]{0,3})?|\.[0-9]{1,3}|1(?:\.0{0,3})?")


def accept_format(accept: str | None) -> AnswerFormat:
    """The format that an Accept header prefers (RFC 9110, 12.5.1).

    Each format takes the highest quality among the most specific ranges that name it: a full
    name before ``type/*`` before ``*/*``. The higher quality wins, then the more specific range,
    then JSON. Elements that cannot be parsed count as not sent, and a header that leaves nothing
    we offer means JSON: Vault never refuses an answer for its format.
    """
    ranges = list(_ranges(accept or ""))
    json, xml = (_preference(names, ranges) for names in _NAMES.values())
    return AnswerFormat.XML if xml > json else AnswerFormat.JSON


def _preference(names: frozenset[str], ranges: list[tuple[str, float]]) -> tuple[float, int]:
    """(quality, specificity) of a format; (0.0, 0) when it is not wanted."""
    kinds = {f"{name.partition('/')[0]}/*" for name in names}
    for specificity, wanted in ((3, names), (2, kinds), (1, {"*/*"})):
        qualities = [quality for media_range, quality in ranges if media_range in wanted]
        if qualities:
            best = max(qualities)
            return (best, specificity) if best else (0.0, 0)
    return 0.0, 0


def _ranges(accept: str) -> Iterator[tuple[str, float]]:
    """The (media range, quality) pairs that can be parsed; other parameters are ignored."""
    for element in _ELEMENT.findall(accept):
        media_range, semicolon, rest = element.strip(" \t").partition(";")
        media_range = media_range.rstrip(" \t").lower()
        media_range = "*/*" if media_range == "*" else media_range
        quality = "1"
        for name, value in _PARAMETER.findall(semicolon + rest):
            if name.lower() == "q":
                quality = value.rstrip(" \t")
                break
        if _RANGE.fullmatch(media_range) and _QUALITY.fullmatch(quality):
            yield media_range, float(quality)
