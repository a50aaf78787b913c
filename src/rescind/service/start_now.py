"""Start a scheduled job now."""

from rescind import limits
from rescind.errors import RequestRefused
from rescind.service.policy import Caller, Profile, editable_owner
from rescind.service.read import not_found
from rescind.store.protocol import JobStore


def start_now(store: JobStore, profile: Profile, caller: Caller, job_id: int) -> None:
    """Let the SCHEDULED job run now.

    Raises RequestRefused: INVALID_DATA when there is no such job (or none the caller may start)
    and when it is not SCHEDULED, naming its status.
    """
    owner = editable_owner(caller, profile)
    if job_id > limits.JOB_ID_MAX:
        raise not_found(job_id)
    verdict = store.start(
        job_id, caller.actor, hold_seconds=profile.start_hold_seconds, owner=owner
    )
    if verdict is None:
        raise not_found(job_id)
    if not verdict.landed:
        raise RequestRefused(
            "INVALID_DATA",
            f"Job [{job_id}] cannot be started: it is in {verdict.status} state, not SCHEDULED",
        )
