"""Handlers of what comes in pages: histories, monitors, tasks."""

from collections.abc import Mapping
from typing import Any

from rescind.api.http import Answer, Context, Request
from rescind.model import JobPage, JobSummary
from rescind.service import read
from rescind.wire import envelope
from rescind.wire.dates import format_instant
from rescind.wire.listing import (
    HISTORY_STATUSES,
    MONITOR_STATUSES,
    Window,
    page_details,
    parse_filter,
    parse_window,
)


def histories(context: Context, request: Request) -> Answer:
    """Vault: Retrieve Job Histories."""
    window, wanted = parse_window(request.query), parse_filter(request.query, HISTORY_STATUSES)
    return _page(
        request,
        window,
        read.histories(context.store, context.profile, request.signed_in, wanted, window),
    )


def monitors(context: Context, request: Request) -> Answer:
    """Vault: Retrieve Job Monitors."""
    window, wanted = parse_window(request.query), parse_filter(request.query, MONITOR_STATUSES)
    return _page(
        request,
        window,
        read.monitors(context.store, context.profile, request.signed_in, wanted, window),
    )


def tasks(context: Context, request: Request) -> Answer:
    """Vault: Retrieve SDK Job Tasks. No job has tasks yet: all run as one function."""
    window = parse_window(request.query)
    found = read.job(context.store, request.signed_in, int(request.parameters["job_id"]))
    url, details = page_details(request.path, {}, window, total=0)
    return Answer(
        payload=envelope.success(url=url, responseDetails=details, job_id=found.id, tasks=[])
    )


def _page(request: Request, window: Window, page: JobPage) -> Answer:
    url, details = page_details(request.path, request.query, window, page.total)
    return Answer(
        payload=envelope.success(
            responseMessage="OK",
            url=url,
            responseDetails=details,
            jobs=[_row(job) for job in page.jobs],
        )
    )


def _row(job: JobSummary) -> Mapping[str, Any]:
    """The published fields in the published order; ``run_end_date`` once there is one."""
    row = {
        "job_id": job.id,
        "title": job.title,
        "status": job.status,
        "created_by": job.created_by,
        "created_date": format_instant(job.created_at),
        "modified_by": job.modified_by,
        "modified_date": format_instant(job.modified_at),
        "run_start_date": format_instant(job.run_start_at),
    }
    if job.finished_at is not None:
        row["run_end_date"] = format_instant(job.finished_at)
    return row
