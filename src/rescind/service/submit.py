"""Submit jobs: each good item becomes a job, each bad one says why not."""

from collections.abc import Mapping, Sequence

from rescind.model import BadItem, JobMetadata, NewJob, RequestKey
from rescind.service.idempotency import Answered, answer
from rescind.service.policy import Caller, Permission
from rescind.store.protocol import Store
from rescind.wire.submit import SubmitItem


def submit(
    store: Store,
    caller: Caller,
    items: Sequence[SubmitItem | BadItem],
    key: RequestKey | None = None,
) -> Answered[list[int | BadItem]]:
    """The ids of the new jobs, in the order of ``items``, or why there is none.

    All of a request's jobs are inserted in one transaction. Raises RequestRefused without the
    permission to create jobs, and as :func:`rescind.service.idempotency.answer` does.
    """
    caller.require(Permission.JOBS_CREATE)
    names = sorted({item.job_metadata for item in items if isinstance(item, SubmitItem)})
    known = store.metadata(names)
    judged = [_judge(position, item, known) for position, item in enumerate(items, start=1)]
    jobs = [item for item in judged if isinstance(item, NewJob)]

    def answers(ids: Sequence[int]) -> list[int | BadItem]:
        left = iter(ids)
        return [item if isinstance(item, BadItem) else next(left) for item in judged]

    return answer(
        store,
        key,
        list[int | BadItem],
        lambda once: store.submit(jobs, caller.actor, once=once) if jobs or once else [],
        answers,
    )


def _judge(
    position: int, item: SubmitItem | BadItem, known: Mapping[str, JobMetadata]
) -> NewJob | BadItem:
    if isinstance(item, BadItem):
        return item
    metadata = known.get(item.job_metadata)
    if metadata is None:
        return BadItem(
            f"Item {position}: job_metadata [{item.job_metadata}] is not known; no worker has "
            "registered it"
        )
    return NewJob(
        metadata=metadata,
        title=item.title or metadata.title,
        parameters=item.parameters,
        run_at=item.run_date,
        priority=item.priority,
        method="POST",
    )
