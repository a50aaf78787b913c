"""What a client returns: the answers of the API, typed. Instants are aware datetimes in UTC."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from rescind.lifecycle import Evidence, Move, Status


class NewJob(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A job to submit: an item of ``submit_many``."""

    job_metadata: str
    """The name in ``@job``."""
    parameters: Mapping[str, Any] | None = None
    title: str | None = None
    run_date: datetime | None = None
    """None or past: due now."""
    priority: int | None = None
    """1 to 100, the smaller the sooner; 50 if None."""
    unique_key: str | None = None


class Submitted(Struct, frozen=True, kw_only=True):
    """What became of one item of ``submit_many``: the job, or why there is none."""

    id: int | None = None
    existing: bool = False
    """Whether the job was there already, and holds the unique key."""
    error: str | None = None


class CancelOutcome(Struct, frozen=True, kw_only=True):
    """What became of one id of a cancel."""

    job_id: int
    accepted: bool
    """Whether the job is CANCELLING by this request, or was already."""
    code: str | None = None
    """One of :class:`rescind.model.CancelCode`; None from profile vault."""
    status: Status | None = None
    """Where the job stands; None of one that was not found, and from profile vault."""
    message: str | None = None
    """Why not."""


class RerunOutcome(Struct, frozen=True, kw_only=True):
    """What became of one id of a rerun, or of an undo."""

    job_id: int
    new_id: int | None = None
    """The job that was submitted; None if none was."""
    code: str | None = None
    """One of :class:`rescind.model.RerunCode`."""
    status: Status | None = None
    message: str | None = None
    """Why not."""


class JobStatus(Struct, frozen=True, kw_only=True):
    """A job's status (Vault: Retrieve Job Status)."""

    id: int
    status: Status
    created_by: int
    created_date: datetime
    run_start_date: datetime
    run_end_date: datetime | None = None
    method: str | None = None


class Progress(Struct, frozen=True):
    """How far a run has come."""

    done: int
    total: int


class AttemptError(Struct, frozen=True, kw_only=True):
    """The error of one attempt."""

    attempt: int
    date: datetime
    error: str


class JobMove(Struct, frozen=True, kw_only=True, rename={"from_status": "from", "to_status": "to"}):
    """One move of a job: who, when, why and by which request."""

    move: Move
    from_status: Status | None
    to_status: Status
    date: datetime
    user_id: int
    user_name: str | None
    by: str
    reason: str | None
    request_id: str | None
    attempt: int
    evidence: Evidence | None


class Rerun(Struct, frozen=True):
    """A job that repeats another, and whether it takes back its cancel."""

    id: int
    undo: bool


class Obstacle(Struct, frozen=True):
    """Why a worker does not start a job that is QUEUED; without a worker: why none does."""

    worker: str | None
    reason: str


class Details(Struct, frozen=True, kw_only=True):
    """All that is known of one job, and its moves."""

    id: int
    job_metadata: str
    title: str
    status: Status
    priority: int
    queue: str
    parameters: dict[str, Any]
    unique_key: str | None
    created_by: int
    created_date: datetime
    modified_by: int
    modified_date: datetime
    run_date: datetime
    queue_date: datetime | None
    run_start_date: datetime | None
    run_end_date: datetime | None
    attempt: int
    attempts_max: int
    worker: str | None
    evidence: Evidence | None
    result: Any
    progress: Progress | None
    errors: list[AttemptError]
    moves: list[JobMove]
    rerun_of: int | None
    reruns: list[Rerun]
    obstacles: list[Obstacle] = []


class JobSummary(Struct, frozen=True, kw_only=True):
    """A row of histories and monitors."""

    job_id: int
    title: str
    status: Status
    created_by: int
    created_date: datetime
    modified_by: int
    modified_date: datetime
    run_start_date: datetime
    run_end_date: datetime | None = None


class Task(Struct, frozen=True):
    """A task of an SDK job."""

    id: str
    state: str


class FirstJob(Struct, frozen=True):
    """One of the jobs that a selection shows."""

    id: int
    title: str
    status: Status


class Selection(Struct, frozen=True, kw_only=True):
    """Exactly the jobs that a query meant at one moment."""

    selection_id: str
    total: int
    left_out: int
    """How many it also means that one may read, but not change."""
    statuses: dict[str, int]
    first: list[FirstJob]
    expires_date: datetime


class Operation(Struct, frozen=True, kw_only=True):
    """One thing done to each job of a selection, as far as it has come."""

    operation_id: str
    action: str
    status: str
    total: int
    done: int
    stopped: int
    """How many of the jobs whose cancel it has accepted are CANCELLED by now."""
    outcomes: dict[str, int]
    """How many jobs, by code."""
    query: str
    created_by: int
    created_date: datetime
    ended_date: datetime | None
    reason: str | None
    undo_of: str | None
    undone_by: str | None


class Outcome(Struct, frozen=True, kw_only=True):
    """What became of one job of an operation."""

    id: int
    code: str
    status: Status | None
    new_id: int | None = None
