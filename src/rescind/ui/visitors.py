"""Signing in and out, and what a visitor sees."""

from rescind.api.auth import signed_in_by
from rescind.api.forms import parse_form
from rescind.api.http import Context, Request, Text, session_cookie
from rescind.errors import RequestRefused
from rescind.service import accounts
from rescind.ui.pages import delayed, page, refusal, see, sign_in_path
from rescind.ui.paths import here, local


def welcome(request: Request) -> Text:
    """What Rescind is, how to use it, and where to sign in."""
    scheme = "https" if request.https else "http"
    lines = curl_lines(f"{scheme}://{request.host}")
    after = local(request.query.get("next"))
    if after is None and "next" not in request.query and request.query:
        after = here(request)
    return page("welcome.html", request, after=after, curl_lines=lines)


def sign_in(context: Context, request: Request) -> Text:
    """Open a session that the browser keeps, in place of the one that it has."""
    after = None
    try:
        form = parse_form(request.body, request.headers.get("content-type"))
        after = local(form.get("next"))
        signed_in = signed_in_by(context, request, form)
    except RequestRefused as refused:
        answer = refusal(request, refused.message, status=200, back=sign_in_path(after))
        return delayed(answer, refused.delay_seconds)
    if request.session_id is not None:
        accounts.sign_out(context.store, request.session_id)
    return delayed(
        see(after or "/", _cookie(request, signed_in.session_id)), signed_in.delay_seconds
    )


def sign_out(context: Context, request: Request) -> Text:
    """End the browser's session."""
    if request.session_id is not None:
        accounts.sign_out(context.store, request.session_id)
    return see("/", _cookie(request, "", "; Max-Age=0"))


def _cookie(request: Request, value: str, more: str = "") -> dict[str, str]:
    """The header that sets the session's cookie. It comes along with a link from elsewhere, so that
    who follows one is signed in; forms ask where they were sent from.
    """
    name = session_cookie(https=request.https)
    secure = "; Secure" if request.https else ""
    return {"Set-Cookie": f"{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{more}"}


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
