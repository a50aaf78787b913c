"""The application on a real store, without a worker: what a client sees."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from starlette.testclient import TestClient

from rescind import config
from rescind.api.application import application
from rescind.api.http import Context
from rescind.api.routes import ROUTES
from rescind.clock import SystemClock
from rescind.service import accounts
from rescind.service.health import Health
from rescind.service.policy import Permission
from rescind.store.protocol import Store
from rescind.store.sqlite.migration import migrate
from rescind.store.sqlite.store import SqliteStore
from rescind.ui.pages import ERROR_PAGES
from rescind.ui.routes import PAGES
from store import harness

PASSWORD = "correct horse battery"
USERS = {
    "ada": {Permission.API_ACCESS, *Permission},
    "reader": {Permission.API_ACCESS, Permission.JOBS_READ},
    "creator": {Permission.API_ACCESS, Permission.JOBS_CREATE},
    "operator": {Permission.API_ACCESS, Permission.JOBS_EDIT},
    "nobody": {Permission.API_ACCESS},
    "locked": set(),
}
"""Names and permissions; ada has id 2."""

ADA_ID = 2


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with these users: hashing passwords takes its time, so it is done once."""
    path = tmp_path_factory.mktemp("seed") / "rescind.db"
    migrate(path)
    store = SqliteStore(path, SystemClock())
    for name, permissions in USERS.items():
        accounts.add_user(store, name, PASSWORD, permissions)
    store.close()
    return path


@pytest.fixture
def store(seeded: Path, tmp_path: Path) -> Iterator[Store]:
    path = tmp_path / "rescind.db"
    path.write_bytes(seeded.read_bytes())
    store = SqliteStore(path, SystemClock())
    yield store
    store.close()


@pytest.fixture(params=["open"])
def context(request: pytest.FixtureRequest, store: Store) -> Context:
    settings = config.settings(config.load({}, {}, Path("/nonexistent/rescind.toml")))
    return Context(
        store=store,
        settings=replace(
            settings, profile=request.param, allowed_hosts=("rescind.example", "testserver")
        ),
        clock=SystemClock(),
        health=Health(store, SystemClock()),
    )


@pytest.fixture
def api(context: Context) -> TestClient:
    """Not signed in."""
    app = application(context, (*ROUTES, *PAGES), ERROR_PAGES)
    return TestClient(app, base_url="http://rescind.example", follow_redirects=False)


@pytest.fixture
def sign_in(api: TestClient) -> Callable[[str], dict[str, str]]:
    """The Authorization header of a new session."""

    def signed_in(name: str) -> dict[str, str]:
        answer = api.post("/api/v26.1/auth", data={"username": name, "password": PASSWORD})
        return {"Authorization": answer.json()["sessionId"]}

    return signed_in


@pytest.fixture
def ada(sign_in: Callable[[str], dict[str, str]]) -> dict[str, str]:
    """Who may do everything."""
    return sign_in("ada")


@pytest.fixture
def metadata(store: Store) -> str:
    """A registered job metadata's name."""
    value = harness.metadata(name="sleep__c", title="Sleep")
    harness.register(store, value)
    return value.name


def failure(answer: Any) -> tuple[str, str]:
    """Type and message of a whole-request FAILURE."""
    payload = answer.json()
    assert answer.status_code == 200
    assert payload["responseStatus"] == "FAILURE"
    assert list(payload)[:2] == ["responseStatus", "errors"]
    [error] = payload["errors"]
    return error["type"], error["message"]
