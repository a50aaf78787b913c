"""The reads."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import structs

from rescind import limits
from rescind.lifecycle import Status
from rescind.model import (
    Details,
    Event,
    Job,
    JobFilter,
    JobMetadata,
    JobPage,
    LiveWorker,
    RunRef,
    StoredLogChunk,
)
from rescind.store.sql import rows
from rescind.store.sql.statements import Statements


class Reads(Statements):
    """Every read of jobs; see :class:`rescind.store.protocol.JobStore`."""

    def may_enter(self, worker: str, runs: Sequence[RunRef]) -> set[RunRef]:
        with self._read_once() as transaction:
            ids = [run.job_id for run in runs]
            found = transaction.rows("running", worker=worker, ids=ids)
        return {RunRef(row["id"], row["attempt"]) for row in found}.intersection(runs)

    def stops_wanted(self, worker: str) -> list[RunRef]:
        with self._read_once() as transaction:
            found = transaction.rows("stops_wanted", worker=worker)
        return [RunRef(row["id"], row["attempt"]) for row in found]

    def held(self, worker: str) -> list[RunRef]:
        with self._read_once() as transaction:
            found = transaction.rows("held", worker=worker)
        return [RunRef(row["id"], row["attempt"]) for row in found]

    def next_due(self) -> timedelta | None:
        return self._until("next_due")

    def next_lease_end(self) -> timedelta | None:
        return self._until("next_lease_end")

    def _until(self, name: str) -> timedelta | None:
        """How long from the store's now to the instant that a statement finds."""
        with self._read_once() as transaction:
            [row] = transaction.rows(name)
        now: datetime = row["now"]
        at: datetime | None = row["at"]
        return None if at is None else max(at - now, timedelta(0))

    def workers(self) -> list[LiveWorker]:
        with self._read_once() as transaction:
            return [rows.to_live_worker(row) for row in transaction.rows("workers")]

    def job(self, job_id: int, *, owner: int | None = None) -> Job | None:
        with self._read_once() as transaction:
            found = transaction.rows("job", job_id=job_id, owner=owner)
        return rows.to_job(found[0]) if found else None

    def details(self, job_id: int, *, owner: int | None = None) -> Details | None:
        with self._read() as transaction:
            found = transaction.rows("job", job_id=job_id, owner=owner)
            if not found:
                return None
            events = transaction.rows("events", job_id=job_id)
            reruns = transaction.rows("reruns", job_id=job_id, owner=owner)
            job = rows.to_job(found[0])
            known = timedelta(seconds=limits.NAME_KNOWN_SECONDS)
            waits = job.status is Status.QUEUED
            told = {"name": job.job_metadata, "known": known}
            obstacles = transaction.rows("obstacles", **told) if waits else []
        return Details(
            job,
            [*map(rows.to_event, events)],
            [*map(rows.to_rerun, reruns)],
            [*map(rows.to_obstacle, obstacles)],
        )

    def histories(
        self, wanted: JobFilter, *, limit: int, offset: int, owner: int | None
    ) -> JobPage:
        filters = {**structs.asdict(wanted), "owner": owner}
        with self._read() as transaction:
            if wanted.until is not None:
                [last] = transaction.rows("last_finish")
                if last["at"] is not None and last["at"] <= wanted.until:
                    filters["until"] = None
            [counted] = transaction.rows("histories_total", **filters)
            total: int = counted["total"]
            newest = filters["until"] is None and owner is None
            if wanted.since is not None and total < offset + limit:
                newest = False  # looking for more than there are would lead along all ids
            name = "histories" if newest else "histories_between"
            found = transaction.rows(name, **filters, limit=limit, offset=offset)
        return JobPage(jobs=[rows.to_summary(job) for job in found], total=total)

    def monitors(self, wanted: JobFilter, *, limit: int, offset: int, owner: int | None) -> JobPage:
        filters = {**structs.asdict(wanted), "owner": owner}
        with self._read() as transaction:
            live = {"live_jobs": transaction.text("live_jobs")}
            [counted] = transaction.composed("monitors_total", live, **filters)
            found = transaction.composed("monitors", live, **filters, limit=limit, offset=offset)
        return JobPage(jobs=[rows.to_summary(job) for job in found], total=counted["total"])

    def latest_jobs(self, *, limit: int, below: int, owner: int | None) -> list[Job]:
        with self._read() as transaction:
            found = transaction.rows("latest_jobs", limit=limit, below=below, owner=owner)
        return [rows.to_job(row) for row in found]

    def events(self, job_id: int) -> list[Event]:
        with self._read_once() as transaction:
            found = transaction.rows("events", job_id=job_id)
        return [rows.to_event(row) for row in found]

    def log(self, job_id: int, *, from_byte: int = 0) -> list[StoredLogChunk]:
        with self._read_once() as transaction:
            found = transaction.rows("log_chunks", job_id=job_id, from_byte=from_byte)
        return [rows.to_log_chunk(row) for row in found]

    def metadata(self, names: Sequence[str]) -> dict[str, JobMetadata]:
        with self._read_once() as transaction:
            found = transaction.rows("metadata", names=names)
        return {row["name"]: rows.to_metadata(row) for row in found}
