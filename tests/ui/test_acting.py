"""What the forms of pages do, without a script: who may, once, and back to where one was."""

import html
import re
from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.testclient import TestClient

from rescind import limits
from rescind.api.http import Context
from rescind.lifecycle import Status
from rescind.model import Actor
from rescind.operation import Action
from rescind.runtime.operator import Operator
from rescind.service.operations import rights
from rescind.service.policy import Profile
from rescind.store.protocol import Store
from store import harness
from ui.test_pages import HERE, HTML, signed_in

in_both_profiles = pytest.mark.parametrize("context", list(Profile), indirect=True)
FORM = {**HERE, **HTML}


def work(store: Store) -> None:
    Operator(store, rights(Profile.OPEN)).step()


def hidden(page: str, action: str) -> dict[str, str]:
    """What a form says by itself."""
    [form] = re.findall(rf'<form method="post" action="{action}".*?</form>', page, re.DOTALL)
    found = re.findall(r'<input type="hidden" name="(.+?)" value="(.*?)">', form)
    return {name: html.unescape(value) for name, value in found}


def selected(api: TestClient, data: Mapping[str, object]) -> tuple[str, str]:
    """The page that asks, and its selection's address."""
    answer = api.post("/selections", data=data, headers=FORM)
    assert answer.status_code == 303, answer.text
    page = api.get(answer.headers["location"], headers=HTML)
    assert page.status_code == 200
    return page.text, urlsplit(answer.headers["location"]).path


def cancelled(api: TestClient, data: Mapping[str, object], **more: str) -> str:
    """The address that a cancel leads back to."""
    page, path = selected(api, data)
    form = hidden(page, f"{path}/cancel") | more
    answers = [api.post(f"{path}/cancel", data=form, headers=FORM) for _ in range(2)]
    [back] = {answer.headers["location"] for answer in answers}
    return back


@in_both_profiles
def test_jobs_that_are_ticked_are_cancelled_and_it_is_taken_back(
    api: TestClient, store: Store
) -> None:
    kind = harness.metadata()
    harness.register(store, kind)
    jobs = [harness.new_job(metadata=kind, title=f"A {number}") for number in range(4)]
    ids = harness.submit_all(store, jobs)
    done = harness.place(store, Status.SUCCESS)
    signed_in(api)
    back = "/?title=A&page=1"
    data = {"which": "selected", "id": [*map(str, ids[:3]), str(done)], "back": back}
    page, _ = selected(api, data)
    assert "Cancel 4 jobs?" in page
    assert "3 waiting: they will not start" in page
    assert "1 ended already: it will be refused" in page

    address = cancelled(api, data, reason=" not \n wanted ")
    assert address.startswith("/?title=A&page=1&operation=")
    assert "Cancelling: 0 of 4" in api.get(address).text
    work(store)
    page = api.get(address).text
    assert "3 accepted, 1 refused" in page
    assert re.search(rf'/jobs/{done}">Job {done}</a> had finished first', page)
    assert "0 stopped by now, 3 only asked to" in page
    assert harness.last_event(store, ids[0]).reason == "not \\n wanted"
    assert harness.row(store, ids[3]).status is Status.QUEUED
    assert store.operations(limit=9, offset=0, owner=None).total == 1, "sent twice, done once"

    assert store.settle(Actor(by="canceller"), limit=9) == ids[:3]
    assert "3 stopped by now</p>" in api.get(address).text
    operation = parse_qs(address)["operation"][0]
    undo = hidden(api.get(address).text, f"/operations/{operation}/undo")
    answer = api.post(f"/operations/{operation}/undo", data=undo, headers=FORM)
    work(store)
    assert "3 undone, 0 refused" in api.get(answer.headers["location"]).text
    assert "was taken back by" in api.get(address).text
    assert f"/operations/{operation}/undo" not in api.get(address).text


@in_both_profiles
def test_all_that_match_are_the_unfinished_among_them(api: TestClient, store: Store) -> None:
    ids = harness.submit_all(store, [harness.new_job(title="Mine") for _ in range(60)])
    harness.place(store, Status.SUCCESS, harness.new_job(title="Mine"))
    other = harness.submit(store, harness.new_job(title="Other"))
    signed_in(api)
    page, _ = selected(api, {"which": "all", "back": "/?title=Mine"})
    assert "Cancel 60 jobs?" in page
    assert "1 more has ended, and is left alone" in page
    cancelled(api, {"which": "all", "back": "/?title=Mine"})
    work(store)
    assert {harness.row(store, job_id).status for job_id in ids} == {Status.CANCELLING}
    assert harness.row(store, other).status is Status.QUEUED
    for view in ("/?status=SUCCESS", "/?title=Mine&status=ended"):
        page, _ = selected(api, {"which": "all", "back": view})
        assert "Nothing to cancel" in page
        assert "All 1 that match have ended" in page


def test_a_whole_page_can_be_ticked_without_a_script(api: TestClient, store: Store) -> None:
    ids = harness.submit_all(store, [harness.new_job() for _ in range(60)])
    signed_in(api)
    shown = re.search(r'name="shown" value="(.+?)"', api.get("/").text)
    assert shown is not None
    data = {"which": "selected", "page": "all", "shown": shown[1], "back": "/"}
    page, _ = selected(api, data)
    assert f"Cancel {limits.PAGE_JOBS_DEFAULT} jobs?" in page
    cancelled(api, data)
    work(store)
    assert harness.row(store, ids[-1]).status is Status.QUEUED


def test_nothing_ticked_is_said(api: TestClient, store: Store) -> None:
    harness.submit(store)
    headers = {**FORM, "Referer": "http://rescind.example/?title=x"}
    answer = signed_in(api).post(
        "/selections", data={"which": "selected", "id": "x"}, headers=headers
    )
    assert (answer.status_code, "No job is selected" in answer.text) == (400, True)
    assert 'href="/?title=x"' in answer.text


@pytest.mark.parametrize("referer", ["http://[", "http://[::1", "//"])
def test_a_referer_that_is_none_leads_to_the_start(
    api: TestClient, store: Store, referer: str
) -> None:
    headers = {**FORM, "Referer": referer}
    answer = api.post("/selections", data={"which": "all"}, headers=headers)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    signed_in(api)
    answer = api.post("/selections", data={"which": "selected"}, headers=headers)
    assert (answer.status_code, 'href="/"' in answer.text) == (400, True)


@pytest.mark.parametrize("key", ["\0", "\u00e9", "a\nb", "a" * 256, ""])
def test_a_key_is_printable(api: TestClient, store: Store, key: str) -> None:
    job_id = harness.scheduled(store)
    signed_in(api)
    data = {"key": key, "back": "/"}
    answer = api.post(f"/jobs/{job_id}/start", data=data, headers=FORM)
    assert (answer.status_code, "has no key" in answer.text) == (400, True)


def test_what_else_an_address_says_goes_nowhere(api: TestClient, store: Store) -> None:
    harness.submit_all(store, [harness.new_job() for _ in range(60)])
    signed_in(api)
    address = cancelled(api, {"which": "all", "back": "/?status=QUEUED&note=secret"})
    operation = parse_qs(urlsplit(address).query)["operation"][0]
    work(store)
    for path in ("/", "/?status=CANCELLING", "/operations?limit=1", f"/operations/{operation}"):
        more = "&" if "?" in path else "?"
        page = api.get(f"{path}{more}note=secret&operation={operation}").text
        assert "secret" not in page, path
    long = "/?title=" + "b%26" * 8_000
    answer = api.post("/selections", data={"which": "all", "back": long}, headers=FORM)
    assert len(answer.headers["location"]) < 200


def test_an_operation_is_stopped(api: TestClient, store: Store) -> None:
    harness.submit(store)
    signed_in(api)
    address = cancelled(api, {"which": "all", "back": "/"})
    operation = parse_qs(urlsplit(address).query)["operation"][0]
    stop = hidden(api.get(address).text, f"/operations/{operation}/stop")
    for _ in range(2):
        answer = api.post(f"/operations/{operation}/stop", data=stop, headers=FORM)
        assert answer.headers["location"] == address
    assert "stopped by a person before the end, 1 left as they were" in api.get(address).text
    again = api.post(f"/operations/{operation}/stop", data={**stop, "key": "another"}, headers=FORM)
    assert (again.status_code, "has ended" in again.text) == (400, True)


@in_both_profiles
def test_a_job_is_started_and_run_again(api: TestClient, context: Context, store: Store) -> None:
    kind = harness.metadata()
    harness.register(store, kind)
    done = harness.place(store, Status.SUCCESS, harness.new_job(metadata=kind))
    due = harness.scheduled(store, metadata=kind)
    signed_in(api)
    page = api.get(f"/jobs/{due}").text
    assert "Cancel job<" in page
    form = hidden(page, f"/jobs/{due}/start")
    answer = api.post(f"/jobs/{due}/start", data=form, headers=FORM)
    assert answer.headers["location"] == f"/jobs/{due}"
    held = context.profile is Profile.VAULT
    assert harness.row(store, due).status is (Status.QUEUEING if held else Status.QUEUED)
    page = api.get(f"/jobs/{due}").text
    assert "Start now" not in page
    assert "Run again" not in page

    page = api.get(f"/jobs/{done}").text
    assert "Cancel job<" not in page
    form = hidden(page, f"/jobs/{done}/rerun")
    answers = [api.post(f"/jobs/{done}/rerun", data=form, headers=FORM) for _ in range(2)]
    [new] = {answer.headers["location"] for answer in answers}
    assert f'Repeats</dt><dd><a href="/jobs/{done}"' in api.get(new).text
    assert f'Repeated by</dt><dd><a href="{new}"' in api.get(f"/jobs/{done}").text
    refused = api.post(f"/jobs/{due}/rerun", data={**form, "key": "2"}, headers=FORM)
    assert (refused.status_code, "had not finished" in refused.text) == (400, True)
    unkeyed = api.post(f"/jobs/{done}/rerun", data={"back": "/"}, headers=FORM)
    assert "has no key" in unkeyed.text


ACTIONS = (
    "/selections",
    "/selections/x/cancel",
    "/operations/x/stop",
    "/operations/x/undo",
    "/jobs/1/start",
    "/jobs/1/rerun",
)


@pytest.mark.parametrize("path", ACTIONS)
def test_who_may_not_does_nothing_and_is_offered_nothing(
    api: TestClient, store: Store, path: str
) -> None:
    job_id = harness.scheduled(store)
    data = {"which": "all", "id": str(job_id), "key": "1", "back": "/"}
    signed_in(api, "reader")
    answer = api.post(path, data=data, headers=FORM)
    assert answer.status_code in (400, 403)
    assert harness.row(store, job_id).status is Status.SCHEDULED
    page = api.get("/").text + api.get(f"/jobs/{job_id}").text
    assert "<button>" in page
    for name in ("Cancel selected", "Cancel all", "Cancel job", "Start now", "Run again"):
        assert f">{name}" not in page
    assert "Select job" not in page


@pytest.mark.parametrize("path", ACTIONS)
def test_a_form_that_was_sent_from_elsewhere_does_nothing(
    api: TestClient, store: Store, path: str
) -> None:
    harness.scheduled(store)
    signed_in(api)
    data = {"which": "all", "id": "1", "key": "1", "back": "/"}
    for headers in ({"Origin": "http://evil.example"}, {**HERE, "Sec-Fetch-Site": "cross-site"}):
        answer = api.post(path, data=data, headers={**HTML, **headers})
        assert (answer.status_code, "not sent from a page" in answer.text) == (403, True)
    assert store.operations(limit=9, offset=0, owner=None).total == 0


@pytest.mark.parametrize("path", ACTIONS)
def test_a_form_that_comes_after_the_session_leads_to_signing_in_and_back(
    api: TestClient, path: str
) -> None:
    headers = {**FORM, "Referer": "http://rescind.example/?title=a"}
    answer = api.post(path, data={"back": "/"}, headers=headers)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/?next=/%3Ftitle%3Da"
    foreign = {**FORM, "Referer": "http://evil.example/?title=a"}
    assert api.post(path, data={"back": "/"}, headers=foreign).headers["location"] == "/"


def test_who_may_change_their_own_jobs_changes_no_others(api: TestClient, store: Store) -> None:
    foreign = harness.scheduled(store)
    signed_in(api, "creator")
    page, path = selected(api, {"which": "selected", "id": str(foreign), "back": "/"})
    assert "Nothing to cancel" in page
    form = {"key": "1", "back": "/", "reason": ""}
    api.post(f"{path}/cancel", data=form, headers=FORM)
    work(store)
    api.post(f"/jobs/{foreign}/start", data=form, headers=FORM)
    api.post(f"/jobs/{foreign}/rerun", data=form, headers=FORM)
    assert harness.row(store, foreign).status is Status.SCHEDULED


def test_selections_and_operations_of_others_are_not_there(api: TestClient, store: Store) -> None:
    harness.submit(store)
    signed_in(api)
    _, path = selected(api, {"which": "all", "back": "/"})
    address = cancelled(api, {"which": "all", "back": "/"})
    operation = parse_qs(urlsplit(address).query)["operation"][0]
    assert api.get(f"/operations/{operation}").status_code == 200
    signed_in(api, "creator")
    assert api.get(path, headers=HTML).status_code == 404
    assert "expired" in api.post(f"{path}/cancel", data={"key": "1"}, headers=FORM).text
    assert api.get(f"/operations/{operation}", headers=HTML).status_code == 404
    assert "accepted" not in api.get(address).text
    for what in ("stop", "undo"):
        answer = api.post(f"/operations/{operation}/{what}", data={"key": "1"}, headers=FORM)
        assert (answer.status_code, "is not found" in answer.text) == (400, True)


def test_operations_have_pages(api: TestClient, store: Store) -> None:
    ids = harness.submit_all(store, [harness.new_job() for _ in range(3)])
    signed_in(api)
    address = cancelled(api, {"which": "all", "back": "/"}, reason="why not")
    work(store)
    listed = api.get("/operations").text
    for text in ("cancel 3 jobs", "3 accepted, 0 not", "ada", "why not", "DONE"):
        assert text in listed
    operation = parse_qs(urlsplit(address).query)["operation"][0]
    page = api.get(f"/operations/{operation}?limit=2").text
    for text in ("why not", "status__sys CONTAINS", f"/jobs/{ids[0]}", "ACCEPTED 3", "offset=2"):
        assert text in page
    assert f'/jobs/{ids[2]}"' in api.get(f"/operations/{operation}?offset=2").text
    assert f"{Action.CANCEL}" in page
    assert "None yet" in api.get(f"/operations/{operation}?code=FINISHED").text
    assert api.get(f"/operations/{operation}?code=NO", headers=HTML).status_code == 400


def test_a_log_can_be_kept(api: TestClient, store: Store) -> None:
    job_id = harness.place(store, Status.RUNNING)
    harness.log(store, job_id, "2999-03-01T00:50:01.741Z hello\n")
    signed_in(api)
    answer = api.get(f"/jobs/{job_id}/log")
    assert answer.headers["content-disposition"] == f'attachment; filename="job-{job_id}.log"'
    assert answer.text.endswith("hello\n")
    assert api.get("/jobs/999/log", headers=HTML).status_code == 404


def test_a_long_log_shows_its_end(api: TestClient, store: Store) -> None:
    job_id = harness.place(store, Status.RUNNING)
    lines = [f"2999-03-01T00:50:01.741Z line {number:06}\n" for number in range(4_000)]
    harness.log(store, job_id, "".join(lines))
    page = signed_in(api).get(f"/jobs/{job_id}").text
    assert "line 003999" in page
    assert "line 000000" not in page
    assert "the log is longer: download it" in page


@pytest.mark.parametrize(
    ("path", "status"),
    [("/nothing", 404), ("/jobs/x", 404), ("/jobs/1", 404), ("/?page=x", 400), ("/api/x", 404)],
)
def test_errors_of_a_browser_are_pages_but_for_the_api(
    api: TestClient, path: str, status: int
) -> None:
    answer = signed_in(api).get(path, headers=HTML)
    assert answer.status_code == status
    kind = "application/json" if path.startswith("/api") else "text/html"
    assert answer.headers["content-type"].startswith(kind)
