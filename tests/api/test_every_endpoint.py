"""Every endpoint, in every format and profile: run with ``-s``, it prints the table."""

from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from starlette.testclient import TestClient

from api.conftest import PASSWORD
from process.conftest import show
from rescind.api.http import Context
from rescind.api.routes import ROUTES
from rescind.lifecycle import Status
from rescind.service.policy import Profile
from rescind.store.protocol import Store
from store import harness

JOBS = "/api/v26.1/services/jobs"
QUERY = "/api/v26.1/query"
ROWS = "SELECT id FROM job_history__sys"
Headers = dict[str, str]
TEXTS = {"/healthz", "/readyz", "/openapi.json", "/api/{version}/services/jobs/{job_id}/log"}
"""What is answered alike, whatever Accept says."""


@pytest.fixture
def bodies(store: Store, metadata: str) -> dict[tuple[str, str], Callable[[], dict[str, Any]]]:
    """What to send, where it is more than the address."""

    def cancel() -> dict[str, Any]:
        return {"json": [{"job_id": harness.submit(store)}]}

    return {
        ("POST", f"{JOBS}/actions/cancel"): cancel,
        ("POST", f"{JOBS}/actions/rerun"): cancel,
        ("POST", f"{JOBS}/selections"): lambda: {"json": {"query": "SELECT id FROM job__sys"}},
        ("POST", JOBS): lambda: {"json": [{"job_metadata": metadata}]},
        ("POST", QUERY): lambda: {"data": {"q": ROWS}},
        ("GET", QUERY): lambda: {"params": {"q": ROWS}},
        ("POST", "/api/v26.1/auth"): lambda: {"data": {"username": "ada", "password": PASSWORD}},
    }


def about_many(api: TestClient, session: Headers, path: str) -> str:
    """The path to a new selection, or to a new operation; it has ended if it is to be undone."""
    if "_id}" not in path:
        return path
    body = {"query": "SELECT id FROM job__sys"}
    pinned = api.post(f"{JOBS}/selections", json=body, headers=session).json()
    selection_id = str(pinned["data"]["selection_id"])
    if "{selection_id}" in path:
        return path.replace("{selection_id}", selection_id)
    url = f"{JOBS}/selections/{selection_id}/actions/cancel"
    operation_id = str(api.post(url, headers=session).json()["data"]["operation_id"])
    if path.endswith("/undo"):
        api.post(f"{JOBS}/operations/{operation_id}/actions/stop", headers=session)
    return path.replace("{operation_id}", operation_id)


@pytest.mark.parametrize("context", list(Profile), indirect=True)
def test_every_endpoint_answers_in_every_format(
    api: TestClient,
    ada: Headers,
    sign_in: Callable[[str], Headers],
    context: Context,
    store: Store,
    bodies: dict[tuple[str, str], Callable[[], dict[str, Any]]],
) -> None:
    def ask(method: str, template: str, accept: str) -> Any:
        status = Status.SCHEDULED if "start_now" in template else Status.SUCCESS
        job_id = harness.place(store, status)
        if "{query_id}" in template:
            first = api.get(QUERY, params={"q": f"{ROWS} PAGESIZE 1"}, headers=ada).json()
            return api.request(
                method,
                first["responseDetails"]["next_page"],
                headers={**ada, "Accept": accept},
            )
        path = template.replace("{version}", "v26.1").replace("{job_id}", str(job_id))
        if context.profile is Profile.OPEN:
            path = about_many(api, ada, path)
        session = sign_in("ada") if template.endswith("/session") else ada
        more = bodies.get((method, path), dict)()
        return api.request(method, path, headers={**session, "Accept": accept}, **more)

    show(f"profile {context.profile}")
    for route in ROUTES:
        said = ask(route.method, route.path, "application/json")
        if context.profile not in route.profiles:
            assert said.status_code == 404
            assert said.json()["errors"][0]["type"] == "MALFORMED_URL"
            found = "404 MALFORMED_URL"
        elif route.path in TEXTS:
            in_xml = ask(route.method, route.path, "application/xml")
            found = said.headers["content-type"]
            assert (said.status_code, in_xml.headers["content-type"]) == (200, found)
        else:
            keys = list(said.json())
            assert (said.status_code, said.json()["responseStatus"]) == (200, "SUCCESS"), said.text
            in_xml = ask(route.method, route.path, "application/xml")
            assert in_xml.headers["content-type"] == "application/xml;charset=UTF-8"
            root = ET.fromstring(in_xml.text)
            assert (root.tag, root.findtext("responseStatus")) == ("ApiRestResult", "SUCCESS")
            assert [element.tag for element in root] == keys
            found = f"JSON and XML: {', '.join(keys)}"
        show(f"  {route.method:6} {route.path:50} {found}")
