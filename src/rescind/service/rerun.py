"""Run jobs again, or take back their cancel: answer *i* speaks of item *i*."""

from collections.abc import Sequence

from rescind.model import (
    BadItem,
    Once,
    RequestKey,
    RerunCode,
    RerunOutcome,
    RerunVerdict,
)
from rescind.service.idempotency import Answered, answer
from rescind.service.policy import Caller, Permission, Profile, editable_owner
from rescind.store.protocol import Store

Verdicts = dict[int, RerunVerdict]


def rerun(
    store: Store,
    profile: Profile,
    caller: Caller,
    items: Sequence[int | BadItem],
    key: RequestKey | None = None,
    *,
    undo: bool = False,
) -> Answered[list[RerunOutcome]]:
    """Submit every finished job of ``items`` anew, as the caller's; or take back the cancel of
    each that had not started, as whose it was. In one transaction; an id that stands twice makes
    one job.

    Raises RequestRefused when the caller may do that with nobody's jobs, and as
    :func:`rescind.service.idempotency.answer` does.
    """
    owner = rerunnable_owner(caller, profile, undo=undo)
    ids = [item for item in items if isinstance(item, int)]

    def do(once: Once[Verdicts] | None) -> Verdicts:
        return store.rerun(ids, caller.actor, undo=undo, owner=owner, once=once)

    def judge(verdicts: Verdicts) -> list[RerunOutcome]:
        return _judge(items, verdicts, undo=undo)

    return answer(store, key, list[RerunOutcome], do, judge)


def rerunnable_owner(caller: Caller, profile: Profile, *, undo: bool) -> int | None:
    """Whose jobs the caller may run again, or whose cancel undo: None for everyone's, else their
    own user id. An undo makes nothing that was not there: who may cancel may take it back.

    Raises RequestRefused when nobody's.
    """
    if not undo:
        caller.require(Permission.JOBS_CREATE)
    return editable_owner(caller, profile)


def _judge(items: Sequence[int | BadItem], verdicts: Verdicts, *, undo: bool) -> list[RerunOutcome]:
    outcomes: list[RerunOutcome] = []
    undone: set[int] = set()
    for item in items:
        if isinstance(item, BadItem):
            outcomes.append(RerunOutcome(code=RerunCode.INVALID_ID, message=item.message))
            continue
        verdict = verdicts.get(item)
        if verdict is None:
            outcomes.append(RerunOutcome(code=RerunCode.UNKNOWN, job_id=item))
            continue
        # Items are judged in order: the same id, asked for again, is undone by then.
        code = RerunCode.ALREADY_UNDONE if item in undone else verdict.code
        if undo and code is RerunCode.SUBMITTED:
            undone.add(item)
        outcomes.append(
            RerunOutcome(code=code, job_id=item, status=verdict.status, new_id=verdict.new_id)
        )
    return outcomes
