"""The table of the pages' routes."""

from collections.abc import Mapping
from typing import Any

from rescind import limits
from rescind.api.http import Access, Pool, Route
from rescind.service.policy import Permission, editable_owner
from rescind.ui import acting, jobs, operations, visitors, workers
from rescind.ui.pages import ASSETS, asset

_FORM: Mapping[str, Any] = {
    "method": "POST",
    "pool": Pool.WRITE,
    "body_bytes_max": limits.SMALL_BODY_BYTES_MAX,
    "ours": True,
}

PAGES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/",
        handler=jobs.jobs,
        access=Access.VISITOR,
        pool=Pool.QUERY,
        ours=True,
    ),
    *(
        Route(method="GET", path=path, handler=handler, access=Access.COOKIE, ours=True)
        for path, handler in (
            ("/jobs", jobs.moved),
            ("/jobs/{job_id}", jobs.job),
            ("/jobs/{job_id}/log", jobs.log),
            ("/selections/{selection_id}", acting.selection),
            ("/operations", operations.operations),
            ("/operations/{operation_id}", operations.operation),
        )
    ),
    *(
        Route(
            method="GET",
            path=path,
            handler=handler,
            access=Access.COOKIE,
            permitted=lambda caller, _profile: caller.require(Permission.JOBS_READ),
            pool=Pool.QUERY,
            ours=True,
        )
        for path, handler in (("/workers", workers.workers), ("/charts", workers.charts))
    ),
    Route(
        path="/selections",
        handler=acting.select,
        access=Access.COOKIE,
        permitted=editable_owner,
        **{**_FORM, "pool": Pool.QUERY},
    ),
    *(
        Route(path=path, handler=handler, access=Access.COOKIE, permitted=editable_owner, **_FORM)
        for path, handler in (
            ("/selections/{selection_id}/cancel", acting.cancel),
            ("/jobs/{job_id}/start", acting.start),
            ("/jobs/{job_id}/rerun", acting.run_again),
        )
    ),
    *(
        Route(path=path, handler=handler, access=Access.COOKIE, **_FORM)
        for path, handler in (
            ("/operations/{operation_id}/stop", acting.stop),
            ("/operations/{operation_id}/undo", acting.undo),
        )
    ),
    Route(
        path="/sign-in",
        handler=visitors.sign_in,
        access=Access.VISITOR,
        **{**_FORM, "pool": Pool.LOGIN},
    ),
    Route(path="/sign-out", handler=visitors.sign_out, access=Access.VISITOR, **_FORM),
    *(
        Route(method="GET", path=path, handler=asset, access=Access.OPEN, ours=True)
        for path in ASSETS
    ),
)
