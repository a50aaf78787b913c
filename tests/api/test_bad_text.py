"""Text that a database cannot keep, wherever a request can carry it: answered, on both stores."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from api.conftest import PASSWORD
from rescind import config
from rescind.api.application import application
from rescind.api.http import Context
from rescind.api.routes import ROUTES
from rescind.clock import SystemClock
from rescind.service import accounts
from rescind.service.health import Health
from rescind.service.policy import Permission
from rescind.store.protocol import Store
from rescind.ui.pages import ERROR_PAGES
from store import harness
from store.conftest import make_store, store

__all__ = ["make_store", "store"]
JOBS = "/api/v26.1/services/jobs"
BAD = ["a\0b", "\0", "\ud800", "a\ufffe", "\u202e"]


@pytest.fixture
def api(store: Store) -> Iterator[TestClient]:
    accounts.add_user(store, "bob", PASSWORD, {Permission.API_ACCESS, *Permission})
    harness.register(store, harness.metadata(name="known__c"))
    found = config.load({"allowed_hosts": ["*"]}, {}, Path("/nonexistent/rescind.toml"))
    settings = config.settings(found)
    health = Health(store, SystemClock())
    context = Context(store=store, settings=settings, clock=SystemClock(), health=health)
    with TestClient(
        application(context, ROUTES, ERROR_PAGES), base_url="http://rescind.example"
    ) as client:
        form = {"username": "bob", "password": PASSWORD}
        session = client.post("/api/v26.1/auth", data=form).json()["sessionId"]
        client.headers["Authorization"] = session
        yield client


@pytest.mark.parametrize("bad", BAD, ids=ascii)
def test_no_text_is_an_exception(api: TestClient, bad: str) -> None:
    items = [
        {"job_metadata": bad},
        {"job_metadata": "known__c", "title": bad},
        {"job_metadata": "known__c", "unique_key": bad},
        {"job_metadata": "known__c", "parameters": {bad: bad}},
        {"job_metadata": "known__c", "run_date": bad},
        {bad: 1},
    ]
    body = json.dumps(items).encode()  # what JSON cannot say as such, it says escaped
    answers = {
        "submit": api.post(JOBS, content=body),
        "cancel": api.post(f"{JOBS}/actions/cancel", content=json.dumps([{"job_id": bad}])),
        "query": api.post("/api/v26.1/query", data={"q": _query(bad)}),
        "sign in": api.post("/api/v26.1/auth", data={"username": _sendable(bad), "password": "x"}),
        "password": api.post(
            "/api/v26.1/auth", data={"username": "bob", "password": _sendable(bad)}
        ),
        "cursor": api.get(f"/api/v26.1/query/{_quoted(bad)}"),
        "job": api.get(f"{JOBS}/{_quoted(bad)}"),
        "status": api.get(f"{JOBS}/histories", params={"status": _sendable(bad)}),
    }
    said = {name: answer.json()["responseStatus"] for name, answer in answers.items()}
    assert "EXCEPTION" not in said.values(), said
    assert api.get(f"{JOBS}/monitors").json()["responseStatus"] == "SUCCESS"


def _sendable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _quoted(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode("utf-8", "surrogatepass"))


def _query(bad: str) -> str:
    return f"SELECT id FROM job__sys WHERE job_title__sys = '{_sendable(bad)}'"
