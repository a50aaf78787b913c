"""Values to the JSON that the statements of every store read, and rows to values.

A row comes by column name, in Python's own types: datetimes, lists, booleans.
"""

from typing import Any

import msgspec

from rescind.clock import to_milliseconds
from rescind.lifecycle import Evidence, Move, Status
from rescind.model import (
    Event,
    Job,
    JobMetadata,
    JobSummary,
    LiveWorker,
    LogChunk,
    NewJob,
    Obstacle,
    Registration,
    Rerun,
    RunEnd,
    RunProgress,
    RunRelease,
    RunRetry,
    StoredLogChunk,
    User,
)

Row = dict[str, Any]


def to_json(value: Any) -> str:
    """``value`` as the text of a JSON value."""
    return msgspec.json.encode(value).decode()


def of_json(text: str) -> Any:
    """The inverse of :func:`to_json`."""
    return msgspec.json.decode(text)


def new_job(job: NewJob) -> dict[str, Any]:
    """A job as ``submit`` reads it."""
    row = metadata(job.metadata)
    return row | {
        "job_metadata": row["name"],
        "title": job.title,
        "method": job.method,
        "priority": job.priority,
        "parameters": to_json(job.parameters),
        "unique_key": job.unique_key,
        "run_at": None if job.run_at is None else to_milliseconds(job.run_at),
    }


def metadata(value: JobMetadata) -> dict[str, Any]:
    """Job metadata as ``register_metadata`` reads it."""
    return {
        "name": value.name,
        "title": value.title,
        "processor": value.processor,
        "queue": value.queue,
        "cancellable_in": sorted(value.cancellable_in),
        "grace_seconds": float(value.grace_seconds),
        "timeout_seconds": float(value.timeout_seconds),
        "inactivity_seconds": value.inactivity_seconds,
        "idempotent": value.idempotent,
        "attempts_max": value.attempts_max,
        "retry_seconds": float(value.retry_seconds),
        "interrupt_seconds": value.interrupt_seconds,
        "terminate_seconds": float(value.terminate_seconds),
    }


def run_end(end: RunEnd) -> dict[str, Any]:
    """An ended run as ``finish`` reads it."""
    return {
        "id": end.run.job_id,
        "attempt": end.run.attempt,
        "status": end.status,
        "evidence": end.evidence if end.stopped else None,
        "error": end.error,
        "result": None if end.result is None else to_json(end.result),
    }


def run_retry(retry: RunRetry) -> dict[str, Any]:
    """A run to try again as ``retry`` reads it."""
    return {
        "id": retry.run.job_id,
        "attempt": retry.run.attempt,
        "evidence": retry.evidence,
        "error": retry.error,
        "delay_milliseconds": round(retry.delay_seconds * 1000),
    }


def log_chunk(chunk: LogChunk) -> dict[str, Any]:
    """Log lines as ``append_log`` reads them."""
    return {
        "id": chunk.run.job_id,
        "attempt": chunk.run.attempt,
        "bytes": len(chunk.text.encode()),
        "text": chunk.text,
    }


def run_release(release: RunRelease) -> dict[str, Any]:
    """A run given back as ``release`` reads it."""
    return {
        "id": release.run.job_id,
        "attempt": release.run.attempt,
        "evidence": release.evidence,
        "drained": release.drained,
    }


def run_progress(progress: RunProgress) -> dict[str, Any]:
    """Progress as ``write_progress`` reads it."""
    return {
        "id": progress.run.job_id,
        "attempt": progress.run.attempt,
        "done": progress.done,
        "total": progress.total,
    }


def registration(worker: Registration) -> dict[str, Any]:
    """A worker as ``register_worker`` reads it."""
    return {
        "worker": worker.id,
        "host": worker.host,
        "pid": worker.pid,
        "slots": worker.slots,
        "obstacles": to_json(worker.obstacles),
    }


def to_live_worker(row: Row) -> LiveWorker:
    """A row of ``workers``."""
    return LiveWorker(**{**row, "obstacles": of_json(row["obstacles"])})


def to_obstacle(row: Row) -> Obstacle:
    """A row of ``obstacles``."""
    reason = row["reason"] or "No worker that is alive knows this job."
    return Obstacle(row["worker"], reason, bool(row["is_general"]))


def to_job(row: Row) -> Job:
    """A whole row of ``job``."""
    values = {name: row[name] for name in Job.__struct_fields__}
    return Job(
        **values
        | {
            "status": Status(row["status"]),
            "parameters": of_json(row["parameters"]),
            "cancellable_in": frozenset(Status(name) for name in row["cancellable_in"]),
            "evidence": _evidence(row),
            "result": None if row["result"] is None else of_json(row["result"]),
        }
    )


def to_summary(row: Row) -> JobSummary:
    """What lists show of a row of ``job``."""
    return JobSummary(**{**row, "status": Status(row["status"])})


def to_rerun(row: Row) -> Rerun:
    """A job that repeats another."""
    return Rerun(row["id"], row["undo"])


def to_event(row: Row) -> Event:
    """A row of ``job_event``."""
    values = {name: row[name] for name in Event.__struct_fields__}
    return Event(
        **values
        | {
            "move": Move(row["move"]),
            "from_status": None if row["from_status"] is None else Status(row["from_status"]),
            "to_status": Status(row["to_status"]),
            "evidence": _evidence(row),
        }
    )


def to_metadata(row: Row) -> JobMetadata:
    """A row of ``job_metadata``."""
    values = {name: row[name] for name in JobMetadata.__struct_fields__}
    statuses = frozenset(Status(name) for name in row["cancellable_in"])
    return JobMetadata(**values | {"cancellable_in": statuses})


def to_log_chunk(row: Row) -> StoredLogChunk:
    """A row of ``log_chunks``."""
    return StoredLogChunk(**row)


def to_user(row: Row) -> User:
    """The columns of a user, among others."""
    return User(
        id=row["id"],
        name=row["name"],
        permissions=frozenset(row["permissions"]),
        active=row["active"],
    )


def _evidence(row: Row) -> Evidence | None:
    return None if row["evidence"] is None else Evidence(row["evidence"])
