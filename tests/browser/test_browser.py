"""The pages in a real browser: every action, by mouse, by keyboard and without scripts."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from browser.conftest import DESKTOP, PASSWORD, PHONE, Visit, add_user
from full import fill_sqlite
from process.conftest import Service

Come = Callable[..., Visit]
SCREENS: dict[str, dict[str, Any]] = {
    "desktop, light": {"viewport": DESKTOP, "color_scheme": "light"},
    "desktop, dark": {"viewport": DESKTOP, "color_scheme": "dark"},
    "phone, light": {"viewport": PHONE, "color_scheme": "light", "has_touch": True},
    "phone, dark": {"viewport": PHONE, "color_scheme": "dark", "has_touch": True},
    "without scripts": {"viewport": DESKTOP, "java_script_enabled": False},
    "phone, without scripts": {"viewport": PHONE, "java_script_enabled": False},
}
on_every_screen = pytest.mark.parametrize("screen", SCREENS.values(), ids=SCREENS)
with_scripts = pytest.mark.parametrize(
    "screen",
    [screen for screen in SCREENS.values() if "java_script_enabled" not in screen],
    ids=[name for name in SCREENS if "without" not in name],
)


def sleeping(service: Service, count: int = 1, **item: Any) -> list[int]:
    """Jobs that go on until they are stopped."""
    more = {"title": "Export", "parameters": {"seconds": 3_600}, **item}
    return service.submit("demo_sleep__c", count, **more)


def answer(visit: Visit, question: str, reason: str = "") -> None:
    """Say yes to the question before a cancel."""
    dialog = visit.page.get_by_role("dialog", name=question)
    expect(dialog).to_be_visible()
    dialog.get_by_label("Reason").fill(reason)
    dialog.get_by_role("button", name="Cancel jobs").click()


def became(visit: Visit, text: str) -> None:
    """Wait for what became of it; without a script the page is loaded anew."""
    status = visit.page.get_by_role("status")
    if visit.scripts:
        expect(status).to_contain_text(text)
        visit.is_live()  # and has its keys
        return

    def so() -> bool:
        visit.page.reload()
        return text in status.inner_text()

    visit.service.until(so)


@on_every_screen
def test_what_is_ticked_is_cancelled_and_taken_back(
    visit: Come, service: Service, screen: dict[str, Any]
) -> None:
    ids = sleeping(service, 6)
    service.until_status(ids[1], "RUNNING")
    here = visit(**screen)
    here.open("/?title=Export")
    for job_id in (ids[0], ids[2], ids[3]):
        here.page.get_by_role("checkbox", name=f"Select job {job_id}", exact=True).check()
    here.button("Cancel selected").click()
    dialog = here.page.get_by_role("dialog", name="Cancel 3 jobs?")
    expect(dialog).to_contain_text("2 waiting: they will not start")
    expect(dialog).to_contain_text("1 running: asked to stop first")
    dialog.get_by_role("button", name="Keep them").click()
    expect(here.page).to_have_url(re.compile(r"/\?title=Export$"))
    assert service.status(ids[0]) == "RUNNING"

    for job_id in (ids[0], ids[2], ids[3]):
        here.page.get_by_role("checkbox", name=f"Select job {job_id}", exact=True).check()
    here.button("Cancel selected").click()
    answer(here, "Cancel 3 jobs?", "not this month")
    expect(here.page).to_have_url(re.compile(r"/\?title=Export&operation="))
    became(here, "3 accepted, 0 refused")
    became(here, "3 stopped by now")
    assert here.page.get_by_label("Title").input_value() == "Export"
    assert service.status(ids[4]) in ("QUEUED", "RUNNING")

    here.button("Undo").click()
    became(here, "2 undone, 1 refused")
    expect(here.page.get_by_role("status")).to_contain_text(f"Job {ids[0]} had started")
    here.open(f"/jobs/{ids[2]}")
    expect(here.page.get_by_role("region", name="Moves")).to_contain_text("not this month")
    assert here.said == []


@on_every_screen
def test_all_that_match_are_cancelled(
    visit: Come, service: Service, screen: dict[str, Any]
) -> None:
    ids = sleeping(service, 70, title="Mine")
    [other] = sleeping(service, title="Other")
    failed = service.submit("demo_fail__c", 2, title="Mine", priority=1)
    for job_id in failed:
        service.cancel(job_id)
        service.until_status(job_id, "CANCELLED", "ERRORS_ENCOUNTERED")
    here = visit(**screen)
    search = here.page.get_by_role("search")
    search.get_by_label("Title").fill("Mine")
    search.get_by_role("button", name="Filter").click()
    expect(here.page.get_by_text("72 jobs match; page 1 of 2")).to_be_visible()
    here.page.get_by_role("checkbox", name="Select all on this page").check()
    here.button("Cancel selected").click()
    expect(here.page.get_by_role("dialog", name="Cancel 50 jobs?")).to_be_visible()
    here.button("Keep them").click()
    here.button("Cancel all that match").click()
    expect(here.page.get_by_role("dialog")).to_contain_text("2 more have ended")
    answer(here, "Cancel 70 jobs?")
    became(here, "70 accepted, 0 refused")
    became(here, "70 stopped by now")
    assert {service.status(job_id) for job_id in (ids[0], ids[69])} == {"CANCELLED"}
    assert service.status(other) in ("QUEUED", "RUNNING")
    assert here.said == []


@on_every_screen
def test_one_job_is_started_cancelled_and_run_again(
    visit: Come, service: Service, screen: dict[str, Any]
) -> None:
    [job_id] = sleeping(service, run_date="2099-01-01T00:00:00Z")
    here = visit(**screen)
    here.open(f"/jobs/{job_id}")
    here.button("Start now").click()
    service.until_status(job_id, "RUNNING")
    here.open(f"/jobs/{job_id}")
    here.button("Cancel job").click()
    answer(here, "Cancel 1 job?", "wrong month")
    became(here, "1 accepted, 0 refused")
    became(here, "1 stopped by now")
    here.open(f"/jobs/{job_id}")
    here.button("Run again").click()
    expect(here.page).to_have_url(f"{service.address}/jobs/{job_id + 1}")
    expect(here.page.get_by_text("Repeats")).to_be_visible()
    assert here.said == []


@with_scripts
def test_every_page_fits_and_can_be_read_by_anyone(
    visit: Come, service: Service, screen: dict[str, Any]
) -> None:
    long = "An_export_whose_title_is_very_long_and_has_no_spaces_at_all_" * 3
    [failed] = service.submit("demo_fail__c")
    service.until_status(failed, "ERRORS_ENCOUNTERED")
    [counts] = service.submit("demo_count__c", parameters={"items": 1_000, "seconds_per_item": 0.1})
    ids = sleeping(service, 60, title=long)
    sleeping(service, run_date="2099-01-01T00:00:00Z")
    here = visit(signed_in=False, **screen)
    here.open("/?job=demo_sleep__c&not_job=on")
    here.check()
    here.sign_in()
    here.is_live()
    here.check()
    here.open()
    here.page.get_by_role("checkbox", name=f"Select job {ids[5]}", exact=True).check()
    here.button("Cancel selected").click()
    expect(here.page.get_by_role("dialog")).to_be_visible()
    here.check()
    answer(here, "Cancel 1 job?")
    became(here, "1 stopped by now")
    here.check()
    here.page.get_by_role("link", name="All of it").click()
    expect(here.page.get_by_role("heading", name="Outcomes")).to_be_visible()
    here.check()
    paths = (f"/jobs/{counts}", f"/jobs/{failed}", "/operations", "/workers", "/charts", "/none")
    for path in paths:
        here.open(path)
        here.check()
    here.said = [text for text in here.said if "404" not in text]
    assert here.said == []


def test_everything_can_be_done_with_keys_alone(visit: Come, service: Service) -> None:
    ids = sleeping(service, 5)
    service.until_status(ids[1], "RUNNING")
    here = visit()
    here.is_live()
    keys = here.page.keyboard
    keys.press("?")
    expect(here.page.get_by_role("dialog", name="Keys")).to_be_visible()
    keys.press("Escape")
    expect(here.page.get_by_role("dialog", name="Keys")).to_be_hidden()
    keys.press("/")
    keys.type("Export")
    keys.press("Enter")
    expect(here.page).to_have_url(re.compile(r"/\?title=Export$"))
    here.is_live()
    for key in "jjjx":
        keys.press(key)
    expect(here.page.get_by_label(f"Select job {ids[2]}", exact=True)).to_be_checked()
    for key in "jxkxx":
        keys.press(key)
    expect(here.page.get_by_text("2 selected, on this page only")).to_be_visible()
    keys.press("c")
    expect(here.page.get_by_role("dialog", name="Cancel 2 jobs?")).to_be_visible()
    keys.press("Escape")
    expect(here.page.get_by_role("dialog")).to_be_hidden()
    expect(here.page.get_by_label(f"Select job {ids[2]}", exact=True)).to_be_checked()
    keys.press("c")
    expect(here.page.get_by_label("Reason")).to_be_focused()
    keys.type("by keys: jkxc?")
    keys.press("Enter")
    became(here, "2 accepted, 0 refused")
    became(here, "2 stopped by now")
    keys.press("u")
    became(here, "2 undone, 0 refused")

    here.is_live()
    keys.press("a")
    expect(here.page.get_by_text("selected, on this page only")).to_be_visible()
    keys.press("a")
    keys.press("j")
    keys.press("Enter")
    expect(here.page).to_have_url(f"{service.address}/jobs/{ids[0]}")
    here.is_live()  # before its script has run, a page has no keys
    keys.press("c")
    expect(here.page.get_by_role("dialog", name="Cancel 1 job?")).to_be_visible()
    keys.press("Enter")
    became(here, "1 stopped by now")
    keys.press("r")
    expect(here.page.get_by_text("Repeats")).to_be_visible()
    here.open("/?title=Export")
    keys.press("A")
    expect(here.page.get_by_role("dialog")).to_contain_text("more have ended")
    assert here.said == []


def test_a_job_is_started_with_a_key(visit: Come, service: Service) -> None:
    [job_id] = sleeping(service, run_date="2099-01-01T00:00:00Z")
    here = visit()
    here.open(f"/jobs/{job_id}")
    here.is_live()
    here.page.keyboard.press("s")
    service.until_status(job_id, "RUNNING")
    expect(here.button("Start now")).to_have_count(0)


def test_pages_go_on_by_themselves(visit: Come, service: Service) -> None:
    here = visit()
    here.is_live()
    [job_id] = service.submit(
        "demo_count__c", title="Later", parameters={"items": 40, "seconds_per_item": 0.05}
    )
    expect(here.row(job_id)).to_contain_text("Later")
    there = visit()
    there.open(f"/jobs/{job_id}")
    there.is_live()
    log = there.page.get_by_role("region", name="Log")
    expect(log).to_contain_text("Counted 40 of 40")
    expect(log).to_contain_text("Job Completion Status: SUCCESS")
    expect(there.page.get_by_role("region", name="Moves")).to_contain_text("finish")
    expect(there.button("Run again")).to_be_visible()
    expect(here.row(job_id)).to_contain_text("SUCCESS")
    workers = visit()
    workers.open("/workers")
    workers.is_live()
    [running] = sleeping(service)
    expect(workers.page.locator("#workers")).to_contain_text(f"{running} Export")
    expect(workers.page.locator("#workers")).to_contain_text("1 of 2 taken")
    charts = visit()
    charts.open("/charts")
    expect(charts.page.locator("#charts")).to_contain_text("1 success")
    assert [one.said for one in (here, there, workers, charts)] == [[], [], [], []]


def test_what_is_ticked_stays_ticked_while_the_page_goes_on(visit: Come, service: Service) -> None:
    [job_id] = sleeping(service)
    here = visit()
    here.is_live()
    box = here.page.get_by_label(f"Select job {job_id}", exact=True)
    box.check()
    box.focus()
    more = sleeping(service, 3)
    expect(here.row(more[-1])).to_be_visible()
    expect(box).to_be_checked()
    expect(box).to_be_focused()
    expect(here.page.get_by_text("1 selected, on this page only")).to_be_visible()


def test_a_double_click_is_one_operation(visit: Come, service: Service) -> None:
    ids = sleeping(service, 3)
    here = visit()
    here.button("Cancel all that match").click()
    expect(here.page.get_by_role("dialog", name="Cancel 3 jobs?")).to_be_visible()
    here.button("Cancel jobs").dblclick()
    became(here, "3 accepted, 0 refused")
    here.open("/operations")
    expect(here.page.get_by_role("link", name="cancel 3 jobs")).to_have_count(1)
    service.until_status(ids[0], "CANCELLED")


def test_two_people_cancel_the_same_jobs(visit: Come, service: Service, tmp_path: Path) -> None:
    add_user(tmp_path, "eve", "api_access", "jobs_edit")
    ids = sleeping(service, 4)
    one, other = visit(), visit(signed_in=False)
    other.open("/?title=Export")
    other.sign_in("eve", PASSWORD)
    for person in (one, other):
        person.open("/?title=Export")
        person.is_live()
        person.button("Cancel all that match").click()
        expect(person.page.get_by_role("dialog", name="Cancel 4 jobs?")).to_be_visible()
    answer(one, "Cancel 4 jobs?", "first")
    became(one, "4 accepted, 0 refused")
    answer(other, "Cancel 4 jobs?", "second")
    became(other, "0 accepted, 4 refused")
    expect(other.page.get_by_role("status")).to_contain_text(
        re.compile(rf"Job {ids[0]} was (being )?cancelled already")
    )
    became(one, "4 stopped by now")
    one.open("/operations")
    for text in ("eve", "admin", "first", "second"):
        expect(one.page.locator("#operations")).to_contain_text(text)
    other.open("/operations")
    expect(other.button("Undo")).to_have_count(0)
    assert [one.said, other.said] == [[], []]


def test_who_may_only_read_is_offered_nothing_else(
    visit: Come, service: Service, tmp_path: Path
) -> None:
    add_user(tmp_path, "reader", "api_access", "jobs_read")
    [job_id] = sleeping(service)
    here = visit(signed_in=False)
    here.open()
    here.sign_in("reader", PASSWORD)
    here.is_live()
    expect(here.row(job_id)).to_be_visible()
    assert here.page.get_by_role("checkbox", name="Select job").count() == 0
    here.page.keyboard.press("j")
    here.page.keyboard.press("x")
    here.page.keyboard.press("c")
    expect(here.page.get_by_role("dialog")).to_be_hidden()
    here.open(f"/jobs/{job_id}")
    assert here.button("Cancel job").count() == 0
    assert here.said == []


def test_a_session_that_ends_meanwhile_leads_back_to_where_one_was(
    visit: Come, service: Service
) -> None:
    [job_id] = sleeping(service)
    here = visit()
    here.open("/?title=Export")
    here.is_live()
    there = here.context.new_page()
    there.goto(f"{service.address}/workers")
    there.get_by_role("button", name="Sign out").click()
    expect(here.page.get_by_role("alert")).to_contain_text("You are signed out")
    here.page.get_by_label(f"Select job {job_id}", exact=True).check()
    here.page.get_by_role("link", name="Load it anew").click()
    here.sign_in()
    expect(here.page).to_have_url(re.compile(r"/\?title=Export$"))
    here.is_live()
    here.button("Cancel all that match").click()
    expect(here.page.get_by_role("dialog", name="Cancel 1 job?")).to_be_visible()


def test_a_form_that_is_sent_after_the_session_loses_nothing(visit: Come, service: Service) -> None:
    sleeping(service)
    here = visit(java_script_enabled=False)
    here.open("/?title=Export")
    here.button("Cancel all that match").click()
    asked = here.page.url
    here.context.clear_cookies()
    here.page.get_by_label("Reason").fill("gone")
    here.button("Cancel jobs").click()
    here.sign_in()
    assert here.page.url == asked, "the question stands there again"
    answer(here, "Cancel 1 job?", "again")
    became(here, "1 accepted, 0 refused")


def test_a_page_goes_on_with_the_service_that_takes_the_place_of_one_that_ends(
    visit: Come, service: Service, serve: Callable[..., Service]
) -> None:
    here = visit()
    here.is_live()
    assert service.end() == 0
    expect(here.page.locator("#live")).to_contain_text("Not live: trying again")
    next_one = serve("--port", service.address.rpartition(":")[2])
    here.is_live()
    [job_id] = sleeping(next_one)
    expect(here.row(job_id)).to_be_visible()


def test_an_operation_that_goes_on_is_stopped(
    visit: Come, service: Service, serve: Callable[..., Service], tmp_path: Path
) -> None:
    assert service.end() == 0
    fill_sqlite(f"{tmp_path}/rescind.db", 10, 100_000)
    serve("--port", service.address.rpartition(":")[2])
    here = visit()
    here.open("/?status=SCHEDULED")
    here.button("Cancel all that match").click()
    here.page.get_by_role("dialog").get_by_role("button", name="Cancel jobs").click()
    here.button("Stop").click()
    became(here, "stopped by a person before the end")


def test_errors_are_pages(visit: Come, service: Service) -> None:
    here = visit()
    here.open("/jobs/999")
    expect(here.page.get_by_role("heading", name="That did not work")).to_be_visible()
    here.open("/?from=yesterday")
    expect(here.page.get_by_text("must be a day or a time")).to_be_visible()
    here.open("/nothing")
    here.page.get_by_role("link", name="Back").click()
    expect(here.page.get_by_role("heading", name="Jobs")).to_be_visible()
