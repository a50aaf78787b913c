"""Instants as clients write them and as answers carry them."""

import re
from datetime import UTC, datetime, timedelta, timezone

from rescind.wire.text import shown

_INSTANT = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})T(?P<minute>[0-9]{2}:[0-9]{2})"
    r"(?::(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]{1,9}))?)?"
    r"(?P<offset>Z|[+-][0-9]{2}:[0-5][0-9])?"
    # Java's ZonedDateTime names its zone as well (RFC 9557); the offset has already decided.
    r"(?:\[[A-Za-z0-9_+/-]{1,64}\])?"
)
_EXAMPLE = "2026-01-31T07:00:00Z"


def parse_instant(text: str) -> datetime:
    """The instant that ``text`` names: aware, in UTC, cut to whole microseconds.

    Accepted is ``yyyy-MM-ddTHH:mm`` with optional seconds and one to nine digits of fraction,
    then ``Z`` or an offset, then perhaps a zone's name in brackets: what Vault documents and
    what its Java client sends (``2026-11-23T14:38:17.774035230Z[Etc/UTC]``).

    Raises:
        ValueError: its message is a sentence that begins with the text in brackets.
    """
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise ValueError(f"{shown(text)} must be an instant such as {_EXAMPLE}")
    if match["offset"] is None:
        raise ValueError(f"{shown(text)} must say its zone: Z or an offset such as +01:00")
    fraction = (match["fraction"] or "")[:6].ljust(6, "0")
    try:
        local = datetime.fromisoformat(
            f"{match['day']}T{match['minute']}:{match['second'] or '00'}.{fraction}"
        )
        return local.replace(tzinfo=_zone(match["offset"])).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{shown(text)} is no instant: {error}") from None


def _zone(offset: str) -> timezone:
    if offset == "Z":
        return UTC
    distance = timedelta(hours=int(offset[1:3]), minutes=int(offset[4:6]))
    return timezone(-distance if offset[0] == "-" else distance)


def format_instant(instant: datetime) -> str:
    """``instant`` (aware) as Vault writes it, cut to whole milliseconds and in UTC:
    ``2016-04-20T18:14:42.000Z``."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
