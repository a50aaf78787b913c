"""How a keeper on a node and its worker know one another: each proves that it knows the secret of
the keeper, which never travels between them.
"""

import hashlib
import hmac

from rescind import ids
from rescind.engines.process.frames import Message

WORKER, KEEPER = b"worker", b"keeper"


def nonce() -> bytes:
    """What the other side is to prove something about."""
    return ids.mark()


def proof(secret: bytes, role: bytes, asked: bytes) -> bytes:
    """That whoever has this role knows the secret."""
    return hmac.digest(secret, role + b":" + asked, hashlib.sha256)


def proves(message: Message, secret: bytes, role: bytes, asked: bytes) -> bool:
    """Whether a message has this proof."""
    given = message.get("proof")
    return isinstance(given, bytes) and hmac.compare_digest(given, proof(secret, role, asked))
