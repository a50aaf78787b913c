"""Read one job, its log, lists of jobs, and who runs them."""

from collections.abc import Iterator

from rescind import limits
from rescind.errors import RequestRefused
from rescind.lifecycle import FINAL
from rescind.model import Job, JobFilter, JobPage, LiveWorker, StoredLogChunk
from rescind.service.policy import Caller, Profile, listable_owner, readable_owner
from rescind.store.protocol import JobStore
from rescind.wire.dates import format_instant
from rescind.wire.listing import Window
from rescind.wire.text import one_line


def job(store: JobStore, caller: Caller, job_id: int) -> Job:
    """One job.

    Raises RequestRefused in the same words when there is none and when the caller may not read
    it.
    """
    # Whose job it is, the store decides, so that the time does not tell the two apart.
    owner = readable_owner(caller)
    found = store.job(job_id, owner=owner) if job_id <= limits.JOB_ID_MAX else None
    if found is None:
        raise not_found(job_id)
    return found


def not_found(job_id: int) -> RequestRefused:
    """The refusal of a job that is not there, or not for the caller."""
    return RequestRefused("INVALID_DATA", f"Job [{job_id}] is not found")


def histories(
    store: JobStore, profile: Profile, caller: Caller, wanted: JobFilter, window: Window
) -> JobPage:
    """Finished jobs that the caller may read, by when they finished, newest first. Raises
    RequestRefused in profile vault without the permission to read all jobs.
    """
    owner = listable_owner(caller, profile)
    return store.histories(wanted, limit=window.limit, offset=window.offset, owner=owner)


def monitors(
    store: JobStore, profile: Profile, caller: Caller, wanted: JobFilter, window: Window
) -> JobPage:
    """Unfinished jobs that the caller may read, by when they were submitted, in the order of their
    start. Raises RequestRefused as :func:`histories` does.
    """
    owner = listable_owner(caller, profile)
    return store.monitors(wanted, limit=window.limit, offset=window.offset, owner=owner)


def latest_jobs(store: JobStore, caller: Caller, *, below: int = limits.JOB_ID_MAX) -> list[Job]:
    """A page of the jobs the caller may read, newest first, with ids less than ``below``."""
    return store.latest_jobs(
        limit=limits.PAGE_JOBS_DEFAULT, below=below, owner=readable_owner(caller)
    )


def workers(store: JobStore, caller: Caller) -> list[LiveWorker]:
    """The workers that live, or ended without a word; none for who may not read all jobs."""
    return store.workers() if readable_owner(caller) is None else []


def log(store: JobStore, caller: Caller, job_id: int) -> str:
    """What is kept of a job's log, as text; a finished job's closes with a summary.

    Raises RequestRefused as :func:`job` does.
    """
    found = job(store, caller, job_id)
    return "".join([*_kept(store.log(job_id)), *_summary(found)])


def _kept(chunks: list[StoredLogChunk]) -> Iterator[str]:
    end = 0
    for chunk in chunks:
        if chunk.start_byte > end:
            yield f"... {chunk.start_byte - end:,} bytes are missing here ...\n"
        yield chunk.text
        end = chunk.start_byte + len(chunk.text.encode())


def _summary(found: Job) -> Iterator[str]:
    """The closing lines; computed from the row, so that they cannot disagree with it."""
    if found.status not in FINAL or found.finished_at is None:
        return
    at = format_instant(found.finished_at)
    if found.error is not None:
        for line in found.error.splitlines():
            yield f"{at} {one_line(line)}\n"
    facts = {
        "Job Title": one_line(found.title),
        "Job Type": found.job_metadata,
        "Job Schedule Time": format_instant(found.run_at),
        "Job Queue Time": found.queued_at and format_instant(found.queued_at),
        "Job Execution Time": found.started_at and format_instant(found.started_at),
        "Job Finish Time": at,
        "Job Attempts": found.attempt,
        "Job Completion Status": found.status,
        "Job Stop Evidence": found.evidence,
    }
    for name, value in facts.items():
        if value is not None:
            yield f"{at} {name}: {value}\n"
