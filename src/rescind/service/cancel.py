"""Cancel jobs: answer *i* speaks of item *i*."""

from collections.abc import Mapping, Sequence

import structlog

from rescind.lifecycle import Status
from rescind.model import Actor, BadItem, CancelCode, CancelOutcome, Once, RequestKey, Verdict
from rescind.service.idempotency import Answered, answer
from rescind.service.policy import Caller, Profile, editable_owner
from rescind.store.protocol import Store

_log = structlog.get_logger()


def cancel(
    store: Store,
    profile: Profile,
    caller: Caller,
    items: Sequence[int | BadItem],
    key: RequestKey | None = None,
) -> Answered[list[CancelOutcome]]:
    """Accept the cancel of every job of ``items`` that permits it, in one transaction.

    Raises RequestRefused when the caller may cancel nobody's jobs, and as
    :func:`rescind.service.idempotency.answer` does.
    """
    owner = editable_owner(caller, profile)
    ids = [item for item in items if isinstance(item, int)]

    def do(once: Once[dict[int, Verdict]] | None) -> dict[int, Verdict]:
        running_allowed = profile.running_cancellable
        verdicts = store.cancel(
            ids, caller.actor, running_allowed=running_allowed, owner=owner, once=once
        )
        _tell(caller.actor, len(items), verdicts)
        return verdicts

    return answer(store, key, list[CancelOutcome], do, lambda verdicts: _judge(items, {**verdicts}))


def _tell(actor: Actor, asked: int, verdicts: Mapping[int, Verdict]) -> None:
    """One line in the service's log for a request by which something was cancelled."""
    accepted = sum(verdict.landed for verdict in verdicts.values())
    if accepted:
        _log.info(
            "a cancel was accepted",
            jobs=accepted,
            asked=asked,
            user_id=actor.user_id,
            request_id=actor.request_id,
            reason=actor.reason,
        )


def _judge(items: Sequence[int | BadItem], verdicts: dict[int, Verdict]) -> list[CancelOutcome]:
    outcomes: list[CancelOutcome] = []
    for item in items:
        if isinstance(item, BadItem):
            outcomes.append(CancelOutcome(code=CancelCode.INVALID_ID, message=item.message))
            continue
        verdict = verdicts.get(item)
        outcomes.append(_outcome(item, verdict))
        if verdict is not None and verdict.landed:
            # Items are judged in order: the same id, asked for again, is CANCELLING by then.
            verdicts[item] = Verdict(landed=False, status=Status.CANCELLING)
    return outcomes


def _outcome(job_id: int, verdict: Verdict | None) -> CancelOutcome:
    if verdict is None:
        return CancelOutcome(code=CancelCode.UNKNOWN, job_id=job_id)
    return CancelOutcome(code=CancelCode.of(verdict), job_id=job_id, status=verdict.status)
