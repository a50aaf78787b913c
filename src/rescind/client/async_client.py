"""The client for asyncio."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx2

from rescind import limits
from rescind.client.calls import Action, Calls, OnProgress, Page, list_query
from rescind.client.conversation import Call, Conversation, Pause, Reply, Send
from rescind.client.errors import CannotReach
from rescind.client.signing import credentials
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
from rescind.clock import SystemClock
from rescind.lifecycle import Status

T = TypeVar("T")


class AsyncClient:
    """A client of a Rescind service for asyncio; an asynchronous context manager, alike
    :class:`rescind.client.Client`, awaited.

    Signs in when it is first needed, with what is given; else with ``RESCIND_USERNAME`` and
    ``RESCIND_PASSWORD``; else it uses the session that ``rescind login`` keeps for this address.
    ``url`` is given, ``RESCIND_URL``, that of ``rescind login``, or http://127.0.0.1:8127. A
    session that it opens is ended at the end. Every request that does something is done once,
    however often it has to be sent.

    Raises what :mod:`rescind.client.errors` has.
    """

    def __init__(
        self,
        url: str | None = None,
        username: str | None = None,
        password: str | None = None,
        *,
        record: bool = False,
    ) -> None:
        who = credentials(url, username, password)
        self.url = who.url
        self._conversation = Conversation(who)
        self.answers = self._conversation.answers = list[dict[str, Any]]() if record else None
        """With ``record``: what was answered, as it came."""
        self._calls = Calls(self._conversation, SystemClock())
        self._http = httpx2.AsyncClient(base_url=who.url, timeout=limits.CLIENT_ANSWER_SECONDS_MAX)

    async def sign_in(self) -> str:
        """Open a session with the user name and password, which is not ended at the end; its id.
        Raises NotSignedIn.
        """
        return await self._run(self._conversation.sign_in())

    async def sign_out(self) -> None:
        """End the session, whoever opened it."""
        await self._run(self._conversation.sign_out())

    async def submit(
        self,
        name: str,
        *,
        parameters: Mapping[str, Any] | None = None,
        title: str | None = None,
        run_date: datetime | None = None,
        priority: int | None = None,
        unique_key: str | None = None,
    ) -> int:
        """Submit a job of this name (in ``@job``); its id, or that of the job that holds the
        ``unique_key``. ``run_date`` is aware; None or past: due now. Raises Refused.
        """
        item = NewJob(
            job_metadata=name,
            parameters=parameters,
            title=title,
            run_date=run_date,
            priority=priority,
            unique_key=unique_key,
        )
        return await self._run(self._calls.submit(item))

    async def submit_many(self, items: Sequence[NewJob]) -> list[Submitted]:
        """Submit any number of jobs, 500 in a request; what became of each, in order."""
        return await self._run(self._calls.submit_many(items))

    async def status(self, job_id: int) -> JobStatus:
        """A job's status (Vault: Retrieve Job Status). Raises Refused when there is none."""
        return await self._run(self._calls.status(job_id))

    async def details(self, job_id: int) -> Details:
        """All that is known of a job, and its moves. Raises Refused, NotInThisProfile."""
        return await self._run(self._calls.details(job_id))

    async def result(self, job_id: int) -> Any:
        """What a job returned. Raises NotEnded; JobFailed, JobCancelled when it has none."""
        return await self._run(self._calls.result(job_id))

    async def wait(
        self,
        ids: int | Iterable[int],
        timeout: float | None = None,  # noqa: ASYNC109 - as the other client has it
        on_progress: OnProgress | None = None,
    ) -> dict[int, Status]:
        """Wait until all jobs have ended in SUCCESS, for ``timeout`` seconds at most; with what
        each ended. ``on_progress`` is told how many of how many have, now and then.

        Raises JobFailed or JobCancelled, once all have ended, of the first that has not succeeded;
        WaitedInVain; Refused for an id that is not there.
        """
        wanted = [ids] if isinstance(ids, int) else list(ids)
        return await self._run(self._calls.wait(wanted, timeout, on_progress))

    async def cancel(
        self, ids: int | Iterable[int], reason: str | None = None
    ) -> list[CancelOutcome]:
        """Cancel any number of jobs, 500 in a request; what became of each, in order."""
        wanted = [ids] if isinstance(ids, int) else ids
        return await self._run(self._calls.cancel(wanted, reason))

    async def start(self, job_id: int, reason: str | None = None) -> None:
        """Let a SCHEDULED job run now. Raises Refused when it is not."""
        await self._run(self._calls.start(job_id, reason))

    async def rerun(
        self, ids: int | Iterable[int], undo: bool = False, reason: str | None = None
    ) -> list[RerunOutcome]:
        """Run finished jobs again, or ``undo`` the cancel of those that had not started, 500 in a
        request; what became of each, in order. Raises NotInThisProfile.
        """
        wanted = [ids] if isinstance(ids, int) else ids
        return await self._run(self._calls.rerun(wanted, undo, reason))

    async def histories(
        self,
        *,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        status: str | None = None,
    ) -> AsyncIterator[JobSummary]:
        """Finished jobs, newest first, by when they finished (Vault: Retrieve Job Histories)."""
        wanted = list_query(start_date, end_date, status)
        async for row in self._pages(lambda path: self._calls.histories_page(path, wanted)):
            yield row

    async def monitors(
        self,
        *,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        status: str | None = None,
    ) -> AsyncIterator[JobSummary]:
        """Unfinished jobs in the order of their start, by when they were submitted (Vault: Retrieve
        Job Monitors).
        """
        wanted = list_query(start_date, end_date, status)
        async for row in self._pages(lambda path: self._calls.monitors_page(path, wanted)):
            yield row

    async def tasks(self, job_id: int) -> list[Task]:
        """The tasks of an SDK job (Vault: Retrieve Job Tasks)."""
        return await self._run(self._calls.tasks(job_id))

    async def query(self, vql: str) -> AsyncIterator[dict[str, Any]]:
        """The rows of a query. Raises Refused."""
        async for row in self._pages(lambda path: self._calls.query_page(vql, path)):
            yield row

    async def log(self, job_id: int, follow: bool = False) -> AsyncIterator[str]:
        """A job's log, in pieces; with ``follow``, until the job has ended."""
        from_byte, pause = 0, limits.CLIENT_POLL_SECONDS_MIN
        while True:
            part = await self._run(self._calls.log_part(job_id, from_byte))
            if part.text:
                yield part.text
                pause = limits.CLIENT_POLL_SECONDS_MIN
            if part.ended or not follow:
                return
            from_byte = part.next_byte
            await self._pause(pause)
            pause = min(limits.CLIENT_POLL_SECONDS_MAX, pause * 1.5)

    async def select(self, vql: str) -> Selection:
        """Pin exactly the jobs that a query means now. Raises Refused, NotInThisProfile."""
        return await self._run(self._calls.select(vql))

    async def selection(self, selection_id: str) -> Selection:
        """A selection that was pinned before, until it expires. Raises Refused."""
        return await self._run(self._calls.selection(selection_id))

    async def operate(self, selection_id: str, action: Action, reason: str | None = None) -> str:
        """Begin to cancel, rerun or start all jobs of a selection; the operation's id."""
        return await self._run(self._calls.operate(selection_id, action, reason))

    async def operation(self, operation_id: str) -> Operation:
        """How far an operation has come. Raises Refused."""
        return await self._run(self._calls.operation(operation_id))

    async def operations(self) -> AsyncIterator[Operation]:
        """Operations, newest first."""
        async for row in self._pages(self._calls.operations_page):
            yield row

    async def outcomes(self, operation_id: str, code: str | None = None) -> AsyncIterator[Outcome]:
        """What became of each job of an operation, ascending by id; those with a code, if given."""
        async for row in self._pages(
            lambda path: self._calls.outcomes_page(path, operation_id, code)
        ):
            yield row

    async def undo(self, operation_id: str, reason: str | None = None) -> str:
        """Begin to take back what an operation has cancelled; the id of the operation that does."""
        return await self._run(self._calls.undo(operation_id, reason))

    async def stop(self, operation_id: str) -> str:
        """Stop an operation: what it has not come to is left as it is. Its id."""
        return await self._run(self._calls.stop(operation_id))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the session, if it was opened here, and the connections."""
        try:
            with suppress(CannotReach):
                await self._run(self._calls.end())
        finally:
            await self._http.aclose()

    async def _run(self, call: Call[T]) -> T:
        """Drive a call to its end."""
        reply: Reply | None = None
        error: CannotReach | None = None
        while True:
            try:
                step = call.send(reply) if error is None else call.throw(error)
            except StopIteration as end:
                result: T = end.value
                return result
            reply, error = None, None
            if isinstance(step, Pause):
                await self._pause(step.seconds)
                continue
            try:
                reply = await self._send(step)
            except CannotReach as unreachable:
                error = unreachable

    async def _send(self, send: Send) -> Reply:
        headers = [(name.encode(), text.encode("latin-1")) for name, text in send.headers.items()]
        try:
            answer = await self._http.request(
                send.method, send.path, headers=headers, content=send.content
            )
        except (httpx2.TransportError, httpx2.InvalidURL) as error:
            raise CannotReach(f"{self.url} cannot be reached: {error}") from error
        return Reply(
            http_status=answer.status_code,
            headers={name.lower(): value for name, value in answer.headers.items()},
            content=answer.content,
        )

    async def _pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def _pages(self, page: Callable[[str | None], Call[Page]]) -> AsyncIterator[Any]:
        found = await self._run(page(None))
        for row in found.rows:
            yield row
        while found.next_page is not None:
            found = await self._run(page(found.next_page))
            for row in found.rows:
                yield row
