"""Requests made from the API's description, and every answer held against it; with a seed."""

import csv
import io
import json
import os
from typing import Any, cast
from xml.etree import ElementTree as ET

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.testclient import TestClient

from rescind.api.description import description
from rescind.api.shapes import EXAMPLE_NAME
from rescind.service.policy import Profile
from rescind.store.protocol import Store
from store import harness

EXAMPLES, JOBS = 10, 30
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
Headers = dict[str, str]


@schemathesis.serializer("text/csv")
def as_csv(_context: schemathesis.SerializationContext, items: Any) -> bytes:
    """Rows as CSV, and what is not even rows as whatever it is."""
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        return str(items).encode(errors="replace")
    out = io.StringIO()
    columns = sorted({str(key) for item in items for key in item})
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([columns, *([_cell(item.get(key)) for key in columns] for item in items)])
    return out.getvalue().encode(errors="replace")


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


def hold(api: TestClient, case: schemathesis.Case[Any], session: Headers) -> None:
    """Ask as a case says, once for JSON and once for XML, and check the answers."""
    if isinstance(job_id := case.path_parameters.get("job_id"), int):
        case.path_parameters["job_id"] = job_id % JOBS  # often one that exists
    arguments = case.as_transport_kwargs(base_url="http://rescind.example", headers=session)
    for accept in ("application/json", "application/xml"):
        headers = {**arguments["headers"], **session, "Accept": accept}
        sent = requests.Request(**{**arguments, "headers": headers}).prepare()
        answer = api.request(
            sent.method or "",
            sent.url or "",
            headers=[(_bytes(name), _bytes(value)) for name, value in sent.headers.items()],
            content=_bytes(cast("str | bytes", sent.body or b"")),
        )
        case.validate_response(answer, checks=CHECKS)
        if "xml" in answer.headers["content-type"]:
            assert ET.fromstring(answer.text).tag == "ApiRestResult"
        elif "json" in answer.headers["content-type"]:
            assert answer.json().get("responseStatus") != "EXCEPTION"


def _bytes(value: str | bytes) -> bytes:
    return value.encode("latin-1", "replace") if isinstance(value, str) else value


@pytest.fixture
def session(
    store: Store,
    ada: Headers,
) -> Headers:
    """One who may do everything, in a store where much of what is asked for is there."""
    harness.register(store, harness.metadata(name=EXAMPLE_NAME))
    harness.place_all(store)
    while harness.scheduled(store) < JOBS - 1:
        pass
    return ada


bounded = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
in_open = schemathesis.openapi.from_dict(description(Profile.OPEN))
in_vault = schemathesis.openapi.from_dict(description(Profile.VAULT))
for schema in (in_open, in_vault):
    # Three thousand cases at the edges of what is described, beside those at random.
    schema.config.phases.coverage.enabled = "DESCRIPTION_EDGES" in os.environ


@in_open.parametrize()
@bounded
def test_profile_open_answers_as_described(
    api: TestClient, session: Headers, case: schemathesis.Case[Any]
) -> None:
    hold(api, case, session)


@pytest.mark.parametrize("context", ["vault"], indirect=True)
@in_vault.parametrize()
@bounded
def test_profile_vault_answers_as_described(
    api: TestClient, session: Headers, case: schemathesis.Case[Any]
) -> None:
    hold(api, case, session)
