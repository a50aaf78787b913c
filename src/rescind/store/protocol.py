"""The seam between Rescind and its databases: one method per move, per write and per read.

Every move is one conditional write. What it returns says which jobs it moved; a job that is not
named did not stand where the move starts from, and nothing of it was changed. All instants are
the store's own. Any method raises StoreUnavailable when the database cannot do it.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, Protocol

from rescind.lifecycle import Status
from rescind.model import (
    Account,
    Actor,
    Cursor,
    Details,
    Event,
    Found,
    FoundRow,
    Job,
    JobFilter,
    JobListing,
    JobMetadata,
    JobPage,
    KeptOutcome,
    LiveWorker,
    LogChunk,
    NewJob,
    Once,
    Passage,
    Registration,
    RequestKey,
    RerunVerdict,
    Run,
    RunEnd,
    RunProgress,
    RunRef,
    RunRelease,
    RunRetry,
    Session,
    StoredLogChunk,
    Submitted,
    User,
    Verdict,
)
from rescind.operation import (
    Action,
    Begun,
    Operation,
    OperationPage,
    OperationStatus,
    OutcomePage,
    Pinned,
    Rights,
    Wanted,
    Worked,
)
from rescind.selection import Column, Filter, Selection, Source


class Channel(StrEnum):
    """What a wake-up is about. A wake-up may be lost or doubled: the rows decide."""

    SCHEDULED = "scheduled"
    """Something was scheduled or held: the next due time may be earlier now."""
    QUEUED = "queued"
    """There may be something to claim."""
    CANCELLING = "cancelling"
    """A cancel was accepted."""
    RELEASED = "released"
    """A run was given back."""
    OPERATION = "operation"
    """Somebody has begun an operation."""


class Turn(NamedTuple):
    """What became of the ends that a worker reported, and what it got to run."""

    landed: Collection[int]
    held: Collection[int]
    """Jobs that somebody else holds: nothing was done to them."""
    claimed: list[Job]


class JobStore(Protocol):
    """Jobs, their events and their logs."""

    # Moves

    # Those that a request asks for take ``once``, when it has an idempotency key; they raise
    # KeyTaken, and do nothing, when something is kept for it or another transaction is at it.

    def submit(
        self,
        jobs: Sequence[NewJob],
        actor: Actor,
        *,
        reader: int | None = None,
        once: Once[list[Submitted]] | None = None,
    ) -> list[Submitted]:
        """Insert all of ``jobs``, each with an id of its own, ascending in their order; in place of
        one whose unique key is held, the job that holds it, with its id if ``reader``, when given,
        submitted that.
        """
        ...

    def rerun(
        self,
        ids: Sequence[int],
        actor: Actor,
        *,
        undo: bool,
        owner: int | None,
        once: Once[dict[int, RerunVerdict]] | None = None,
    ) -> dict[int, RerunVerdict]:
        """Submit finished jobs anew, or ``undo`` the cancel of those that had not started; the new
        ids ascend as the old ones do. A job is undone once.

        Returns a verdict for each id that exists and, if ``owner`` is given, that this user
        submitted. Ids may repeat; there is one verdict, and one new job, for each.
        """
        ...

    def start(
        self,
        job_id: int,
        actor: Actor,
        *,
        hold_seconds: float,
        owner: int | None,
        once: Once[Verdict | None] | None = None,
    ) -> Verdict | None:
        """Let a SCHEDULED job run now, after ``hold_seconds`` in QUEUEING.

        None: there is no such job, or ``owner`` is given and did not submit it.
        """
        ...

    def stage(self, actor: Actor, *, limit: int) -> list[int]:
        """Queue up to ``limit`` SCHEDULED jobs whose run date has come."""
        ...

    def queue(self, actor: Actor, *, limit: int) -> list[int]:
        """Queue up to ``limit`` QUEUEING jobs that nothing holds back any more."""
        ...

    def claim(self, actor: Actor, *, names: Sequence[str], limit: int) -> list[Job]:
        """Give up to ``limit`` QUEUED jobs of these job metadata to the worker ``actor.by``, if it
        has a lease.

        In order of priority, run date and id. Each is RUNNING, and counts one more attempt.
        """
        ...

    def finish(self, actor: Actor, ends: Sequence[RunEnd]) -> set[int]:
        """End the runs that are still RUNNING under the worker ``actor.by`` and their attempt."""
        ...

    def turn(
        self, actor: Actor, ends: Sequence[RunEnd], *, names: Sequence[str], limit: int
    ) -> Turn:
        """Finish and then claim, in one transaction; see there. It waits for nobody: ends of jobs
        that somebody else holds are left out.
        """
        ...

    def retry(self, actor: Actor, retries: Sequence[RunRetry]) -> set[int]:
        """As finish, but schedule the jobs again."""
        ...

    def rescue(self, actor: Actor, *, limit: int) -> list[Job]:
        """Take up to ``limit`` RUNNING jobs away from workers that are lost or gave them back; as
        they stand then.
        """
        ...

    def cancel(
        self,
        ids: Sequence[int],
        actor: Actor,
        *,
        running_allowed: bool,
        owner: int | None,
        once: Once[dict[int, Verdict]] | None = None,
    ) -> dict[int, Verdict]:
        """Accept the cancel of every job of ``ids`` whose row permits it, in one transaction.

        Returns a verdict for each id that exists and, if ``owner`` is given, that this user
        submitted. Ids may repeat; there is one verdict for each. A job that somebody else holds for
        longer than ``CANCEL_WAIT_SECONDS_MAX`` is left out; its verdict says so.
        """
        ...

    def settle(self, actor: Actor, *, limit: int) -> list[int]:
        """Make up to ``limit`` CANCELLING jobs CANCELLED: those that never ran, whose run has
        stopped, or whose worker is lost.
        """
        ...

    def miss(self, ids: Sequence[int], actor: Actor) -> list[int]:
        """Give up occurrences that were found too late."""
        ...

    def fail(self, actor: Actor, *, unknown_seconds: int, limit: int) -> list[Job]:
        """Give up jobs that have been due for ``unknown_seconds`` while no live worker has known
        their job metadata; as they stand then.
        """
        ...

    # Writes that are not moves

    def release(self, worker: str, releases: Sequence[RunRelease]) -> set[int]:
        """Give back runs that stopped without an ending, with the evidence of how.

        CANCELLING ones can settle then, RUNNING ones be rescued.
        """
        ...

    def write_progress(self, worker: str, progresses: Sequence[RunProgress]) -> set[RunRef]:
        """Keep how far runs have come; of which. Of the others, either the run is no longer RUNNING
        or somebody else holds the job just now.
        """
        ...

    def lease(self, worker: str) -> None:
        """Give the worker a lease, which holds for all that it claims, and has claimed: only for
        one that runs nothing.
        """
        ...

    def renew(self, worker: str) -> bool:
        """Extend the worker's lease; False when it is over, and cannot be extended."""
        ...

    def end_leases(self) -> list[str]:
        """End the leases that are over: they cannot be renewed any more. Whose they were."""
        ...

    def append_log(self, worker: str, chunks: Sequence[LogChunk]) -> None:
        """Append to logs; long ones lose their middle. Dropped for a run that the worker does
        not hold any more.
        """
        ...

    def prune_jobs(self, *, age_seconds: float, limit: int) -> int:
        """Delete up to ``limit`` jobs that finished so long ago, with their events and logs; how
        many.
        """
        ...

    def register(self, worker: Registration, metadata: Sequence[JobMetadata]) -> list[str]:
        """Keep that this worker has started, and what its ``@job`` declare, from now on.

        Returns the queues they name that do not exist; then nothing was written.
        """
        ...

    def heartbeat(self, worker: Registration, metadata: Sequence[JobMetadata]) -> None:
        """Keep that this worker lives, and that it knows these."""
        ...

    def unregister(self, worker: str) -> None:
        """The worker has ended, and holds nothing any more."""
        ...

    # Reads

    def may_enter(self, worker: str, runs: Sequence[RunRef]) -> set[RunRef]:
        """Those of the runs that are still RUNNING under this worker and their attempt."""
        ...

    def stops_wanted(self, worker: str) -> list[RunRef]:
        """The worker's runs that are CANCELLING and have not stopped yet."""
        ...

    def held(self, worker: str) -> list[RunRef]:
        """The runs that the worker holds and has not given back."""
        ...

    def next_due(self) -> timedelta | None:
        """How long until the next SCHEDULED or QUEUEING job is due; never negative."""
        ...

    def next_lease_end(self) -> timedelta | None:
        """How long until the next lease is over, if it is not renewed; never negative."""
        ...

    def workers(self) -> list[LiveWorker]:
        """The workers that have registered and not ended, the oldest first."""
        ...

    def job(self, job_id: int, *, owner: int | None = None) -> Job | None:
        """One job, of ``owner`` only, if given."""
        ...

    def details(self, job_id: int, *, owner: int | None = None) -> Details | None:
        """One job and its moves, of one moment; of ``owner`` only, if given."""
        ...

    def histories(
        self, wanted: JobFilter, *, limit: int, offset: int, owner: int | None
    ) -> JobPage:
        """Finished jobs that finished from ``wanted.since`` to ``until``, newest first; of
        ``owner`` only, if given.
        """
        ...

    def monitors(self, wanted: JobFilter, *, limit: int, offset: int, owner: int | None) -> JobPage:
        """Jobs that are not finished, submitted from ``wanted.since`` to ``until``, in the order of
        their start; of ``owner`` only, if given.
        """
        ...

    def latest_jobs(self, *, limit: int, below: int, owner: int | None) -> list[Job]:
        """Up to ``limit`` jobs with ids less than ``below``, newest first; of ``owner`` only, if
        given.
        """
        ...

    def events(self, job_id: int) -> list[Event]:
        """Every move of one job, in order."""
        ...

    def log(self, job_id: int, *, from_byte: int = 0) -> list[StoredLogChunk]:
        """What is kept of one job's log, in order, from the chunk that holds a byte on."""
        ...

    def metadata(self, names: Sequence[str]) -> dict[str, JobMetadata]:
        """The job metadata of these names, as far as they exist."""
        ...


class AccountStore(Protocol):
    """Users and their sessions. Session ids come hashed."""

    def add_user(self, name: str, password_hash: str, permissions: frozenset[str]) -> int | None:
        """A new user's id; None when the name is taken."""
        ...

    def users(self) -> list[User]:
        """Everyone but the system."""
        ...

    def user_by_name(self, name: str) -> tuple[User, str | None] | None:
        """A user and the hash of their password."""
        ...

    def set_active(self, user_id: int, active: bool) -> None:
        """Let a user in; or no longer, and end their sessions."""
        ...

    def set_password(self, user_id: int, password_hash: str) -> None:
        """Change a password, and end the user's sessions."""
        ...

    def rehash_password(self, user_id: int, old_hash: str, new_hash: str) -> bool:
        """Keep another hash of the same password, if it is still the user's; whether so."""
        ...

    def open_session(self, user_id: int, id_hash: bytes, *, password_hash: str) -> bool:
        """Keep a new session, if the user is active and has still this password; whether so."""
        ...

    def session(self, id_hash: bytes, *, inactive_seconds: float) -> Session | None:
        """A living session of an active user."""
        ...

    def touch_session(self, id_hash: bytes) -> None:
        """The session was used just now."""
        ...

    def close_session(self, id_hash: bytes) -> None:
        """The session is over."""
        ...

    def account(self, user_id: int) -> Account:
        """More of a user."""
        ...

    def prune_sessions(self, *, age_seconds: float, limit: int) -> int:
        """Delete up to ``limit`` sessions that are so old; how many."""
        ...


class KeyStore(Protocol):
    """Idempotency keys, and what is kept for them."""

    def kept_outcome(self, key: RequestKey) -> KeptOutcome | None:
        """What is kept for a key, if anything and not too old."""
        ...

    def prune_keys(self, *, limit: int) -> int:
        """Delete up to ``limit`` keys that are too old; how many."""
        ...


class QueryStore(Protocol):
    """What selections mean, and the pages of queries."""

    def select(
        self,
        selection: Selection,
        columns: Sequence[Column],
        *,
        skip: int,
        rows_max: int | None,
        limit: int,
        offset: int,
        seconds: float,
    ) -> Found:
        """The rows of a selection from ``skip`` on, ``rows_max`` of them at most; of these the page
        of ``limit`` from ``offset`` on. Raises QueryTooSlow.
        """
        ...

    def select_again(
        self, source: Source, columns: Sequence[Column], ids: Sequence[int], *, seconds: float
    ) -> list[FoundRow]:
        """Those of these rows that still are there, as they are now, in this order. Raises
        QueryTooSlow.
        """
        ...

    def keep_cursor(
        self, cursor_id: str, user_id: int, description: str, ids: Sequence[int]
    ) -> None:
        """Keep what the pages of a query need; of a user, the last ``CURSORS_MAX``."""
        ...

    def cursor(self, cursor_id: str, user_id: int) -> Cursor | None:
        """What is kept, of this user's and used lately; it counts as used."""
        ...

    def prune_cursors(self, *, limit: int) -> int:
        """Delete up to ``limit`` that nobody has used lately; how many."""
        ...


class OperationStore(Protocol):
    """Selections, and what is done to all their jobs. Those that take ``once`` do as moves do."""

    def pin(
        self,
        selection_id: str,
        user_id: int,
        query: str,
        meant: Selection,
        *,
        owner: int | None,
        skip: int,
        rows_max: int | None,
        seconds: float,
        once: Once[Pinned] | None = None,
    ) -> Pinned:
        """Keep exactly the jobs that are ``meant`` at one moment, from ``skip`` on and
        ``rows_max`` at most, as far as they are ``owner``'s, if given; for this user. It can be
        used once this returns.

        Raises QueryTooSlow, TooManyFound, TooManyKept.
        """
        ...

    def selection(self, selection_id: str, user_id: int) -> Pinned | None:
        """What is told of a selection of this user's that has not expired."""
        ...

    def begin(self, wanted: Wanted, selection_id: str, *, once: Once[Begun] | None = None) -> Begun:
        """Begin an operation on a selection of its user's that has not expired."""
        ...

    def undo(
        self,
        wanted: Wanted,
        operation_id: str,
        *,
        owner: int | None,
        once: Once[Begun] | None = None,
    ) -> Begun:
        """Begin to take back the cancels of an operation, of ``owner``'s only, if given."""
        ...

    def stop(
        self,
        operation_id: str,
        *,
        owner: int | None,
        once: Once[OperationStatus | None] | None = None,
    ) -> OperationStatus | None:
        """Stop an operation that is RUNNING, of ``owner``'s only, if given; where it stood before,
        None if there is none.
        """
        ...

    def running_operations(self, *, limit: int) -> list[int]:
        """The operations that have more to do, the oldest first, by their numbers."""
        ...

    def operate(
        self, number: int, rights: Callable[[User, Action], Rights], *, leave_held: bool
    ) -> Worked:
        """Do the next part of an operation, and keep what became of it, in one transaction that
        waits for nobody: if others hold jobs of it, nothing is done or, if ``leave_held``, nothing
        to those. ``rights`` tells what the operation's user may now.
        """
        ...

    def operations(self, *, limit: int, offset: int, owner: int | None) -> OperationPage:
        """Operations, newest first; of ``owner``'s only, if given."""
        ...

    def operation(self, operation_id: str, *, owner: int | None) -> Operation | None:
        """One operation; of ``owner``'s only, if given."""
        ...

    def outcomes(
        self, operation_id: str, *, owner: int | None, code: str | None, limit: int, offset: int
    ) -> OutcomePage | None:
        """What became of the jobs of an operation, ascending by id; those with a code, if given.
        None as for ``operation``.
        """
        ...

    def prune_selections(self, *, limit: int) -> int:
        """Delete up to ``limit`` that have expired and nothing is done to any more; how many."""
        ...

    def prune_operations(self, *, age_seconds: float, limit: int) -> int:
        """Delete up to ``limit`` that ended so long ago, with their outcomes; how many."""
        ...


class PageStore(Protocol):
    """What people look at."""

    def listing(
        self,
        where: Filter,
        statuses: Collection[Status],
        *,
        limit: int,
        offset: int,
        seconds: float,
    ) -> JobListing:
        """A page of the jobs that a filter, which says nothing of their status, and ``statuses``
        mean: what runs, then what waits, in the order of its start, then what has ended, the
        latest first; and how many the filter means in each status. Raises QueryTooSlow.
        """
        ...

    def user_names(self, ids: Collection[int]) -> dict[int, str]:
        """The names of these users, as far as they exist."""
        ...

    def runs(self, *, limit: int) -> list[Run]:
        """Up to ``limit`` jobs that workers hold, by worker and id."""
        ...

    def passages(self, since: datetime, width: timedelta, *, seconds: float) -> list[Passage]:
        """How all jobs that live, or have ended since then, came and went, in periods of
        ``width``. Raises QueryTooSlow.
        """
        ...


class Exchange(Protocol):
    """Wake-ups between processes that share a store. One thread calls all but ``post`` and
    ``wake``, which may come from any.
    """

    def post(self, channels: Collection[Channel]) -> None:
        """Have the other processes woken by the next ``send``, and end the present ``wait``."""
        ...

    @property
    def pending(self) -> bool:
        """Whether anything was posted since the last ``send``."""
        ...

    def send(self) -> None:
        """Send what was posted. Raises StoreUnavailable; then it stays pending."""
        ...

    def receive(self) -> set[Channel]:
        """What the other processes have sent since the last call; everything, if something may
        have been missed. Raises StoreUnavailable.
        """
        ...

    def wait(self, seconds: float) -> None:
        """Return after ``seconds``, or when something was sent to this process or posted."""
        ...

    def wake(self) -> None:
        """End the present ``wait``, or the next."""
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...


class Store(JobStore, QueryStore, OperationStore, PageStore, AccountStore, KeyStore, Protocol):
    """Everything that is durable."""

    def now(self) -> datetime:
        """The store's own time, which all its instants are taken from."""
        ...

    def subscribe(self, listener: Callable[[Channel], None]) -> None:
        """Call ``listener`` after commits that may interest a loop. It must not block."""
        ...

    def require_schema(self) -> None:
        """Raise SchemaError when the database has come to a schema that this program does not
        serve.
        """
        ...

    def check(self) -> None:
        """Raise StoreUnavailable unless the store can be read and written right now."""
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...
