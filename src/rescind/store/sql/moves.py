"""The moves, and the writes of a run."""

import contextlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from rescind import limits
from rescind.lifecycle import Move
from rescind.model import (
    Actor,
    Job,
    JobMetadata,
    LogChunk,
    NewJob,
    Once,
    Registration,
    RunEnd,
    RunProgress,
    RunRef,
    RunRelease,
    RunRetry,
    Submitted,
    Verdict,
)
from rescind.store.protocol import Channel, Turn
from rescind.store.sql import keys, rows, versions
from rescind.store.sql.statements import (
    AskedMove,
    Moved,
    RowsHeldError,
    Statements,
    Transaction,
    move_in,
    statuses_in,
)

Verdicts = dict[int, Verdict]


class Moves(Statements):
    """Every write to jobs; see :class:`rescind.store.protocol.JobStore`."""

    def submit(
        self,
        jobs: Sequence[NewJob],
        actor: Actor,
        *,
        reader: int | None = None,
        once: Once[list[Submitted]] | None = None,
    ) -> list[Submitted]:
        given = rows.to_json([rows.new_job(job) for job in jobs])
        unique = [name for name in map(_unique, jobs) if name is not None]
        while True:
            # A job that held a key may end between the two statements: then all begins anew.
            with contextlib.suppress(_HolderGoneError), self._write() as transaction:
                keys.take(transaction, once)
                moved = move_in(transaction, Move.SUBMIT, actor, jobs=given)
                submitted = _submitted(jobs, moved, _holders(transaction, unique, reader))
                keys.keep(transaction, once, submitted)
                break
        self._wake(moved)
        return submitted

    def start(
        self,
        job_id: int,
        actor: Actor,
        *,
        hold_seconds: float,
        owner: int | None,
        once: Once[Verdict | None] | None = None,
    ) -> Verdict | None:
        hold = timedelta(seconds=hold_seconds)
        with self._write() as transaction:
            keys.take(transaction, once)
            moved = move_in(transaction, Move.START, actor, ids=[job_id], hold=hold, owner=owner)
            statuses = statuses_in(transaction, [job_id], owner)
            verdict = Verdict(bool(moved), statuses[job_id]) if job_id in statuses else None
            keys.keep(transaction, once, verdict)
        self._wake(moved)
        return verdict

    def stage(self, actor: Actor, *, limit: int) -> list[int]:
        return self._move(Move.STAGE, actor, limit=limit)

    def queue(self, actor: Actor, *, limit: int) -> list[int]:
        return self._move(Move.QUEUE, actor, limit=limit)

    def claim(self, actor: Actor, *, names: Sequence[str], limit: int) -> list[Job]:
        return _in_order(self._move_jobs(Move.CLAIM, actor, **_claim(actor, names, limit)))

    def finish(self, actor: Actor, ends: Sequence[RunEnd]) -> set[int]:
        return set(self._move(Move.FINISH, actor, **_finish(actor, ends)))

    def turn(
        self, actor: Actor, ends: Sequence[RunEnd], *, names: Sequence[str], limit: int
    ) -> Turn:
        if not ends:
            return Turn(frozenset(), frozenset(), self.claim(actor, names=names, limit=limit))
        finish = AskedMove(Move.FINISH, actor, _finish(actor, ends, free_only=True))
        claim = AskedMove(Move.CLAIM, actor, _claim(actor, names, limit))
        with self._write() as transaction:
            finished, *claimed = transaction.moves(finish, *([claim] if limit else []))
            landed = {row["id"] for row in finished}
            free, held = _sort_rest(transaction, {end.run.job_id for end in ends} - landed)
            if free:  # somebody else's a moment ago, or not ours to end any more
                again = _finish(actor, [end for end in ends if end.run.job_id in free])
                landed.update(dict(move_in(transaction, Move.FINISH, actor, **again)))
        jobs = [rows.to_job(row) for found in claimed for row in found]
        return Turn(landed, held, _in_order(jobs))

    def retry(self, actor: Actor, retries: Sequence[RunRetry]) -> set[int]:
        given = rows.to_json([rows.run_retry(retry) for retry in retries])
        return set(self._move(Move.RETRY, actor, retries=given, worker=actor.by))

    def rescue(self, actor: Actor, *, limit: int) -> list[Job]:
        return self._move_jobs(Move.RESCUE, actor, losses_max=limits.LOSSES_MAX, limit=limit)

    def cancel(
        self,
        ids: Sequence[int],
        actor: Actor,
        *,
        running_allowed: bool,
        owner: int | None,
        once: Once[dict[int, Verdict]] | None = None,
    ) -> dict[int, Verdict]:
        def judge(transaction: Transaction, judged: Sequence[int]) -> tuple[Moved, Verdicts]:
            # The move holds every job it looked at until the commit (SQLite: all of them), so the
            # others' statuses, read in the same transaction, are those it judged.
            asked = {"ids": judged, "running_allowed": running_allowed, "owner": owner}
            moved = move_in(transaction, Move.CANCEL, actor, **asked)
            accepted = {job_id for job_id, _ in moved}
            left_out = set(ids) - set(judged)
            verdicts = {
                job_id: Verdict(job_id in accepted, status, held=job_id in left_out)
                for job_id, status in statuses_in(transaction, ids, owner).items()
            }
            keys.keep(transaction, once, verdicts)
            return moved, verdicts

        try:
            with self._write_briefly(limits.CANCEL_WAIT_SECONDS_MAX) as transaction:
                keys.take(transaction, once)
                moved, verdicts = judge(transaction, ids)
        except RowsHeldError:
            with self._write() as transaction:
                keys.take(transaction, once)
                free = transaction.rows("hold", ids=ids, owner=owner)
                moved, verdicts = judge(transaction, [row["id"] for row in free])
        self._wake(moved)
        return verdicts

    def settle(self, actor: Actor, *, limit: int) -> list[int]:
        return self._move(Move.SETTLE, actor, limit=limit)

    def miss(self, ids: Sequence[int], actor: Actor) -> list[int]:
        return self._move(Move.MISS, actor, ids=ids)

    def fail(self, actor: Actor, *, unknown_seconds: int, limit: int) -> list[Job]:
        unknown = timedelta(seconds=unknown_seconds)
        hold = timedelta(seconds=limits.START_HOLD_SECONDS_MAX)
        return self._move_jobs(Move.FAIL, actor, unknown=unknown, hold_max=hold, limit=limit)

    def release(self, worker: str, releases: Sequence[RunRelease]) -> set[int]:
        given = rows.to_json([rows.run_release(release) for release in releases])
        with self._write_once() as transaction:
            released = transaction.rows("release", worker=worker, releases=given)
        if released:
            self._signal([Channel.RELEASED])
        return {row["id"] for row in released}

    def write_progress(self, worker: str, progresses: Sequence[RunProgress]) -> set[RunRef]:
        given = rows.to_json([rows.run_progress(progress) for progress in progresses])
        with self._write_once() as transaction:
            written = transaction.rows("write_progress", worker=worker, progresses=given)
        return {RunRef(row["id"], row["attempt"]) for row in written}

    def append_log(self, worker: str, chunks: Sequence[LogChunk]) -> None:
        left = list(chunks)
        # What meets the last write of a run before it is behind that the next time.
        for _ in range(limits.LOG_WRITES_MAX):
            with contextlib.suppress(_TornError), self._write() as transaction:
                written = _append(transaction, worker, left)
                left = [chunk for chunk in left if chunk.run.job_id not in written]
            if not left:
                break

    def register(self, worker: Registration, metadata: Sequence[JobMetadata]) -> list[str]:
        queues = sorted({value.queue for value in metadata})
        given = rows.to_json([rows.metadata(value) for value in metadata])
        forgotten = timedelta(seconds=limits.WORKER_FORGOTTEN_SECONDS)
        with self._write() as transaction:
            unknown = transaction.rows("unknown_queues", queues=queues)
            if not unknown:
                _say_alive(transaction, worker, metadata)
                transaction.run("forget_workers", forgotten=forgotten)
                transaction.run("register_metadata", metadata=given)
        return [row["name"] for row in unknown]

    def heartbeat(self, worker: Registration, metadata: Sequence[JobMetadata]) -> None:
        with self._write() as transaction:
            _say_alive(transaction, worker, metadata)

    def prune_jobs(self, *, age_seconds: float, limit: int) -> int:
        with self._write_once() as transaction:
            age = timedelta(seconds=age_seconds)
            return len(transaction.rows("prune_jobs", age=age, limit=limit))

    def unregister(self, worker: str) -> None:
        with self._write() as transaction:
            transaction.run("unregister_worker", worker=worker)

    def require_schema(self) -> None:
        with self._read_once() as transaction:
            [row] = transaction.rows("schema_version")
        versions.require("The database", row["version"])

    def check(self) -> None:
        with self._write_once() as transaction:
            transaction.run("check")


def _claim(actor: Actor, names: Sequence[str], limit: int) -> dict[str, Any]:
    near, far = limits.CLAIM_NEAR_JOBS, limits.CLAIM_FAR_JOBS
    return {"worker": actor.by, "names": names, "limit": limit, "near": near, "far": far}


def _in_order(claimed: Iterable[Job]) -> list[Job]:
    return sorted(claimed, key=lambda job: (job.priority, job.run_at, job.id))


def _finish(actor: Actor, ends: Sequence[RunEnd], **how: bool) -> dict[str, Any]:
    given = rows.to_json([rows.run_end(end) for end in ends])
    return {"ends": given, "worker": actor.by, **how}


def _sort_rest(transaction: Transaction, ids: set[int]) -> tuple[set[int], set[int]]:
    """Of jobs that did not move, those that nobody else holds, which are held from now on, and
    those that somebody does.
    """
    if not ids:
        return set(), set()
    free = {row["id"] for row in transaction.rows("hold", ids=sorted(ids), owner=None)}
    return free, set(statuses_in(transaction, sorted(ids - free), None))


class _TornError(Exception):
    """Of a run's chunks, some were written, and some met those of the run before it."""


def _append(transaction: Transaction, worker: str, chunks: Sequence[LogChunk]) -> set[int]:
    """The jobs whose chunks were written. Raises _TornError."""
    given = rows.to_json([rows.log_chunk(chunk) for chunk in chunks])
    appended = transaction.rows("append_log", worker=worker, chunks=given)
    written = Counter(row["job_id"] for row in appended)
    whole = {(run.job_id, chunks) for run, chunks in Counter(chunk.run for chunk in chunks).items()}
    if not written.items() <= whole:
        raise _TornError
    transaction.run(
        "trim_log",
        ids=sorted(written),
        head_bytes=limits.LOG_HEAD_BYTES,
        tail_bytes=limits.LOG_TAIL_BYTES,
    )
    return set(written)


class _HolderGoneError(Exception):
    """The job that held a unique key has just ended."""


def _say_alive(
    transaction: Transaction, worker: Registration, metadata: Sequence[JobMetadata]
) -> None:
    transaction.run("register_worker", **rows.registration(worker))
    # Programs of the version before claim, and give up, by the processor.
    processors = sorted({value.processor for value in metadata})
    transaction.run("register_processors", processors=processors)
    transaction.run("register_names", names=sorted({value.name for value in metadata}))


_Unique = tuple[str, str]
"""The name of a job metadata, and a unique key."""


def _unique(job: NewJob) -> _Unique | None:
    return None if job.unique_key is None else (job.metadata.name, job.unique_key)


def _holders(
    transaction: Transaction, unique: Sequence[_Unique], reader: int | None
) -> dict[_Unique, tuple[int, bool]]:
    """For each unique key the job that holds it, and whether the reader may read that."""
    if not unique:
        return {}
    names = [{"job_metadata": name, "unique_key": key} for name, key in set(unique)]
    found = transaction.rows("unique_holders", keys=rows.to_json(names), reader=reader)
    return {(row["job_metadata"], row["unique_key"]): (row["id"], row["readable"]) for row in found}


def _submitted(
    jobs: Sequence[NewJob], moved: Moved, holders: Mapping[_Unique, tuple[int, bool]]
) -> list[Submitted]:
    """For each job its own id, in order, or who holds its unique key. Raises _HolderGoneError."""
    new = {job_id for job_id, _ in moved}
    held = {job_id for job_id, _ in holders.values()}
    plain = iter(sorted(new - held))
    submitted: list[Submitted] = []
    for job in jobs:
        unique = _unique(job)
        if unique is None:
            submitted.append(Submitted(next(plain)))
            continue
        if unique not in holders:
            raise _HolderGoneError
        job_id, readable = holders[unique]
        if job_id in new:
            new.discard(job_id)  # of a second item with this key it is the existing one
            submitted.append(Submitted(job_id))
        else:
            submitted.append(Submitted(job_id if readable else None, existing=True))
    return submitted
