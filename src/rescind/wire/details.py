"""All that is known of one job, as Rescind's own answer ``details`` has it."""

from datetime import datetime
from typing import Any

from rescind.model import Details, Event
from rescind.wire.dates import format_instant
from rescind.wire.envelope import Payload


def details_of(found: Details) -> Payload:
    """The job's fields, the error of every attempt, its moves, oldest first, and why it is not
    started, where it waits for something else than its turn; null where there is none.
    """
    job = found.job
    progress = {"done": job.progress_done, "total": job.progress_total}
    return {
        "id": job.id,
        "job_metadata": job.job_metadata,
        "title": job.title,
        "status": job.status,
        "priority": job.priority,
        "queue": job.queue,
        "parameters": job.parameters,
        "unique_key": job.unique_key,
        "created_by": job.created_by,
        "created_date": format_instant(job.created_at),
        "modified_by": job.modified_by,
        "modified_date": format_instant(job.modified_at),
        "run_date": format_instant(job.run_at),
        "queue_date": _instant(job.queued_at),
        "run_start_date": _instant(job.started_at),
        "run_end_date": _instant(job.finished_at),
        "attempt": job.attempt,
        "attempts_max": job.attempts_max,
        "worker": job.worker,
        "evidence": job.evidence,
        "result": job.result,
        "progress": None if job.progress_done is None else progress,
        "errors": [_error(event) for event in found.events if event.error is not None],
        "moves": [_move(event) for event in found.events],
        "rerun_of": job.rerun_of,
        "reruns": [{"id": rerun.id, "undo": rerun.undo} for rerun in found.reruns],
        "obstacles": [{"worker": one.worker, "reason": one.reason} for one in found.obstacles],
    }


def _error(event: Event) -> dict[str, Any]:
    return {"attempt": event.attempt, "date": format_instant(event.at), "error": event.error}


def _move(event: Event) -> dict[str, Any]:
    return {
        "move": event.move,
        "from": event.from_status,
        "to": event.to_status,
        "date": format_instant(event.at),
        "user_id": event.user_id,
        "user_name": event.user_name,
        "by": event.by,
        "reason": event.reason,
        "request_id": event.request_id,
        "attempt": event.attempt,
        "evidence": event.evidence,
    }


def _instant(at: datetime | None) -> str | None:
    return None if at is None else format_instant(at)
