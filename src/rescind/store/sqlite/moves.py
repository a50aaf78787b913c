"""The moves, and the writes of a run, on SQLite."""

from collections.abc import Mapping, Sequence
from typing import Any

import apsw

from rescind import limits
from rescind.lifecycle import Move, Status
from rescind.model import (
    Actor,
    Job,
    JobMetadata,
    LogChunk,
    NewJob,
    RunEnd,
    RunProgress,
    RunRelease,
    RunRetry,
    Verdict,
)
from rescind.store import rows
from rescind.store.protocol import Channel
from rescind.store.sqlite.statements import Statements, run, run_named

_WAKES: Mapping[Status, Channel] = {
    Status.SCHEDULED: Channel.SCHEDULED,
    Status.QUEUEING: Channel.SCHEDULED,
    Status.QUEUED: Channel.QUEUED,
    Status.CANCELLING: Channel.CANCELLING,
}
"""Who wants to know that a job has come to stand there."""


class Moves(Statements):
    """Every write to jobs; see :class:`rescind.store.protocol.JobStore`."""

    def submit(self, jobs: Sequence[NewJob], actor: Actor) -> list[int]:
        return self._move(
            Move.SUBMIT, actor, jobs=rows.to_json([rows.new_job(job) for job in jobs])
        )

    def start(
        self, job_id: int, actor: Actor, *, hold_seconds: float, owner: int | None
    ) -> Verdict | None:
        parameters = {
            "job_id": job_id,
            "hold_milliseconds": round(hold_seconds * 1000),
            "owner": owner,
        }
        with self._database.write() as connection:
            moved = self._moved(connection, Move.START, actor, **parameters)
            statuses = _statuses(connection, [job_id], owner)
        self._wake(moved)
        return Verdict(bool(moved), statuses[job_id]) if job_id in statuses else None

    def stage(self, actor: Actor, *, limit: int) -> list[int]:
        return self._move(Move.STAGE, actor, limit=limit)

    def queue(self, actor: Actor, *, limit: int) -> list[int]:
        return self._move(Move.QUEUE, actor, limit=limit)

    def claim(self, actor: Actor, *, processors: Sequence[str], limit: int) -> list[Job]:
        with self._database.write() as connection:
            moved = self._moved(
                connection,
                Move.CLAIM,
                actor,
                worker=actor.by,
                processors=rows.to_json(processors),
                limit=limit,
            )
            ids = rows.to_json([row[0] for row in moved])
            jobs = [rows.to_job(row) for row in run_named(connection, "jobs", ids=ids)]
        return sorted(jobs, key=lambda job: (job.priority, job.run_at, job.id))

    def finish(self, actor: Actor, ends: Sequence[RunEnd]) -> set[int]:
        parameters = rows.to_json([rows.run_end(end) for end in ends])
        return set(self._move(Move.FINISH, actor, ends=parameters, worker=actor.by))

    def retry(self, actor: Actor, retries: Sequence[RunRetry]) -> set[int]:
        parameters = rows.to_json([rows.run_retry(retry) for retry in retries])
        return set(self._move(Move.RETRY, actor, retries=parameters, worker=actor.by))

    def rescue(self, actor: Actor, *, limit: int) -> list[int]:
        return self._move(Move.RESCUE, actor, limit=limit)

    def cancel(
        self, ids: Sequence[int], actor: Actor, *, running_allowed: bool, owner: int | None
    ) -> dict[int, Verdict]:
        # One writer at a time is what makes reading the others' statuses in the same
        # transaction exact on SQLite.
        with self._database.write() as connection:
            moved = self._moved(
                connection,
                Move.CANCEL,
                actor,
                ids=rows.to_json(ids),
                running_allowed=running_allowed,
                owner=owner,
            )
            statuses = _statuses(connection, ids, owner)
        self._wake(moved)
        accepted = {row[0] for row in moved}
        return {job_id: Verdict(job_id in accepted, status) for job_id, status in statuses.items()}

    def settle(self, actor: Actor, *, limit: int) -> list[int]:
        return self._move(Move.SETTLE, actor, limit=limit)

    def miss(self, ids: Sequence[int], actor: Actor) -> list[int]:
        return self._move(Move.MISS, actor, ids=rows.to_json(ids))

    def fail(self, actor: Actor, *, unknown_seconds: int, limit: int) -> list[int]:
        return self._move(Move.FAIL, actor, unknown_seconds=unknown_seconds, limit=limit)

    def release(self, worker: str, releases: Sequence[RunRelease]) -> set[int]:
        parameters = rows.to_json([rows.run_release(release) for release in releases])
        with self._database.write() as connection:
            released = run(
                connection, "release", worker=worker, releases=parameters, now=self._now()
            ).fetchall()
        if released:
            self._signal(Channel.RELEASED)
        return {int(row[0]) for row in released}  # type: ignore[arg-type]  # an id

    def end_leases(self) -> None:
        """Every lease is over: for the one process that has just come to own the file."""
        with self._database.write() as connection:
            run(connection, "end_leases", now=self._now())

    def write_progress(self, worker: str, progresses: Sequence[RunProgress]) -> None:
        parameters = rows.to_json([rows.run_progress(progress) for progress in progresses])
        with self._database.write() as connection:
            run(connection, "write_progress", worker=worker, progresses=parameters)

    def append_log(self, chunks: Sequence[LogChunk]) -> None:
        with self._database.write() as connection:
            for chunk in chunks:
                size = len(chunk.text.encode())
                run(connection, "append_log", job_id=chunk.job_id, bytes=size, text=chunk.text)
                run(
                    connection,
                    "trim_log",
                    job_id=chunk.job_id,
                    bytes=size,
                    head_bytes=limits.LOG_HEAD_BYTES,
                    tail_bytes=limits.LOG_TAIL_BYTES,
                )

    def register(self, metadata: Sequence[JobMetadata], *, processors: Sequence[str]) -> list[str]:
        queues = rows.to_json(sorted({value.queue for value in metadata}))
        with self._database.write() as connection:
            unknown = [str(row[0]) for row in run(connection, "unknown_queues", queues=queues)]
            if not unknown:
                run(
                    connection,
                    "register_processors",
                    processors=rows.to_json(processors),
                    now=self._now(),
                )
                run(
                    connection,
                    "register_metadata",
                    metadata=rows.to_json([rows.metadata(value) for value in metadata]),
                )
        return unknown

    def _move(self, move: Move, actor: Actor, **parameters: Any) -> list[int]:
        """One move as a transaction of its own; the ids of the jobs it moved, in id order."""
        with self._database.write() as connection:
            moved = self._moved(connection, move, actor, **parameters)
        self._wake(moved)
        return [row[0] for row in moved]

    def _moved(
        self, connection: apsw.Connection, move: Move, actor: Actor, **parameters: Any
    ) -> list[tuple[Any, ...]]:
        """Run a move's statement and record its events; the rows it returned, in id order."""
        now = self._now()
        moved = sorted(
            run(connection, move, now=now, user_id=actor.user_id, **parameters).fetchall()
        )
        if moved:
            run(
                connection,
                "record",
                move=move,
                # job id, from, to, attempt, evidence
                moved=rows.to_json(moved),
                now=now,
                user_id=actor.user_id,
                by=actor.by,
                reason=actor.reason,
                request_id=actor.request_id,
            )
        return moved

    def _wake(self, moved: Sequence[tuple[Any, ...]]) -> None:
        """Signal once for each kind of place that jobs have come to."""
        self._signal(*{_WAKES[status] for row in moved if (status := row[2]) in _WAKES})


def _statuses(
    connection: apsw.Connection, ids: Sequence[int], owner: int | None
) -> dict[int, Status]:
    found = run(connection, "statuses", ids=rows.to_json(ids), owner=owner)
    return {row[0]: Status(row[1]) for row in found}
