"""What an address means: filters that are links, each of which can be negated, in VQL."""

import pytest
from starlette.testclient import TestClient

from rescind.errors import RequestRefused
from rescind.lifecycle import FINAL, Status
from rescind.store.protocol import Store
from rescind.ui.view import view_of
from store import harness
from ui.test_pages import HTML, signed_in


@pytest.mark.parametrize(
    ("parameters", "where"),
    [
        ({}, ""),
        ({"status": "RUNNING"}, "status__sys = 'RUNNING'"),
        ({"title": "100%*"}, r"job_title__sys LIKE '%100\%\*%'"),
        ({"title": 'it\'s \\ "so"'}, r"job_title__sys LIKE '%it\'s \\ \"so\"%'"),
        ({"job": "a__c", "not_job": "on"}, "NOT (job_name__sys = 'a__c')"),
        ({"by": "ada"}, "created_by__sys = 7"),
        ({"from": "2026-01-31"}, "created_date__sys >= '2026-01-31T00:00:00.000Z'"),
        ({"from": "2026-01-31T07:05"}, "created_date__sys >= '2026-01-31T07:05:00.000Z'"),
        ({"to": "2026-01-31"}, "created_date__sys <= '2026-01-31T23:59:59.999Z'"),
        ({"to": "2026-01-31 07:05"}, "created_date__sys <= '2026-01-31T07:05:59.999Z'"),
        ({"to": "2026-01-31T07:05:09"}, "created_date__sys <= '2026-01-31T07:05:09.999Z'"),
        ({"to": "2026-01-31", "not_to": "on"}, "NOT (created_date__sys <= '2026-01-31T23"),
        ({"title": " ", "not_title": "on", "unknown": "x"}, ""),
    ],
)
def test_an_address_is_a_query(parameters: dict[str, str], where: str) -> None:
    query = view_of(parameters).query(7)
    assert query.startswith("SELECT id FROM job__sys" + (f" WHERE {where}" if where else ""))
    assert where or query == "SELECT id FROM job__sys"


def test_statuses_come_alone_in_groups_and_negated() -> None:
    assert view_of({"status": "ended"}).statuses == FINAL
    assert view_of({"status": "ended", "not_status": "on"}).statuses == frozenset(Status) - FINAL
    assert view_of({"status": "RUNNING", "not_status": "on"}).statuses == frozenset(Status) - {
        Status.RUNNING
    }
    nothing = view_of({"status": "ended"}).query(None, within=frozenset(Status) - FINAL)
    assert nothing.endswith("WHERE id = 0")


@pytest.mark.parametrize(
    "parameters",
    [
        {"status": "running"},
        {"from": "yesterday"},
        {"to": "2026-02-30"},
        {"to": "2026-01-31T25:00"},
        {"from": "0000-01-01"},
        {"from": "9999-12-31"},
        {"page": "0"},
        {"page": "x"},
    ],
)
def test_what_is_not_understood_is_named(parameters: dict[str, str], api: TestClient) -> None:
    with pytest.raises(RequestRefused):
        view_of(parameters)
    answer = signed_in(api).get("/", params=parameters, headers=HTML)
    assert (answer.status_code, "did not work" in answer.text) == (400, True)


def test_a_view_is_a_link_that_keeps_what_it_says() -> None:
    view = view_of({"title": "a b", "not_title": "on", "status": "QUEUED", "page": "3"})
    assert view.path() == "/?status=QUEUED&title=a+b&not_title=on&page=3"
    assert view.path(status=None) == "/?title=a+b&not_title=on"
    assert view.path(page=4).endswith("page=4")


def shown(api: TestClient, path: str) -> set[int]:
    page = api.get(path)
    assert page.status_code == 200
    return {int(text.split('"')[0]) for text in page.text.split('id="job-')[1:]}


def test_each_filter_finds_and_leaves_out(api: TestClient, store: Store) -> None:
    sleep = harness.submit(store, harness.new_job(title="Export A%"))
    other = harness.metadata(name="other__c", title="Other")
    done = harness.place(store, Status.SUCCESS, harness.new_job(metadata=other, title="it's"))
    signed_in(api)
    for filters, found in {
        "title=A%25": {sleep},
        "title=A%25&not_title=on": {done},
        "title=it%27s": {done},
        "job=other__c": {done},
        "job=other__c&not_job=on": {sleep},
        "status=ended": {done},
        "status=QUEUED": {sleep},
        "by=ADA": {sleep, done},
        "by=ada&not_by=on": set(),
        "by=reader": set(),
        "by=stranger": set(),
        "by=%00": set(),
        "by=a%00&not_by=on": {sleep, done},
        "from=2020-01-01": {sleep, done},
        "to=2020-01-01": set(),
        "to=2020-01-01&not_to=on": {sleep, done},
        "status=unfinished&job=other__c": set(),
    }.items():
        assert shown(api, f"/?{filters}") == found, filters
    assert "As a query" in api.get("/?job=other__c").text
    assert "job_name__sys = &#39;other__c&#39;" in api.get("/?job=other__c").text


def test_who_sees_their_own_jobs_alone_learns_of_no_other_user(
    api: TestClient, store: Store
) -> None:
    harness.submit(store)
    signed_in(api, "creator")
    known, unknown = (api.get("/", params={"by": name}).text for name in ("ada", "stranger"))
    assert known.replace("ada", "stranger") == unknown
