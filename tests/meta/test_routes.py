"""One table of routes: nothing is open but what stands here."""

from rescind.api.http import Access
from rescind.wiring import ALL_ROUTES

OPEN = {
    ("POST", "/api/{version}/auth"): "signing in",
    ("GET", "/healthz"): "one word",
    ("GET", "/readyz"): "one word",
    ("GET", "/rescind.css"): "the style sheet",
}


def test_what_is_open_is_meant_to_be() -> None:
    found = {(route.method, route.path) for route in ALL_ROUTES if route.access is Access.OPEN}
    assert found == set(OPEN)


def test_no_route_stands_twice() -> None:
    rows = [(route.method, route.path) for route in ALL_ROUTES]
    assert len(rows) == len(set(rows))


def test_a_cookie_changes_nothing_but_its_own_session() -> None:
    changing = {
        route.path
        for route in ALL_ROUTES
        if route.access is Access.COOKIE and route.method != "GET"
    }
    assert changing == {"/sign-in", "/sign-out"}
