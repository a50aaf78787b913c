"""Handlers of the job routes: bytes to values, one use case, values to an answer."""

from typing import Any

from rescind.api.http import Answer, Context, Request, Text
from rescind.model import Job
from rescind.service import cancel as cancelling
from rescind.service import read
from rescind.service import start_now as starting
from rescind.service import submit as submitting
from rescind.service.policy import Profile
from rescind.wire import envelope
from rescind.wire.cancel import parse_cancel
from rescind.wire.dates import format_instant
from rescind.wire.submit import parse_submit


def cancel(context: Context, request: Request) -> Answer:
    """Vault: Cancel Job."""
    items = parse_cancel(request.body, request.headers.get("content-type"))
    outcomes = cancelling.cancel(context.store, context.profile, request.signed_in, items)
    parity = context.profile is Profile.VAULT
    detail = not parity and request.headers.get("x-rescind-detail", "").lower() == "true"
    return Answer(payload=envelope.cancel_answer(outcomes, detail=detail, parity=parity))


def submit(context: Context, request: Request) -> Answer:
    """Rescind's own: submit jobs."""
    items = parse_submit(request.body, request.headers.get("content-type"))
    return Answer(
        payload=envelope.submit_answer(submitting.submit(context.store, request.signed_in, items))
    )


def start_now(context: Context, request: Request) -> Answer:
    """Vault: Start Job."""
    job_id = _job_id(request)
    starting.start_now(context.store, context.profile, request.signed_in, job_id)
    return Answer(payload=envelope.success(url=_url(request, job_id), job_id=job_id))


def status(context: Context, request: Request) -> Answer:
    """Vault: Retrieve Job Status."""
    job = read.job(context.store, request.signed_in, _job_id(request))
    return Answer(payload=envelope.success(responseMessage="OK", data=_status(request, job)))


def log(context: Context, request: Request) -> Text:
    """Rescind's own: a job's log as text."""
    return Text(text=read.log(context.store, request.signed_in, _job_id(request)))


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
        "run_start_date": format_instant(job.started_at or job.run_at),
        "run_end_date": job.finished_at and format_instant(job.finished_at),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _job_id(request: Request) -> int:
    return int(request.parameters["job_id"])


def _url(request: Request, job_id: int) -> str:
    return f"/api/{request.parameters['version']}/services/jobs/{job_id}"
