"""Queries over HTTP: shapes, pages, who sees what, in JSON and XML and both profiles."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace
from starlette.testclient import TestClient

from api.conftest import ADA_ID, failure
from rescind import limits
from rescind.api.application import application
from rescind.api.http import Context
from rescind.api.routes import ROUTES
from rescind.lifecycle import FINAL, Status
from rescind.model import Actor
from rescind.service.policy import Profile
from rescind.store.protocol import Store
from rescind.ui.pages import ERROR_PAGES
from store import harness

API = "/api/v26.1"
URL = f"{API}/query"
Headers = dict[str, str]
both_profiles = pytest.mark.parametrize("context", ["open", "vault"], indirect=True)
VAPIL = "SELECT id\nFROM job_instance__sys\nWHERE job_name__sys = 'sleep__c'\n"


def ask(api: TestClient, headers: Headers, query: str, **more: str) -> dict[str, Any]:
    answer: dict[str, Any] = api.post(URL, data={"q": query}, headers={**headers, **more}).json()
    assert answer["responseStatus"] == "SUCCESS", answer
    return answer


def ids(answer: dict[str, Any]) -> list[int]:
    return [row["id"] for row in answer["data"]]


@both_profiles
def test_a_query_answers_in_the_published_shape(
    api: TestClient, ada: Headers, store: Store
) -> None:
    job = harness.new_job(metadata=harness.metadata(name="sleep__c"))
    [job_id] = harness.submit_all(store, [job])
    harness.submit(store)
    expected = {
        "responseStatus": "SUCCESS",
        "responseDetails": {"pagesize": 1000, "pageoffset": 0, "size": 1, "total": 1},
        "data": [{"id": job_id}],
    }
    by_post = ask(api, ada, VAPIL)
    assert (by_post, list(by_post)) == (expected, list(expected))
    assert list(by_post["responseDetails"]) == ["pagesize", "pageoffset", "size", "total"]
    assert api.get(URL, params={"q": VAPIL}, headers=ada).json() == expected
    assert api.post(URL, files={"q": (None, VAPIL)}, headers=ada).json() == expected


@both_profiles
def test_live_jobs_are_instances_and_finished_ones_histories(
    api: TestClient, ada: Headers, store: Store
) -> None:
    placed = harness.place_all(store)
    for target, wanted in (
        ("job_instance__sys", set(Status) - FINAL),
        ("job_history__sys", FINAL),
    ):
        answer = ask(api, ada, f"SELECT id, status__sys, job_type__sys FROM {target}")
        found = {row["status__sys"]: row["id"] for row in answer["data"]}
        assert found == {status.value: placed[status] for status in wanted}
        assert {row["job_type__sys"] for row in answer["data"]} == {"python_job"}


def test_every_field_of_every_target_can_be_shown_compared_and_ordered_by(
    api: TestClient, ada: Headers, store: Store
) -> None:
    harness.place_all(store)
    targets = [row["name"] for row in ask(api, ada, "SHOW TARGETS")["data"]]
    assert targets == [
        *("job_instance__sys", "job_history__sys", "job_task_history__sys"),
        *("user__sys", "job__sys"),
    ]
    for target in targets:
        fields = [row["name"] for row in ask(api, ada, f"SHOW FIELDS FROM {target}")["data"]]
        answer = ask(api, ada, f"SELECT {', '.join(fields)} FROM {target}")
        total = answer["responseDetails"]["total"]
        for row in answer["data"]:
            assert list(row) == fields
        for field in fields:
            some = ask(api, ada, f"SELECT {field} FROM {target} WHERE {field} = null")
            others = ask(api, ada, f"SELECT {field} FROM {target} WHERE {field} != null")
            counts = [one["responseDetails"]["total"] for one in (some, others)]
            assert sum(counts) == total
            for direction in ("ASC", "DESC"):
                order = f"ORDER BY {field} {direction}"
                ordered = ask(api, ada, f"SELECT {field} FROM {target} {order}")
                assert ordered["responseDetails"]["total"] == total


@both_profiles
def test_sdk_tasks_are_a_target_without_rows(api: TestClient, ada: Headers, store: Store) -> None:
    job_id = harness.place(store, Status.SUCCESS)
    tasks = (
        "SELECT task_id__sys, status__sys, job_history__sysr.status__sys FROM job_task_history__sys"
    )
    assert ask(api, ada, tasks)["data"] == []
    nested = "SELECT id, (SELECT task_id__sys FROM job_task_history__sysr) FROM job_history__sys"
    details = {"pagesize": 250, "pageoffset": 0, "size": 0, "total": 0}
    none = {"responseDetails": details, "data": []}
    assert ask(api, ada, nested)["data"] == [{"id": job_id, "job_task_history__sysr": none}]
    inside = (
        "SELECT id FROM job_history__sys WHERE id IN "
        "(SELECT job_history__sys FROM job_task_history__sysr)"
    )
    assert ask(api, ada, inside)["data"] == []


def test_pages_lead_to_one_another_by_get_and_by_post_and_show_the_same_jobs(
    api: TestClient, ada: Headers, store: Store
) -> None:
    placed = [harness.submit(store) for _ in range(7)]
    first = ask(api, ada, "SELECT id, status__sys FROM job__sys ORDER BY id DESC PAGESIZE 3")
    assert ids(first) == placed[:3:-1]
    assert first["responseDetails"]["total"] == 7
    harness.submit(store)
    harness.cancel(store, placed[0])
    next_page = first["responseDetails"]["next_page"]
    second = api.get(next_page, headers=ada).json()
    assert second == api.post(next_page, headers=ada).json()
    assert ids(second) == placed[3:0:-1]
    assert list(second["responseDetails"]) == [
        *("pagesize", "pageoffset", "size", "total", "previous_page", "next_page"),
    ]
    third = api.get(second["responseDetails"]["next_page"], headers=ada).json()
    assert third["data"] == [{"id": placed[0], "status__sys": "CANCELLING"}], "today's values"
    assert "next_page" not in third["responseDetails"]
    back = api.get(third["responseDetails"]["previous_page"], headers=ada).json()
    assert back["data"] == second["data"]


def test_the_pages_of_a_query_are_its_users_alone_and_the_oldest_go(
    api: TestClient, ada: Headers, sign_in: Callable[[str], Headers], store: Store
) -> None:
    for _ in range(2):
        harness.submit(store)
    pages = [
        ask(api, ada, "SELECT id FROM job__sys PAGESIZE 1")["responseDetails"]["next_page"]
        for _ in range(limits.CURSORS_MAX + 1)
    ]
    assert failure(api.get(pages[-1], headers=sign_in("reader")))[0] == "INVALID_DATA"
    assert api.get(pages[-1], headers=ada).json()["responseStatus"] == "SUCCESS"
    assert failure(api.get(pages[0], headers=ada))[0] == "INVALID_DATA"
    assert failure(api.get(f"{URL}/nothing", headers=ada))[0] == "INVALID_DATA"


def test_windows_of_a_query(api: TestClient, ada: Headers, store: Store) -> None:
    placed = [harness.submit(store) for _ in range(6)]
    for tail, found, total in [
        ("MAXROWS 4", placed[:4], 4),
        ("SKIP 4", placed[4:], 2),
        ("SKIP 1 MAXROWS 2", placed[1:3], 2),
        ("MAXROWS 4 PAGESIZE 3 PAGEOFFSET 3", placed[3:4], 4),
        ("PAGESIZE 2 PAGEOFFSET 4", placed[4:], 6),
        ("PAGESIZE 0", [], 6),
        ("LIMIT 2 OFFSET 1", placed[1:3], 6),
        ("LIMIT 5 PAGESIZE 2", placed[:2], 6),
        ("SKIP 100", [], 0),
        ("PAGESIZE 5000", placed, 6),
    ]:
        answer = ask(api, ada, f"SELECT id FROM job__sys {tail}")
        assert (ids(answer), answer["responseDetails"]["total"]) == (found, total), tail
        assert answer["responseDetails"]["pagesize"] <= limits.QUERY_ROWS_MAX


def test_a_description_of_the_fields_comes_if_asked_for(
    api: TestClient, ada: Headers, store: Store
) -> None:
    harness.submit(store)
    query = "SELECT id, job_title__sys AS title FROM job_instance__sys"
    answer = ask(api, ada, query, **{"X-VaultAPI-DescribeQuery": "true"})
    assert list(answer) == ["responseStatus", "queryDescribe", "responseDetails", "data"]
    described = answer["queryDescribe"]
    assert described["object"]["name"] == "job_instance__sys"
    assert [field["name"] for field in described["fields"]] == ["id", "title"]
    assert [field["type"] for field in described["fields"]] == ["ID", "String"]
    assert list(answer["data"][0]) == ["id", "title"]


def test_who_may_not_read_all_jobs_sees_their_own_totals_included(
    api: TestClient, sign_in: Callable[[str], Headers], store: Store
) -> None:
    creator = sign_in("creator")
    me = int(api.get("/api/", headers=creator).headers["x-vaultapi-userid"])
    [own] = harness.submit_all(store, [harness.new_job()], Actor(user_id=me, by="user"))
    harness.submit(store)
    for query in ("SELECT id FROM job__sys", "SELECT id FROM job__sys WHERE NOT (id = 99)"):
        answer = ask(api, creator, query)
        assert (ids(answer), answer["responseDetails"]["total"]) == ([own], 1)
    assert ids(ask(api, creator, "SELECT id FROM user__sys")) == [me]


def test_users_are_for_who_may_edit_them(api: TestClient, ada: Headers) -> None:
    answer = ask(api, ada, "SELECT id, username__sys FROM user__sys WHERE username__sys = 'ada'")
    assert answer["data"] == [{"id": ADA_ID, "username__sys": "ada"}]
    assert ask(api, ada, "SELECT id FROM user__sys")["responseDetails"]["total"] > 2


@pytest.mark.parametrize("context", ["vault"], indirect=True)
def test_profile_vault_has_no_job__sys_and_wants_jobs_read(
    api: TestClient, ada: Headers, sign_in: Callable[[str], Headers]
) -> None:
    def refused(headers: Headers, query: str) -> tuple[str, str]:
        return failure(api.post(URL, data={"q": query}, headers=headers))

    error_type, message = refused(ada, "SELECT id FROM job__sys")
    assert error_type == "INVALID_DATA"
    assert message == "job__sys is not a queryable object; please refer to api documentation"
    assert "job__sys" not in [row["name"] for row in ask(api, ada, "SHOW TARGETS")["data"]]
    assert refused(sign_in("creator"), VAPIL)[0] == "INSUFFICIENT_ACCESS"


@pytest.mark.parametrize(
    ("query", "error_type", "message"),
    [
        ("SELECT id FROM nope", "INVALID_DATA", "nope is not a queryable object"),
        ("SELECT x FROM job__sys", "INVALID_DATA", "Unknown field 'x' in 'select fields'"),
        ("SELECT id FROM job__sys WHERE x = 1", "INVALID_DATA", "Unknown field 'x'"),
        ("SELECT id FROM job__sys ORDER BY x", "INVALID_DATA", "Unknown field 'x'"),
        ("SELECT count() FROM job__sys", "INCORRECT_QUERY_SYNTAX", "function [count] is unknown"),
        (
            "SELECT id FROM job__sys GROUP BY id",
            "INCORRECT_QUERY_SYNTAX",
            "Unknown token [GROUP] found near position [24] at line [1]",
        ),
        ("SELECT id FROM", "INCORRECT_QUERY_SYNTAX", "Unknown token"),
        ("DROP TABLE job", "INCORRECT_QUERY_SYNTAX", "Unknown token [DROP]"),
        ("SELECT id FROM job__sys WHERE id = 'x'", "INVALID_DATA", "[x] is no value of id"),
        ("SELECT id FROM job__sys WHERE id = 1e3", "INCORRECT_QUERY_SYNTAX", "Unknown token"),
        ("SELECT id FROM job__sys WHERE id = 99999999999999999999", "INVALID_DATA", "no value"),
        ("SELECT id FROM job__sys WHERE status__sys = 1", "INVALID_DATA", "no value"),
        ("SELECT id FROM job__sys WHERE run_date__sys > 'today'", "INVALID_DATA", "no value"),
        ("SELECT id FROM job__sys WHERE id < null", "INVALID_DATA", "null"),
        ("SELECT id FROM job__sys PAGESIZE -1", "INVALID_DATA", "PAGESIZE [-1]"),
        ("SELECT id FROM job__sys SKIP 1 SKIP 2", "INCORRECT_QUERY_SYNTAX", "SKIP"),
        ("SELECT id FROM job_instance__sys WHERE NOT (id = 1)", "INCORRECT_QUERY_SYNTAX", "NOT"),
        (
            "SELECT id FROM job_instance__sys WHERE job_title__sys LIKE '%x'",
            "INCORRECT_QUERY_SYNTAX",
            "LIKE with %",
        ),
        (f"SELECT id FROM job__sys WHERE {'NOT (' * 40} id = 1 {')' * 40}", "INVALID_DATA", "32"),
        ("SELECT id FROM job__sys WHERE id = 1" + " " * 50_000, "INVALID_DATA", "50000"),
        ("SELECT id FROM job__sys WHERE id = " + "9" * 5_000, "INCORRECT_QUERY_SYNTAX", "token"),
        ("SELECT id FROM job__sys PAGESIZE " + "9" * 5_000, "INCORRECT_QUERY_SYNTAX", "token"),
        ("SELECT id FROM job__sys WHERE job_title__sys = 'a\0'", "INVALID_DATA", "U+0000"),
        ("SELECT id FROM job__sys WHERE job_title__sys = 'a", "INCORRECT_QUERY_SYNTAX", "[']"),
        ("SELECT id FROM job__sys WHERE id CONTAINS ()", "INCORRECT_QUERY_SYNTAX", "[)]"),
        ("SELECT * FROM job__sys", "INCORRECT_QUERY_SYNTAX", "[*]"),
        ("SELECT id FROM job__sys WHERE id BETWEEN null AND 3", "INVALID_DATA", "null"),
        ("SELECT id FROM job__sys WHERE id BETWEEN 3 AND null", "INVALID_DATA", "null"),
        ("SELECT id FROM job__sys WHERE run_date__sys BETWEEN TODAY AND TODAY", "INVALID_DATA", ""),
        ("SELECT id FROM job__sys WHERE run_date__sys CONTAINS (TODAY)", "INVALID_DATA", ""),
        ("SELECT id, id FROM job__sys", "INVALID_DATA", "'id' stands more than once"),
        ("SELECT id AS a, id AS b FROM job__sys", "INVALID_DATA", "'id' stands more than once"),
        ("SELECT id AS a, job_title__sys AS a FROM job__sys", "INVALID_DATA", "'a' stands more"),
        (
            ("SELECT id FROM job_history__sys WHERE id IN (SELECT job_history__sys FROM "
            "job_task_history__sys WHERE job_history__sys IN (SELECT job_history__sys FROM "
            "job_task_history__sys))"),
            "INCORRECT_QUERY_SYNTAX",
            "may not hold another",
        ),
        ("SELECT id FROM job__sys WHERE id IN (SELECT id FROM user__sys)", "INVALID_DATA", "IN"),
        (
            "SELECT id FROM job__sys WHERE " + " OR ".join(["id = 1"] * 501),
            "INVALID_DATA",
            "at most 500 conditions",
        ),
        ("", "PARAMETER_REQUIRED", "Missing required parameter [q]"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused_in_the_words_of_live_vaults(
    api: TestClient, ada: Headers, query: str, error_type: str, message: str
) -> None:
    answer = api.post(URL, data={"q": query}, headers=ada)
    found = failure(answer)
    assert found[0] == error_type
    assert message in found[1]
    assert len(answer.text) < 2_000


def test_a_query_comes_in_xml_too(api: TestClient, ada: Headers, store: Store) -> None:
    job_id = harness.submit(store)
    headers = {**ada, "Accept": "application/xml"}
    text = api.post(URL, data={"q": "SELECT id FROM job__sys"}, headers=headers).text
    assert f"<total>1</total></responseDetails><data><row><id>{job_id}</id></row></data>" in text


def test_instants_come_as_everywhere(api: TestClient, ada: Headers, store: Store) -> None:
    job = harness.new_job(run_at=datetime(2099, 1, 31, 7, 0, tzinfo=UTC))
    harness.submit_all(store, [job])
    query = (
        "SELECT run_date__sys, finish_date__sys FROM job__sys WHERE run_date__sys >= "
        "'2099-01-31T07:00:00.000Z' AND run_date__sys < '2099-02-01'"
    )
    [row] = ask(api, ada, query)["data"]
    assert row == {"run_date__sys": "2099-01-31T07:00:00.000Z", "finish_date__sys": None}


def test_beyond_what_is_kept_there_is_a_warning_and_no_next_page(
    api: TestClient, ada: Headers, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "CURSOR_IDS_MAX", 3)
    for _ in range(4):
        harness.submit(store)
    answer = api.post(URL, data={"q": "SELECT id FROM job__sys PAGESIZE 2"}, headers=ada).json()
    assert answer["responseStatus"] == "WARNING"
    assert "MAXROWS" in answer["warnings"][0]["message"]
    assert answer["responseDetails"] == {"pagesize": 2, "pageoffset": 0, "size": 2, "total": 4}
    whole = ask(api, ada, "SELECT id FROM job__sys")
    assert len(whole["data"]) == 4
    three = ask(api, ada, "SELECT id FROM job__sys MAXROWS 3 PAGESIZE 2")
    assert "next_page" in three["responseDetails"]


def test_a_query_that_takes_too_long_is_refused_with_what_to_do(
    context: Context, ada: Headers, store: Store
) -> None:
    harness.submit_all(store, [harness.new_job(title="x" * 1_000)] * 500)
    settings = replace(context.settings, query_seconds=0.001)
    api = TestClient(application(replace(context, settings=settings), ROUTES, ERROR_PAGES))
    much = " OR ".join(f"job_title__sys LIKE '%x{number}%y%'" for number in range(500))
    query = f"SELECT id FROM job__sys WHERE {much}"
    error_type, message = failure(api.post(URL, data={"q": query}, headers=ada))
    assert error_type == "OPERATION_NOT_ALLOWED"
    assert "after 0.001 seconds" in message


def test_patterns_are_looked_for_in_no_more_time_than_they_take_to_read(
    api: TestClient, ada: Headers, store: Store
) -> None:
    harness.submit(store)
    many = "%" * 5_000
    for where, found in [
        (f"job_type__sys LIKE 'p{many}x'", 0),
        (f"job_type__sys LIKE 'p{many}b'", 1),
        (f"job_title__sys LIKE '{'a%' * 700}'", 0),
        (f"job_title__sys LIKE '{'[' * 20_000}'", 0),
    ]:
        answer = ask(api, ada, f"SELECT id FROM job__sys WHERE {where}")
        assert answer["responseDetails"]["total"] == found
    assert ask(api, ada, f"SHOW FIELDS FROM job__sys LIKE '{many}x'")["data"] == []


def test_pages_go_on_when_rows_have_left_the_target(
    api: TestClient, ada: Headers, store: Store
) -> None:
    placed = [harness.submit(store) for _ in range(5)]
    first = ask(api, ada, "SELECT id FROM job_instance__sys ORDER BY id PAGESIZE 2")
    for job_id in placed[2:4]:
        harness.cancel(store, job_id)
        harness.settle(store, job_id)
    second = api.get(first["responseDetails"]["next_page"], headers=ada).json()
    assert (second["data"], second["responseDetails"]["size"]) == ([], 0)
    third = api.get(second["responseDetails"]["next_page"], headers=ada).json()
    assert ids(third) == placed[4:]
    assert "next_page" not in third["responseDetails"]
    beyond = ask(api, ada, "SELECT id FROM job__sys PAGESIZE 2 PAGEOFFSET 1000")
    assert beyond["responseDetails"]["previous_page"].endswith("pageoffset=3")


def test_pages_are_for_who_may_still_see_them(
    api: TestClient, ada: Headers, store: Store, context: Context
) -> None:
    for _ in range(2):
        harness.submit(store)
    pages = {
        target: ask(api, ada, f"SELECT id FROM {target} PAGESIZE 1")["responseDetails"]["next_page"]
        for target in ("job__sys", "job_instance__sys")
    }
    settings = replace(context.settings, profile=Profile.VAULT)
    by_now = TestClient(application(replace(context, settings=settings), ROUTES, ERROR_PAGES))
    assert failure(by_now.get(pages["job__sys"], headers=ada))[0] == "INVALID_DATA"
    answer = by_now.get(pages["job_instance__sys"], headers=ada).json()
    assert answer["responseStatus"] == "SUCCESS"
    assert failure(api.get(f"{URL}/%00", headers=ada))[0] == "INVALID_DATA"


def test_an_order_that_says_the_same_again_changes_nothing(
    api: TestClient, ada: Headers, store: Store
) -> None:
    placed = [harness.submit(store) for _ in range(3)]
    again = ", ".join(["id DESC", *["id", "job_title__sys"] * 1_500])
    assert ids(ask(api, ada, f"SELECT id FROM job__sys ORDER BY {again}")) == placed[::-1]


def test_an_in_of_a_target_without_rows_has_none(api: TestClient, ada: Headers) -> None:
    query = (
        "SELECT task_id__sys FROM job_task_history__sys WHERE job_history__sys IN "
        "(SELECT id FROM job_history__sysr)"
    )
    assert ask(api, ada, query)["data"] == []
