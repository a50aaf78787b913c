"""Which Host headers are answered."""

import pytest
from msgspec.structs import replace
from starlette.testclient import TestClient

from rescind.api.application import application
from rescind.api.hosts import Hosts
from rescind.api.http import Context
from rescind.api.routes import ROUTES
from rescind.ui.pages import ERROR_PAGES
from rescind.ui.routes import PAGES

LOOPBACK = ["localhost", "LOCALHOST:8127", "a.localhost.", "127.0.0.1:8127", "127.9.9.9", "[::1]:1"]
OTHERS = ["evil.example", "localhost.evil.example", "127.0.0.1.evil", "10.0.0.1", "", "[::2]"]


def answered(context: Context, hosts: list[str], **changes: object) -> list[str]:
    found = Hosts(replace(context.settings, **{"allowed_hosts": (), **changes}))
    return [host for host in hosts if found.allow(host)]


@pytest.mark.parametrize("bound", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_on_a_loopback_address_loopback_names_are_answered_and_what_is_set(
    context: Context, bound: str
) -> None:
    assert answered(context, [*LOOPBACK, *OTHERS], host=bound) == LOOPBACK
    named = ["rescind.example", "RESCIND.example:443", "a.jobs.example", "b.c.jobs.example:1"]
    unnamed = ["jobs.example", "xjobs.example", "rescind.example.evil", "rescind_example"]
    more = {"public_name": "Rescind.example:8443", "allowed_hosts": ("*.jobs.example",)}
    found = answered(context, [*LOOPBACK, *OTHERS, *named, *unnamed], host=bound, **more)
    assert found == [*LOOPBACK, *named]


@pytest.mark.parametrize("bound", ["0.0.0.0", "::", "10.1.2.3", "rescind.internal"])
def test_on_other_addresses_all_are_answered_unless_some_are_set(
    context: Context, bound: str
) -> None:
    every = [*LOOPBACK, *OTHERS]
    assert answered(context, every, host=bound) == every
    assert answered(context, every, host=bound, public_name="rescind.example") == every
    more = {"public_name": "rescind.example", "allowed_hosts": ("10.0.0.1", "[::2]")}
    assert answered(context, [*every, "rescind.example:1"], host=bound, **more) == [
        "10.0.0.1",
        "[::2]",
        "rescind.example:1",
    ]
    assert answered(context, every, host=bound, allowed_hosts=("*",)) == every


@pytest.mark.parametrize("path", ["/", "/api/v26.1/auth", "/nowhere", "/rescind.css"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_host_is_misdirected_and_told_the_setting(
    context: Context, method: str, path: str
) -> None:
    settings = replace(context.settings, allowed_hosts=())
    app = application(replace(context, settings=settings), (*ROUTES, *PAGES), ERROR_PAGES)
    api = TestClient(app, base_url="http://evil.example")
    answer = api.request(method, path, headers={"Accept": "application/json"})
    assert answer.status_code == 421
    payload = answer.json()
    assert payload["responseStatus"] == "FAILURE"
    assert payload["errors"][0]["type"] == "INVALID_DATA"
    assert "[evil.example]" in payload["errors"][0]["message"]
    assert "RESCIND_ALLOWED_HOSTS" in payload["errors"][0]["message"]
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_are_answered_by_any_name(context: Context, path: str) -> None:
    api = TestClient(application(context, ROUTES, ERROR_PAGES), base_url="http://10.0.0.7:8127")
    assert api.get(path).status_code == 200
