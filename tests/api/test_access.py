"""Who may do what: every route, asked for by everyone. Run with ``-s``, it prints the table."""

import re
from collections.abc import Iterator
from itertools import cycle
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest
from starlette.testclient import TestClient

from api.conftest import PASSWORD
from process.conftest import show
from rescind import ids, limits
from rescind.api.http import Access, Context, Route
from rescind.lifecycle import Status
from rescind.model import Actor
from rescind.operation import Action, Wanted
from rescind.selection import EVERYTHING, NOTHING, Selection
from rescind.service import accounts
from rescind.service.policy import Permission, Profile
from rescind.store.protocol import Store
from rescind.wiring import ALL_ROUTES
from store import harness

EVERY = frozenset(Permission)
CALLERS: dict[str, frozenset[Permission] | None] = {
    "nobody": None,
    "no session": None,
    "expired": EVERY,
    "disabled": EVERY,
    "all": EVERY,
    **{f"all but {permission}": EVERY - {permission} for permission in Permission},
    "all but edit and read": EVERY - {Permission.JOBS_EDIT, Permission.JOBS_READ},
    "access alone": frozenset({Permission.API_ACCESS}),
    "no access": frozenset(),
}
"""Who asks, and what they may; ``nobody`` sends no session, ``no session`` one that never was."""

JOBS_OF = ("own", "foreign", "unknown")
UNKNOWN = 999_999


class Asked(NamedTuple):
    """One route, asked for about a job of theirs, of somebody else, or of nobody."""

    route: Route
    about: str

    @property
    def name(self) -> str:
        return f"{self.route.method} {self.route.path} {self.about}".strip()


def asked() -> Iterator[Asked]:
    for route in ALL_ROUTES:
        by_id = "_id}" in route.path and "{query_id}" not in route.path
        for about in JOBS_OF if by_id or route.path.endswith(("/cancel", "/rerun")) else ("",):
            yield Asked(route, about)


# The model: what is promised in the documentation of the API, and nothing of the gate.


def expected(caller: str, profile: Profile, one: Asked) -> str:
    permissions = CALLERS[caller] or frozenset()
    signed_in = CALLERS[caller] is not None and caller not in ("expired", "disabled")
    if profile not in one.route.profiles:
        return "404"
    if one.route.access is Access.OPEN or one.name in ("POST /sign-in", "POST /sign-out"):
        return "done"
    if not signed_in:
        return "sign in" if one.route.access.by_browser else "INVALID_SESSION_ID"
    if Permission.API_ACCESS not in permissions:
        return "INSUFFICIENT_ACCESS"
    edit, create = Permission.JOBS_EDIT in permissions, Permission.JOBS_CREATE in permissions
    read = edit or Permission.JOBS_READ in permissions
    return by_permission(one, profile, edit=edit, create=create, read=read)


def by_permission(one: Asked, profile: Profile, *, edit: bool, create: bool, read: bool) -> str:
    path = one.route.path
    if "/selections" in path or "/operations" in path:
        create = create and profile is Profile.OPEN
        return by_selection(one, edit=edit, create=create, read=read)
    cancels = path.endswith(("/cancel", "/start")) or "start_now" in path
    may = edit or (create and profile is Profile.OPEN)
    if cancels or path.endswith("/rerun"):
        found = "done" if seen(one.about, edit) else "not found"
        return found if may and (cancels or create) else "INSUFFICIENT_ACCESS"
    if path.endswith("/services/jobs"):
        return "done" if create else "INSUFFICIENT_ACCESS"
    if path.endswith(("/histories", "/monitors", "/workers", "/charts")):
        own = profile is Profile.OPEN and path.startswith("/api")
        return "done" if read or own else "INSUFFICIENT_ACCESS"
    if "{job_id}" in path:
        return "done" if seen(one.about, read) else "not found"
    return "done"


def by_selection(one: Asked, *, edit: bool, create: bool, read: bool) -> str:
    path, last = one.route.path, one.route.path.rpartition("/")[2]
    changes = last in ("selections", "cancel", "start", "rerun", "undo")
    if changes and not (create if last == "rerun" else edit or create):
        return "INSUFFICIENT_ACCESS"
    if not one.about:
        return "done"
    every = False if "/selections" in path else edit if last in ("stop", "undo") else read
    return "done" if seen(one.about, every) else "not found"


def seen(about: str, every: bool) -> bool:
    return about == "own" or (about == "foreign" and every)


# The service.


@pytest.fixture
def sessions(api: TestClient, store: Store) -> dict[str, str]:
    """A session of each caller, as they send it."""
    made = {"nobody": "", "no session": "0" * 128}
    for name, permissions in CALLERS.items():
        if permissions is not None:
            accounts.add_user(store, name, PASSWORD, permissions)
            form = {"username": name, "password": PASSWORD}
            made[name] = api.post("/api/v26.1/auth", data=form).json()["sessionId"]
    accounts.set_active(store, "disabled", False)
    accounts.sign_out(store, made["expired"])  # as the pruner leaves it; ages are tested elsewhere
    return made


def outcome(answer: Any) -> str:
    """What became of a request, in a word."""
    if answer.status_code == 303:
        return "sign in" if "next" in answer.headers["location"] else "done"
    kind = answer.headers["content-type"].partition(";")[0]
    if kind == "text/html":
        if answer.status_code == 404 or "is not found" in answer.text:
            return "not found"
        if answer.status_code != 200:
            return {403: "INSUFFICIENT_ACCESS"}.get(answer.status_code, "refused")
        return "sign in" if 'action="/sign-in"' in answer.text else "done"
    if answer.status_code == 404:
        return "404"
    return said(answer.json()) if kind == "application/json" else "done"


def said(payload: Any) -> str:
    errors = payload.get("errors")
    if errors is None and isinstance(payload.get("data"), list) and payload["data"]:
        errors = payload["data"][0].get("errors")
    errors = [errors] if isinstance(errors, dict) else errors
    if not errors:
        return "done"
    return "not found" if "is not found" in errors[0]["message"] else str(errors[0]["type"])


class Walk:
    """Asks for everything, as everyone."""

    def __init__(
        self,
        api: TestClient,
        store: Store,
        profile: Profile,
        metadata: str,
        sessions: dict[str, str],
    ) -> None:
        self._api, self._store, self._metadata = api, store, metadata
        self._profile = profile
        self._sessions = sessions
        # In turns: how often one user signs in is counted in profile vault.
        self._names = cycle(["reader", "creator", "ada"])

    def ask(self, caller: str, one: Asked) -> str:
        route = one.route
        waits = "start_now" in route.path or route.path.endswith(("/cancel", "/start"))
        needs_job = "{job_id}" in route.path or route.path.endswith("/actions/rerun") or waits
        if "/selections/" in route.path or self._profile not in route.profiles:
            needs_job = False
        status = Status.SCHEDULED if waits else Status.SUCCESS
        job_id = self._job(caller, one.about, status) if needs_job else UNKNOWN
        path = route.path.replace("{version}", "v26.1").replace("{job_id}", str(job_id))
        by_cookie = route.access.by_browser
        if ("/selections/" in path or "/operations/" in path) and (self._profile in route.profiles):
            path = self._about_many(path, caller, one.about)
        headers = {"Origin": "http://rescind.example"}
        if by_cookie:
            headers |= {"Accept": "text/html", "Referer": "http://rescind.example/workers"}
        if session := self._sessions[caller]:
            headers |= {
                "Cookie" if by_cookie else "Authorization": (
                    f"rescind_session={session}" if by_cookie else session
                )
            }
        is_form = not path.startswith("/api") and route.method == "POST"
        more = self._form(path) if is_form else self._more(path, job_id)
        answer = self._api.request(route.method, path, headers=headers, **more)
        found = outcome(answer)
        # Who may ask for a query's page is told that there is no such query.
        return "done" if "{query_id}" in path and found == "INVALID_DATA" else found

    def _job(self, caller: str, about: str, status: Status) -> int:
        if about in ("unknown", ""):
            return UNKNOWN
        owner = self._store.user_by_name(caller if about == "own" else "reader")
        submitted = harness.USER if owner is None else Actor(user_id=owner[0].id, by="user")
        with patch.object(harness, "USER", submitted):
            metadata = harness.metadata()
            harness.register(self._store, metadata)
            return harness.place(self._store, status, harness.new_job(metadata=metadata))

    def _about_many(self, path: str, caller: str, about: str) -> str:
        """The path to a selection, or to an operation; to be stopped, it has something to do."""
        owner = self._store.user_by_name(caller if about == "own" else "reader")
        if about == "unknown" or owner is None:
            return re.sub(r"\{\w+_id\}", str(UNKNOWN), path)
        user_id, name = owner[0].id, ids.opaque_id()
        where = EVERYTHING if path.endswith("/stop") else NOTHING
        if where == EVERYTHING:
            harness.submit(self._store)
        meant = Selection(where=where)
        with patch.object(limits, "SELECTIONS_MAX", 1_000):
            self._store.pin(
                name, user_id, "a query", meant, owner=None, skip=0, rows_max=1, seconds=60
            )
        actor = Actor(user_id=user_id, by="user")
        wanted = Wanted(id=name, action=Action.CANCEL, actor=actor)
        assert self._store.begin(wanted, name) == "BEGUN"
        return re.sub(r"\{\w+_id\}", name, path)

    def _form(self, path: str) -> dict[str, Any]:
        """What the form of a page says."""
        if path == "/sign-in":
            return {"data": {"username": next(self._names), "password": PASSWORD}}
        return {"data": {"which": "all", "back": "/?title=none", "key": "1"}}

    def _more(self, path: str, job_id: int) -> dict[str, Any]:
        """What to send, where it is more than the address."""
        form = {"username": "reader", "password": PASSWORD}
        bodies: dict[str, dict[str, Any]] = {
            "cancel": {"json": [{"job_id": job_id}]},
            "rerun": {"json": [{"job_id": job_id}]},
            "jobs": {"json": [{"job_metadata": self._metadata}]},
            "selections": {"json": {"query": "SELECT id FROM job__sys MAXROWS 1"}},
            "query": {"params": {"q": "SELECT id FROM user__sys"}},
        }
        last = path.rpartition("/")[2] if path.startswith("/api") else ""
        if last == "auth":
            return {"data": {**form, "username": next(self._names)}}
        return {} if "/selections/" in path else bodies.get(last, {})


@pytest.mark.parametrize("context", list(Profile), indirect=True)
def test_everyone_may_do_what_they_may_and_nothing_else(
    api: TestClient, context: Context, store: Store, metadata: str, sessions: dict[str, str]
) -> None:
    profile = context.profile
    walk = Walk(api, store, profile, metadata, sessions)
    ending = ("/session", "/sign-out", "/sign-in")  # these come last: they end the session
    every = sorted(asked(), key=lambda one: one.route.path.endswith(ending))
    table = {(one, caller): walk.ask(caller, one) for one in every for caller in CALLERS}
    show(f"profile {profile}")
    for one in every:
        row: dict[str, list[str]] = {}
        for caller in CALLERS:
            row.setdefault(table[one, caller], []).append(caller)
        said = "; ".join(f"{what}: {', '.join(who)}" for what, who in row.items())
        show(f"  {one.name:60} {said}")
    wrong = {
        (one.name, caller): found
        for (one, caller), found in table.items()
        if found != expected(caller, profile, one)
    }
    assert not wrong


@pytest.mark.parametrize("context", list(Profile), indirect=True)
@pytest.mark.parametrize("caller", ["access alone", "all but edit and read"])
def test_what_is_foreign_is_answered_as_what_is_not_there(
    api: TestClient, store: Store, sessions: dict[str, str], caller: str
) -> None:
    headers = {"Authorization": sessions[caller]}
    foreign = harness.place(store, Status.SUCCESS)
    for route in ALL_ROUTES:
        if "{job_id}" not in route.path or route.access.by_browser:
            continue
        found = []
        for job_id in (foreign, UNKNOWN):
            path = route.path.replace("{version}", "v26.1").replace("{job_id}", str(job_id))
            answer = api.request(route.method, path, headers=headers)
            kept = {
                name: value
                for name, value in answer.headers.items()
                if name not in ("x-vaultapi-executionid", "x-vaultapi-burstlimitremaining")
            }
            text = answer.text.replace(f"[{job_id}]", "[ID]")
            kept.pop("content-length")
            found.append((answer.status_code, kept, text))
        assert found[0] == found[1], route.path
