"""The only module that draws randomness."""

import re
import secrets
import uuid

_OPAQUE = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LEGIBLE = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # no 0 O 1 l I


def session_id() -> str:
    """A session id as Vault's look: 128 upper-case hexadecimal digits, 512 random bits."""
    return secrets.token_hex(64).upper()


def request_id() -> str:
    """An id for one request, as sent in ``X-VaultAPI-ExecutionId``."""
    return secrets.token_hex(16)


def opaque_id() -> str:
    """An id of a selection, an operation, or the pages of one query: a UUID, 122 random bits."""
    return str(uuid.UUID(bytes=secrets.token_bytes(16), version=4))


def idempotency_key() -> str:
    """A key for one request that does something, however often it is sent."""
    return secrets.token_hex(16)


def jitter() -> float:
    """A number from 0 to 1, by which those who try again at the same time do not meet again."""
    return secrets.randbelow(1_001) / 1_000


def is_opaque(text: str) -> bool:
    """Whether a text can be an id of :func:`opaque_id`."""
    return _OPAQUE.fullmatch(text) is not None


def worker_id() -> str:
    """An id for one life of one worker."""
    return f"worker-{secrets.token_hex(6)}"


def password() -> str:
    """24 characters (about 140 bits) that a person can type without mistaking one for another."""
    return "".join(secrets.choice(_LEGIBLE) for _ in range(24))


def mark() -> bytes:
    """16 bytes that tell what a run says from what is printed."""
    return secrets.token_bytes(16)
