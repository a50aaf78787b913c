"""Where a client goes, and who signs in there."""

import os

from rescind.client import kept
from rescind.client.conversation import Credentials

_URL, _USERNAME, _PASSWORD = "RESCIND_URL", "RESCIND_USERNAME", "RESCIND_PASSWORD"
DEFAULT_URL = "http://127.0.0.1:8127"


def credentials(url: str | None, username: str | None, password: str | None) -> Credentials:
    """Who signs in where: what is given, else what the environment says, else the session that the
    command line keeps, if it is of this address.
    """
    session = kept.load()
    wanted = url or os.environ.get(_URL) or (session.url if session else DEFAULT_URL)
    wanted = wanted.rstrip("/")
    name = username or os.environ.get(_USERNAME)
    secret = password or os.environ.get(_PASSWORD)
    if name is not None or session is None or session.url != wanted:
        return Credentials(url=wanted, username=name, password=secret)
    return Credentials(url=wanted, username=session.username, session_id=session.session_id)
