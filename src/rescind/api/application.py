"""The ASGI application: the table of routes behind the gate."""

from collections import defaultdict
from collections.abc import Sequence

from starlette.routing import Route as HttpRoute
from starlette.routing import Router
from starlette.types import ASGIApp

from rescind.api.gate import Gate, Shared
from rescind.api.http import Context, ErrorPages, Route


def application(context: Context, routes: Sequence[Route], error_pages: ErrorPages) -> ASGIApp:
    """Every path of the table, and an answer in Vault's envelope for every other."""
    shared = Shared(context, error_pages)
    by_path: dict[str, list[Route]] = defaultdict(list)
    for route in routes:
        by_path[route.path].append(route)
    return Router(
        routes=[HttpRoute(path, endpoint=Gate(shared, group)) for path, group in by_path.items()],
        default=Gate(shared, ()),
        redirect_slashes=False,
    )
