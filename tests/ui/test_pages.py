"""The pages: what they show, to whom, and that nothing else can be done through them."""

import re
import time

import pytest
from msgspec.structs import replace
from starlette.testclient import TestClient

from api.conftest import PASSWORD
from rescind.api.application import application
from rescind.api.http import Context
from rescind.api.routes import ROUTES
from rescind.lifecycle import Status
from rescind.model import EVERY_JOB
from rescind.store.protocol import Store
from rescind.ui.pages import ERROR_PAGES
from rescind.ui.routes import PAGES
from store import harness

HERE = {"Origin": "http://rescind.example"}
HTML = {"Accept": "text/html,*/*;q=0.8"}
SIGN_IN = {"username": "ada", "password": PASSWORD}


def signed_in(api: TestClient, name: str = "ada") -> TestClient:
    answer = api.post("/sign-in", data={"username": name, "password": PASSWORD}, headers=HERE)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    return api


def test_the_front_page_says_what_rescind_is_and_shows_no_jobs(
    api: TestClient, store: Store
) -> None:
    harness.submit(store, harness.new_job(title="Secret title"))
    page = api.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "CANCELLED" in page.text
    assert page.text.count("http://rescind.example/api/v26.1") == 3
    assert "Secret title" not in page.text
    assert 'type="password"' in page.text


def test_who_is_signed_in_sees_the_jobs_with_their_status(api: TestClient, store: Store) -> None:
    done = harness.place(store, Status.CANCELLED, harness.new_job(title="Gone"))
    due = harness.scheduled(store, title="Later")
    page = signed_in(api).get("/").text
    assert re.search(rf'/jobs/{due}".*?Later.*?SCHEDULED.*?due', page, re.DOTALL)
    assert re.search(rf'/jobs/{done}".*?Gone.*?CANCELLED.*?KILLED.*?ada', page, re.DOTALL)


def test_who_may_not_read_jobs_sees_their_own_alone(api: TestClient, store: Store) -> None:
    foreign = harness.submit(store, harness.new_job(title="Foreign"))
    signed_in(api, "nobody")
    assert "Foreign" not in api.get("/").text
    answer = api.get(f"/jobs/{foreign}")
    assert answer.status_code == 404
    assert answer.text.replace(f"[{foreign}]", "[999]") == api.get("/jobs/999").text


def test_what_keeps_a_job_from_being_started_is_said(api: TestClient, store: Store) -> None:
    known = harness.metadata()
    job_id = harness.submit(store, harness.new_job(metadata=known))
    page = signed_in(api).get(f"/jobs/{job_id}").text
    assert "No worker that is alive knows this job." in page
    said = {known.name: "No <room>.", EVERY_JOB: "Broken."}
    store.lease(harness.WORKER.by)
    store.register(replace(harness.registration(), obstacles=said), [known])
    page = api.get(f"/jobs/{job_id}").text
    assert "worker-1: No &lt;room&gt;." in page
    assert "No worker that is alive" not in page
    page = api.get("/workers").text
    assert f"Does not start {known.name}: No &lt;room&gt;." in page
    assert "Does not start any job: Broken." in page


def test_who_may_read_all_jobs_sees_the_workers(api: TestClient, store: Store) -> None:
    harness.register(store)
    running = harness.place(store, Status.RUNNING)
    page = signed_in(api).get("/workers").text
    assert re.search(
        rf"worker-1.*?here, process 7.*?alive.*?1 of 2 taken.*?/jobs/{running}", page, re.DOTALL
    )
    assert signed_in(api, "reader").get("/charts").status_code == 200
    signed_in(api, "nobody")
    for path in ("/workers", "/charts"):
        answer = api.get(path, headers=HTML)
        assert (answer.status_code, "worker-1" in answer.text) == (403, False)


def test_a_page_of_jobs_leads_to_the_older_ones(api: TestClient, store: Store) -> None:
    ids = harness.submit_all(store, [harness.new_job() for _ in range(60)], harness.USER)
    page = signed_in(api).get("/?title=job").text
    assert 'href="/?title=job&amp;page=2"' in page
    assert "60 jobs match; page 1 of 2" in page
    further = api.get("/?title=job&page=2").text
    assert f'/jobs/{ids[50]}"' in further
    assert f'/jobs/{ids[49]}"' not in further
    assert "Further" not in further
    assert 'href="/?title=job"' in further
    assert "No jobs match" in api.get("/?page=3").text


def test_a_jobs_page_shows_its_moves_and_its_log(api: TestClient, store: Store) -> None:
    job_id = harness.place(store, Status.CANCELLING)
    harness.log(store, job_id, "2999-03-01T00:50:01.741Z [after cancel] hello\n")
    page = signed_in(api).get(f"/jobs/{job_id}").text
    for expected in ("CANCELLING", "a test", "worker-1", "[after cancel] hello"):
        assert expected in page


@pytest.mark.parametrize("path", ["/", "/jobs/1"])
def test_what_users_wrote_is_shown_as_text(api: TestClient, store: Store, path: str) -> None:
    evil = "<script>alert(1)</script>"
    job_id = harness.submit(store, harness.new_job(title=evil, parameters={"a": f"</code>{evil}"}))
    assert job_id == 1
    assert harness.claim(store, job_id)
    harness.log(store, job_id, f"2024-03-01T00:50:01.741Z {evil}\n")
    page = signed_in(api).get(path).text
    assert page.count("<script") == 1, "our own"
    assert "&lt;script&gt;" in page


def test_pages_forbid_scripts_of_others_frames_and_caching(api: TestClient) -> None:
    headers = api.get("/").headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "script-src 'self';" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"


def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites(api: TestClient) -> None:
    cookie = api.post("/sign-in", data=SIGN_IN, headers=HERE).headers["set-cookie"]
    assert re.fullmatch(r"rescind_session=[0-9A-F]{128}; Path=/; HttpOnly; SameSite=Lax", cookie)


@pytest.mark.parametrize("by_proxy", [False, True])
def test_over_tls_the_cookie_is_the_hosts_own(
    api: TestClient, context: Context, by_proxy: bool
) -> None:
    settings = replace(context.settings, secure_cookies=by_proxy)
    app = application(replace(context, settings=settings), (*ROUTES, *PAGES), ERROR_PAGES)
    address = f"{'http' if by_proxy else 'https'}://rescind.example"
    client = TestClient(app, base_url=address, follow_redirects=False)
    headers = {"Origin": "https://rescind.example"}
    assert "INSUFFICIENT_ACCESS" in client.post("/sign-in", data=SIGN_IN, headers=HERE).text
    answer = client.post("/sign-in", data=SIGN_IN, headers=headers)
    name = "__Host-rescind_session"
    assert re.fullmatch(
        rf"{name}=[0-9A-F]{{128}}; Path=/; HttpOnly; SameSite=Lax; Secure",
        answer.headers["set-cookie"],
    )
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    session = answer.headers["set-cookie"].partition("=")[2].partition(";")[0]
    client.cookies.clear()
    for sent, is_signed_in in ((name, True), ("rescind_session", False)):
        page = client.get("/", headers={"Cookie": f"{sent}={session}"})
        assert ("Sign out" in page.text) is is_signed_in
    assert "strict-transport-security" not in client.get("/", headers={"Host": "localhost"}).headers
    assert "strict-transport-security" not in api.get("/").headers


def test_signing_in_again_ends_the_session_before(api: TestClient) -> None:
    old = signed_in(api).cookies["rescind_session"]
    new = signed_in(api, "reader").cookies["rescind_session"]
    answers = [api.get("/api/", headers={"Authorization": one}).json() for one in (old, new)]
    assert [one["responseStatus"] for one in answers] == ["FAILURE", "SUCCESS"]
    wrong = api.post("/sign-in", data={**SIGN_IN, "password": "wrong wrong"}, headers=HERE)
    assert "did not work" in wrong.text
    assert "Sign out" in api.get("/").text, "a failed one ends nothing"


def test_who_follows_a_link_comes_to_it_after_signing_in(api: TestClient, store: Store) -> None:
    job_id = harness.submit(store)
    found = api.get(f"/jobs/{job_id}").headers["location"]
    assert found == f"/?next=/jobs/{job_id}"
    [(name, value)] = re.findall(r'type="hidden" name="(.+?)" value="(.+?)"', api.get(found).text)
    wrong = api.post(
        "/sign-in", data={**SIGN_IN, "password": "wrong wrong", name: value}, headers=HERE
    )
    assert f'href="{found}"' in wrong.text
    answer = api.post("/sign-in", data={**SIGN_IN, name: value}, headers=HERE)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/jobs/{job_id}")


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example/",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/\r\nSet-Cookie: a=b",
        "evil",
        "/\u00e9",
        " /jobs/1",
        "",
    ],
)
def test_nobody_is_led_elsewhere_by_signing_in(api: TestClient, path: str) -> None:
    assert 'name="next"' not in api.get("/", params={"next": path}).text
    answer = api.post("/sign-in", data={**SIGN_IN, "next": path}, headers=HERE)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_who_may_not_use_the_api_can_sign_out(api: TestClient) -> None:
    signed_in(api, "locked")
    assert "INSUFFICIENT_ACCESS" in api.get("/").text
    answer = api.post("/sign-out", headers=HERE)
    assert answer.status_code == 303


ORIGINS = (
    "http://evil.example",
    "https://rescind.example",
    "http://rescind.example:81",
    "http://rescind.example/",
    "http://[",
    "null",
    None,
)


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("path", ["/sign-in", "/sign-out"])
def test_a_form_of_another_site_does_nothing(
    api: TestClient, path: str, origin: str | None
) -> None:
    signed_in(api)
    headers = {} if origin is None else {"Origin": origin}
    answer = api.post(path, data=SIGN_IN, headers=headers)
    assert "INSUFFICIENT_ACCESS" in answer.text
    assert "set-cookie" not in answer.headers
    assert "Sign out" in api.get("/").text


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
def test_a_form_that_the_browser_says_is_of_another_site_does_nothing(
    api: TestClient, site: str
) -> None:
    answer = api.post("/sign-in", data=SIGN_IN, headers={**HERE, "Sec-Fetch-Site": site})
    assert "INSUFFICIENT_ACCESS" in answer.text
    same = {**HERE, "Sec-Fetch-Site": "same-origin"}
    assert api.post("/sign-in", data=SIGN_IN, headers=same).status_code == 303


@pytest.mark.parametrize(
    "others",
    [
        "odd={} ; ",
        'a="b; ',
        "\\;[]{}=@; =x; ;;",
        "k=" + "\\012" * 12_000 + "; ",
        "rescind_session_old=1; ",
    ],
)
def test_cookies_of_other_applications_sign_nobody_out_and_cost_nothing(
    api: TestClient, others: str
) -> None:
    session = signed_in(api).cookies["rescind_session"]
    api.cookies.clear()
    started = time.process_time()
    for cookie in (f"{others}rescind_session={session}", f"rescind_session={session}; {others}"):
        assert "Sign out" in api.get("/", headers={"Cookie": cookie}).text
    api.get("/", headers={"Cookie": others})
    assert time.process_time() - started < 2


def test_signing_out_ends_the_session_itself(api: TestClient) -> None:
    signed_in(api)
    session = api.cookies["rescind_session"]
    assert api.post("/sign-out", headers=HERE).status_code == 303
    assert "Sign out" not in api.get("/").text
    answer = api.get("/api/", headers={"Authorization": session})
    assert answer.json()["responseStatus"] == "FAILURE"


def test_a_wrong_password_is_said_on_a_page(api: TestClient) -> None:
    answer = api.post("/sign-in", data={**SIGN_IN, "password": "wrong wrong"}, headers=HERE)
    assert "incorrect" in answer.text
    assert "set-cookie" not in answer.headers


def test_without_a_session_a_jobs_page_leads_to_the_front(api: TestClient) -> None:
    answer = api.get("/jobs/1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/?next=/jobs/1")
