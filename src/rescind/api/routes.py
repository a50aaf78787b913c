"""The table of the API's routes. What is not here does not exist."""

from collections.abc import Mapping
from typing import Any

from rescind import limits
from rescind.api import auth, description, jobs, lists, operations, probes, query
from rescind.api.http import Access, Pool, Route
from rescind.operation import Action
from rescind.service.policy import Permission, Profile, editable_owner, listable_owner

_API = "/api/{version}"
_JOBS = f"{_API}/services/jobs"

_OURS: Mapping[str, Any] = {
    "access": Access.SESSION,
    "ours": True,
    "profiles": frozenset({Profile.OPEN}),
}
"""What Vault does not have, and so neither has its profile."""

ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path=f"{_JOBS}/actions/cancel",
        handler=jobs.cancel,
        access=Access.SESSION,
        permitted=editable_owner,
        pool=Pool.WRITE,
        body_bytes_max=limits.BODY_BYTES_MAX,
        since="v25.3",
    ),
    Route(
        method="POST",
        path=_JOBS,
        handler=jobs.submit,
        access=Access.SESSION,
        permitted=lambda caller, _profile: caller.require(Permission.JOBS_CREATE),
        pool=Pool.SUBMIT,
        body_bytes_max=limits.SUBMIT_BODY_BYTES_MAX,
        ours=True,
    ),
    Route(
        method="POST",
        path=f"{_JOBS}/actions/rerun",
        handler=jobs.rerun,
        permitted=editable_owner,
        pool=Pool.SUBMIT,
        body_bytes_max=limits.BODY_BYTES_MAX,
        **_OURS,
    ),
    Route(
        method="POST",
        path=f"{_JOBS}/start_now/{{job_id}}",
        handler=jobs.start_now,
        access=Access.SESSION,
        permitted=editable_owner,
        pool=Pool.WRITE,
        body_bytes_max=limits.SMALL_BODY_BYTES_MAX,
    ),
    *(
        Route(
            method=method,
            path=f"{_JOBS}/{name}",
            handler=handler,
            access=Access.SESSION,
            permitted=listable_owner,
            body_bytes_max=limits.SMALL_BODY_BYTES_MAX if method == "POST" else 0,
        )
        for name, handler in (("histories", lists.histories), ("monitors", lists.monitors))
        for method in ("GET", "POST")  # a next_page is followed by either
    ),
    Route(
        method="POST",
        path=f"{_JOBS}/selections",
        handler=operations.pin,
        permitted=editable_owner,
        pool=Pool.QUERY,
        body_bytes_max=limits.BODY_BYTES_MAX,
        **_OURS,
    ),
    Route(
        method="GET",
        path=f"{_JOBS}/selections/{{selection_id}}",
        handler=operations.selection,
        **_OURS,
    ),
    *(
        Route(
            method="POST",
            path=f"{_JOBS}/selections/{{selection_id}}/actions/{action}",
            handler=operations.begin,
            permitted=editable_owner,
            pool=Pool.WRITE,
            body_bytes_max=limits.SMALL_BODY_BYTES_MAX,
            **_OURS,
        )
        for action in (Action.CANCEL, Action.RERUN, Action.START)
    ),
    *(
        Route(method="GET", path=f"{_JOBS}/operations{which}", handler=handler, **_OURS)
        for which, handler in (
            ("", operations.operations),
            ("/{operation_id}", operations.operation),
            ("/{operation_id}/outcomes", operations.outcomes),
        )
    ),
    *(
        Route(
            method="POST",
            path=f"{_JOBS}/operations/{{operation_id}}/actions/{action}",
            handler=handler,
            pool=Pool.WRITE,
            body_bytes_max=limits.SMALL_BODY_BYTES_MAX,
            **_OURS,
        )
        for action, handler in (("stop", operations.stop), ("undo", operations.undo))
    ),
    Route(method="GET", path=f"{_JOBS}/{{job_id}}", handler=jobs.status, access=Access.SESSION),
    Route(
        method="GET",
        path=f"{_JOBS}/{{job_id}}/tasks",
        handler=lists.tasks,
        access=Access.SESSION,
    ),
    Route(
        method="GET",
        path=f"{_JOBS}/{{job_id}}/details",
        handler=jobs.details,
        **_OURS,
    ),
    Route(
        method="GET",
        path=f"{_JOBS}/{{job_id}}/log",
        handler=jobs.log,
        access=Access.SESSION,
        ours=True,
    ),
    *(
        Route(
            method=method,
            path=f"{_API}/query{which}",
            handler=handler,
            access=Access.SESSION,
            pool=Pool.QUERY,
            body_bytes_max=limits.BODY_BYTES_MAX,
        )
        for which, handler in (("", query.query), ("/{query_id}", query.page))
        for method in ("POST", "GET")
    ),
    Route(
        method="POST",
        path=f"{_API}/auth",
        handler=auth.sign_in,
        access=Access.OPEN,
        pool=Pool.LOGIN,
        body_bytes_max=limits.SMALL_BODY_BYTES_MAX,
    ),
    Route(
        method="POST",
        path=f"{_API}/keep-alive",
        handler=auth.keep_alive,
        access=Access.SESSION,
        pool=Pool.WRITE,
        body_bytes_max=limits.SMALL_BODY_BYTES_MAX,
    ),
    Route(
        method="DELETE",
        path=f"{_API}/session",
        handler=auth.sign_out,
        access=Access.SESSION,
        pool=Pool.WRITE,
        body_bytes_max=limits.SMALL_BODY_BYTES_MAX,
    ),
    Route(
        method="GET",
        path=f"{_API}/objects/users/me",
        handler=auth.me,
        access=Access.SESSION,
        extends_session=False,
    ),
    Route(method="GET", path="/api", handler=auth.versions, access=Access.SESSION),
    Route(method="GET", path="/api/", handler=auth.versions, access=Access.SESSION),
    Route(method="GET", path=_API, handler=auth.versions, access=Access.SESSION),
    Route(
        method="GET",
        path="/openapi.json",
        handler=description.openapi,
        access=Access.OPEN,
        ours=True,
    ),
    Route(
        method="GET",
        path="/healthz",
        handler=probes.healthz,
        access=Access.OPEN,
        ours=True,
        any_host=True,
    ),
    Route(
        method="GET",
        path="/readyz",
        handler=probes.readyz,
        access=Access.OPEN,
        ours=True,
        any_host=True,
    ),
)
