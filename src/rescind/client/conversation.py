"""How a client speaks with a service, without speaking: what to send next, given what came.

A call is a generator. It yields :class:`Send` and is given the :class:`Reply`, or has CannotReach
thrown at it; it yields :class:`Pause` and is resumed after that; what it returns is the result.
Whoever drives it owns the connection: see ``sync_client.py`` and ``async_client.py``.
"""

from collections.abc import Callable, Generator, Mapping
from http import HTTPStatus
from typing import Any, TypeAlias, TypeVar
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from rescind import ids, limits
from rescind.client.errors import (
    CannotReach,
    ClientError,
    NotInThisProfile,
    NotPermitted,
    NotSignedIn,
    Refused,
    ServiceFailed,
)

API = "/api/v26.1"
JOBS = f"{API}/services/jobs"

T = TypeVar("T")


class Send(Struct, frozen=True, kw_only=True):
    """A request to send: the path with its query, from the service's root."""

    method: str
    path: str
    headers: Mapping[str, str]
    content: bytes = b""


class Pause(Struct, frozen=True):
    """Some time to let pass."""

    seconds: float


class Reply(Struct, frozen=True, kw_only=True):
    """What came: header names in lower case."""

    http_status: int
    headers: Mapping[str, str]
    content: bytes


Call: TypeAlias = Generator[Send | Pause, Reply | None, T]


class Credentials(Struct, frozen=True, kw_only=True):
    """Who signs in where; with a session, nobody has to."""

    url: str
    username: str | None = None
    password: str | None = None
    session_id: str | None = None


class Ask(Struct, frozen=True, kw_only=True):
    """One request, before anybody has signed in."""

    method: str
    path: str
    query: Mapping[str, Any] = {}
    json: Any = None
    form: Mapping[str, str] | None = None
    headers: Mapping[str, str] = {}
    does: bool = False
    """Whether it does something: then it carries a key, and does it once however often it is sent.
    """
    ours: bool = False
    """Whether profile vault does not have it."""


class Conversation:
    """A session with a service: opened when it is needed, and again when it is over."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self.session_id = credentials.session_id
        self.opened = False
        """Whether the session was opened here: then it is ended here."""
        self.answers: list[dict[str, Any]] | None = None
        """A list: what was answered, as it came, is added to it."""

    def json(self, ask: Ask) -> Call[dict[str, Any]]:
        """The payload of an answer that is a SUCCESS, or done with warnings."""
        reply = yield from self.reply(ask)
        payload = _payload(reply)
        if self.answers is not None:
            self.answers.append(payload)
        return payload

    def reply(self, ask: Ask) -> Call[Reply]:
        """The answer to a request, tried again where that may help. Raises ClientError."""
        key = {"Idempotency-Key": ids.idempotency_key()} if ask.does else {}
        if self.session_id is None:
            yield from self._sign_in()
        reply = yield from self._tried(lambda: self._send(ask, key))
        if _error(reply)[0] == "INVALID_SESSION_ID" and self._credentials.password is not None:
            yield from self._sign_in()
            reply = yield from self._tried(lambda: self._send(ask, key))
        _refuse(reply, ask)
        return reply

    def sign_in(self) -> Call[str]:
        """Open a session that is not ended here; its id."""
        yield from self._sign_in()
        self.opened = False
        return self.session_id or ""

    def sign_out(self) -> Call[None]:
        """End the session, whoever opened it."""
        yield from self.reply(Ask(method="DELETE", path=f"{API}/session"))
        self.session_id, self.opened = None, False

    def end(self) -> Call[None]:
        """End the session, if it was opened here."""
        if self.opened and self.session_id is not None:
            ask = Ask(method="DELETE", path=f"{API}/session")
            yield self._send(ask, {})
            self.session_id, self.opened = None, False

    def _sign_in(self) -> Call[None]:
        who = self._credentials
        if who.username is None or who.password is None:
            raise NotSignedIn(
                "Nobody is signed in: give a user name and a password, set RESCIND_USERNAME and "
                "RESCIND_PASSWORD, or run `rescind login`"
            )
        form = {"username": who.username, "password": who.password}
        ask = Ask(method="POST", path=f"{API}/auth", form=form)
        reply = yield from self._tried(lambda: self._send(ask, {}))
        kind, message = _error(reply)
        if kind is not None:
            raise NotSignedIn(message, request_id=_request_id(reply))
        self.session_id, self.opened = str(_payload(reply)["sessionId"]), True

    def _send(self, ask: Ask, more: Mapping[str, str]) -> Send:
        headers = {"Accept": "application/json", **ask.headers, **more}
        if ask.path != f"{API}/auth":
            headers["Authorization"] = self.session_id or ""
        content = b""
        if ask.json is not None:
            headers["Content-Type"] = "application/json"
            content = msgspec.json.encode(ask.json)
        elif ask.form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            content = urlencode(ask.form).encode()
        query = {name: value for name, value in ask.query.items() if value is not None}
        path = f"{ask.path}?{urlencode(query)}" if query else ask.path
        return Send(method=ask.method, path=path, headers=headers, content=content)

    def _tried(self, send: Callable[[], Send]) -> Call[Reply]:
        """Send until there is an answer that is no failure of the service."""
        for attempt in range(limits.CLIENT_TRIES):
            last = attempt + 1 == limits.CLIENT_TRIES
            try:
                reply = yield send()
            except CannotReach:
                if last:
                    raise
            else:
                assert reply is not None
                if last or not _may_pass(reply):
                    return reply
            again = limits.CLIENT_AGAIN_SECONDS_MIN * 2**attempt
            yield Pause(min(limits.CLIENT_AGAIN_SECONDS_MAX, again) * (0.5 + ids.jitter() / 2))
        raise AssertionError


def _may_pass(reply: Reply) -> bool:
    """Whether the same request may be answered otherwise in a moment."""
    kind, _ = _error(reply)
    return kind == "UNEXPECTED_ERROR" or (
        kind == "OPERATION_IN_PROGRESS" and "Idempotency-Key" in _error(reply)[1]
    )


def _payload(reply: Reply) -> dict[str, Any]:
    try:
        payload = msgspec.json.decode(reply.content, type=dict[str, Any])
    except msgspec.DecodeError:
        raise ServiceFailed(
            f"What answered is no Rescind: HTTP {reply.http_status}, "
            f"{reply.headers.get('content-type', 'no content type')}"
        ) from None
    return payload


def _request_id(reply: Reply) -> str | None:
    return reply.headers.get("x-vaultapi-executionid")


def _error(reply: Reply) -> tuple[str | None, str]:
    """The type and the message of what a whole request was refused with, if it was."""
    if not reply.headers.get("content-type", "").startswith("application/json"):
        return None, ""
    payload = _payload(reply)
    if payload.get("responseStatus") not in ("FAILURE", "EXCEPTION"):
        return None, ""
    error = payload["errors"][0]
    return str(error["type"]), str(error["message"])


def _refuse(reply: Reply, ask: Ask) -> None:
    """Raise what the answer is, unless it is a success."""
    kind, message = _error(reply)
    if kind is None:
        if reply.http_status != HTTPStatus.OK:
            raise ServiceFailed(f"What answered is no Rescind: HTTP {reply.http_status}")
        return
    request_id = _request_id(reply)
    if kind == "MALFORMED_URL" and ask.ours:
        raise NotInThisProfile("The service is in profile vault, which does not have this")
    simple: dict[str, type[ClientError]] = {
        "INVALID_SESSION_ID": NotSignedIn,
        "UNEXPECTED_ERROR": ServiceFailed,
    }
    if kind in simple:
        raise simple[kind](message, request_id=request_id)
    refused = NotPermitted if kind == "INSUFFICIENT_ACCESS" else Refused
    raise refused(message, error_type=kind, request_id=request_id)
