"""The pages of jobs: all that an address means, and one with its moves and its log."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from rescind import ids, limits
from rescind.api.http import Context, Live, Request, Text
from rescind.errors import RequestRefused
from rescind.lifecycle import CANCELLABLE, FINAL, Status
from rescind.model import Details, JobListing
from rescind.service import overview, read
from rescind.service.policy import Permission, readable_owner
from rescind.ui.pages import page, refusal, region, see
from rescind.ui.paths import here
from rescind.ui.results import REASONS, WORDS, Result, result
from rescind.ui.rights import rights
from rescind.ui.view import FIELDS, GROUPS, submitter, view_of
from rescind.ui.visitors import welcome


class _Jobs(Struct, frozen=True):
    """What the page of jobs shows."""

    listing: JobListing
    result: Result | None


def jobs(context: Context, request: Request) -> Text | Live:
    """The jobs that the address means, what runs first; what Rescind is, for a visitor."""
    if request.caller is None:
        return welcome(request)
    caller = request.caller
    caller.require(Permission.API_ACCESS)
    view = view_of(request.query)
    user_id = submitter(context.store, caller, view)
    where = overview.meant(context.store, " AND ".join(view.conditions(user_id)))
    may = rights(caller, context.profile)
    operation_id = request.query.get("operation")
    seconds = context.settings.query_seconds

    def look() -> _Jobs:
        listing = overview.listing(
            context.store, caller, where, view.statuses, view.window, seconds=seconds
        )
        return _Jobs(listing, result(context, caller, operation_id))

    def shown(state: _Jobs) -> dict[str, Any]:
        totals = state.listing.totals
        total = sum(totals.get(status, 0) for status in view.statuses)
        return {
            "listing": state.listing,
            "result": state.result,
            "back": view.path(),
            "view": view,
            "may": may,
            "total": total,
            "pages": max(1, -(-total // limits.PAGE_JOBS_DEFAULT)),
            "statuses": list(Status),
            **_WORDS,
        }

    return Live(
        key=("jobs", readable_owner(caller), view, user_id, may, operation_id, caller.user.id)
        if operation_id
        else ("jobs", readable_owner(caller), view, user_id, may),
        look=look,
        regions=lambda state: _regions(("result", "counts", "rows"), shown(state)),
        page=lambda state: page(
            "jobs.html",
            request,
            live=True,
            query=view.query(user_id),
            fields=FIELDS,
            groups=GROUPS,
            nobody=user_id is None and "by" in view.values,
            **shown(state),
        ),
    )


_WORDS: Mapping[str, Any] = {"reasons": REASONS, "words": WORDS, "ended": FINAL}


def _regions(names: tuple[str, ...], values: Mapping[str, Any]) -> dict[str, str]:
    return {name: region(name, **values) for name in names}


class _Job(Struct, frozen=True):
    """What the page of one job shows."""

    details: Details
    log: str
    result: Result | None


def job(context: Context, request: Request) -> Text | Live:
    """One job: its row, its moves, the end of its log."""
    caller = request.signed_in
    job_id = int(request.parameters["job_id"])
    may = rights(caller, context.profile)
    operation_id = request.query.get("operation")
    tail = _Tail(context, request, job_id)
    try:
        read.job(context.store, caller, job_id)
    except RequestRefused as refused:
        return refusal(request, refused.message, status=404, back="/")

    def look() -> _Job:
        details = read.details(context.store, caller, job_id)
        return _Job(details, tail.read(), result(context, caller, operation_id))

    def shown(state: _Job) -> dict[str, Any]:
        found = state.details.job
        return {
            "job": found,
            "events": state.details.events,
            "reruns": state.details.reruns,
            "obstacles": state.details.obstacles,
            "log": state.log,
            "result": state.result,
            "back": f"/jobs/{job_id}",
            "may_cancel": may.may_edit(found) and found.status in CANCELLABLE,
            "may_start": may.may_edit(found) and found.status is Status.SCHEDULED,
            "may_rerun": may.may_rerun(found) and found.status in FINAL,
            "key": ids.idempotency_key(),
            **_WORDS,
        }

    names = ("result", "actions", "facts", "moves", "log")
    return Live(
        key=("job", readable_owner(caller), job_id, may, operation_id, caller.user.id),
        look=look,
        regions=lambda state: _regions(names, shown(state)),
        page=lambda state: page("job.html", request, live=True, **shown(state)),
    )


class _Tail:
    """The end of a log; each look reads what is new."""

    def __init__(self, context: Context, request: Request, job_id: int) -> None:
        self._context = context
        self._caller = request.signed_in
        self._job_id = job_id
        self._next_byte = 0
        self._ended = False
        self._text = ""

    def read(self) -> str:
        """The last whole lines of at most ``PAGE_LOG_BYTES``."""
        if not self._ended:
            found = read.log(
                self._context.store, self._caller, self._job_id, from_byte=self._next_byte
            )
            self._next_byte, self._ended = found.next_byte, found.ended
            self._text += found.text
            if len(self._text) > limits.PAGE_LOG_BYTES:
                _, _, rest = self._text[-limits.PAGE_LOG_BYTES :].partition("\n")
                self._text = f"... the log is longer: download it ...\n{rest}"
        return self._text


def log(context: Context, request: Request) -> Text:
    """All that is kept of a job's log, as a file."""
    job_id = int(request.parameters["job_id"])
    try:
        found = read.log(context.store, request.signed_in, job_id)
    except RequestRefused as refused:
        return refusal(request, refused.message, status=404, back="/")
    headers = {"Content-Disposition": f'attachment; filename="job-{job_id}.log"'}
    return Text(text=found.text, headers=headers)


def moved(context: Context, request: Request) -> Text:  # noqa: ARG001 - a handler's signature
    """The list of jobs is at the root."""
    return see("/" + here(request).removeprefix("/jobs"))
