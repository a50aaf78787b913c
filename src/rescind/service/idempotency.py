"""Requests that carry an idempotency key: done once, answered as often as they are sent."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from rescind.errors import KeyTaken, RequestRefused
from rescind.model import Once, RequestKey
from rescind.store.protocol import KeyStore

_Done = TypeVar("_Done")
_Outcome = TypeVar("_Outcome")


class Answered(Struct, Generic[_Outcome], frozen=True):
    """What became of a request, and whether that was so already."""

    outcome: _Outcome
    replayed: bool = False


def answer(
    store: KeyStore,
    key: RequestKey | None,
    kind: Any,
    do: Callable[[Once[_Done] | None], _Done],
    judge: Callable[[_Done], _Outcome],
) -> Answered[_Outcome]:
    """What ``judge`` says of what ``do`` did, or of what was done for the same key before.

    ``kind`` is the type of an outcome, which must survive being JSON. What ``judge`` refuses is
    not done, and not kept. Raises RequestRefused: INVALID_DATA when the key was sent with another
    request, OPERATION_IN_PROGRESS when another transaction is at it.
    """
    if key is None:
        return Answered(judge(do(None)))
    kept = _kept(store, key, kind)
    if kept is not None:
        return kept
    once: Once[_Done] = Once(key, lambda done: msgspec.json.encode(judge(done)).decode())
    try:
        return Answered(judge(do(once)))
    except KeyTaken:
        kept = _kept(store, key, kind)
        if kept is None:
            raise RequestRefused(
                "OPERATION_IN_PROGRESS",
                f"A request with the Idempotency-Key [{key.key}] is at work; nothing was done.",
            ) from None
        return kept


def _kept(store: KeyStore, key: RequestKey, kind: Any) -> Answered[Any] | None:
    found = store.kept_outcome(key)
    if found is None:
        return None
    if found.request_hash != key.request_hash:
        raise RequestRefused(
            "INVALID_DATA",
            f"The Idempotency-Key [{key.key}] was sent before with another query, body or "
            "Content-Type; nothing was done.",
        )
    return Answered(msgspec.json.decode(found.outcome, type=kind), replayed=True)
