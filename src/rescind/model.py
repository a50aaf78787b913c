"""Frozen values that travel between the layers. Instants are aware datetimes in UTC."""

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeAlias, TypeVar

from msgspec import Struct, field

from rescind import limits
from rescind.lifecycle import CANCELLABLE, CANCELLABLE_IN_DEFAULT, WAITING, Evidence, Move, Status

_T = TypeVar("_T")

SYSTEM_USER_ID = 1
"""The user in whose name the service itself acts; as in Vault."""

DEFAULT_QUEUE = "default__c"


class Actor(Struct, frozen=True, kw_only=True):
    """Who makes a move, why, and by which request: what an event keeps."""

    user_id: int = SYSTEM_USER_ID
    by: str
    """``user``, ``scheduler``, ``canceller``, ``rescuer`` or a worker's id."""
    reason: str | None = None
    request_id: str | None = None


class JobMetadata(Struct, frozen=True, kw_only=True):
    """What ``@job`` declares: how jobs of this name run and may be stopped."""

    name: str
    processor: str
    """Where the code is, as ``module:attribute``."""
    title: str
    queue: str = DEFAULT_QUEUE
    idempotent: bool = False
    cancellable_in: frozenset[Status] = CANCELLABLE_IN_DEFAULT
    grace_seconds: float = limits.GRACE_SECONDS_DEFAULT
    timeout_seconds: float = limits.TIMEOUT_MINUTES_DEFAULT * 60.0
    inactivity_seconds: float | None = None
    attempts_max: int = 1
    retry_seconds: float = limits.RETRY_SECONDS_DEFAULT
    interrupt_seconds: float | None = limits.INTERRUPT_SECONDS_DEFAULT
    """How soon a function that has not noticed a stop is interrupted; None: never."""
    terminate_seconds: float = limits.TERMINATE_SECONDS_DEFAULT
    """Between SIGTERM and SIGKILL."""


class NewJob(Struct, frozen=True, kw_only=True):
    """A job to submit. What decides about it later is copied from its metadata to its row."""

    metadata: JobMetadata
    title: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    run_at: datetime | None = None
    """None or past: due now."""
    priority: int = limits.PRIORITY_DEFAULT
    method: str | None = None
    """The HTTP method of the request that submitted it."""
    unique_key: str | None = None
    """At most one job of a metadata that is neither finished nor being cancelled has it."""


class Submitted(Struct, frozen=True):
    """The store's answer about one job to submit."""

    id: int | None
    """The new job, or the one that holds the unique key; None if the reader may not read that."""
    existing: bool = False


class JobSummary(Struct, frozen=True, kw_only=True):
    """What lists of jobs show of one instance."""

    id: int
    title: str
    status: Status
    created_by: int
    created_at: datetime
    modified_by: int
    modified_at: datetime
    run_at: datetime
    """The planned start."""
    started_at: datetime | None
    """Of the last run."""
    finished_at: datetime | None

    @property
    def run_start_at(self) -> datetime:
        """The planned start of what waits to start, of anything else the real one, if any."""
        return self.run_at if self.status in WAITING else self.started_at or self.run_at


class JobFilter(Struct, frozen=True, kw_only=True):
    """Which jobs of a list are asked for; None: whatever."""

    since: datetime | None = None
    until: datetime | None = None
    """Inclusive."""
    status: Status | None = None


class JobPage(Struct, frozen=True, kw_only=True):
    """A page of a list of jobs, and how many the whole list has."""

    jobs: list[JobSummary]
    total: int


class Job(JobSummary, frozen=True, kw_only=True):
    """One instance, as its row stands."""

    job_metadata: str
    method: str | None
    priority: int
    parameters: Mapping[str, Any]
    queue: str
    processor: str
    cancellable_in: frozenset[Status]
    grace_seconds: float
    timeout_seconds: float
    inactivity_seconds: float | None
    idempotent: bool
    attempts_max: int
    retry_seconds: float
    interrupt_seconds: float | None
    terminate_seconds: float
    queued_at: datetime | None
    attempt: int
    """How often it has been claimed; 0 before the first claim."""
    failures: int
    """How many runs that were entered have raised, died or lost their worker."""
    worker: str | None
    """Who holds it."""
    evidence: Evidence | None
    """How its last run stopped."""
    error: str | None
    result: Any
    progress_done: int | None
    progress_total: int | None
    unique_key: str | None
    rerun_of: int | None
    """The job that it repeats."""
    undo: bool
    """Whether it takes back the cancel of that job."""


class Event(Struct, frozen=True, kw_only=True):
    """One move of one job."""

    id: int
    job_id: int
    move: Move
    from_status: Status | None
    to_status: Status
    at: datetime
    user_id: int
    user_name: str | None
    by: str
    reason: str | None
    request_id: str | None
    attempt: int
    evidence: Evidence | None
    error: str | None
    """Of the attempt that the move ended."""


class Rerun(Struct, frozen=True):
    """A job that repeats another, and whether it takes back its cancel."""

    id: int
    undo: bool


class Details(Struct, frozen=True):
    """One job, its moves, the jobs that repeat it, and what keeps it from being started, of one
    moment.
    """

    job: Job
    events: list[Event]
    reruns: list[Rerun]
    obstacles: list["Obstacle"]


EVERY_JOB = "*"
"""Stands among the names of which a worker says why it starts no jobs: for a reason of its own,
which stands at each name, too."""


class Obstacle(Struct, frozen=True):
    """Why a worker does not start a job that is QUEUED, though its turn may have come."""

    worker: str | None
    """None: there is none that could."""
    reason: str
    is_general: bool = False
    """It is about the worker, not about the job."""


class RunRef(Struct, frozen=True):
    """One execution of one job. The attempt fences it: writes of an earlier run do not land."""

    job_id: int
    attempt: int


class RunEnd(Struct, frozen=True, kw_only=True):
    """How a run ended, as a worker reports it to the store."""

    run: RunRef
    status: Status
    """One that *finish* leads to."""
    evidence: Evidence
    """How it stopped; kept if ``stopped``, or if the job is no longer RUNNING."""
    stopped: bool = True
    """Whether it was told to stop. A job that nobody stopped shows no evidence."""
    error: str | None = None
    result: Any = None


class RunRetry(Struct, frozen=True, kw_only=True):
    """A run whose code raised and that is to be tried again ``delay_seconds`` from now."""

    run: RunRef
    evidence: Evidence
    error: str
    delay_seconds: float


class RunRelease(Struct, frozen=True, kw_only=True):
    """A run that its worker gives back without an ending: it has stopped, as ``evidence`` says."""

    run: RunRef
    evidence: Evidence
    drained: bool = False
    """Because the worker was told to stop: it does not count as a failure."""


class RunProgress(Struct, frozen=True, kw_only=True):
    """How far a run has come: ``done`` of ``total``."""

    run: RunRef
    done: int
    total: int


class LogChunk(Struct, frozen=True, kw_only=True):
    """Whole lines that a run logged, each ``{instant} {text}`` and a line feed, oldest first."""

    run: RunRef
    text: str


class StoredLogChunk(Struct, frozen=True, kw_only=True):
    """A chunk as kept. ``start_byte`` counts from the first byte ever logged, so that a gap
    between two chunks is what was dropped."""

    start_byte: int
    text: str


class Registration(Struct, frozen=True, kw_only=True):
    """What a worker says of itself: one life of one process."""

    id: str
    host: str
    pid: int
    slots: int
    obstacles: Mapping[str, str] = {}
    """Why it starts no jobs of some names now."""


class LiveWorker(Struct, frozen=True, kw_only=True):
    """A worker that has registered, and not ended."""

    id: str
    host: str
    pid: int
    slots: int
    started_at: datetime
    seen_at: datetime
    obstacles: Mapping[str, str]
    """Why it starts no jobs of some names now."""
    alive: bool
    """Whether its lease holds; if not, it is lost."""


class Run(Struct, frozen=True, kw_only=True):
    """A job that a worker holds."""

    id: int
    title: str
    status: Status
    started_at: datetime
    worker: str


class JobListing(Struct, frozen=True, kw_only=True):
    """A page of jobs, what runs first."""

    jobs: list[Job]
    user_names: dict[int, str]
    """Of those who submitted them, by id."""
    totals: dict[Status, int]
    """How many jobs there are, whether of a status that is asked for or not."""


class Passage(Struct, frozen=True, kw_only=True):
    """Jobs that came and went alike, by the numbers of periods, from 0; before the first: -1."""

    status: Status
    due: int
    """When they were to run, or were submitted if that was later."""
    left: int | None
    """When they no longer waited: last started, or ended without; None: they still wait."""
    ended: int | None
    total: int


class CancelCode(StrEnum):
    """What became of one item of a cancel request."""

    ACCEPTED = "ACCEPTED"
    ALREADY_CANCELLING = "ALREADY_CANCELLING"
    ALREADY_CANCELLED = "ALREADY_CANCELLED"
    FINISHED = "FINISHED"
    NOT_CANCELLABLE = "NOT_CANCELLABLE"
    UNKNOWN = "UNKNOWN"
    """No such job, or none that the caller may see: nobody can tell which."""
    INVALID_ID = "INVALID_ID"
    RACE_CONDITION = "RACE_CONDITION"
    """Somebody else held the job for too long: nothing was done to it."""

    @classmethod
    def of(cls, verdict: "Verdict") -> "CancelCode":
        """The one place that decides how a verdict is answered."""
        if verdict.landed:
            return cls.ACCEPTED
        if verdict.status in CANCELLABLE:
            return cls.RACE_CONDITION if verdict.held else cls.NOT_CANCELLABLE
        done = {
            Status.CANCELLING: cls.ALREADY_CANCELLING,
            Status.CANCELLED: cls.ALREADY_CANCELLED,
        }
        return done.get(verdict.status, cls.FINISHED)


class StartCode(StrEnum):
    """What became of a request to start a job."""

    STARTED = "STARTED"
    NOT_SCHEDULED = "NOT_SCHEDULED"
    UNKNOWN = "UNKNOWN"
    """As in :class:`CancelCode`."""
    RACE_CONDITION = "RACE_CONDITION"
    """Of an operation, as in :class:`CancelCode`."""

    @classmethod
    def of(cls, verdict: "Verdict") -> "StartCode":
        """The one place that decides how a verdict is answered."""
        if verdict.landed:
            return cls.STARTED
        held = verdict.held and verdict.status is Status.SCHEDULED
        return cls.RACE_CONDITION if held else cls.NOT_SCHEDULED


class RerunCode(StrEnum):
    """What became of one item of a request to run jobs again, or to undo their cancel."""

    SUBMITTED = "SUBMITTED"
    NOT_FINISHED = "NOT_FINISHED"
    """It may still change how it ends: of an undo, a job that was RUNNING and has not stopped."""
    HAD_STARTED = "HAD_STARTED"
    """It was cancelled after it had begun: that cannot be taken back."""
    NOT_CANCELLED = "NOT_CANCELLED"
    ALREADY_UNDONE = "ALREADY_UNDONE"
    EXISTS = "EXISTS"
    """Its unique key has been given to another job meanwhile."""
    METADATA_UNKNOWN = "METADATA_UNKNOWN"
    """No worker has registered a job of its name."""
    UNKNOWN = "UNKNOWN"
    """As in :class:`CancelCode`."""
    INVALID_ID = "INVALID_ID"


class Verdict(Struct, frozen=True):
    """The store's answer about one job it found: whether the move landed, and where the job
    stands now."""

    landed: bool
    status: Status
    held: bool = False
    """Nothing was judged: somebody else held the job for too long."""


class RerunVerdict(Struct, frozen=True):
    """The store's answer about one job to run again, or whose cancel to undo."""

    code: RerunCode
    status: Status
    """Of the old job."""
    new_id: int | None = None
    """The new job; of ALREADY_UNDONE, the one that it was undone with."""


class CancelOutcome(Struct, frozen=True, kw_only=True):
    """The answer to item *i* of a cancel request."""

    code: CancelCode
    job_id: int | None = None
    status: Status | None = None
    message: str | None = None
    """Why not, for an INVALID_ID."""


class SubmitOutcome(Struct, frozen=True, kw_only=True):
    """The answer to item *i* of a submit request."""

    job_id: int | None = None
    existing: bool = False
    """Whether the job was there already, and holds the unique key."""
    error_type: str | None = None
    """Why there is no job for the item, one of Vault's error types; and in words:"""
    message: str | None = None


class RerunOutcome(Struct, frozen=True, kw_only=True):
    """The answer to item *i* of a request to run jobs again, or to undo their cancel."""

    code: RerunCode
    job_id: int | None = None
    status: Status | None = None
    new_id: int | None = None
    """As in :class:`RerunVerdict`."""
    message: str | None = None
    """Why not, for an INVALID_ID."""


class BadItem(Struct, frozen=True):
    """An item of a request that is not what it must be; ``message`` says why."""

    message: str


class User(Struct, frozen=True, kw_only=True):
    """A person or program that may sign in."""

    id: int
    name: str
    permissions: frozenset[str]
    active: bool


class Session(Struct, frozen=True, kw_only=True):
    """A signed-in user's session, found by its id."""

    user: User
    created_at: datetime
    seen_at: datetime


class Account(Struct, frozen=True, kw_only=True):
    """What is told to a user of themselves, beside :class:`User`."""

    created_at: datetime


FoundRow: TypeAlias = dict[str, Any]
"""What a query found of a row, by the name of the column; ``id`` is always there."""


class Found(Struct, frozen=True, kw_only=True):
    """A page of what a query found."""

    rows: list[FoundRow]
    total: int
    ids: list[int]
    """Of all rows, in their order, if there is another page, and no more than are kept."""


class Cursor(Struct, frozen=True, kw_only=True):
    """What is kept of a query that has several pages."""

    description: str
    """JSON: what a page shows."""
    ids: list[int]


class RequestKey(Struct, frozen=True, kw_only=True):
    """What makes two requests one that was sent twice: the header ``Idempotency-Key``, of one
    user, for one method and path.
    """

    user_id: int
    method: str
    path: str
    key: str
    request_hash: bytes
    """Of what else the request said: a key is for one request, not for two."""


class KeptOutcome(Struct, frozen=True):
    """What is kept for a key: of which request, and what became of it, as JSON."""

    request_hash: bytes
    outcome: str


class Once(Struct, Generic[_T], frozen=True):
    """To do something once for a key, and to keep in the same transaction what became of it."""

    key: RequestKey
    outcome: Callable[[_T], str]
    """What to keep, as JSON, of what was done. What it raises undoes it."""
