"""Read one job, its log, and lists of jobs."""

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from rescind import limits
from rescind.errors import RequestRefused
from rescind.lifecycle import FINAL
from rescind.model import Details, Job, JobFilter, JobPage
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


def not_found(job_id: int, **detail: str) -> RequestRefused:
    """The refusal of a job that is not there, or not for the caller."""
    return RequestRefused("INVALID_DATA", f"Job [{job_id}] is not found", **detail)


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


def details(store: JobStore, caller: Caller, job_id: int) -> Details:
    """One job and its moves. Raises RequestRefused as :func:`job` does. What keeps a worker from
    starting any job, who may read all jobs is told: it may name other jobs' files, or hosts.
    """
    owner = readable_owner(caller)
    found = store.details(job_id, owner=owner) if job_id <= limits.JOB_ID_MAX else None
    if found is None:
        raise not_found(job_id)
    if owner is None:
        return found
    told = [replace(one, reason=_STARTS_NONE) if one.is_general else one for one in found.obstacles]
    return replace(found, obstacles=told)


_STARTS_NONE = "It starts no jobs now; who may read all jobs is told why."


class Log(Struct, frozen=True, kw_only=True):
    """A job's log from some byte on."""

    text: str
    next_byte: int
    """Where what comes later begins."""
    ended: bool
    """Whether nothing comes later: the job has finished, and ``text`` closes with a summary."""


def log(store: JobStore, caller: Caller, job_id: int, *, from_byte: int = 0) -> Log:
    """What is kept of a job's log from a byte on, counted from 0 in all that was ever logged; it
    begins with the next whole character.

    Raises RequestRefused as :func:`job` does.
    """
    # A run logs before it is said to have ended: of a finished job nothing is missing.
    found = job(store, caller, job_id)
    text, next_byte = "", from_byte
    for chunk in store.log(job_id, from_byte=from_byte):
        missing = chunk.start_byte - next_byte
        if missing > 0:
            text += f"... {missing:,} bytes are missing here ...\n"
        kept = chunk.text.encode()
        text += kept[max(0, -missing) :].decode(errors="ignore")
        next_byte = chunk.start_byte + len(kept)
    ended = found.status in FINAL
    return Log(text=text + "".join(_summary(found)), next_byte=next_byte, ended=ended)


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
