"""The session that the command line keeps, in the user's state directory (0600)."""

import contextlib
import os
from pathlib import Path

import msgspec
from msgspec import Struct

_STATE = "XDG_STATE_HOME"


class KeptSession(Struct, frozen=True, kw_only=True):
    """A session with one service."""

    url: str
    username: str
    session_id: str


def path() -> Path:
    """Where it is kept."""
    state = os.environ.get(_STATE) or str(Path.home() / ".local" / "state")
    return Path(state) / "rescind" / "session.json"


def load() -> KeptSession | None:
    """The session that is kept, if there is one that can be read."""
    try:
        return msgspec.json.decode(path().read_bytes(), type=KeptSession)
    except (OSError, msgspec.DecodeError):
        return None


def keep(session: KeptSession) -> None:
    """Keep a session instead of any other; nobody else can read it, not even for a moment."""
    folder = path().parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = folder / f"{path().name}.{os.getpid()}"
    file = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(file, "wb") as stream:
        stream.write(msgspec.json.encode(session))
    unfinished.replace(path())


def forget() -> None:
    """Keep none."""
    with contextlib.suppress(FileNotFoundError):
        path().unlink()
