"""The table of the pages' routes."""

from rescind import limits
from rescind.api.http import Access, Pool, Route
from rescind.ui import pages

PAGES: tuple[Route, ...] = (
    Route(method="GET", path="/", handler=pages.front, access=Access.COOKIE, ours=True),
    Route(method="GET", path="/jobs/{job_id}", handler=pages.job, access=Access.COOKIE, ours=True),
    Route(method="GET", path="/rescind.css", handler=pages.style, access=Access.OPEN, ours=True),
    Route(
        method="POST",
        path="/sign-in",
        handler=pages.sign_in,
        access=Access.COOKIE,
        pool=Pool.LOGIN,
        body_bytes_max=limits.SMALL_BODY_BYTES_MAX,
        ours=True,
    ),
    Route(
        method="POST",
        path="/sign-out",
        handler=pages.sign_out,
        access=Access.COOKIE,
        pool=Pool.WRITE,
        body_bytes_max=limits.SMALL_BODY_BYTES_MAX,
        ours=True,
    ),
)
