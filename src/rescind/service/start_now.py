"""Start a scheduled job now."""

from rescind import limits
from rescind.errors import RequestRefused
from rescind.lifecycle import Status
from rescind.model import Once, RequestKey, StartCode, Verdict
from rescind.service.idempotency import Answered, answer
from rescind.service.policy import Caller, Profile, editable_owner
from rescind.service.read import not_found
from rescind.store.protocol import Store


def start_now(
    store: Store, profile: Profile, caller: Caller, job_id: int, key: RequestKey | None = None
) -> Answered[Status]:
    """Let the SCHEDULED job run now; where it stands then.

    Raises RequestRefused: INVALID_DATA when there is no such job (or none the caller may start)
    and when it is not SCHEDULED, naming its status; and as
    :func:`rescind.service.idempotency.answer` does.
    """
    owner = editable_owner(caller, profile)
    if job_id > limits.JOB_ID_MAX:
        raise not_found(job_id, code=StartCode.UNKNOWN)

    def do(once: Once[Verdict | None] | None) -> Verdict | None:
        hold_seconds = profile.start_hold_seconds
        return store.start(job_id, caller.actor, hold_seconds=hold_seconds, owner=owner, once=once)

    def judge(verdict: Verdict | None) -> Status:
        if verdict is None:
            raise not_found(job_id, code=StartCode.UNKNOWN)
        if not verdict.landed:
            raise RequestRefused(
                "INVALID_DATA",
                f"Job [{job_id}] cannot be started: it is in {verdict.status} state, not SCHEDULED",
                code=StartCode.NOT_SCHEDULED,
                status=verdict.status,
            )
        return verdict.status

    return answer(store, key, Status, do, judge)
