"""Sign in: a right password opens a session. How often wrong ones may be tried."""

import threading
from collections import OrderedDict

import structlog
from msgspec import Struct

from rescind import ids, limits
from rescind.errors import RequestRefused
from rescind.model import User
from rescind.service import passwords
from rescind.service.accounts import is_user_name, session_hash
from rescind.service.policy import Profile
from rescind.store.protocol import Store
from rescind.wire.error_types import ErrorType
from rescind.wire.text import shown

_log = structlog.get_logger()


class SignedIn(Struct, frozen=True):
    """A new session, and how long its answer is to be held back."""

    session_id: str
    user: User
    delay_seconds: float


class _Tried(Struct):
    """What was tried for one user name."""

    minute: int = 0
    count: int = 0
    """In that minute: sign-ins, or in profile open wrong ones."""
    failures: int = 0
    """Since the last right one."""
    locked_until: float = 0.0
    """By the clock's elapsed seconds."""


class SignIns:
    """The sign-ins that this process has seen, by user name, whether there is such a user or not;
    of so many names as are bounded, those tried last.

    In profile open only wrong ones count, and beyond a number their answers come late. In profile
    vault all count: beyond a number they come late, then they are refused; and a user whose
    password was wrong too often is locked out for a while.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names: OrderedDict[str, _Tried] = OrderedDict()

    def begin(self, profile: Profile, name: str, elapsed: float) -> float:
        """How long the answer is to be held back; raises RequestRefused, API_LIMIT_EXCEEDED or
        USER_LOCKED_OUT.
        """
        if profile is not Profile.VAULT:
            return 0.0
        with self._lock:
            tried = self._tried(name, elapsed)
            tried.count += 1
            if tried.count > limits.SIGN_INS_PER_MINUTE_MAX:
                raise RequestRefused(
                    ErrorType.API_LIMIT_EXCEEDED,
                    f"More than {limits.SIGN_INS_PER_MINUTE_MAX} sign-ins in a minute.",
                )
            if elapsed < tried.locked_until:
                raise RequestRefused(
                    ErrorType.USER_LOCKED_OUT,
                    "The user is locked out after too many failed sign-ins.",
                )
            late = tried.count > limits.SIGN_INS_PER_MINUTE_ON_TIME
        return limits.RESPONSE_DELAY_SECONDS if late else 0.0

    def failed(self, profile: Profile, name: str, elapsed: float) -> float:
        """A password was wrong; how long the answer is to be held back for that."""
        with self._lock:
            tried = self._tried(name, elapsed)
            if profile is Profile.VAULT:
                tried.failures += 1
                if tried.failures >= limits.SIGN_IN_FAILURES_MAX:
                    tried.failures = 0
                    tried.locked_until = elapsed + limits.LOCKED_OUT_SECONDS
                return 0.0
            tried.count += 1
            late = tried.count > limits.SIGN_INS_PER_MINUTE_ON_TIME
        return limits.WRONG_PASSWORD_DELAY_SECONDS if late else 0.0

    def succeeded(self, name: str) -> None:
        """A password was right."""
        with self._lock:
            if name in self._names:
                self._names[name].failures = 0

    def _tried(self, name: str, elapsed: float) -> _Tried:
        tried = self._names.setdefault(name, _Tried())
        self._names.move_to_end(name)
        if len(self._names) > limits.SIGN_IN_NAMES_MAX:
            self._names.popitem(last=False)
        if tried.minute != (minute := int(elapsed // 60)):
            tried.minute, tried.count = minute, 0
        return tried


class Asked(Struct, frozen=True, kw_only=True):
    """Who wants to sign in, from where, and when by the clock's elapsed seconds."""

    name: str
    password: str
    client: str
    elapsed: float


def sign_in(store: Store, profile: Profile, tried: SignIns, asked: Asked) -> SignedIn:
    """Open a session. A failure is logged, with the address of the client.

    Raises RequestRefused with Vault's type: NO_PASSWORD_PROVIDED, API_LIMIT_EXCEEDED,
    USER_LOCKED_OUT, USERNAME_OR_PASSWORD_INCORRECT or, only to who knows the password,
    INACTIVE_USER.
    """
    try:
        return _signed_in(store, profile, tried, asked)
    except RequestRefused as refusal:
        kind = str(refusal.error_type)
        name = shown(asked.name)
        _log.warning("a sign-in failed", user_name=name, type=kind, client=asked.client)
        raise


def _signed_in(store: Store, profile: Profile, tried: SignIns, asked: Asked) -> SignedIn:
    name, password = asked.name, asked.password
    if not password:
        raise RequestRefused(
            ErrorType.NO_PASSWORD_PROVIDED, "No password was provided for the login call."
        )
    if not is_user_name(name):
        raise _incorrect()
    delay_seconds = tried.begin(profile, name, asked.elapsed)
    found = store.user_by_name(name)
    password_hash = None if found is None else found[1]
    right = passwords.verify(password_hash, password)
    if found is None or password_hash is None or not right:
        raise _incorrect(delay_seconds + tried.failed(profile, name, asked.elapsed))
    tried.succeeded(name)
    user = found[0]
    if not user.active:
        raise RequestRefused(ErrorType.INACTIVE_USER, "The user is inactive.")
    if passwords.is_outdated(password_hash):
        hashed_anew = passwords.hashed(password)
        if store.rehash_password(user.id, password_hash, hashed_anew):
            password_hash = hashed_anew
    session_id = ids.session_id()
    if not store.open_session(user.id, session_hash(session_id), password_hash=password_hash):
        raise _incorrect()  # by now
    return SignedIn(session_id, user, delay_seconds)


def _incorrect(delay_seconds: float = 0.0) -> RequestRefused:
    refusal = RequestRefused(
        ErrorType.USERNAME_OR_PASSWORD_INCORRECT,
        "Authentication failed for user: the user name or password is incorrect.",
    )
    refusal.delay_seconds = delay_seconds
    return refusal
