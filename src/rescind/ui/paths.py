"""Paths of this service, with what follows the question mark."""

import re
from urllib.parse import parse_qsl, urlencode

from rescind import limits
from rescind.api.http import Request

# Two slashes, or a slash and what browsers take for one, lead to another host.
_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]*")


def local(text: str | None) -> str | None:
    """A path of this service, or nothing."""
    if text is None or len(text) > limits.PATH_CHARACTERS_MAX:
        return None
    return text if _PATH.fullmatch(text) else None


def here(request: Request) -> str:
    """The path that was asked for."""
    query = urlencode(request.query)
    return local(f"{request.path}?{query}" if query else request.path) or "/"


def with_parameter(path: str, name: str, value: str | int | None) -> str:
    """A path with a parameter of this value, whatever it had; with none, without it."""
    bare, _, query = path.partition("?")
    kept = [(key, text) for key, text in parse_qsl(query) if key != name]
    if value is not None:
        kept.append((name, str(value)))
    return f"{bare}?{urlencode(kept)}" if kept else bare


def parameters(path: str) -> dict[str, str]:
    """What follows the question mark."""
    return dict(parse_qsl(path.partition("?")[2]))
