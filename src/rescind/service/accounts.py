"""Users, passwords and sessions. A session id is known to its user; the store has its hash."""

import contextlib
import hashlib
from collections.abc import Collection, Sequence
from datetime import timedelta

from rescind import ids, limits
from rescind.errors import ConfigurationError, StoreUnavailable
from rescind.model import Session, User
from rescind.service import passwords
from rescind.service.policy import Permission
from rescind.store.protocol import Store


def session(
    store: Store, session_id: str, *, inactive_seconds: float, extend: bool
) -> Session | None:
    """The living session of this id; to ``extend`` it, its use is written down now and then."""
    id_hash = session_hash(session_id)
    found = store.session(id_hash, inactive_seconds=inactive_seconds)
    if found is None:
        return None
    if extend and store.now() - found.seen_at >= timedelta(seconds=limits.SESSION_TOUCH_SECONDS):
        with contextlib.suppress(StoreUnavailable):  # reads go on while the disk is full
            store.touch_session(id_hash)
    return found


def keep_alive(store: Store, session_id: str) -> None:
    """Count the session as used just now."""
    store.touch_session(session_hash(session_id))


def sign_out(store: Store, session_id: str) -> None:
    """End this session, and no other."""
    store.close_session(session_hash(session_id))


def add_user(store: Store, name: str, password: str, permissions: Collection[Permission]) -> int:
    """Add a user; the id.

    Raises ConfigurationError naming everything that is wrong.
    """
    problems = [*_name_problems(name), *_password_problems(password)]
    if problems:
        raise ConfigurationError(*problems)
    granted = frozenset(str(permission) for permission in permissions)
    user_id = store.add_user(name, passwords.hashed(password), granted)
    if user_id is None:
        raise ConfigurationError(f"There is a user named {name!r} already.")
    return user_id


def set_active(store: Store, name: str, active: bool) -> None:
    """Let a user in, or no longer. Raises ConfigurationError when there is no such user."""
    store.set_active(_existing(store, name).id, active)


def set_password(store: Store, name: str, password: str) -> None:
    """Change a password and end the user's sessions; raises ConfigurationError."""
    user = _existing(store, name)
    if problems := _password_problems(password):
        raise ConfigurationError(*problems)
    store.set_password(user.id, passwords.hashed(password))


def first_administrator(store: Store) -> tuple[str, str] | None:
    """Where there is no user yet, make one that may do everything: (name, password)."""
    if store.users():
        return None
    name, password = "admin", ids.password()
    made = store.add_user(name, passwords.hashed(password), frozenset(Permission))
    return None if made is None else (name, password)  # None: another process was quicker


def is_user_name(name: str) -> bool:
    """Whether a user may have this name."""
    return not _name_problems(name)


def _existing(store: Store, name: str) -> User:
    found = store.user_by_name(name)
    if found is None or found[1] is None:
        raise ConfigurationError(f"There is no user named {name!r}.")
    return found[0]


def _name_problems(name: str) -> Sequence[str]:
    if not name.strip() or name != name.strip() or not name.isprintable():
        return ["A user name is printable text without spaces around it."]
    if len(name) > limits.USER_NAME_CHARACTERS_MAX:
        return [f"A user name has at most {limits.USER_NAME_CHARACTERS_MAX} characters."]
    return []


def _password_problems(password: str) -> Sequence[str]:
    least, most = limits.PASSWORD_CHARACTERS_MIN, limits.PASSWORD_CHARACTERS_MAX
    if not least <= len(password) <= most:
        return [f"A password has {least} to {most} characters."]
    return []


def session_hash(session_id: str) -> bytes:
    """What is kept of a session's id, which is 512 random bits: a plain hash cannot be guessed
    back.
    """
    return hashlib.sha256(session_id.encode("utf-8", "surrogatepass")).digest()
