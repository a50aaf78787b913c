"""One table of routes: nothing is open but what stands here, and everything is documented."""

from pathlib import Path

import pytest

from rescind.api.description import description
from rescind.api.http import Access, Route
from rescind.api.routes import ROUTES
from rescind.service.policy import Profile
from rescind.wiring import ALL_ROUTES

API_PAGE = Path(__file__).parents[2] / "docs" / "api.md"

OPEN = {
    ("POST", "/api/{version}/auth"): "signing in",
    ("GET", "/openapi.json"): "the description of the API, the same for everyone",
    ("GET", "/healthz"): "one word",
    ("GET", "/readyz"): "one word",
    ("GET", "/rescind.css"): "the style sheet",
    ("GET", "/rescind.js"): "the script of the pages",
    ("GET", "/favicon.svg"): "the picture in the browser's tab",
}


def test_what_is_open_is_meant_to_be() -> None:
    found = {(route.method, route.path) for route in ALL_ROUTES if route.access is Access.OPEN}
    assert found == set(OPEN)


def test_a_route_says_who_may_come_in() -> None:
    with pytest.raises(TypeError, match="access"):
        Route(method="GET", path="/", handler=ALL_ROUTES[0].handler)  # type: ignore[call-arg]  # on purpose


def test_no_route_stands_twice() -> None:
    rows = [(route.method, route.path) for route in ALL_ROUTES]
    assert len(rows) == len(set(rows))


def test_who_has_no_session_changes_nothing_but_that() -> None:
    changing = {
        route.path
        for route in ALL_ROUTES
        if route.access is Access.VISITOR and route.method != "GET"
    }
    assert changing == {"/sign-in", "/sign-out"}


def test_a_cookie_is_asked_for_on_pages_alone() -> None:
    for route in ALL_ROUTES:
        assert route.access.by_browser != route.path.startswith("/api") or (
            route.access is Access.OPEN
        )


@pytest.mark.parametrize("profile", Profile)
def test_the_description_and_the_table_of_routes_name_the_same(profile: Profile) -> None:
    described = {
        (method.upper(), path)
        for path, operations in description(profile)["paths"].items()
        for method in operations
    }
    assert described == {
        (route.method, route.path) for route in ROUTES if profile in route.profiles
    }


@pytest.mark.parametrize("route", ALL_ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_is_in_the_api_page(route: Route) -> None:
    assert f"`{route.method} {route.path}`" in API_PAGE.read_text()
