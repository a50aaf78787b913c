"""Pages that go on, over real connections: who may follow, and what a client that goes leaves."""

import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from process.conftest import Service
from processes import HANG_SECONDS
from rescind import limits
from rescind.clock import SystemClock
from rescind.service import accounts
from rescind.service.policy import Permission
from rescind.store.sqlite.store import SqliteStore

PASSWORD = "correct horse battery"
PAGES = ("/", "/jobs/1", "/operations", "/workers", "/charts")
USERS = {
    "reader": frozenset({Permission.API_ACCESS, Permission.JOBS_READ}),
    "nobody": frozenset({Permission.API_ACCESS}),
    "locked": frozenset[Permission](),
}
EVENTS = {"Accept": "text/event-stream"}


@pytest.fixture
def service(no_drain: None, serve: Callable[..., Service], database: str) -> Service:
    """With users; a job of the administrator's runs."""
    started = serve()
    store = SqliteStore(database.removeprefix("sqlite:///"), SystemClock())  # type: ignore[arg-type]  # a path
    for name, permissions in USERS.items():
        accounts.add_user(store, name, PASSWORD, permissions)
    store.close()
    started.submit("demo_sleep__c", title="TOPSECRET", parameters={"seconds": 3_600})
    started.until_status(1, "RUNNING")
    return started


def browser(service: Service, name: str, password: str = PASSWORD) -> httpx2.Client:
    client = httpx2.Client(base_url=service.address, timeout=HANG_SECONDS)
    form = {"username": name, "password": password}
    client.post("/sign-in", data=form, headers={"Origin": service.address})
    return client


@contextlib.contextmanager
def following(client: httpx2.Client, path: str) -> Iterator[Iterator[tuple[str, Any]]]:
    """The events of a page."""
    with client.stream("GET", path, headers=EVENTS) as answer:

        def events() -> Iterator[tuple[str, Any]]:
            name = ""
            for line in answer.iter_lines():
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data:"):
                    data = line.removeprefix("data:").strip()
                    yield name, json.loads(data) if data else None

        is_stream = answer.headers["content-type"].startswith("text/event-stream")
        yield events() if is_stream else iter(())


def test_nobody_follows_what_they_may_not_see_beside_whoever_may(service: Service) -> None:
    reader, nobody, locked = (browser(service, name) for name in USERS)
    for path in PAGES:
        with following(reader, path) as first:
            assert next(first)[0] == "regions"
            for client in (nobody, locked):
                plain = client.get(path, headers={"Accept": "text/html"})
                assert "TOPSECRET" not in plain.text
                with following(client, path) as events:
                    name, data = next(events, ("", None))
                assert "TOPSECRET" not in str(data), path
                assert (name == "regions") is (plain.status_code == 200), path
        with following(nobody, path), following(reader, path) as second:
            name, data = next(second)
            assert name == "regions", "who came first spoils nothing"
            assert ("TOPSECRET" in str(data)) is (path in ("/", "/workers"))
    for client in (reader, nobody, locked):
        client.close()


def test_streams_hold_no_threads_and_end_with_their_session(service: Service) -> None:
    client = browser(service, "reader")
    with contextlib.ExitStack() as stack:
        streams = [
            stack.enter_context(following(client, f"/?title={number}")) for number in range(40)
        ]
        for stream in streams:
            assert next(stream)[0] == "regions"
        with httpx2.Client(base_url=service.address, timeout=HANG_SECONDS) as other:
            other.cookies = client.cookies
            assert other.get("/charts").status_code == 200
            other.post("/sign-out", headers={"Origin": service.address})
        for stream in streams:
            assert "over" in {name for name, _ in stream}
    client.close()


def test_a_client_that_goes_leaves_nothing(service: Service) -> None:
    client = browser(service, "reader")
    cookie = f"rescind_session={client.cookies['rescind_session']}"
    host, _, port = service.address.removeprefix("http://").partition(":")

    def gone(method: str) -> None:
        text = f"{method} / HTTP/1.1\r\nHost: {host}:{port}\r\nCookie: {cookie}\r\n"
        with socket.create_connection((host, int(port)), timeout=HANG_SECONDS) as connection:
            connection.sendall(f"{text}Accept: text/event-stream\r\n\r\n".encode())
            assert connection.recv(12) == b"HTTP/1.1 200"

    for method in ("GET", "HEAD"):
        for _ in range(3 * limits.LIVE_STREAMS_OF_USER_MAX):
            gone(method)

    def follows() -> bool:
        with following(client, "/") as events:
            return next(events, ("", None))[0] == "regions"

    assert service.until(follows) < limits.LIVE_SESSION_SECONDS / 2
    client.close()


def test_a_connection_goes_on_after_head(service: Service) -> None:
    client = browser(service, "reader")
    answer = client.head("/", headers=EVENTS)
    assert answer.headers["content-type"].startswith("text/html")
    assert client.get("/favicon.svg").status_code == 200
    client.close()
