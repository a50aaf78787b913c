"""Values to the JSON that the statements read, and rows to values."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from rescind.clock import from_milliseconds, to_milliseconds
from rescind.lifecycle import Evidence, Move, Status
from rescind.model import (
    Event,
    Job,
    JobMetadata,
    NewJob,
    RunEnd,
    RunProgress,
    RunRelease,
    RunRetry,
    StoredLogChunk,
    User,
)


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
        "run_at": None if job.run_at is None else to_milliseconds(job.run_at),
    }


def metadata(value: JobMetadata) -> dict[str, Any]:
    """Job metadata as ``register_metadata`` reads it."""
    return {
        "name": value.name,
        "title": value.title,
        "processor": value.processor,
        "queue": value.queue,
        "cancellable_in": to_json(sorted(value.cancellable_in)),
        "grace_seconds": float(value.grace_seconds),
        "timeout_seconds": float(value.timeout_seconds),
        "inactivity_seconds": value.inactivity_seconds,
        "idempotent": int(value.idempotent),
        "attempts_max": value.attempts_max,
        "retry_seconds": float(value.retry_seconds),
    }


def run_end(end: RunEnd) -> dict[str, Any]:
    """An ended run as ``finish`` reads it."""
    return {
        "id": end.run.job_id,
        "attempt": end.run.attempt,
        "status": end.status,
        "evidence": end.evidence,
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


def run_release(release: RunRelease) -> dict[str, Any]:
    """A run given back as ``release`` reads it."""
    return {
        "id": release.run.job_id,
        "attempt": release.run.attempt,
        "evidence": release.evidence,
    }


def run_progress(progress: RunProgress) -> dict[str, Any]:
    """Progress as ``write_progress`` reads it."""
    return {
        "id": progress.run.job_id,
        "attempt": progress.run.attempt,
        "done": progress.done,
        "total": progress.total,
    }


def to_job(row: dict[str, Any]) -> Job:
    """A whole row of ``job``."""
    return Job(
        id=row["id"],
        job_metadata=row["job_metadata"],
        title=row["title"],
        status=Status(row["status"]),
        method=row["method"],
        priority=row["priority"],
        parameters=of_json(row["parameters"]),
        queue=row["queue"],
        processor=row["processor"],
        cancellable_in=frozenset(Status(name) for name in of_json(row["cancellable_in"])),
        grace_seconds=row["grace_seconds"],
        timeout_seconds=row["timeout_seconds"],
        inactivity_seconds=row["inactivity_seconds"],
        idempotent=bool(row["idempotent"]),
        attempts_max=row["attempts_max"],
        retry_seconds=row["retry_seconds"],
        created_by=row["created_by"],
        created_at=from_milliseconds(row["created_at"]),
        modified_by=row["modified_by"],
        modified_at=from_milliseconds(row["modified_at"]),
        run_at=from_milliseconds(row["run_at"]),
        queued_at=_instant(row["queued_at"]),
        started_at=_instant(row["started_at"]),
        finished_at=_instant(row["finished_at"]),
        attempt=row["attempt"],
        worker=row["worker"],
        evidence=_evidence(row["evidence"]),
        error=row["error"],
        result=None if row["result"] is None else of_json(row["result"]),
        progress_done=row["progress_done"],
        progress_total=row["progress_total"],
    )


def to_event(row: dict[str, Any]) -> Event:
    """A row of ``job_event``."""
    return Event(
        id=row["id"],
        job_id=row["job_id"],
        move=Move(row["move"]),
        from_status=None if row["from_status"] is None else Status(row["from_status"]),
        to_status=Status(row["to_status"]),
        at=from_milliseconds(row["at"]),
        user_id=row["user_id"],
        by=row["by"],
        reason=row["reason"],
        request_id=row["request_id"],
        attempt=row["attempt"],
        evidence=_evidence(row["evidence"]),
    )


def to_metadata(row: dict[str, Any]) -> JobMetadata:
    """A row of ``job_metadata``."""
    return JobMetadata(
        name=row["name"],
        processor=row["processor"],
        title=row["title"],
        queue=row["queue"],
        idempotent=bool(row["idempotent"]),
        cancellable_in=frozenset(Status(name) for name in of_json(row["cancellable_in"])),
        grace_seconds=row["grace_seconds"],
        timeout_seconds=row["timeout_seconds"],
        inactivity_seconds=row["inactivity_seconds"],
        attempts_max=row["attempts_max"],
        retry_seconds=row["retry_seconds"],
    )


def to_log_chunk(row: Sequence[Any]) -> StoredLogChunk:
    """A row of ``log_chunks``."""
    return StoredLogChunk(start_byte=row[0], text=row[1], after_cancel=bool(row[2]))


def to_user(user_id: int, name: str, permissions: str, active: int) -> User:
    """The first columns of a user's row."""
    return User(
        id=user_id,
        name=name,
        permissions=frozenset(of_json(permissions)),
        active=bool(active),
    )


def _instant(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else from_milliseconds(milliseconds)


def _evidence(name: str | None) -> Evidence | None:
    return None if name is None else Evidence(name)
