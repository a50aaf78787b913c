"""POST /auth, keep-alive, DELETE /session, GET /api/: as real clients need them."""

import pytest
from starlette.testclient import TestClient

from api.conftest import ADA_ID, PASSWORD, failure
from rescind.store.protocol import Store
from store import harness

AUTH = "/api/v26.1/auth"
Headers = dict[str, str]


def test_signing_in_answers_in_the_published_shape(api: TestClient) -> None:
    answer = api.post(AUTH, data={"username": "ada", "password": PASSWORD})
    payload = answer.json()
    assert list(payload) == ["responseStatus", "sessionId", "userId", "vaultIds", "vaultId"]
    assert payload["responseStatus"] == "SUCCESS"
    assert len(payload["sessionId"]) == 128
    assert set(payload["sessionId"]) <= set("0123456789ABCDEF")
    assert payload["userId"] == ADA_ID
    assert payload["vaultIds"] == [
        {"id": payload["vaultId"], "name": "Rescind", "url": "https://rescind.example/api"}
    ]


def test_the_vault_url_is_the_dns_name_as_the_client_typed_it(api: TestClient) -> None:
    for typed, host in [
        ("myvault.veevavault.com", "myvault.veevavault.com"),
        ("My.Vault:8443", "My.Vault:8443"),
        ("not a host/\u00e9", "rescind.example"),
    ]:
        form = {"username": "ada", "password": PASSWORD, "vaultDNS": typed}
        [vault] = api.post(AUTH, data=form).json()["vaultIds"]
        assert vault["url"] == f"https://{host}/api"


def test_a_multipart_form_signs_in_too(api: TestClient) -> None:
    form = {"password": (None, PASSWORD), "username": (None, "ada")}
    assert api.post(AUTH, files=form).json()["responseStatus"] == "SUCCESS"


@pytest.mark.parametrize(
    ("form", "error_type"),
    [
        ({"username": "ada"}, "NO_PASSWORD_PROVIDED"),
        ({"username": "ada", "password": "wrong wrong"}, "USERNAME_OR_PASSWORD_INCORRECT"),
        ({"username": "nobody here", "password": PASSWORD}, "USERNAME_OR_PASSWORD_INCORRECT"),
        ({"password": PASSWORD}, "USERNAME_OR_PASSWORD_INCORRECT"),
        ({"username": "System", "password": PASSWORD}, "USERNAME_OR_PASSWORD_INCORRECT"),
    ],
)
def test_a_failed_sign_in_says_why_in_vaults_words(
    api: TestClient, form: dict[str, str], error_type: str
) -> None:
    answer = api.post(AUTH, data=form)
    payload = answer.json()
    assert list(payload) == ["responseStatus", "errors", "errorType"]
    assert payload["errors"][0]["type"] == error_type
    assert payload["errorType"] == "AUTHENTICATION_FAILED"


def test_a_disabled_user_is_told_so_only_with_the_right_password(
    api: TestClient, store: Store
) -> None:
    store.set_active(ADA_ID, active=False)
    right = api.post(AUTH, data={"username": "ada", "password": PASSWORD}).json()
    wrong = api.post(AUTH, data={"username": "ada", "password": "wrong wrong"}).json()
    assert right["errors"][0]["type"] == "INACTIVE_USER"
    assert wrong["errors"][0]["type"] == "USERNAME_OR_PASSWORD_INCORRECT"


def test_other_bodies_do_not_sign_in(api: TestClient) -> None:
    assert failure(api.post(AUTH, json={"username": "ada"}))[0] == "INVALID_DATA"
    broken = {"Content-Type": "multipart/form-data; boundary=x"}
    assert failure(api.post(AUTH, content=b"--y", headers=broken))[0] == "INVALID_DATA"


@pytest.mark.parametrize("prefix", ["", "Bearer ", "bearer "])
def test_a_session_id_stands_alone_or_after_bearer(
    api: TestClient, ada: Headers, prefix: str
) -> None:
    headers = {"Authorization": prefix + ada["Authorization"]}
    assert api.get("/api/", headers=headers).json()["responseStatus"] == "SUCCESS"


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer ", "A" * 128, "x", "Basic YTpi", "\u00e9"]
)
def test_without_a_living_session_there_is_no_way_in(
    api: TestClient, authorization: str | None
) -> None:
    headers = {}
    if authorization is not None:
        headers[b"Authorization"] = authorization.encode("latin-1")
    for path in ("/api/", "/api/v26.1/services/jobs/1", "/api/v26.1/services/jobs/1/log"):
        expected = ("INVALID_SESSION_ID", "Invalid or expired session ID.")
        assert failure(api.get(path, headers=headers)) == expected


def test_ending_a_session_ends_this_one_alone(
    api: TestClient, ada: Headers, sign_in: object
) -> None:
    other = sign_in("ada")  # type: ignore[operator]  # a fixture that is called
    assert api.delete("/api/v26.1/session", headers=ada).json() == {"responseStatus": "SUCCESS"}
    assert failure(api.get("/api/", headers=ada))[0] == "INVALID_SESSION_ID"
    keep = api.post("/api/v26.1/keep-alive", headers=other)
    assert keep.json() == {"responseStatus": "SUCCESS"}


def test_a_cookie_is_no_session_for_the_api(api: TestClient, ada: Headers) -> None:
    answer = api.get("/api/", headers={"Cookie": f"rescind_session={ada['Authorization']}"})
    assert failure(answer)[0] == "INVALID_SESSION_ID"


@pytest.mark.parametrize("path", ["/api/", "/api", "/api/v25.1"])
def test_the_versions_are_listed_with_their_addresses(
    api: TestClient, ada: Headers, path: str
) -> None:
    payload = api.get(path, headers=ada).json()
    assert list(payload) == ["responseStatus", "values"]
    assert payload["values"]["v24.3"] == "https://rescind.example/api/v24.3"
    assert next(iter(payload["values"])) == "v21.1"
    assert list(payload["values"])[-1] == "v26.3"
    assert len(payload["values"]) == 18


def test_every_answer_carries_vaults_headers(api: TestClient, ada: Headers) -> None:
    headers = {**ada, "X-VaultAPI-ReferenceId": "ref-7"}
    answer = api.get("/api/v26.1/services/jobs/1", headers=headers)
    assert answer.headers["x-vaultapi-status"] == "FAILURE"
    assert answer.headers["x-vaultapi-userid"] == str(ADA_ID)
    assert ada["Authorization"].startswith(answer.headers["x-vaultapi-truncatedsessionid"])
    assert len(answer.headers["x-vaultapi-truncatedsessionid"]) < 32
    assert answer.headers["x-vaultapi-burstlimit"] == "2000"
    assert answer.headers["x-vaultapi-referenceid"] == "ref-7"
    assert answer.headers["x-vaultapi-vaultid"]
    first = int(answer.headers["x-vaultapi-burstlimitremaining"])
    again = api.get("/api/", headers=ada)
    assert int(again.headers["x-vaultapi-burstlimitremaining"]) == first - 1
    assert again.headers["x-vaultapi-executionid"] != answer.headers["x-vaultapi-executionid"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v26.1/services/jobs"),
        ("PUT", "/api/v26.1/services/jobs"),
        ("GET", "/api/v26.4/services/jobs/1"),
        ("GET", "/api/v7.0/services/jobs/1"),
        ("GET", "/api/v26.1/services/jobs/abc"),
        ("GET", "/api/v26.1/nothing"),
        ("POST", "/nothing"),
        ("GET", "/api/v26.1/services/jobs/1/"),
    ],
)
def test_what_does_not_exist_is_a_404_with_a_malformed_url(
    api: TestClient, ada: Headers, method: str, path: str
) -> None:
    answer = api.request(method, path, headers=ada)
    assert answer.status_code == 404
    assert answer.json() == {
        "responseStatus": "FAILURE",
        "errors": [{"type": "MALFORMED_URL", "message": "The specified resource cannot be found."}],
    }


def test_the_probes_are_open_and_say_one_word(api: TestClient) -> None:
    assert (api.get("/healthz").status_code, api.get("/healthz").text) == (200, "alive\n")
    assert (api.get("/readyz").status_code, api.get("/readyz").text) == (200, "ready\n")


def test_when_the_store_is_away_the_answer_is_an_exception_with_a_request_id(
    api: TestClient, ada: Headers, store: Store
) -> None:
    with store._database.write() as connection:  # type: ignore[attr-defined]  # break it for real
        connection.execute("PRAGMA query_only = ON")
    url = "/api/v26.1/services/jobs/actions/cancel"
    answer = api.post(url, json=[{"job_id": 1}], headers=ada)
    payload = answer.json()
    assert (answer.status_code, payload["responseStatus"]) == (200, "EXCEPTION")
    assert payload["errors"][0]["type"] == "UNEXPECTED_ERROR"
    assert answer.headers["x-vaultapi-executionid"] in payload["errors"][0]["message"]
    assert api.get("/readyz").status_code == 503
    with store._database._turns:  # type: ignore[attr-defined]  # and mend it
        store._database._writer.execute("PRAGMA query_only = OFF")  # type: ignore[attr-defined]
    assert harness.eventually(lambda: api.get("/readyz").status_code == 200)
    assert api.post(url, json=[{"job_id": 1}], headers=ada).json()["responseStatus"] == "SUCCESS"


def test_neither_body_nor_content_type_is_no_password(api: TestClient) -> None:
    for headers in ({}, {"Content-Type": "application/x-www-form-urlencoded"}):
        payload = api.post(AUTH, headers=headers).json()
        assert payload["errors"][0]["type"] == "NO_PASSWORD_PROVIDED"
        assert payload["errorType"] == "AUTHENTICATION_FAILED"


@pytest.mark.parametrize("name", ["username", "password"])
def test_credentials_in_the_address_are_refused_even_when_they_are_right(
    api: TestClient, name: str
) -> None:
    form = {"username": "ada", "password": PASSWORD}
    for body in ({}, form):
        payload = api.post(AUTH, params={name: form[name]}, data=body).json()
        assert payload["responseStatus"] == "FAILURE"
        assert payload["errorType"] == "AUTHENTICATION_FAILED"
        assert "belong in the body" in payload["errors"][0]["message"]
        assert form[name] not in payload["errors"][0]["message"]
    assert api.post(f"{AUTH}?client_id=x", data=form).json()["responseStatus"] == "SUCCESS"


@pytest.mark.parametrize("version", ["v21.1", "v25.3", "v26.3"])
def test_every_published_version_is_answered(api: TestClient, ada: Headers, version: str) -> None:
    assert version in api.get("/api", headers=ada).json()["values"]
    assert api.get(f"/api/{version}", headers=ada).json()["responseStatus"] == "SUCCESS"


@pytest.mark.parametrize("version", ["v20.3", "v26.4", "v27.1", "v25.0", "26.1", "V26.1", "v26.10"])
def test_no_other_version_is(api: TestClient, ada: Headers, version: str) -> None:
    answer = api.get(f"/api/{version}/services/jobs/histories", headers=ada)
    assert answer.status_code == 404
    assert answer.json()["errors"][0]["type"] == "MALFORMED_URL"
