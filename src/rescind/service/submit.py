"""Submit jobs: each good item becomes a job, each bad one says why not."""

from collections.abc import Mapping, Sequence

from rescind.model import BadItem, JobMetadata, NewJob, RequestKey, SubmitOutcome, Submitted
from rescind.service.idempotency import Answered, answer
from rescind.service.policy import Caller, Permission, readable_owner
from rescind.store.protocol import Store
from rescind.wire.error_types import ErrorType
from rescind.wire.submit import SubmitItem
from rescind.wire.text import shown


def submit(
    store: Store,
    caller: Caller,
    items: Sequence[SubmitItem | BadItem],
    key: RequestKey | None = None,
) -> Answered[list[SubmitOutcome]]:
    """The new jobs, in the order of ``items``, or the one that holds an item's unique key, or why
    there is none.

    All of a request's jobs are inserted in one transaction. Raises RequestRefused without the
    permission to create jobs, and as :func:`rescind.service.idempotency.answer` does.
    """
    caller.require(Permission.JOBS_CREATE)
    names = sorted({item.job_metadata for item in items if isinstance(item, SubmitItem)})
    known = store.metadata(names)
    judged = [_judge(position, item, known) for position, item in enumerate(items, start=1)]
    jobs = [item for item in judged if isinstance(item, NewJob)]
    reader = readable_owner(caller)

    def answers(submitted: Sequence[Submitted]) -> list[SubmitOutcome]:
        left = iter(submitted)
        return [
            _refused(ErrorType.INVALID_DATA, item.message)
            if isinstance(item, BadItem)
            else _outcome(position, item, next(left))
            for position, item in enumerate(judged, start=1)
        ]

    return answer(
        store,
        key,
        list[SubmitOutcome],
        lambda once: (
            store.submit(jobs, caller.actor, reader=reader, once=once) if jobs or once else []
        ),
        answers,
    )


def _judge(
    position: int,
    item: SubmitItem | BadItem,
    known: Mapping[str, JobMetadata],
) -> NewJob | BadItem:
    if isinstance(item, BadItem):
        return item
    metadata = known.get(item.job_metadata)
    if metadata is None:
        return BadItem(
            f"Item {position}: job_metadata {shown(item.job_metadata)} is not known; no "
            "worker has registered it"
        )
    return NewJob(
        metadata=metadata,
        title=item.title or metadata.title,
        parameters=item.parameters,
        run_at=item.run_date,
        priority=item.priority,
        method="POST",
        unique_key=item.unique_key,
    )


def _outcome(position: int, job: NewJob, submitted: Submitted) -> SubmitOutcome:
    if submitted.id is None:
        return _refused(
            ErrorType.ITEM_NAME_EXISTS,
            f"Item {position}: unique_key [{job.unique_key}] is that of somebody else's job of "
            f"[{job.metadata.name}] that waits or runs",
        )
    return SubmitOutcome(job_id=submitted.id, existing=submitted.existing)


def _refused(error_type: ErrorType, message: str) -> SubmitOutcome:
    return SubmitOutcome(error_type=error_type, message=message)
