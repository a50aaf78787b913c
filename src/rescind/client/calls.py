"""Every call of the API as a generator; see ``conversation.py``."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec

from rescind import limits
from rescind.client.conversation import API, JOBS, Ask, Call, Conversation, Pause
from rescind.client.errors import JobCancelled, JobEnded, JobFailed, NotEnded, Refused, WaitedInVain
from rescind.client.values import (
    CancelOutcome,
    Details,
    JobStatus,
    JobSummary,
    NewJob,
    Operation,
    Outcome,
    RerunOutcome,
    Selection,
    Submitted,
    Task,
)
from rescind.clock import Clock
from rescind.lifecycle import FINAL, Status

T = TypeVar("T")
Action = Literal["cancel", "rerun", "start"]
OnProgress = Callable[[int, int], object]
"""Told how many of how many jobs have ended."""

_GOING = "SELECT id FROM job_instance__sys WHERE id CONTAINS ({})"
_GONE = "SELECT id, status__sys FROM job_history__sys WHERE id CONTAINS ({})"
_BATCH = limits.CANCEL_BATCH_JOBS_MAX
_DETAIL = {"X-Rescind-Detail": "true"}


class Page(NamedTuple):
    """Rows of a list, and the path of the next ones."""

    rows: list[Any]
    next_page: str | None


class LogPart(NamedTuple):
    """Some of a log, where what comes later begins, and whether nothing does."""

    text: str
    next_byte: int
    ended: bool


class Calls:
    """What both clients do, without I/O."""

    def __init__(self, conversation: Conversation, clock: Clock) -> None:
        self._conversation = conversation
        self._clock = clock

    def submit_many(self, items: Sequence[NewJob]) -> Call[list[Submitted]]:
        """Any number of jobs, in batches."""
        found: list[Submitted] = []
        for first in range(0, len(items), limits.SUBMIT_BATCH_JOBS_MAX):
            batch = [_item(item) for item in items[first : first + limits.SUBMIT_BATCH_JOBS_MAX]]
            ask = Ask(method="POST", path=JOBS, json=batch, does=True)
            payload = yield from self._conversation.json(ask)
            for row in payload["data"]:
                error = row.get("errors")
                data = row.get("data") or {"error": error["message"]}
                found.append(msgspec.convert(data, Submitted))
        return found

    def submit(self, item: NewJob) -> Call[int]:
        """One job."""
        [submitted] = yield from self.submit_many([item])
        if submitted.id is None:
            message = (submitted.error or "").removeprefix("Item 1: ")
            raise Refused(message)
        return submitted.id

    def status(self, job_id: int) -> Call[JobStatus]:
        """One job's status."""
        payload = yield from self._get(f"{JOBS}/{job_id}")
        return msgspec.convert(payload["data"], JobStatus)

    def details(self, job_id: int) -> Call[Details]:
        """All of one job."""
        payload = yield from self._get(f"{JOBS}/{job_id}/details", ours=True)
        return msgspec.convert(payload["data"], Details)

    def result(self, job_id: int) -> Call[Any]:
        """What a job that has succeeded returned."""
        details = yield from self.details(job_id)
        if details.status not in FINAL:
            raise NotEnded(f"Job [{job_id}] has not ended: it is {details.status}")
        if details.status is not Status.SUCCESS:
            raise _ended(job_id, details.status, {}, _last_error(details))
        return details.result

    def wait(
        self, ids: Sequence[int], timeout: float | None, on_progress: OnProgress | None
    ) -> Call[dict[int, Status]]:
        """Until all have ended; what each ended with."""
        until = None if timeout is None else self._clock.elapsed() + timeout
        ends: dict[int, Status] = {}
        left, pause = list(dict.fromkeys(ids)), limits.CLIENT_POLL_SECONDS_MIN
        while left:
            ends |= yield from self._ends(left)
            left = [job_id for job_id in left if job_id not in ends]
            if on_progress is not None:
                on_progress(len(ends), len(ends) + len(left))
            if not left:
                break
            if until is not None:
                pause = min(pause, until - self._clock.elapsed())
                if pause <= 0:
                    few = f"{len(left):,} of {len(left) + len(ends):,}"
                    raise WaitedInVain(f"In {timeout:g} s, {few} jobs have not ended", left)
            yield Pause(pause)
            pause = min(limits.CLIENT_POLL_SECONDS_MAX, pause * 1.5)
        for job_id in ids:
            if ends[job_id] is not Status.SUCCESS:
                raise _ended(job_id, ends[job_id], ends, None)
        return ends

    def _ends(self, ids: Sequence[int]) -> Call[dict[int, Status]]:
        """Those that have ended, by queries that both profiles have."""
        ends: dict[int, Status] = {}
        for first in range(0, len(ids), _BATCH):
            batch = ids[first : first + _BATCH]
            some = ", ".join(map(str, batch))
            # What goes on first: who ends between the two is found by the second.
            going = yield from self._rows(_GOING.format(some))
            ended = yield from self._rows(_GONE.format(some))
            ends |= {row["id"]: Status(row["status__sys"]) for row in ended}
            for job_id in batch:
                if job_id not in ends and job_id not in {row["id"] for row in going}:
                    raise Refused(f"Job [{job_id}] is not found")
        return ends

    def _rows(self, vql: str) -> Call[list[dict[str, Any]]]:
        page = yield from self.query_page(vql)
        return page.rows

    def cancel(self, ids: Iterable[int], reason: str | None) -> Call[list[CancelOutcome]]:
        """Any number of jobs, in batches."""
        rows = yield from self._each(ids, f"{JOBS}/actions/cancel", reason)
        return [
            CancelOutcome(
                job_id=job_id,
                accepted="data" in row,
                code=said.get("code"),
                status=_status(said),
                message=said.get("message"),
            )
            for job_id, row in rows
            for said in [row.get("data") or row["errors"]]
        ]

    def rerun(self, ids: Iterable[int], undo: bool, reason: str | None) -> Call[list[RerunOutcome]]:
        """Any number of jobs, in batches."""
        path = f"{JOBS}/actions/rerun{'?undo=true' if undo else ''}"
        rows = yield from self._each(ids, path, reason, ours=True)
        return [
            RerunOutcome(
                job_id=job_id,
                new_id=said.get("id"),
                code=said.get("code"),
                status=_status(said),
                message=said.get("message"),
            )
            for job_id, row in rows
            for said in [row.get("data") or row["errors"]]
        ]

    def _each(
        self, ids: Iterable[int], path: str, reason: str | None, *, ours: bool = False
    ) -> Call[list[tuple[int, dict[str, Any]]]]:
        every, rows = list(ids), list[tuple[int, dict[str, Any]]]()
        for first in range(0, len(every), _BATCH):
            batch = every[first : first + _BATCH]
            items = [{"job_id": job_id} for job_id in batch]
            headers = {**_DETAIL, **_reason(reason)}
            ask = Ask(method="POST", path=path, json=items, headers=headers, does=True, ours=ours)
            payload = yield from self._conversation.json(ask)
            rows += zip(batch, payload["data"], strict=True)
        return rows

    def start(self, job_id: int, reason: str | None) -> Call[None]:
        """One job."""
        ask = Ask(
            method="POST", path=f"{JOBS}/start_now/{job_id}", headers=_reason(reason), does=True
        )
        yield from self._conversation.json(ask)

    def histories_page(self, path: str | None, wanted: Mapping[str, Any]) -> Call[Page]:
        """A page of finished jobs."""
        return (yield from self._page(path, f"{JOBS}/histories", wanted, "jobs", JobSummary))

    def monitors_page(self, path: str | None, wanted: Mapping[str, Any]) -> Call[Page]:
        """A page of unfinished jobs."""
        return (yield from self._page(path, f"{JOBS}/monitors", wanted, "jobs", JobSummary))

    def tasks(self, job_id: int) -> Call[list[Task]]:
        """The tasks of one job."""
        payload = yield from self._get(f"{JOBS}/{job_id}/tasks", limit=limits.PAGE_JOBS_MAX)
        return msgspec.convert(payload["tasks"], list[Task])

    def query_page(self, vql: str, path: str | None = None) -> Call[Page]:
        """A page of the rows of a query."""
        if path is None:
            ask = Ask(method="POST", path=f"{API}/query", form={"q": vql})
        else:
            ask = Ask(method="GET", path=path)
        payload = yield from self._conversation.json(ask)
        return Page(payload["data"], payload["responseDetails"].get("next_page"))

    def log_part(self, job_id: int, from_byte: int) -> Call[LogPart]:
        """What is kept of a log from a byte on."""
        ask = Ask(method="GET", path=f"{JOBS}/{job_id}/log", query={"from": from_byte})
        reply = yield from self._conversation.reply(ask)
        next_byte = int(reply.headers.get("x-rescind-log-next", from_byte))
        ended = reply.headers.get("x-rescind-log-end") == "true"
        return LogPart(reply.content.decode(errors="replace"), next_byte, ended)

    def select(self, vql: str) -> Call[Selection]:
        """Pin what a query means."""
        ask = Ask(
            method="POST", path=f"{JOBS}/selections", json={"query": vql}, does=True, ours=True
        )
        payload = yield from self._conversation.json(ask)
        return msgspec.convert(payload["data"], Selection)

    def selection(self, selection_id: str) -> Call[Selection]:
        """A selection again."""
        payload = yield from self._get(f"{JOBS}/selections/{selection_id}", ours=True)
        return msgspec.convert(payload["data"], Selection)

    def operate(self, selection_id: str, action: Action, reason: str | None) -> Call[str]:
        """Begin an operation."""
        path = f"{JOBS}/selections/{selection_id}/actions/{action}"
        return (yield from self._operation_id(path, reason))

    def undo(self, operation_id: str, reason: str | None) -> Call[str]:
        """Begin to take an operation back."""
        path = f"{JOBS}/operations/{operation_id}/actions/undo"
        return (yield from self._operation_id(path, reason))

    def stop(self, operation_id: str) -> Call[str]:
        """Stop an operation."""
        path = f"{JOBS}/operations/{operation_id}/actions/stop"
        return (yield from self._operation_id(path, None))

    def _operation_id(self, path: str, reason: str | None) -> Call[str]:
        ask = Ask(method="POST", path=path, headers=_reason(reason), does=True, ours=True)
        payload = yield from self._conversation.json(ask)
        return str(payload["data"]["operation_id"])

    def operation(self, operation_id: str) -> Call[Operation]:
        """One operation."""
        payload = yield from self._get(f"{JOBS}/operations/{operation_id}", ours=True)
        return msgspec.convert(payload["data"], Operation)

    def operations_page(self, path: str | None) -> Call[Page]:
        """A page of operations."""
        wanted = {"limit": limits.PAGE_JOBS_MAX}
        here = f"{JOBS}/operations"
        return (yield from self._page(path, here, wanted, "data", Operation, ours=True))

    def outcomes_page(self, path: str | None, operation_id: str, code: str | None) -> Call[Page]:
        """A page of the outcomes of an operation."""
        wanted = {"limit": limits.OUTCOMES_PAGE_MAX, "code": code}
        here = f"{JOBS}/operations/{operation_id}/outcomes"
        return (yield from self._page(path, here, wanted, "data", Outcome, ours=True))

    def end(self) -> Call[None]:
        """End the session, if it was opened here."""
        return self._conversation.end()

    def _page(
        self,
        path: str | None,
        first: str,
        wanted: Mapping[str, Any],
        key: str,
        kind: type[Any],
        *,
        ours: bool = False,
    ) -> Call[Page]:
        if path is None:
            payload = yield from self._get(first, ours=ours, **wanted)
        else:
            payload = yield from self._get(path, ours=ours)
        rows = msgspec.convert(payload[key], list[kind])  # type: ignore[valid-type]  # of a page
        return Page(rows, payload["responseDetails"].get("next_page"))

    def _get(self, path: str, *, ours: bool = False, **query: Any) -> Call[dict[str, Any]]:
        return self._conversation.json(Ask(method="GET", path=path, query=query, ours=ours))


def list_query(
    start_date: datetime | None, end_date: datetime | None, status: str | None
) -> dict[str, Any]:
    """What histories and monitors can be asked for."""
    return {
        "start_date": None if start_date is None else start_date.isoformat(),
        "end_date": None if end_date is None else end_date.isoformat(),
        "status": None if status is None else status.lower(),
        "limit": limits.PAGE_JOBS_MAX,
    }


def _item(item: NewJob) -> dict[str, Any]:
    values = msgspec.to_builtins(item)
    return {name: value for name, value in values.items() if value is not None}


def _reason(reason: str | None) -> dict[str, str]:
    if not reason:
        return {}
    # A header is one line of bytes; what is no ASCII goes as UTF-8, as the service reads it.
    line = " ".join(reason.split())[: limits.REASON_CHARACTERS_MAX]
    return {"X-Rescind-Reason": line.encode().decode("latin-1")}


def _status(said: Mapping[str, Any]) -> Status | None:
    return Status(said["status"]) if "status" in said else None


def _last_error(details: Details) -> str | None:
    return details.errors[-1].error if details.errors else None


def _ended(job_id: int, status: Status, ends: Mapping[int, Status], why: str | None) -> JobEnded:
    kind = JobCancelled if status is Status.CANCELLED else JobFailed
    last = f": {why.strip().splitlines()[-1]}" if why and why.strip() else ""
    others = len([end for end in ends.values() if end is not Status.SUCCESS]) - 1
    more = f" (and {others} more)" if others > 0 else ""
    message = f"Job [{job_id}] has ended as {status}{last}{more}"
    return kind(message, job_id=job_id, status=status, ends=ends)
