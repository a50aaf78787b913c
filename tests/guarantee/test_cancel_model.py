"""Cancel, asked for over HTTP in every pair of formats, answers and does what a model of a few
lines says. ``CANCEL_EXAMPLES`` sets how many examples are tried on each store and profile.
"""

import gzip
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from starlette.testclient import TestClient

from rescind import config
from rescind.api.application import application
from rescind.api.http import Context
from rescind.api.routes import ROUTES
from rescind.clock import SystemClock
from rescind.lifecycle import Move, Status
from rescind.model import Actor
from rescind.service import accounts
from rescind.service.health import Health
from rescind.service.policy import Permission
from rescind.store.protocol import Store
from rescind.ui.pages import ERROR_PAGES
from store import harness

EXAMPLES = int(os.environ.get("CANCEL_EXAMPLES", "60"))
URL = "/api/v26.1/services/jobs/actions/cancel"
PASSWORD = "correct horse battery"
USERS = {
    "editor": {Permission.API_ACCESS, Permission.JOBS_EDIT},
    "creator": {Permission.API_ACCESS, Permission.JOBS_CREATE},
    "reader": {Permission.API_ACCESS, Permission.JOBS_READ},
}

# The model: plain words, as the documentation of the API has them, and nothing of the service.

Outcome = int | tuple[str, str]
"""The id in an item's SUCCESS, or the type and the message of its FAILURE."""


class ModelJob:
    def __init__(self, status: str, cancellable_in: frozenset[str], owner: str) -> None:
        self.status, self.cancellable_in, self.owner = status, cancellable_in, owner
        self.cancels_by: list[str] = []


class Model:
    """What cancel requests do to these jobs, and what is answered."""

    def __init__(self, profile: str) -> None:
        self.profile = profile
        self.jobs: dict[int, ModelJob] = {}

    def request(self, caller: str, items: "Sequence[Item]") -> list[Outcome] | tuple[str, str]:
        """The outcome of each item, or of the whole request."""
        if not (caller == "editor" or (caller == "creator" and self.profile == "open")):
            return "INSUFFICIENT_ACCESS", ""
        return [
            self.cancel(caller, item.job_id)
            if item.refused is None
            else ("INVALID_DATA", f"Item {position}{item.refused}")
            for position, item in enumerate(items, start=1)
        ]

    def cancel(self, caller: str, job_id: int) -> Outcome:
        """The outcome of one item that names a job."""
        not_found = f"Job [{job_id}] is not found in QUEUED or QUEUEING state"
        job = self.jobs.get(job_id)
        if job is None or (caller == "creator" and job.owner != "creator"):
            return "INVALID_DATA", not_found
        if job.status == "CANCELLING":
            return job_id
        waiting = job.status in ("QUEUEING", "QUEUED")
        tried = waiting or (job.status == "RUNNING" and self.profile == "open")
        if job.status == "SCHEDULED" or (tried and job.status in job.cancellable_in):
            job.status = "CANCELLING"
            job.cancels_by.append(caller)
            return job_id
        if waiting and self.profile == "open":
            message = f"Job [{job_id}] does not permit cancellation in {job.status} state"
            return "OPERATION_NOT_ALLOWED", message
        return "INVALID_DATA", not_found


# What is drawn: jobs, and requests that name some of them.


class Item(NamedTuple):
    """One item as it is sent, with ``ID`` for the job's id."""

    sent: str
    refused: str | None = None
    """For what names no job whatever its id: the message, after the item's position."""
    job_id: int = 0


class Asked(NamedTuple):
    """A request; ``picks`` say which of the jobs each item is about."""

    caller: str
    csv: bool
    xml: bool
    line_end: str
    items: list[Item]
    picks: list[int]

    def about(self, ids: Sequence[int]) -> "Asked":
        """The request with ids of jobs."""
        named = [
            Item(item.sent.replace("ID", str(job_id)), item.refused, job_id)
            for item, pick in zip(self.items, self.picks, strict=False)
            for job_id in [ids[pick % len(ids)]]
        ]
        return self._replace(items=named)

    @property
    def body(self) -> bytes:
        sent = [item.sent for item in self.items]
        if self.csv:
            return self.line_end.join(["note, job_id\t", *sent, ""]).encode()
        return f"[{', '.join(sent)}]".encode()


def no_id(shown: str) -> str:
    return f": job_id [{shown}] must be a whole number from 1 to 9223372036854775807"


NO_IDS = ("0", "-1", "01", "9223372036854775808", "9" * 70, "1.5", "1.0", "1e3", "true", "１２")  # noqa: RUF001 - digits that are not ASCII
SHORTENED = {"9" * 70: "9" * 60 + "…"}
JSON_VALUES = [
    *(value for value in NO_IDS if value not in ("01", "１２")),  # noqa: RUF001 - the same
    *(f'"{value}"' for value in NO_IDS if value not in SHORTENED),
    *("null", '""', '" 7"', '"7\\u0000"', "[7]", '{"job_id": 7}', "18446744073709551617"),
]
JSON_ITEMS = [
    *[Item('{"job_id": ID}')] * 8,
    Item('{"job_id": "ID"}'),
    Item('{"note": [{}], "job_id":\n\tID }'),
    Item('{"job_id": null, "job_id": ID}'),
    Item('{"job_id": ID, "job_id": null}', no_id("null")),
    Item("{}", ": job_id is missing"),
    Item('{"id": ID}', ": job_id is missing"),
    *(Item(value, f" [{value}] must be an object") for value in ("7", "null", '"ID"', "[7]")[:2]),
    *(Item(f'{{"job_id": {v}}}', no_id(SHORTENED.get(v, v))) for v in JSON_VALUES),
]
CSV_ITEMS = [
    *[Item(",ID")] * 8,
    Item(' x,\t ID "'.replace('"', "")),
    Item('"a ""note""\nof two lines","ID"'),
    Item("x", ": job_id is missing"),
    Item("x,ID,y", " has 3 values, but the header names 2"),
    Item('""', ": job_id is missing"),
    Item('x," "', no_id(" ")),
    Item('x,"1,5"', no_id("1,5")),
    *(Item(f",{v}", no_id(SHORTENED.get(v, v))) for v in ("", "x", "<&>", *NO_IDS)),
]
UNKNOWN = (10**15, 2**63 - 1)
"""Ids that no job of a test has."""

a_job = st.tuples(
    st.sampled_from(Status),
    st.frozensets(st.sampled_from(["QUEUEING", "QUEUED", "RUNNING"])),
    st.sampled_from(["editor", "creator"]),
)


def requests(csv: bool) -> st.SearchStrategy[Asked]:
    return st.builds(
        Asked,
        caller=st.sampled_from(["editor", "editor", "creator", "creator", "reader"]),
        csv=st.just(csv),
        xml=st.booleans(),
        line_end=st.sampled_from(["\n", "\r\n", "\n\n \t\r\n"]),
        items=st.lists(st.sampled_from(CSV_ITEMS if csv else JSON_ITEMS), min_size=1, max_size=12),
        picks=st.lists(st.integers(0, 10), min_size=12, max_size=12),
    )


# The service.


class Vault:
    """The application on a store, in one profile, with people signed in."""

    def __init__(self, store: Store, profile: str) -> None:
        self.store, self.profile = store, profile
        found = config.load({"allowed_hosts": ["*"]}, {}, Path("/nonexistent/rescind.toml"))
        defaults = config.settings(found)
        context = Context(
            store=store,
            settings=replace(defaults, profile=profile),
            clock=SystemClock(),
            health=Health(store, SystemClock()),
        )
        self.client = TestClient(application(context, ROUTES, ERROR_PAGES))
        self.user_ids: dict[str, int] = {}
        self.sessions: dict[str, str] = {}
        for name, permissions in USERS.items():
            self.user_ids[name] = accounts.add_user(store, name, PASSWORD, permissions)
            form = {"username": name, "password": PASSWORD}
            signed_in = self.client.post("/api/v26.1/auth", data=form).json()
            self.sessions[name] = signed_in["sessionId"]

    def place(self, status: Status, cancellable_in: frozenset[str], owner: str) -> int:
        metadata = harness.metadata(cancellable_in=frozenset(map(Status, cancellable_in)))
        job = harness.new_job(metadata=metadata)
        cancelled = status in (Status.CANCELLING, Status.CANCELLED)
        with patch.object(harness, "USER", Actor(user_id=self.user_ids[owner], by="user")):
            # SCHEDULED may be cancelled whatever the job permits.
            job_id = harness.place(self.store, Status.SCHEDULED if cancelled else status, job)
            if cancelled:
                assert harness.cancel(self.store, job_id)
            if status is Status.CANCELLED:
                assert harness.settle(self.store, job_id)
        return job_id

    def ask(self, asked: Asked) -> dict[str, Any]:
        headers = {
            "Authorization": self.sessions[asked.caller],
            "Content-Type": "text/csv" if asked.csv else "application/json",
            "Accept": "application/xml" if asked.xml else "application/json",
        }
        answer = self.client.post(URL, content=asked.body, headers=headers)
        assert answer.status_code == 200
        payload: dict[str, Any] = from_xml(answer.text) if asked.xml else answer.json()
        return payload

    def cancels_by(self, job_id: int) -> list[int]:
        """Who made the cancels that are on record."""
        events = self.store.events(job_id)
        return [event.user_id for event in events if event.move is Move.CANCEL]


def from_xml(text: str) -> dict[str, Any]:
    root = ET.fromstring(text)
    assert root.tag == "ApiRestResult"
    payload: dict[str, Any] = {"responseStatus": root.findtext("responseStatus")}
    if (errors := root.find("errors")) is not None:
        return {**payload, "errors": [texts(error) for error in errors]}
    return {**payload, "data": [item_from_xml(row) for row in root.iterfind("data/row")]}


def item_from_xml(row: ET.Element) -> dict[str, Any]:
    payload: dict[str, Any] = {"responseStatus": row.findtext("responseStatus")}
    if (error := row.find("errors/error")) is not None:
        return {**payload, "errors": texts(error)}
    return {**payload, "data": {"id": int(row.findtext("data/id", "none"))}}


def texts(element: ET.Element) -> dict[str, str | None]:
    return {child.tag: child.text for child in element}


def worded(outcome: Outcome) -> dict[str, Any]:
    """An item's answer, as published."""
    if isinstance(outcome, int):
        return {"responseStatus": "SUCCESS", "data": {"id": outcome}}
    error_type, message = outcome
    return {"responseStatus": "FAILURE", "errors": {"type": error_type, "message": message}}


@pytest.fixture(params=["open", "vault"])
def vault(request: pytest.FixtureRequest, make_store: Callable[[], Store]) -> Iterator[Vault]:
    vault = Vault(make_store(), request.param)
    with vault.client:
        yield vault


def before_others(job: tuple[Status, frozenset[str], str]) -> int:
    # Giving up on jobs and settling them is done to all that are there: first place what needs it.
    return {Status.FAILED_TO_RUN: 0, Status.CANCELLED: 1}.get(job[0], 2)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    # One store serves all examples; each has jobs of its own.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    jobs=st.lists(a_job, min_size=1, max_size=8),
    asked=st.lists(st.booleans().flatmap(requests), min_size=1, max_size=3),
)
def test_cancel_answers_and_does_what_the_model_says(
    vault: Vault, jobs: list[tuple[Status, frozenset[str], str]], asked: list[Asked]
) -> None:
    model = Model(vault.profile)
    for status, cancellable_in, owner in sorted(jobs, key=before_others):
        job_id = vault.place(status, cancellable_in, owner)
        model.jobs[job_id] = ModelJob(status.value, cancellable_in, owner)
    before = {job_id: vault.cancels_by(job_id) for job_id in model.jobs}

    for request in asked:
        named = request.about([*model.jobs, *UNKNOWN])
        expected = model.request(named.caller, named.items)
        answer = vault.ask(named)
        if isinstance(expected, tuple):
            assert answer["responseStatus"] == "FAILURE"
            assert [error["type"] for error in answer["errors"]] == [expected[0]]
        else:
            items = [worded(outcome) for outcome in expected]
            assert answer == {"responseStatus": "SUCCESS", "data": items}

    for job_id, job in model.jobs.items():
        assert harness.row(vault.store, job_id).status == job.status
        cancels_by = [vault.user_ids[name] for name in job.cancels_by]
        assert vault.cancels_by(job_id) == [*before[job_id], *cancels_by]


# Requests that are refused as a whole: nothing of them is done.

REQUIRED = ("PARAMETER_REQUIRED", "Missing required parameter [job_id]")
TOO_MANY = ("INVALID_DATA", "A request may name at most 500 jobs; this one names 501")
MALFORMED_JSON = ("INVALID_DATA", "Malformed JSON")
MALFORMED_CSV = ("INVALID_DATA", "Malformed CSV")
NOT_UTF8 = ("INVALID_DATA", "The body is not UTF-8")
ENCODED = ("INVALID_DATA", "Content-Encoding [gzip] is not supported")
BOM = b"\xef\xbb\xbf"
BOMB = gzip.compress(bytes(16 * 1024 * 1024))
ITEM = b'{"job_id": ID}'
WHOLE: dict[str, tuple[bool, bytes, tuple[str, str] | None]] = {
    "JSON: nothing": (False, b"", REQUIRED),
    "JSON: no items": (False, b"[]", REQUIRED),
    "JSON: a byte order mark alone": (False, BOM, REQUIRED),
    "JSON: a byte order mark": (False, BOM + b"[" + ITEM + b"]", None),
    "JSON: 500 items": (False, b"[" + b",".join([ITEM] * 500) + b"]", None),
    "JSON: 501 items": (False, b"[" + b",".join([ITEM] * 501) + b"]", TOO_MANY),
    "JSON: a NUL": (False, b"[" + ITEM + b",\0]", MALFORMED_JSON),
    "JSON: between lines": (False, b"[\r\n" + ITEM + b"\r\n]\r\n", None),
    "JSON: a lone quote": (False, b"[" + ITEM + b', "]', MALFORMED_JSON),
    "JSON: cut off": (False, b"[" + ITEM + b", {", MALFORMED_JSON),
    "JSON: nested": (False, b"[" * 100_000, MALFORMED_JSON),
    "JSON: nested, and closed": (False, b"[" + b"[" * 50_000 + b"]" * 50_001, MALFORMED_JSON),
    "JSON: no UTF-8": (False, b"[" + ITEM + b', "\xff"]', NOT_UTF8),
    "JSON: a bomb": (False, BOMB, ENCODED),
    "CSV: nothing": (True, b"", REQUIRED),
    "CSV: a header alone": (True, b"job_id\r\n", REQUIRED),
    "CSV: a byte order mark alone": (True, BOM, REQUIRED),
    "CSV: a byte order mark": (True, BOM + b"job_id\nID\n", None),
    "CSV: 500 items": (True, b"job_id\n" + b"ID\n" * 500, None),
    "CSV: 501 items": (True, b"job_id\n" + b"ID\n" * 501, TOO_MANY),
    "CSV: a NUL": (True, b"job_id\nID\n\0\n", MALFORMED_CSV),
    "CSV: carriage returns": (True, b"job_id\r\nID\r\n", None),
    "CSV: lone carriage returns": (True, b"job_id\rID\r", MALFORMED_CSV),
    "CSV: a lone quote": (True, b'job_id\nID\n"', MALFORMED_CSV),
    "CSV: a quote that closes too early": (True, b'job_id\nID\n"1"2\n', MALFORMED_CSV),
    "CSV: no UTF-8": (True, b"job_id\nID\n\xff\n", NOT_UTF8),
    "CSV: a bomb": (True, BOMB, ENCODED),
}
"""Whether it is CSV, the body, and how it is refused, if it is."""


@pytest.mark.parametrize("xml", [False, True], ids=["JSON", "XML"])
def test_a_request_is_refused_as_a_whole_or_done(vault: Vault, xml: bool) -> None:
    for name, (csv, body, refusal) in WHOLE.items():
        job_id = vault.place(Status.QUEUED, frozenset({"QUEUED"}), "editor")
        headers = {
            "Authorization": vault.sessions["editor"],
            "Content-Type": "text/csv" if csv else "application/json",
            "Accept": "application/xml" if xml else "application/json",
            **({"Content-Encoding": "gzip"} if body is BOMB else {}),
        }
        sent = body.replace(b"ID", str(job_id).encode()) if body is not BOMB else body
        answer = vault.client.post(URL, content=sent, headers=headers)
        payload = from_xml(answer.text) if xml else answer.json()
        if refusal is None:
            assert payload["responseStatus"] == "SUCCESS", name
            assert {str(item) for item in payload["data"]} == {str(worded(job_id))}, name
        else:
            [error] = payload["errors"]
            assert (error["type"], error["message"][: len(refusal[1])]) == refusal, name
        status = harness.row(vault.store, job_id).status
        assert status == ("QUEUED" if refusal else "CANCELLING"), name
