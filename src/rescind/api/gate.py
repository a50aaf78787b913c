"""The one gate that every request passes, and the only async code.

In order: is there such a route and version; who asks and may they; the body, within its bounds;
then the handler, in one of a few bounded pools of threads; then the answer, as accepted.
"""

import math
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import TypeVar

import anyio
import structlog
from msgspec.structs import replace
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from rescind import ids, limits
from rescind.api.burst import Burst
from rescind.api.hosts import Hosts, hostname, is_loopback
from rescind.api.http import (
    Access,
    Answer,
    Context,
    ErrorPages,
    Live,
    Pool,
    Request,
    Route,
    Text,
    detail_wanted,
    session_cookie,
)
from rescind.api.streams import OVER, Streams
from rescind.api.versions import VERSIONS, precedes
from rescind.errors import RequestRefused
from rescind.service import accounts
from rescind.service.policy import Caller, Permission, Profile
from rescind.wire import envelope
from rescind.wire.error_types import ErrorType
from rescind.wire.negotiation import accept_format
from rescind.wire.render import render
from rescind.wire.text import one_line, shown

_log = structlog.get_logger()
_COOKIE = r'(?:^|[;,])[ \t]*{name}="?([0-9A-F]{{128}})"?[ \t]*(?:$|[;,])'
_COOKIES = {
    https: re.compile(_COOKIE.format(name=session_cookie(https=https))) for https in (False, True)
}
_OVER = Text(text=OVER.decode(), content_type="text/event-stream")
_JOB_ID = re.compile(r"[0-9]{1,30}")
_T = TypeVar("_T")


class Gate:
    """One path of the table, as an ASGI application: its routes by method."""

    def __init__(self, shared: "Shared", routes: Sequence[Route]) -> None:
        self._shared = shared
        self._routes = {route.method: route for route in routes}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        http = HttpRequest(scope, receive)
        await (await self._shared.answer(http, self._routes))(scope, receive, send)


class Shared:
    """What all paths of the table share: context, pools, burst accounting."""

    def __init__(self, context: Context, error_pages: ErrorPages) -> None:
        self._context = context
        self._error_pages = error_pages
        self._streams = Streams(partial(self._run, Pool.LIVE))
        context.health.on_drain(self._streams.drain)
        self._burst = Burst()
        self._hosts = Hosts(context.settings)
        self._pools = {pool: anyio.CapacityLimiter(pool.threads) for pool in Pool}
        self._large_bodies = {pool: anyio.CapacityLimiter(pool.threads) for pool in Pool}

    async def answer(self, http: HttpRequest, routes: Mapping[str, Route]) -> Response:
        """The response to one request; whatever goes wrong becomes an answer."""
        asked = _Asked(_opened(http, secured=self._context.settings.secure_cookies))
        try:
            answer = await self._answer(http, routes, asked)
        except _NobodyError:
            answer = _OVER
            if not _wants_events(asked.request):
                answer = self._error_pages.sign_in(asked.request)
        except _NothingThereError:
            answer = _nothing_there()
        except _MisdirectedError as error:
            answer = Answer(
                payload=envelope.failure(ErrorType.INVALID_DATA, str(error)), http_status=421
            )
        except RequestRefused as refusal:
            detail = refusal.detail if detail_wanted(self._context, asked.request) else {}
            payload = envelope.failure(refusal.error_type, refusal.message, **detail)
            answer = Answer(payload=payload, delay_seconds=refusal.delay_seconds)
            asked.close = isinstance(refusal, _BodyRefused)
        except ClientDisconnect:
            answer = Answer(
                payload=envelope.failure(ErrorType.INVALID_DATA, "The body ended early")
            )
            asked.close = True
        except Exception as error:  # noqa: BLE001 - the last resort; the cause is logged
            request_id = asked.request.request_id
            _log.exception("request failed", request_id=request_id, error=str(error))
            answer = Answer(payload=envelope.exception(request_id))
        return await self._respond(asked, answer)

    async def _answer(
        self, http: HttpRequest, routes: Mapping[str, Route], asked: "_Asked"
    ) -> Answer | Text | Live:
        """What the route's handler says of the request, which ``asked`` has as far as it is known.
        Raises what :meth:`answer` answers.
        """
        if not any(route.any_host for route in routes.values()):
            self._check_host(asked.request)
        route = _route_of(asked.request, routes, self._context.profile)
        if route.access is not Access.OPEN:
            asked.request = await self._run(route.pool, lambda: self._admit(asked.request, route))
        async with AsyncExitStack() as held:
            large = partial(held.enter_async_context, self._large_bodies[route.pool])
            body = await _read_body(http, route.body_bytes_max, large)
            request = asked.request = replace(asked.request, body=body)
            answer = await self._run(route.pool, lambda: self._handled(route, request))
        if isinstance(answer, Live):
            self._streams.require_room(request)
        return answer

    async def _respond(self, asked: "_Asked", answer: Answer | Text | Live) -> Response:
        request = asked.request
        left = self._burst_left(request)
        delay_seconds = 0.0 if isinstance(answer, Live) else answer.delay_seconds
        if left < 0 and self._context.profile is Profile.VAULT:
            delay_seconds = max(delay_seconds, limits.RESPONSE_DELAY_SECONDS)
        if isinstance(answer, Answer) and _by_browser(request):
            answer = self._error_pages.refused(request, answer)
        if delay_seconds:
            await anyio.sleep(delay_seconds)  # no thread waits
        headers = self._vault_headers(request, left, delay_seconds)
        if isinstance(answer, Live):
            return self._stream(answer, request, _headers(request, headers, {}))
        return _response(request, answer, headers, close=asked.close)

    def _handled(self, route: Route, request: Request) -> Answer | Text | Live:
        answer = route.handler(self._context, request)
        if isinstance(answer, Live) and not _wants_events(request):
            return answer.page(answer.look())
        return answer

    def _stream(self, live: Live, request: Request, headers: Mapping[str, str]) -> Response:
        def still() -> bool:
            """Whether who watches is signed in, and may what they might when they came."""
            session = accounts.session(
                self._context.store,
                request.session_id or "",
                inactive_seconds=self._context.inactive_seconds,
                extend=False,
            )
            return session is not None and session.user == request.signed_in.user

        events = self._streams.follow(live, request, still)
        unheld = {
            **headers,
            "X-Accel-Buffering": "no",
        }  # nginx would keep events until there are many
        return StreamingResponse(events, headers=unheld, media_type="text/event-stream")

    async def _run(self, pool: Pool, work: Callable[[], _T]) -> _T:
        return await anyio.to_thread.run_sync(work, limiter=self._pools[pool])

    def _check_host(self, request: Request) -> None:
        if not self._hosts.allow(request.host):
            raise _MisdirectedError(
                f"The host {shown(request.host)} is not one that this service answers to; the "
                "setting allowed_hosts (RESCIND_ALLOWED_HOSTS) names those that are"
            )

    def _admit(self, request: Request, route: Route) -> Request:
        """The request with its caller, or RequestRefused."""
        by_browser = route.access.by_browser
        if by_browser and route.method != "GET":
            _require_same_origin(request)
        session_id = _cookie(request) if by_browser else _authorization(request)
        session = session_id and accounts.session(
            self._context.store,
            session_id,
            inactive_seconds=self._context.inactive_seconds,
            extend=route.extends_session and not _wants_events(request),
        )
        if not session_id or not session:
            if route.access is Access.VISITOR and not _wants_events(request):
                return request
            if by_browser:
                raise _NobodyError
            raise RequestRefused(ErrorType.INVALID_SESSION_ID, "Invalid or expired session ID.")
        caller = Caller(user=session.user, request_id=request.request_id, reason=_reason(request))
        if route.access is not Access.VISITOR:
            caller.require(Permission.API_ACCESS)
        if route.permitted is not None:
            route.permitted(caller, self._context.profile)
        return replace(request, session_id=session_id, caller=caller)

    def _burst_left(self, request: Request) -> int:
        """How many requests the caller has left in this window, this one counted; negative
        beyond it.
        """
        if request.caller is None:
            return limits.BURST_REQUESTS_MAX
        return self._burst.count(request.caller.user.id, self._context.clock.now())

    def _vault_headers(
        self, request: Request, burst_left: int, delay_seconds: float
    ) -> dict[str, str]:
        """The response headers of Vault's API reference."""
        headers = {
            "X-VaultAPI-ExecutionId": request.request_id,
            "X-VaultAPI-VaultId": str(self._context.settings.vault_id),
            "X-VaultAPI-BurstLimit": str(limits.BURST_REQUESTS_MAX),
            "X-VaultAPI-BurstLimitRemaining": str(max(0, burst_left)),
        }
        if delay_seconds:
            headers["X-VaultAPI-ResponseDelay"] = str(round(delay_seconds * 1000))
        reference = request.headers.get("x-vaultapi-referenceid", "")
        if 0 < len(reference) <= limits.REFERENCE_ID_CHARACTERS_MAX and reference.isprintable():
            headers["X-VaultAPI-ReferenceId"] = reference
        if request.caller is not None and request.session_id is not None:
            headers["X-VaultAPI-UserId"] = str(request.caller.user.id)
            headers["X-VaultAPI-TruncatedSessionId"] = request.session_id[:16]
        return headers


def _response(
    request: Request, answer: Answer | Text, vault_headers: Mapping[str, str], *, close: bool
) -> Response:
    headers = _headers(request, vault_headers, answer.headers)
    if close:
        headers["Connection"] = "close"
    if isinstance(answer, Text):
        body, content_type = answer.text.encode("utf-8", "replace"), answer.content_type
    else:
        headers["X-VaultAPI-Status"] = str(answer.payload["responseStatus"])
        body, content_type = render(answer.payload, accept_format(request.headers.get("accept")))
    headers["Content-Type"] = content_type
    # Any other answer to CONNECT would make a tunnel of the connection.
    status = 405 if request.method == "CONNECT" else answer.http_status
    return Response(body, status_code=status, headers=headers)


def _headers(
    request: Request, vault_headers: Mapping[str, str], own: Mapping[str, str]
) -> dict[str, str]:
    headers = {"Cache-Control": "no-store", **own, **vault_headers}
    headers["X-Content-Type-Options"] = "nosniff"
    if request.https and not is_loopback(hostname(request.host)):  # there, others answer as well
        headers["Strict-Transport-Security"] = "max-age=31536000"
    return headers


class _Asked:
    """A request as far as it is known, and whether its connection is over once it is answered."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.close = False


class _NobodyError(Exception):
    """A browser without a session asks for what needs one."""


class _NothingThereError(Exception):
    """No route, or a version that is not published."""


class _MisdirectedError(Exception):
    """Asked for by a name that is not the service's."""


class _BodyRefused(RequestRefused):
    """The body was not read to its end, so the connection cannot be used again."""


def _opened(http: HttpRequest, *, secured: bool) -> Request:
    # Lines of one name are one list (RFC 9110, 5.3).
    names = dict.fromkeys(http.headers.keys())
    headers = {name: ", ".join(http.headers.getlist(name)) for name in names}
    return Request(
        request_id=ids.request_id(),
        method=http.method,
        path=http.url.path,
        parameters={name: str(value) for name, value in http.path_params.items()},
        query=dict(http.query_params),
        headers=headers,
        body=b"",
        https=secured or http.url.scheme == "https",
        client="" if http.client is None else http.client.host,
    )


def _route_of(request: Request, routes: Mapping[str, Route], profile: Profile) -> Route:
    version = request.parameters.get("version")
    job_id = request.parameters.get("job_id")
    if version is not None and version not in VERSIONS:
        raise _NothingThereError
    if job_id is not None and not _JOB_ID.fullmatch(job_id):
        raise _NothingThereError
    # What is asked for by HEAD is told without its body, which the server leaves out.
    route = routes.get("GET" if request.method == "HEAD" else request.method)
    if route is not None and profile not in route.profiles:
        raise _NothingThereError
    if route is None:
        if all(other.ours for other in routes.values()):
            raise _NothingThereError
        raise RequestRefused(
            ErrorType.METHOD_NOT_SUPPORTED,
            f"The method [{request.method}] is not supported here; supported: "
            f"{', '.join(sorted(routes))}.",
        )
    if version is not None and route.since is not None and precedes(version, route.since):
        raise RequestRefused(
            ErrorType.METHOD_NOT_SUPPORTED,
            f"This request is not in API version [{version}]; it is since {route.since}.",
        )
    return route


def _nothing_there() -> Answer:
    """Example: GET /api/v25.2/services/jobs on a real Vault."""
    return Answer(
        payload=envelope.failure(
            ErrorType.MALFORMED_URL, "The specified resource cannot be found."
        ),
        http_status=404,
    )


async def _read_body(
    http: HttpRequest, bytes_max: int, large: Callable[[], Awaitable[object]]
) -> bytes:
    """The whole body; refused as soon as it is known to be too large, or is too slow. It waits for
    ``large`` before it holds more than ``SMALL_BODY_BYTES_MAX``.
    """
    if (encoding := http.headers.get("content-encoding", "identity").lower()) != "identity":
        raise _BodyRefused(
            ErrorType.INVALID_DATA,
            f"Content-Encoding {shown(encoding)} is not supported; send the body as it is",
        )
    length = http.headers.get("content-length")
    if length is not None and length.isdecimal() and int(length[:20]) > bytes_max:
        raise _too_large(bytes_max, f", but this one has {length[:20]}")
    body = bytearray()
    is_large = False
    with anyio.move_on_after(limits.BODY_SECONDS_MAX) as scope:
        async for chunk in http.stream():
            body += chunk
            if len(body) > bytes_max:
                raise _too_large(bytes_max, "")
            if len(body) > limits.SMALL_BODY_BYTES_MAX and not is_large:
                is_large = True
                left, scope.deadline = scope.deadline - anyio.current_time(), math.inf
                await large()
                scope.deadline = anyio.current_time() + left
    if scope.cancelled_caught:
        raise _BodyRefused(
            ErrorType.INVALID_DATA,
            f"The body did not arrive within {limits.BODY_SECONDS_MAX} seconds",
        )
    return bytes(body)


def _too_large(bytes_max: int, but: str) -> _BodyRefused:
    return _BodyRefused(ErrorType.INVALID_DATA, f"The body may have at most {bytes_max} bytes{but}")


def _authorization(request: Request) -> str | None:
    """The session id of the Authorization header, alone or after ``Bearer``."""
    value = request.headers.get("authorization", "").strip()
    scheme, _, rest = value.partition(" ")
    return (rest.strip() if scheme.lower() == "bearer" else value) or None


def _cookie(request: Request) -> str | None:
    """Our one cookie, by its own pattern: what else is in the header, of other applications, is not
    looked at, however odd or long it is.
    """
    found = _COOKIES[request.https].search(request.headers.get("cookie", ""))
    return None if found is None else found[1]


def _wants_events(request: Request) -> bool:
    # By HEAD it would be a stream of nothing, whose client is never noticed to be gone.
    wanted = request.headers.get("accept", "").startswith("text/event-stream")
    return wanted and request.method == "GET"


def _by_browser(request: Request) -> bool:
    """Whether a person looks at the answer, and not at the API's."""
    is_api = request.path == "/api" or request.path.startswith("/api/")
    return "text/html" in request.headers.get("accept", "") and not is_api


def _require_same_origin(request: Request) -> None:
    """A browser says where a form was sent from; it must be from here."""
    here = f"{'https' if request.https else 'http'}://{request.host}"
    site = request.headers.get("sec-fetch-site", "same-origin")
    if request.headers.get("origin") != here or not request.host or site != "same-origin":
        raise RequestRefused(
            ErrorType.INSUFFICIENT_ACCESS, "This form was not sent from a page of this service."
        )


def _reason(request: Request) -> str | None:
    given = request.headers.get("x-rescind-reason", "")  # bytes, read as Latin-1
    reason = one_line(given.encode("latin-1").decode("utf-8", "replace")).strip()
    return reason[: limits.REASON_CHARACTERS_MAX] or None
