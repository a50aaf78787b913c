"""Handlers of the pages. They only show; signing in and out is all that a form can do."""

import re
from collections.abc import Mapping
from importlib import resources
from typing import Any
from urllib.parse import quote

import jinja2
from msgspec.structs import replace

from rescind import limits
from rescind.api.auth import signed_in_by
from rescind.api.forms import parse_form
from rescind.api.http import Context, Request, Text, session_cookie
from rescind.errors import RequestRefused
from rescind.service import accounts, read

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("rescind.ui"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    auto_reload=False,
    trim_blocks=True,
    lstrip_blocks=True,
)
_STYLE = resources.files("rescind.ui").joinpath("static", "rescind.css").read_text()

_ID = re.compile(r"[0-9]{1,30}")
# Two slashes, or a slash and what browsers take for one, lead to another host.
_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]*")

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


def front(context: Context, request: Request) -> Text:
    """What Rescind is, how to use it, and the jobs for who is signed in."""
    if request.caller is None:
        return _page("front.html", request, jobs=None, after=_path(request.query.get("next")))
    below = request.query.get("below", "")
    page = read.latest_jobs(
        context.store,
        request.caller,
        below=min(int(below), limits.JOB_ID_MAX) if _ID.fullmatch(below) else limits.JOB_ID_MAX,
    )
    older = page[-1].id if len(page) == limits.PAGE_JOBS_DEFAULT else None
    workers = read.workers(context.store, request.caller)
    return _page("front.html", request, jobs=page, older=older, workers=workers)


def _path(text: str | None) -> str | None:
    """Where to go after signing in: a path of this service, or nowhere."""
    return text if text is not None and _PATH.fullmatch(text) else None


def _sign_in_path(after: str | None) -> str:
    return "/" if after is None else f"/?next={quote(after, safe='/')}"


def job(context: Context, request: Request) -> Text:
    """One job: its row, its moves, its log."""
    if request.caller is None:
        return _see(_sign_in_path(request.path))
    job_id = int(request.parameters["job_id"])
    try:
        found = read.details(context.store, request.caller, job_id)
    except RequestRefused as refusal:
        return _page("refused.html", request, status=404, message=refusal.message, back="/")
    return _page(
        "job.html",
        request,
        job=found.job,
        events=found.events,
        log=read.log(context.store, request.caller, job_id).text,
    )


def sign_in(context: Context, request: Request) -> Text:
    """Open a session that the browser keeps, in place of the one that it has."""
    after = None
    try:
        form = parse_form(request.body, request.headers.get("content-type"))
        after = _path(form.get("next"))
        signed_in = signed_in_by(context, request, form)
    except RequestRefused as refusal:
        back = _sign_in_path(after)
        page = _page("refused.html", request, message=refusal.message, back=back)
        return replace(page, delay_seconds=refusal.delay_seconds)
    if request.session_id is not None:
        accounts.sign_out(context.store, request.session_id)
    page = _see(after or "/", _cookie(request, signed_in.session_id))
    return replace(page, delay_seconds=signed_in.delay_seconds)


def sign_out(context: Context, request: Request) -> Text:
    """End the browser's session."""
    if request.session_id is not None:
        accounts.sign_out(context.store, request.session_id)
    return _see("/", _cookie(request, "", "; Max-Age=0"))


def _cookie(request: Request, value: str, more: str = "") -> dict[str, str]:
    """The header that sets the session's cookie. It comes along with a link from elsewhere, so that
    who follows one is signed in; forms ask where they were sent from.
    """
    name = session_cookie(https=request.https)
    secure = "; Secure" if request.https else ""
    return {"Set-Cookie": f"{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{more}"}


def style(context: Context, request: Request) -> Text:  # noqa: ARG001 - a handler's signature
    """The style sheet."""
    return Text(text=_STYLE, content_type="text/css; charset=utf-8")


def _page(template: str, request: Request, *, status: int = 200, **values: Any) -> Text:
    user = None if request.caller is None else request.caller.user.name
    scheme = "https" if request.https else "http"
    lines = curl_lines(f"{scheme}://{request.host}")
    text = _TEMPLATES.get_template(template).render(user=user, curl_lines=lines, **values)
    return Text(
        text=text,
        content_type="text/html; charset=utf-8",
        http_status=status,
        headers=_HEADERS,
    )


def curl_lines(address: str, password: str = "YOUR-PASSWORD") -> tuple[str, str, str]:  # noqa: S107 - a placeholder
    """Sign in, submit a demo job, cancel it: from a shell."""
    api = f"{address}/api/v26.1"
    headers = "-H \"Authorization: $SESSION\" -H 'Content-Type: application/json'"
    # By standard input: what stands on a command line, everyone on the machine can read.
    given = f"printf %s '{password}'"
    form = "-d username=admin --data-urlencode password@-"
    submit = '[{"job_metadata": "demo_sleep__c", "parameters": {"seconds": 60}}]'
    cancel = '[{"job_id": 1}]'
    return (
        f"SESSION=$({given} | curl -s {api}/auth {form} | grep -o '[0-9A-F]\\{{128\\}}')",
        f"curl {api}/services/jobs {headers} -d '{submit}'",
        f"curl {api}/services/jobs/actions/cancel {headers} -d '{cancel}'",
    )


def _see(path: str, headers: Mapping[str, str] | None = None) -> Text:
    """The browser goes on to another page."""
    more = headers or {}
    return Text(text="", http_status=303, headers={"Location": path, **_HEADERS, **more})
