"""The reads, on SQLite."""

from collections.abc import Sequence
from datetime import datetime

from rescind.clock import from_milliseconds
from rescind.model import Event, Job, JobMetadata, RunRef, StoredLogChunk
from rescind.store import rows
from rescind.store.sqlite.statements import Statements, run, run_named


class Reads(Statements):
    """Every read of jobs; see :class:`rescind.store.protocol.JobStore`."""

    def may_enter(self, worker: str, run_ref: RunRef) -> bool:
        with self._database.read() as connection:
            found = run(
                connection,
                "is_running",
                worker=worker,
                job_id=run_ref.job_id,
                attempt=run_ref.attempt,
            ).get
        return found is not None

    def stops_wanted(self, worker: str) -> list[RunRef]:
        with self._database.read() as connection:
            return [RunRef(*row) for row in run(connection, "stops_wanted", worker=worker)]

    def next_due(self) -> datetime | None:
        with self._database.read() as connection:
            due = run(connection, "next_due").get
        return None if due is None else from_milliseconds(due)

    def job(self, job_id: int) -> Job | None:
        with self._database.read() as connection:
            found = list(run_named(connection, "jobs", ids=rows.to_json([job_id])))
        return rows.to_job(found[0]) if found else None

    def latest_jobs(self, *, limit: int, below: int, owner: int | None) -> list[Job]:
        with self._database.read() as connection:
            found = run_named(connection, "latest_jobs", limit=limit, below=below, owner=owner)
            return [rows.to_job(row) for row in found]

    def events(self, job_id: int) -> list[Event]:
        with self._database.read() as connection:
            return [rows.to_event(row) for row in run_named(connection, "events", job_id=job_id)]

    def log(self, job_id: int) -> list[StoredLogChunk]:
        with self._database.read() as connection:
            found = run_named(connection, "log_chunks", job_id=job_id)
            return [rows.to_log_chunk(row) for row in found]

    def metadata(self, names: Sequence[str]) -> dict[str, JobMetadata]:
        with self._database.read() as connection:
            found = run_named(connection, "metadata", names=rows.to_json(names))
            return {row["name"]: rows.to_metadata(row) for row in found}
