"""The header ``Idempotency-Key`` of requests that do something."""

import hashlib
from urllib.parse import urlencode

from rescind import limits
from rescind.api.http import Request
from rescind.model import RequestKey
from rescind.wire.text import invalid

_HEADER = "idempotency-key"


def is_key(text: str) -> bool:
    """Whether a text can be a key."""
    most = limits.IDEMPOTENCY_KEY_CHARACTERS_MAX
    return 1 <= len(text) <= most and text.isascii() and text.isprintable()


def request_key(request: Request) -> RequestKey | None:
    """The key of a request, if it has one; raises RequestRefused, INVALID_DATA, for a bad one."""
    key = request.headers.get(_HEADER)
    if key is None:
        return None
    if not is_key(key):
        most = limits.IDEMPOTENCY_KEY_CHARACTERS_MAX
        raise invalid(f"An Idempotency-Key has 1 to {most} printable ASCII characters")
    content_type = request.headers.get("content-type", "")
    said = content_type.encode("latin-1", "replace") + b"\0" + request.body
    if request.query:
        said = urlencode(sorted(request.query.items())).encode() + b"\0" + said
    return RequestKey(
        user_id=request.signed_in.user.id,
        method=request.method,
        path=request.path,
        key=key,
        request_hash=hashlib.sha256(said).digest(),
    )
