"""Selections and operations over HTTP, Rescind's own."""

from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.conftest import ADA_ID, PASSWORD, failure
from rescind import limits
from rescind.api.http import Context
from rescind.lifecycle import Status
from rescind.model import Actor
from rescind.operation import OUTCOME_CODES
from rescind.runtime.operator import Operator
from rescind.service import accounts
from rescind.service.operations import rights
from rescind.service.policy import Permission, Profile
from rescind.store.protocol import Store
from rescind.wire.dates import format_instant
from store import harness

JOBS = "/api/v26.1/services/jobs"
Headers = dict[str, str]


class Person:
    """Somebody who asks, and the service's operator."""

    def __init__(self, api: TestClient, store: Store, session: Headers) -> None:
        self._api, self._session = api, session
        self._operator = Operator(store, rights(Profile.OPEN))

    def get(self, path: str) -> Any:
        return self._api.get(f"{JOBS}/{path}", headers=self._session)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        more = {} if body is None else {"json": body}
        return self._api.post(f"{JOBS}/{path}", headers={**self._session, **headers}, **more)

    def pin(self, where: str = "", target: str = "job__sys") -> dict[str, Any]:
        answer = self.post("selections", {"query": f"SELECT id FROM {target} {where}"}).json()
        assert answer["responseStatus"] == "SUCCESS", answer
        data: dict[str, Any] = answer["data"]
        return data

    def begin(self, where: str = "", action: str = "cancel") -> str:
        selection_id = self.pin(where)["selection_id"]
        answer = self.post(f"selections/{selection_id}/actions/{action}").json()
        return str(answer["data"]["operation_id"])

    def operate(self) -> None:
        while self._operator.step() == 0:
            pass

    def operation(self, operation_id: str) -> dict[str, Any]:
        data: dict[str, Any] = self.get(f"operations/{operation_id}").json()["data"]
        return data


@pytest.fixture
def person(
    api: TestClient, store: Store, sign_in: Callable[[str], Headers]
) -> Callable[[str], Person]:
    return lambda name: Person(api, store, sign_in(name))


@pytest.fixture
def ada(person: Callable[[str], Person]) -> Person:
    """Who may do everything."""
    return person("ada")


def submit(store: Store, metadata: str, count: int = 1, user_id: int = ADA_ID) -> list[int]:
    job = harness.new_job(metadata=store.metadata([metadata])[metadata], title="Sleep")
    return harness.submit_all(store, [job] * count, Actor(user_id=user_id, by="user"))


def test_what_matches_is_pinned_cancelled_and_taken_back(
    ada: Person, store: Store, metadata: str
) -> None:
    ids = submit(store, metadata, 3)
    running = harness.place(store, Status.RUNNING)
    pinned = ada.pin("WHERE status__sys = 'QUEUED'")
    assert pinned == {
        "selection_id": pinned["selection_id"],
        "total": 3,
        "left_out": 0,
        "statuses": {"QUEUED": 3},
        "first": [{"id": job_id, "title": "Sleep", "status": "QUEUED"} for job_id in ids],
        "expires_date": pinned["expires_date"],
    }
    assert ada.get(f"selections/{pinned['selection_id']}").json()["data"] == pinned
    path = f"selections/{pinned['selection_id']}/actions/cancel"
    answer = ada.post(path, {}, **{"X-Rescind-Reason": "wrong month"}).json()
    operation_id = answer["data"]["operation_id"]
    assert ada.operation(operation_id)["status"] == "RUNNING"
    assert failure(ada.post(f"operations/{operation_id}/actions/undo")) == (
        "OPERATION_IN_PROGRESS",
        f"Operation [{operation_id}] goes on; stop it, or wait until it is done",
    )
    ada.operate()
    store.settle(harness.SYSTEM, limit=500)
    operation = ada.operation(operation_id)
    assert operation == {
        "operation_id": operation_id,
        "action": "cancel",
        "status": "DONE",
        "total": 3,
        "done": 3,
        "stopped": 3,
        "outcomes": {"ACCEPTED": 3},
        "query": "SELECT id FROM job__sys WHERE status__sys = 'QUEUED'",
        "created_by": ADA_ID,
        "created_date": operation["created_date"],
        "ended_date": operation["ended_date"],
        "reason": "wrong month",
        "undo_of": None,
        "undone_by": None,
    }
    assert harness.row(store, running).status is Status.RUNNING
    undo_id = ada.post(f"operations/{operation_id}/actions/undo").json()["data"]["operation_id"]
    ada.operate()
    data = ada.get(f"operations/{undo_id}/outcomes").json()["data"]
    assert [one["id"] for one in data] == ids
    assert {(one["code"], one["status"]) for one in data} == {("SUBMITTED", "CANCELLED")}
    assert harness.row(store, data[0]["new_id"]).rerun_of == ids[0]
    assert ada.operation(undo_id)["undo_of"] == operation_id
    assert ada.operation(operation_id)["undone_by"] == undo_id
    assert failure(ada.post(f"operations/{operation_id}/actions/undo"))[1] == (
        f"Operation [{operation_id}] is being undone, or was undone already"
    )


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT id FROM user__sys", "A selection is a query on one of "),
        ("SELECT task_id__sys FROM job_task_history__sys", "A selection is a query on one of "),
        ("SHOW TARGETS", "A selection is a query on one of "),
        ("SELECT id FROM job__sys PAGESIZE 5", "instead of PAGESIZE say MAXROWS"),
        ("SELECT id FROM job__sys LIMIT 5", "instead of LIMIT say MAXROWS"),
        ("SELECT id FROM job__sys WHERE status__sys = 7", "7"),
        ("SELECT id FROM job__sys WHERE", ""),
        ("SELECT id FROM job__sys WHERE job_title__sys = 'a\0b'", ""),
        ("", ""),
    ],
)
def test_what_is_no_query_on_jobs_is_refused(ada: Person, query: str, message: str) -> None:
    kind, said = failure(ada.post("selections", {"query": query}))
    assert kind in ("INVALID_DATA", "INCORRECT_QUERY_SYNTAX")
    assert message in said


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({}, ("PARAMETER_REQUIRED", "Missing required parameter [query]")),
        ({"query": 7}, ("INVALID_DATA", "query must be a text")),
        ({"querry": "x"}, ("INVALID_DATA", "[querry] is not known; did you mean query?")),
        ([], ("INVALID_DATA", "The body must be a JSON object")),
    ],
)
def test_a_body_that_is_no_selection_is_refused(
    ada: Person, body: Any, refusal: tuple[str, str]
) -> None:
    kind, message = failure(ada.post("selections", body))
    assert (kind, message[: len(refusal[1])]) == refusal


def test_an_action_has_no_body(ada: Person) -> None:
    selection_id = ada.pin()["selection_id"]
    path = f"selections/{selection_id}/actions/cancel"
    for body in ({"a": 1}, [1], "x"):
        assert failure(ada.post(path, body))[0] == "INVALID_DATA"
    assert ada.post(path, {}).json()["responseStatus"] == "SUCCESS"


def test_a_query_that_means_too_many_is_refused_with_their_number(
    ada: Person, store: Store, metadata: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SELECTION_JOBS_MAX", 2)
    submit(store, metadata, 3)
    kind, message = failure(ada.post("selections", {"query": "SELECT id FROM job__sys"}))
    assert kind == "INVALID_DATA"
    assert message.startswith("The query means 3 jobs; at most 2 can be selected at once.")
    assert ada.pin("MAXROWS 2")["total"] == 2


def test_a_selection_holds_what_its_user_may_edit_and_counts_what_they_may_read(
    person: Callable[[str], Person], store: Store, metadata: str
) -> None:
    both = {Permission.API_ACCESS, Permission.JOBS_READ, Permission.JOBS_CREATE}
    accounts.add_user(store, "both", PASSWORD, both)
    submit(store, metadata, 2)
    for name, left_out in (("creator", 0), ("both", 3)):
        found = store.user_by_name(name)
        assert found is not None
        [mine] = submit(store, metadata, 1, found[0].id)
        pinned = person(name).pin()
        assert (pinned["total"], pinned["left_out"]) == (1, left_out)
        assert [job["id"] for job in pinned["first"]] == [mine]
    refused = person("reader").post("selections", {"query": "SELECT id FROM job__sys"})
    assert failure(refused)[0] == "INSUFFICIENT_ACCESS"


def test_a_foreign_selection_answers_as_one_that_is_not_there(
    person: Callable[[str], Person], ada: Person
) -> None:
    selection_id = person("operator").pin()["selection_id"]
    for one in (selection_id, "unknown"):
        expected = ("INVALID_DATA", f"Selection [{one}] is not found")
        assert failure(ada.get(f"selections/{one}")) == expected
        assert failure(ada.post(f"selections/{one}/actions/cancel")) == expected


def test_who_loses_the_right_in_the_middle_changes_nothing_more(
    person: Callable[[str], Person], store: Store, metadata: str
) -> None:
    ids = [job_id for _ in range(3) for job_id in submit(store, metadata, 500)]
    operator = person("operator")
    operation_id = operator.begin()
    assert operator._operator.step() == 0
    found = store.user_by_name("operator")
    assert found is not None
    store.set_active(found[0].id, False)
    operator.operate()
    operation = person("ada").operation(operation_id)
    assert (operation["status"], operation["done"]) == ("DONE", 1500)
    assert operation["outcomes"] == {"ACCEPTED": 250, "UNKNOWN": 1250}
    assert harness.row(store, ids[-1]).status is Status.QUEUED


def test_a_stopped_operation_says_what_it_has_not_done(
    ada: Person, store: Store, metadata: str
) -> None:
    ids = submit(store, metadata, 2)
    operation_id = ada.begin()
    stopped = ada.post(f"operations/{operation_id}/actions/stop").json()
    assert stopped == {"responseStatus": "SUCCESS", "data": {"operation_id": operation_id}}
    assert ada.operation(operation_id)["outcomes"] == {"NOT_DONE": 2}
    outcomes = ada.get(f"operations/{operation_id}/outcomes").json()["data"]
    assert outcomes == [{"id": job_id, "code": "NOT_DONE", "status": None} for job_id in ids]
    assert failure(ada.post(f"operations/{operation_id}/actions/stop")) == (
        "INVALID_DATA",
        f"Operation [{operation_id}] has ended: it is STOPPED",
    )


def test_pages_of_outcomes_lead_to_one_another_and_keep_the_code(
    ada: Person, store: Store, metadata: str
) -> None:
    ids = submit(store, metadata, 5)
    harness.place(store, Status.SUCCESS)
    operation_id = ada.begin("ORDER BY id DESC")
    ada.operate()
    path, found = f"operations/{operation_id}/outcomes?limit=2&code=ACCEPTED", []
    while path:
        answer = ada.get(path).json()
        found += [one["id"] for one in answer["data"]]
        assert answer["responseDetails"]["total"] == 5
        path = answer["responseDetails"].get("next_page", "").removeprefix(f"{JOBS}/")
    assert found == ids
    for wrong in ("limit=1001", "limit=0", "code=NONE", "code=INVALID_ID"):
        assert failure(ada.get(f"operations/{operation_id}/outcomes?{wrong}"))[0] == "INVALID_DATA"


@pytest.mark.parametrize("code", OUTCOME_CODES)
def test_every_outcome_can_be_asked_for(ada: Person, code: str) -> None:
    operation_id = ada.begin()
    answer = ada.get(f"operations/{operation_id}/outcomes?code={code}").json()
    assert (answer["responseStatus"], answer["data"]) == ("SUCCESS", [])


def test_a_scheduled_job_is_started_with_all_that_match(ada: Person, store: Store) -> None:
    job_id = harness.scheduled(store)
    queued = harness.submit(store)
    operation_id = ada.begin(action="start")
    ada.operate()
    data = ada.get(f"operations/{operation_id}/outcomes").json()["data"]
    assert data == [
        {"id": job_id, "code": "STARTED", "status": "QUEUED"},
        {"id": queued, "code": "NOT_SCHEDULED", "status": "QUEUED"},
    ]


def test_each_request_is_done_once_for_its_key(ada: Person, store: Store, metadata: str) -> None:
    submit(store, metadata, 2)
    query = {"query": "SELECT id FROM job__sys"}
    key = {"Idempotency-Key": "k"}

    def twice(path: str, body: Any = None) -> dict[str, Any]:
        first, again = ada.post(path, body, **key), ada.post(path, body, **key)
        assert first.json()["responseStatus"] == "SUCCESS", first.text
        assert again.json() == first.json()
        assert again.headers["idempotency-replayed"] == "true"
        data: dict[str, Any] = first.json()["data"]
        return data

    selection_id = twice("selections", query)["selection_id"]
    operation_id = twice(f"selections/{selection_id}/actions/cancel")["operation_id"]
    twice(f"operations/{operation_id}/actions/stop")
    undo_id = twice(f"operations/{operation_id}/actions/undo")["operation_id"]
    listed = ada.get("operations").json()
    assert [one["operation_id"] for one in listed["data"]] == [undo_id, operation_id]
    assert listed["responseDetails"]["total"] == 2


def test_instants_are_written_as_everywhere(ada: Person, store: Store) -> None:
    harness.submit(store)
    operation_id = ada.begin()
    found = store.operation(operation_id, owner=None)
    assert found is not None
    assert ada.operation(operation_id)["created_date"] == format_instant(found.created_at)


@pytest.mark.parametrize("context", ["vault"], indirect=True)
def test_profile_vault_has_none_of_it(api: TestClient, sign_in: Any, context: Context) -> None:
    session = sign_in("ada")
    assert context.profile is Profile.VAULT
    for method, path in (("POST", "selections"), ("GET", "operations"), ("GET", "operations/x")):
        answer = api.request(method, f"{JOBS}/{path}", headers=session)
        assert answer.status_code == 404
        assert answer.json()["errors"][0]["type"] == "MALFORMED_URL"
