"""Requests that a seed draws: of every route, method and header; well-formed, mutated, no HTTP."""

import json
import random
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import quote, urlencode

from rescind.wiring import ALL_ROUTES

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "BREW")
NUMBERS = ("0", "-1", "1", "2", "7", "1.5", "1e9", "9223372036854775807", "9223372036854775808")
TEXTS = ("", "a", "\0", "\ud800", "\u202e", "é", "１２", "%", "'", '"', "<b>", "\r\n", "x" * 70_000)  # noqa: RUF001 - digits that are not ASCII
INSERTED = (b"\0", b"\r\n", b'"', b"\xff", b"[", b",")
QUERIES = (
    "SELECT id FROM job__sys",
    "SELECT id, status__sys FROM job_history__sys WHERE status__sys = 'SUCCESS' PAGESIZE 1",
    "SELECT id FROM job__sys WHERE job_title__sys LIKE 'a%' AND id > 3 ORDER BY id DESC MAXROWS 5",
    "SHOW TARGETS",
    "DESCRIBE job__sys",
)
LATER = "2099-01-01T00:00:00Z"
MULTIPART = "multipart/form-data; boundary=b"
FORM, JSON, CSV = "application/x-www-form-urlencoded", "application/json", "text/csv"


class Drawn(NamedTuple):
    """A request as it is sent, in pieces, and what to count it as."""

    kind: str
    route: str
    method: str
    pieces: list[bytes]


class Drawer:
    """Draws requests. ``sessions`` are those that live, ``password`` the administrator's."""

    def __init__(self, seed: int, sessions: list[str], password: str) -> None:
        self._random = random.Random(seed)
        self._sessions, self._password = sessions, password

    def draw(self) -> Drawn:
        kind = self._random.choices(
            ("whole", "mutated", "in pieces", "cut off", "garbage"), (60, 25, 8, 5, 2)
        )[0]
        route, method, data = self._request()
        if kind == "mutated":
            data = self._mutated(data)
        elif kind == "cut off":
            data = data[: self._random.randrange(len(data) + 1)]
        elif kind == "garbage":
            data = self._random.randbytes(self._random.choice((1, 100, 70_000)))
        pieces = [data]
        if kind == "in pieces":
            at = sorted(self._random.randrange(len(data) + 1) for _ in range(3))
            pieces = [data[i:j] for i, j in zip([0, *at], [*at, len(data)], strict=True)]
        return Drawn(kind, route, method, pieces)

    def _any(self, *among: str) -> str:
        return self._random.choice(among)

    def _rarely(self, chance: float = 0.1) -> bool:
        return self._random.random() < chance

    def _request(self) -> tuple[str, str, bytes]:
        route = self._random.choice(ALL_ROUTES)
        method = self._any(*METHODS) if self._rarely() else route.method
        path = route.path
        for name, values in (
            ("version", (*["v26.1"] * 8, "v25.3", "v21.1", "v0.0", "x")),
            ("job_id", (*NUMBERS, *map(str, range(3, 20)), "1" * 400, "x")),
            ("query_id", ("x", "0" * 64, "%00", "é")),
        ):
            path = path.replace(f"{{{name}}}", quote(self._any(*values), safe="%"))
        if self._rarely():
            path += self._any("/", "//", "/..", "?", "/%2e%2e", ";x", "%00", "%ff", "#")
        if query := self._query():
            path += f"?{query}"
        content_type, body = self._body(route.path)
        headers = self._headers(content_type)
        if route.path.endswith(("/session", "/sign-out")) and not self._rarely(0.02):
            headers.pop("Authorization", None)  # the sessions are needed
            headers.pop("Cookie", None)
        if self._rarely(0.15):
            headers["Transfer-Encoding"] = "chunked"
            body = self._chunked(body)
        elif body or method != "GET":
            size = len(body) if not self._rarely(0.03) else self._random.choice((0, 5, 10**20))
            headers["Content-Length"] = str(size)
        head = f"{method} {path} HTTP/{self._any('1.1', '1.1', '1.1', '1.0')}\r\n"
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return route.path, method, f"{head}{lines}\r\n".encode("utf-8", "replace") + body

    def _query(self) -> str:
        if not self._rarely(0.3):
            return ""
        names = ("limit", "offset", "status", "start_date", "from", "q", "pagesize", "next")
        dates = ("2026-01-01T00:00:00Z", "2026-13-01T00:00:00Z", "x")
        values = (*NUMBERS, *TEXTS[:-1], *QUERIES, *dates, "success", "//evil.example")
        found = {self._any(*names): self._any(*values) for _ in range(3)}
        return urlencode(found, errors="replace")

    def _headers(self, content_type: str) -> dict[str, str]:
        headers = {"Host": "127.0.0.1"}
        chances: dict[str, tuple[float, Callable[[], str]]] = {
            "Host": (0.05, lambda: self._any("evil.example", "", "[::1]:99999", "x" * 300)),
            "Authorization": (0.9, lambda: self._session("Bearer ")),
            "Cookie": (0.3, lambda: f"{self._any('', 'a=b; ')}rescind_session={self._session()}"),
            "Content-Type": (0.9, lambda: content_type),
            "Accept": (0.4, lambda: self._any(JSON, "application/xml", "*/*", "text/*;q=x", ",;")),
            "Origin": (0.3, lambda: self._any("http://127.0.0.1", "http://[", "null", "")),
            "Sec-Fetch-Site": (0.1, lambda: self._any("same-origin", "cross-site", "\t")),
            "Idempotency-Key": (0.2, lambda: self._any("k1", "k2", "", "x" * 300)),
            "X-Rescind-Reason": (0.1, lambda: self._any("because", "é\x01", "y" * 3000)),
            "X-Rescind-Detail": (0.2, lambda: self._any("true", "x")),
            "X-VaultAPI-DescribeQuery": (0.1, lambda: "true"),
            "X-VaultAPI-ReferenceId": (0.1, lambda: self._any("r", "é", "z" * 300)),
            "Content-Encoding": (0.02, lambda: self._any("gzip", "identity", "x")),
            "Expect": (0.02, lambda: self._any("100-continue", "200-ok")),
            "Connection": (0.1, lambda: self._any("close", "keep-alive", "upgrade")),
            "Upgrade": (0.02, lambda: self._any("websocket", "h2c")),
        }
        for name, (chance, value) in chances.items():
            if self._rarely(chance):
                headers[name] = value()
        return headers

    def _session(self, before: str = "") -> str:
        bad = ("0" * 128, "x", "", "\\" * 3000)
        session = self._any(*bad) if self._rarely() else self._random.choice(self._sessions)
        return (before if self._rarely() else "") + session

    def _body(self, path: str) -> tuple[str, bytes]:
        if self._rarely(0.05):
            deep, feeds = b"[" * 100_000, b"\n" * 100_000
            body = self._random.choice((deep, feeds, b"", self._random.randbytes(3000), b"null"))
            return self._any(JSON, CSV, FORM, "x"), body
        return self._fitting_body(path)

    def _fitting_body(self, path: str) -> tuple[str, bytes]:
        if path.endswith(("/auth", "/sign-in")):
            wrong = self._rarely(0.8)
            form = {"username": "admin", "password": "wrong" if wrong else self._password}
            if self._rarely():
                form["vaultDNS"] = self._any(*TEXTS)
            return self._form(form)
        if "/query" in path:
            return self._form({"q": self._any(*QUERIES)})
        count = self._random.choice((1, 1, 3, 20, 501))
        if path.endswith("/cancel"):
            values = [self._any(*NUMBERS, "null", '"3"', "true") for _ in range(count)]
            in_json = ", ".join(f'{{"job_id": {value}}}' for value in values)
            in_csv = "\n".join(["job_id", *values, ""])
            return (CSV, in_csv.encode()) if self._rarely(0.4) else (JSON, f"[{in_json}]".encode())
        if path.endswith("/services/jobs"):
            return JSON, json.dumps([self._item() for _ in range(count)]).encode()
        return JSON, b""

    def _item(self) -> dict[str, object]:
        item: dict[str, object] = {"job_metadata": "demo_sleep__c", "run_date": LATER}
        for name in ("title", "parameters", "unique_key", "priority", "run_date", "job_metadata"):
            if self._rarely():
                item[name] = self._random.choice((*TEXTS[:-1], 1, None, [], {"a": {}}, 5.5, True))
        return item

    def _form(self, form: dict[str, str]) -> tuple[str, bytes]:
        if self._rarely():
            part = '--b\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
            parts = "".join(part.format(name, value) for name, value in form.items())
            return MULTIPART, f"{parts}--b--\r\n".encode("utf-8", "replace")
        return FORM, urlencode(form, errors="replace").encode()

    def _chunked(self, body: bytes) -> bytes:
        size = f"{len(body):x}" if not self._rarely() else self._any("zz", "-1", "f" * 30)
        return size.encode() + b"\r\n" + body + b"\r\n0\r\n\r\n" if body else b"0\r\n\r\n"

    def _mutated(self, data: bytes) -> bytes:
        mutable = bytearray(data)
        for _ in range(self._random.choice((1, 1, 2, 8))):
            at = self._random.randrange(len(mutable) + 1)
            match self._random.randrange(4):
                case 0:
                    mutable[at : at + 1] = self._random.randbytes(1)
                case 1:
                    mutable[at:at] = self._random.choice(INSERTED)
                case 2:
                    del mutable[at : at + self._random.randrange(1, 30)]
                case _:
                    mutable[at:at] = mutable[at : at + 50]
        return bytes(mutable)
