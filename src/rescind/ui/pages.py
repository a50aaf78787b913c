"""How pages are made, and what is shown when one cannot be."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from importlib import resources
from typing import Any
from urllib.parse import quote, urlsplit

import jinja2
from msgspec.structs import replace

from rescind.api.http import Answer, Context, Request, Text
from rescind.clock import SystemClock
from rescind.model import EVERY_JOB
from rescind.ui.paths import here, local
from rescind.wire.error_types import ErrorType

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
_STATUSES = {
    ErrorType.INSUFFICIENT_ACCESS: 403,
    ErrorType.API_LIMIT_EXCEEDED: 429,
    ErrorType.UNEXPECTED_ERROR: 500,
}
"""HTTP's own, of what is refused to a browser; anything else is 400."""


def number(value: int) -> str:
    """A number with its thousands apart."""
    return f"{value:,}"


def many(count: int, noun: str) -> str:
    """So many of what ``noun`` names."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def instant(at: datetime, *, fraction: bool = False) -> str:
    """An instant as people read it, in UTC."""
    return f"{at:%Y-%m-%d %H:%M:%S.%f}"[: 23 if fraction else 19]


def duration(seconds: float) -> str:
    """A length of time in at most two units; the page's script writes it the same."""
    minutes, whole = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole} s" if minutes else f"{whole} s"


def since(at: datetime) -> str:
    """How long ago something was."""
    return duration((SystemClock().now() - at).total_seconds())


def between(start: datetime, end: datetime) -> str:
    """How long something took: with milliseconds, if it was short."""
    took = end - start
    if took < timedelta(seconds=10):
        return f"{max(0.0, took.total_seconds()):.1f} s"
    return duration(took.total_seconds())


_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("rescind.ui"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    auto_reload=False,
    trim_blocks=True,
    lstrip_blocks=True,
)


def by_reason(obstacles: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    """What keeps jobs of some names from being started, each reason with its names."""
    names: dict[str, list[str]] = {}
    general = obstacles.get(EVERY_JOB)
    if general is not None:
        names[general] = ["any job"]
    for name, reason in sorted(obstacles.items()):
        if reason != general:
            names.setdefault(reason, []).append(name)
    return list(names.items())


_TEMPLATES.filters.update(
    number=number,
    many=many,
    instant=instant,
    since=since,
    between=between,
    by_reason=by_reason,
)


def region(template: str, **values: Any) -> str:
    """A part of a page that changes by itself, from the template of its name."""
    return _TEMPLATES.get_template(f"regions/{template}.html").render(**values)


def page(
    template: str,
    request: Request,
    *,
    status: int = 200,
    live: bool = False,
    headers: Mapping[str, str] | None = None,
    **values: Any,
) -> Text:
    """A whole page; one that is ``live`` asks for its events by its own address."""
    user = None if request.caller is None else request.caller.user.name
    text = _TEMPLATES.get_template(template).render(
        user=user, path=request.path, here=here(request), live=live, **values
    )
    return Text(
        text=text,
        content_type="text/html; charset=utf-8",
        http_status=status,
        headers={**HEADERS, "Vary": "Accept", **(headers or {})},
    )


def see(path: str, headers: Mapping[str, str] | None = None) -> Text:
    """The browser goes on to another page."""
    more = headers or {}
    return Text(text="", http_status=303, headers={"Location": path, **HEADERS, **more})


def sign_in_path(after: str | None) -> str:
    """Where one signs in, and comes to ``after``, a path of this service, from there."""
    return "/" if after in (None, "/") else f"/?next={quote(after or '', safe='/')}"


def refusal(request: Request, message: str, *, status: int = 400, back: str | None = None) -> Text:
    """A page that says why something was not done, and leads back."""
    return page("refused.html", request, status=status, message=message, back=back or came(request))


def came(request: Request) -> str:
    """The page that the browser has come from, if it is one of ours; else the first one."""
    try:
        referer = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return "/"
    path = f"{referer.path}?{referer.query}" if referer.query else referer.path
    ours = referer.netloc == request.host and path != request.path
    return (ours and local(path)) or "/"


class _Errors:
    """See :class:`rescind.api.http.ErrorPages`."""

    def refused(self, request: Request, answer: Answer) -> Text:
        """A page that says why, and leads back."""
        error = answer.payload["errors"][0]
        ok = answer.http_status == HTTPStatus.OK
        status = _STATUSES.get(error["type"], 400) if ok else answer.http_status
        return refusal(request, error["message"], status=status)

    def sign_in(self, request: Request) -> Text:
        """To where one signs in; from there back to the page, or to that whose form was sent."""
        get = request.method in ("GET", "HEAD")
        return see(sign_in_path(here(request) if get else came(request)))


ERROR_PAGES = _Errors()

_ASSETS = {
    "rescind.css": "text/css; charset=utf-8",
    "rescind.js": "text/javascript; charset=utf-8",
    "favicon.svg": "image/svg+xml",
}
_STATIC = {
    f"/{name}": Text(
        text=resources.files("rescind.ui").joinpath("static", name).read_text(),
        content_type=content_type,
    )
    for name, content_type in _ASSETS.items()
}
ASSETS = tuple(_STATIC)
"""The paths of what pages are made of."""


def asset(context: Context, request: Request) -> Text:  # noqa: ARG001 - a handler's signature
    """The style sheet, the script, or the picture in the browser's tab."""
    return _STATIC[request.path]


def delayed(answer: Text, seconds: float) -> Text:
    """An answer that is held back for so long."""
    return replace(answer, delay_seconds=seconds)
