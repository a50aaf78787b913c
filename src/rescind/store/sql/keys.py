"""Idempotency keys: what a request did is kept in the transaction that did it."""

from datetime import timedelta
from typing import Any, TypeVar

from rescind import limits
from rescind.errors import KeyTaken
from rescind.model import KeptOutcome, Once, RequestKey
from rescind.store.sql.statements import Statements, Transaction

_AGE = timedelta(seconds=limits.IDEMPOTENCY_SECONDS)
_T = TypeVar("_T")


class Keys(Statements):
    """See :class:`rescind.store.protocol.KeyStore`."""

    def kept_outcome(self, key: RequestKey) -> KeptOutcome | None:
        with self._read_once() as transaction:
            found = transaction.rows("outcome", **_named(key), age=_AGE)
        return KeptOutcome(**found[0]) if found else None

    def prune_keys(self, *, limit: int) -> int:
        with self._write_once() as transaction:
            return len(transaction.rows("prune_keys", age=_AGE, limit=limit))


def take(transaction: Transaction, once: Once[Any] | None) -> None:
    """Have the key to oneself until the transaction ends; raises KeyTaken."""
    if once is not None and not transaction.rows("take_key", **_named(once.key), age=_AGE):
        raise KeyTaken


def keep(transaction: Transaction, once: Once[_T] | None, result: _T) -> None:
    """Keep what was done, if there is a key for it; raises KeyTaken."""
    if once is None:
        return
    kept = transaction.rows(
        "keep_outcome",
        **_named(once.key),
        request_hash=once.key.request_hash,
        outcome=once.outcome(result),
        age=_AGE,
    )
    if not kept:
        raise KeyTaken


def _named(key: RequestKey) -> dict[str, Any]:
    return {"user_id": key.user_id, "method": key.method, "path": key.path, "key": key.key}
