"""POST /api/{version}/services/jobs/actions/cancel, as the published page has it."""

import json
from collections.abc import Callable
from xml.etree import ElementTree as ET

import pytest
from starlette.testclient import TestClient

from api.conftest import failure
from rescind.api.http import Context
from rescind.lifecycle import Status
from rescind.model import Actor
from rescind.service.policy import Profile
from rescind.store.protocol import Store
from store import harness

URL = "/api/v25.3/services/jobs/actions/cancel"
Headers = dict[str, str]
NOT_FOUND = "Job [{}] is not found in QUEUED or QUEUEING state"


def refused(job_id: int) -> dict[str, object]:
    return {
        "responseStatus": "FAILURE",
        "errors": {"type": "INVALID_DATA", "message": NOT_FOUND.format(job_id)},
    }


def accepted(job_id: int) -> dict[str, object]:
    return {"responseStatus": "SUCCESS", "data": {"id": job_id}}


def test_the_published_request_gets_the_published_answer_byte_for_byte(
    api: TestClient, ada: Headers, store: Store
) -> None:
    job_id = harness.submit(store)
    body = f'[\n   {{\n       "job_id": {job_id}\n   }},\n   {{\n       "job_id": 1068337\n   }}\n]'
    answer = api.post(
        URL,
        content=body,
        headers={**ada, "Accept": "application/json", "Content-Type": "application/json"},
    )
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json;charset=UTF-8"
    assert answer.text == (
        '{"responseStatus":"SUCCESS","data":['
        f'{{"responseStatus":"SUCCESS","data":{{"id":{job_id}}}}},'
        '{"responseStatus":"FAILURE","errors":{"type":"INVALID_DATA","message":'
        '"Job [1068337] is not found in QUEUED or QUEUEING state"}}]}\n'
    )
    assert harness.row(store, job_id).status is Status.CANCELLING


@pytest.mark.parametrize("content_type", ["application/json", "text/csv; charset=utf-8", None])
@pytest.mark.parametrize("accept", ["application/json", "application/xml", None])
def test_every_pair_of_formats_says_the_same(
    api: TestClient, ada: Headers, store: Store, content_type: str | None, accept: str | None
) -> None:
    job_id = harness.submit(store)
    headers = dict(ada)
    if content_type is not None:
        headers["Content-Type"] = content_type
    if accept is not None:
        headers["Accept"] = accept
    csv = content_type is not None and content_type.startswith("text/csv")
    body = f"job_id\n{job_id}\n99\n" if csv else json.dumps([{"job_id": job_id}, {"job_id": 99}])
    answer = api.post(URL, content=body, headers=headers)
    if accept == "application/xml":
        assert answer.headers["content-type"] == "application/xml;charset=UTF-8"
        rows = ET.fromstring(answer.text).findall("data/row")
        assert [row.findtext("responseStatus") for row in rows] == ["SUCCESS", "FAILURE"]
        assert rows[0].findtext("data/id") == str(job_id)
        assert rows[1].findtext("errors/error/message") == NOT_FOUND.format(99)
    else:
        assert answer.json()["data"] == [accepted(job_id), refused(99)]


def test_items_are_answered_in_request_order_with_duplicates_judged_in_turn(
    api: TestClient, ada: Headers, store: Store
) -> None:
    ids = [harness.submit(store) for _ in range(249)]
    done = harness.place(store, Status.SUCCESS)
    asked = [*reversed(ids), done, *ids, 10**9]
    answer = api.post(URL, json=[{"job_id": job_id} for job_id in asked], headers=ada)
    expected = [accepted(job_id) if job_id in ids else refused(job_id) for job_id in asked]
    assert answer.json()["data"] == expected
    for job_id in ids:
        assert [event.move for event in store.events(job_id)] == ["submit", "cancel"]


@pytest.mark.parametrize("status", Status)
def test_each_status_gets_the_decided_answer(
    api: TestClient, ada: Headers, store: Store, status: Status
) -> None:
    job_id = harness.place(store, status)
    answer = api.post(URL, json=[{"job_id": job_id}], headers=ada)
    cancellable = {"SCHEDULED", "QUEUEING", "QUEUED", "RUNNING", "CANCELLING"}
    expected = accepted(job_id) if status in cancellable else refused(job_id)
    assert answer.json() == {"responseStatus": "SUCCESS", "data": [expected]}


@pytest.mark.parametrize("context", ["vault"], indirect=True)
@pytest.mark.parametrize("status", Status)
def test_in_profile_vault_running_jobs_are_not_cancelled(
    api: TestClient, ada: Headers, store: Store, status: Status
) -> None:
    job_id = harness.place(store, status)
    answer = api.post(URL, json=[{"job_id": job_id}], headers=ada)
    cancellable = {"SCHEDULED", "QUEUEING", "QUEUED", "CANCELLING"}
    expected = accepted(job_id) if status in cancellable else refused(job_id)
    assert answer.json()["data"] == [expected]


@pytest.mark.parametrize("context", ["open", "vault"], indirect=True)
def test_a_queued_job_that_forbids_it_says_so_in_profile_open_alone(
    api: TestClient, ada: Headers, store: Store, context: Context
) -> None:
    forbids = harness.new_job(metadata=harness.metadata(cancellable_in=frozenset()))
    job_id = harness.submit(store, forbids)
    answer = api.post(URL, json=[{"job_id": job_id}], headers=ada)
    [item] = answer.json()["data"]
    if context.profile is Profile.VAULT:
        assert item == refused(job_id)
    else:
        assert item["errors"] == {
            "type": "OPERATION_NOT_ALLOWED",
            "message": f"Job [{job_id}] does not permit cancellation in QUEUED state",
        }


def test_a_running_job_that_forbids_it_gets_the_published_text(
    api: TestClient, ada: Headers, store: Store
) -> None:
    forbids = harness.new_job(metadata=harness.metadata(cancellable_in=frozenset({Status.QUEUED})))
    job_id = harness.place(store, Status.RUNNING, forbids)
    answer = api.post(URL, json=[{"job_id": job_id}], headers=ada)
    assert answer.json()["data"] == [refused(job_id)]


def test_bad_items_are_refused_one_by_one_and_the_others_go_on(
    api: TestClient, ada: Headers, store: Store
) -> None:
    job_id = harness.submit(store)
    body = (
        f'[{{"job_id": {job_id}}}, {{"job_id": null}}, {{"job_id": -1}}, {{"id": 3}}, 7, '
        f'{{"job_id": "{job_id}"}}]'
    )
    data = api.post(URL, content=body, headers=ada).json()["data"]
    assert [item["responseStatus"] for item in data] == [
        "SUCCESS", "FAILURE", "FAILURE", "FAILURE", "FAILURE", "SUCCESS",
    ]  # fmt: skip
    for position, item in enumerate(data[1:5], start=2):
        assert item["errors"]["type"] == "INVALID_DATA"
        assert f"{position}" in item["errors"]["message"]


def test_501_items_are_refused_as_a_whole_and_nothing_is_cancelled(
    api: TestClient, ada: Headers, store: Store
) -> None:
    job_id = harness.submit(store)
    answer = api.post(URL, json=[{"job_id": job_id}] * 501, headers=ada)
    error_type, message = failure(answer)
    assert error_type == "INVALID_DATA"
    assert "500" in message
    assert "501" in message
    assert harness.row(store, job_id).status is Status.QUEUED


@pytest.mark.parametrize(
    ("body", "content_type"),
    [("[]", "application/json"), ("job_id\n", "text/csv"), ("", "text/csv")],
)
def test_no_items_are_a_missing_parameter(
    api: TestClient, ada: Headers, body: str, content_type: str
) -> None:
    answer = api.post(URL, content=body, headers={**ada, "Content-Type": content_type})
    expected = ("PARAMETER_REQUIRED", "Missing required parameter [job_id]")
    assert failure(answer) == expected


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ('[{"job_id": 1}', "application/json"),
        ('{"job_id": 1}', "application/json"),
        ("id\n1\n", "text/csv"),
        ('job_id\n"1\n', "text/csv"),
        ('[{"job_id": 1}]', "application/xml"),
        ("[" * 100_000, "application/json"),
        (b"[\xff]", "application/json"),
    ],
)
def test_what_cannot_be_read_is_refused_as_a_whole(
    api: TestClient, ada: Headers, body: str | bytes, content_type: str
) -> None:
    answer = api.post(URL, content=body, headers={**ada, "Content-Type": content_type})
    assert failure(answer)[0] == "INVALID_DATA"


def test_a_body_over_its_bound_is_refused_and_the_connection_closed(
    api: TestClient, ada: Headers
) -> None:
    answer = api.post(URL, content=b" " * (1024 * 1024 + 1), headers=ada)
    error_type, message = failure(answer)
    assert error_type == "INVALID_DATA"
    assert "1048576" in message
    assert answer.headers["connection"] == "close"


def test_cancel_is_not_in_versions_before_25_3(api: TestClient, ada: Headers) -> None:
    answer = api.post(URL.replace("v25.3", "v25.2"), json=[{"job_id": 1}], headers=ada)
    assert failure(answer)[0] == "METHOD_NOT_SUPPORTED"
    answer = api.get(URL, headers=ada)
    assert failure(answer)[0] == "METHOD_NOT_SUPPORTED"


def test_who_may_create_but_not_edit_cancels_their_own_jobs_alone(
    api: TestClient, sign_in: Callable[[str], Headers], store: Store
) -> None:
    creator = sign_in("creator")
    user_id = int(api.get("/api/", headers=creator).headers["x-vaultapi-userid"])
    [mine] = harness.submit_all(store, [harness.new_job()], Actor(user_id=user_id, by="user"))
    theirs = harness.submit(store)
    answer = api.post(URL, json=[{"job_id": mine}, {"job_id": theirs}], headers=creator)
    assert answer.json()["data"] == [accepted(mine), refused(theirs)]
    assert harness.row(store, theirs).status is Status.QUEUED


@pytest.mark.parametrize("context", ["open", "vault"], indirect=True)
@pytest.mark.parametrize("name", ["reader", "nobody", "locked"])
def test_without_the_permission_the_whole_request_is_refused(
    api: TestClient, sign_in: Callable[[str], Headers], store: Store, name: str
) -> None:
    job_id = harness.submit(store)
    answer = api.post(URL, json=[{"job_id": job_id}], headers=sign_in(name))
    assert failure(answer)[0] == "INSUFFICIENT_ACCESS"
    assert harness.row(store, job_id).status is Status.QUEUED


@pytest.mark.parametrize("context", ["vault"], indirect=True)
def test_in_profile_vault_only_edit_will_do(
    api: TestClient, sign_in: Callable[[str], Headers]
) -> None:
    answer = api.post(URL, json=[{"job_id": 1}], headers=sign_in("creator"))
    assert failure(answer)[0] == "INSUFFICIENT_ACCESS"


def test_the_event_says_who_why_and_by_which_request(
    api: TestClient, ada: Headers, store: Store
) -> None:
    job_id = harness.submit(store)
    headers = {**ada, "X-Rescind-Reason": "wrong month"}
    answer = api.post(URL, json=[{"job_id": job_id}], headers=headers)
    event = harness.last_event(store, job_id)
    assert (event.user_id, event.by, event.reason) == (2, "user", "wrong month")
    assert event.request_id == answer.headers["x-vaultapi-executionid"]


def test_a_reason_is_read_as_utf_8_on_one_line(api: TestClient, ada: Headers, store: Store) -> None:
    job_id = harness.submit(store)
    reason = "Gr\u00fc\u00dfe \u2026 \u65e5\u672c\u2028forged\u0085".encode()
    headers = {**{name.encode(): value.encode() for name, value in ada.items()}}
    api.post(URL, json=[{"job_id": job_id}], headers={**headers, b"X-Rescind-Reason": reason})
    event = harness.last_event(store, job_id)
    assert event.reason == "Gr\u00fc\u00dfe \u2026 \u65e5\u672c\\u2028forged\\x85"


def test_who_asks_for_detail_gets_a_code_and_a_status(
    api: TestClient, ada: Headers, store: Store
) -> None:
    queued, done = harness.submit(store), harness.place(store, Status.SUCCESS)
    items = [{"job_id": queued}, {"job_id": queued}, {"job_id": done}, {"job_id": 99}]
    headers = {**ada, "X-Rescind-Detail": "true"}
    data = api.post(URL, json=items, headers=headers).json()["data"]
    details = [item.get("data") or item["errors"] for item in data]
    assert [(detail["code"], detail.get("status")) for detail in details] == [
        ("ACCEPTED", "CANCELLING"),
        ("ALREADY_CANCELLING", "CANCELLING"),
        ("FINISHED", "SUCCESS"),
        ("UNKNOWN", None),
    ]
