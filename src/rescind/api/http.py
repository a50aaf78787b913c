"""What passes through the gate: a request value in, an answer value out, and the table's rows."""

from collections.abc import Callable, Hashable, Mapping
from enum import Enum
from typing import Any, Protocol

from msgspec import Struct, field

from rescind import limits
from rescind.api.polling import Polling
from rescind.clock import Clock
from rescind.config import Settings
from rescind.errors import RequestRefused
from rescind.service.health import Health
from rescind.service.policy import Caller, Profile
from rescind.service.sign_in import SignIns
from rescind.store.protocol import Store
from rescind.wire.envelope import Payload
from rescind.wire.error_types import ErrorType


class Context(Struct, frozen=True, kw_only=True):
    """What handlers work with."""

    store: Store
    settings: Settings
    clock: Clock
    health: Health
    sign_ins: SignIns = field(default_factory=SignIns)
    polling: Polling = field(default_factory=Polling)

    @property
    def profile(self) -> Profile:
        """The profile in force."""
        return Profile(self.settings.profile)

    @property
    def inactive_seconds(self) -> float:
        """How long a session lives without being used."""
        return self.settings.session_minutes * 60.0


class Request(Struct, frozen=True, kw_only=True):
    """One request, read whole and within its bounds."""

    request_id: str
    method: str
    path: str
    parameters: Mapping[str, str]
    """From the path."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    https: bool
    """As people reach the service: a proxy may end TLS for it."""
    client: str
    """The address of who is connected: maybe a proxy."""
    session_id: str | None = None
    caller: Caller | None = None

    @property
    def host(self) -> str:
        """The Host header."""
        return self.headers.get("host", "")

    @property
    def signed_in(self) -> Caller:
        """The caller, where the table says there is one."""
        if self.caller is None:
            raise RequestRefused(ErrorType.INVALID_SESSION_ID, "Invalid or expired session ID.")
        return self.caller


class Answer(Struct, frozen=True, kw_only=True):
    """An answer in Vault's envelope, rendered as the caller accepts it."""

    payload: Payload
    http_status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    """It is held back for so long."""


class Text(Struct, frozen=True, kw_only=True):
    """An answer that is text as it stands: a log, a page, a word."""

    text: str
    content_type: str = "text/plain; charset=utf-8"
    http_status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    """It is held back for so long."""


class Live(Struct, frozen=True, kw_only=True):
    """A page that goes on while somebody watches. ``look`` and what follows may take their time."""

    key: Hashable
    """Of all that show the same, which share their looks."""
    look: Callable[[], Any]
    """What there is to see now, to be compared with what there was. Raises RequestRefused for what
    cannot be shown any more."""
    regions: Callable[[Any], Mapping[str, str]]
    """The parts of the page that change with it: HTML by the ids of their elements."""
    page: Callable[[Any], Text]
    """The whole page."""


def session_cookie(*, https: bool) -> str:
    """The name of the pages' cookie. Over TLS it is one that no other host, and nobody without TLS,
    can have set (RFC 6265bis, 4.1.3).
    """
    return "__Host-rescind_session" if https else "rescind_session"


def detail_wanted(context: Context, request: Request) -> bool:
    """Whether the caller asks for outcome codes, which profile vault does not have."""
    wanted = request.headers.get("x-rescind-detail", "").strip().lower() == "true"
    return wanted and context.profile is Profile.OPEN


Handler = Callable[[Context, Request], Answer | Text | Live]


class ErrorPages(Protocol):
    """What a browser is shown in place of an answer in Vault's envelope."""

    def refused(self, request: Request, answer: Answer) -> Text:
        """Why it is not shown what it has asked for."""
        ...

    def sign_in(self, request: Request) -> Text:
        """The way to sign in, and from there to what it has asked for."""
        ...


class Access(Enum):
    """Who may come through the gate."""

    OPEN = "anyone"
    SESSION = "a session in the Authorization header, with API access"
    COOKIE = "a browser, with a session in its cookie, with API access"
    VISITOR = "a browser, whether it has a session or not"

    @property
    def by_browser(self) -> bool:
        """Whether the session comes by cookie; what changes anything must come from our pages."""
        return self in (Access.COOKIE, Access.VISITOR)


class Pool(Enum):
    """Which of the bounded pools of threads a handler runs in."""

    READ = "reads"
    WRITE = "cancels, and other short writes"
    QUERY = "queries, which may take long"
    SUBMIT = "submits, whose parsing takes its time"
    LOGIN = "sign-ins"
    LIVE = "looks at what pages go on to show"

    @property
    def threads(self) -> int:
        """How many it has; so many large bodies are held for it at once, too."""
        return _THREADS[self]


_THREADS = {
    Pool.READ: limits.READ_REQUESTS_MAX,
    Pool.WRITE: limits.WRITE_REQUESTS_MAX,
    Pool.QUERY: limits.QUERY_REQUESTS_MAX,
    Pool.SUBMIT: limits.SUBMIT_REQUESTS_MAX,
    Pool.LOGIN: limits.LOGIN_REQUESTS_MAX,
    Pool.LIVE: limits.LIVE_LOOKS_MAX,
}


class Route(Struct, frozen=True, kw_only=True):
    """One row of the table of routes. Denied unless permitted: there is no default access."""

    method: str
    path: str
    handler: Handler
    access: Access
    permitted: Callable[[Caller, Profile], object] | None = None
    """Raises RequestRefused for who may not come here, beyond API access; asked before the body is
    read. A handler may ask for more."""
    pool: Pool = Pool.READ
    body_bytes_max: int = 0
    since: str | None = None
    """The first API version that has it."""
    extends_session: bool = True
    """Whether asking for it counts as using the session."""
    ours: bool = False
    """On a path that Vault does not have: with any other method there is nothing there."""
    any_host: bool = False
    """Whatever name it is asked for by."""
    profiles: frozenset[Profile] = frozenset(Profile)
    """Those that have it; in any other there is nothing there."""
