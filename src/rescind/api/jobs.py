"""Handlers of the job routes: bytes to values, one use case, values to an answer."""

from typing import Any

from rescind import limits
from rescind.api.http import Answer, Context, Request, Text, detail_wanted
from rescind.api.idempotency import request_key
from rescind.errors import RequestRefused
from rescind.model import Job, StartCode
from rescind.service import cancel as cancelling
from rescind.service import read
from rescind.service import rerun as rerunning
from rescind.service import start_now as starting
from rescind.service import submit as submitting
from rescind.service.idempotency import Answered
from rescind.service.policy import Profile
from rescind.wire import envelope
from rescind.wire.cancel import parse_cancel
from rescind.wire.dates import format_instant
from rescind.wire.details import details_of
from rescind.wire.envelope import Payload
from rescind.wire.error_types import ErrorType
from rescind.wire.listing import parse_number, parse_truth
from rescind.wire.submit import parse_submit


def cancel(context: Context, request: Request) -> Answer:
    """Vault: Cancel Job."""
    items = parse_cancel(request.body, request.headers.get("content-type"))
    answered = cancelling.cancel(
        context.store, context.profile, request.signed_in, items, request_key(request)
    )
    parity = context.profile is Profile.VAULT
    detail = detail_wanted(context, request)
    payload = envelope.cancel_answer(answered.outcome, detail=detail, parity=parity)
    return done(payload, answered)


def submit(context: Context, request: Request) -> Answer:
    """Rescind's own: submit jobs."""
    ignored = () if context.profile is Profile.OPEN else ("unique_key",)
    content_type = request.headers.get("content-type")
    items = parse_submit(request.body, content_type, ignored=ignored)
    answered = submitting.submit(context.store, request.signed_in, items, request_key(request))
    return done(envelope.submit_answer(answered.outcome), answered)


def start_now(context: Context, request: Request) -> Answer:
    """Vault: Start Job."""
    job_id = _job_id(request)
    answered = starting.start_now(
        context.store, context.profile, request.signed_in, job_id, request_key(request)
    )
    more = {"code": StartCode.STARTED, "status": answered.outcome}
    detail = more if detail_wanted(context, request) else {}
    return done(envelope.success(url=_url(request, job_id), job_id=job_id, **detail), answered)


def rerun(context: Context, request: Request) -> Answer:
    """Rescind's own: run finished jobs again, or undo their cancel."""
    undo = parse_truth(request.query, "undo")
    items = parse_cancel(request.body, request.headers.get("content-type"))
    answered = rerunning.rerun(
        context.store, context.profile, request.signed_in, items, request_key(request), undo=undo
    )
    detail = detail_wanted(context, request)
    return done(envelope.rerun_answer(answered.outcome, detail=detail), answered)


def status(context: Context, request: Request) -> Answer:
    """Vault: Retrieve Job Status."""
    job = read.job(context.store, request.signed_in, _job_id(request))
    if context.profile is Profile.VAULT:
        elapsed = context.clock.elapsed()
        if not context.polling.admit(job.id, elapsed):
            raise RequestRefused(ErrorType.API_LIMIT_EXCEEDED, "Too many polling requests")
    return Answer(payload=envelope.success(responseMessage="OK", data=_status(request, job)))


def details(context: Context, request: Request) -> Answer:
    """Rescind's own: all that is known of one job, and its moves."""
    found = read.details(context.store, request.signed_in, _job_id(request))
    return Answer(payload=envelope.success(data=details_of(found)))


def log(context: Context, request: Request) -> Text:
    """Rescind's own: a job's log as text, from a byte on."""
    from_byte = parse_number(request.query, "from", 0, 0, limits.LOG_POSITION_MAX)
    found = read.log(context.store, request.signed_in, _job_id(request), from_byte=from_byte)
    headers = {"X-VaultAPI-Status": "SUCCESS", "X-Rescind-Log-Next": str(found.next_byte)}
    if found.ended:
        headers["X-Rescind-Log-End"] = "true"
    return Text(text=found.text, headers=headers)


def _status(request: Request, job: Job) -> dict[str, Any]:
    """The published fields in the published order; what does not apply is left out."""
    href = _url(request, job.id)
    link = {"rel": "self", "href": href, "method": "GET", "accept": "application/json"}
    fields = {
        "id": job.id,
        "status": job.status,
        "method": job.method,
        "links": [link],
        "created_by": job.created_by,
        "created_date": format_instant(job.created_at),
        "run_start_date": format_instant(job.run_start_at),
        "run_end_date": job.finished_at and format_instant(job.finished_at),
    }
    return {name: value for name, value in fields.items() if value is not None}


def done(payload: Payload, answered: Answered[Any]) -> Answer:
    """The answer to a request that did something, or had done it before."""
    headers = {"Idempotency-Replayed": "true"} if answered.replayed else {}
    return Answer(payload=payload, headers=headers)


def _job_id(request: Request) -> int:
    return int(request.parameters["job_id"])


def _url(request: Request, job_id: int) -> str:
    return f"/api/{request.parameters['version']}/services/jobs/{job_id}"
