"""The service's log is JSON lines whatever happens, and no stranger makes it long."""

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog

from process.conftest import Service
from processes import HANG_SECONDS
from rescind import limits
from rescind.cli.logs import Throttle

Serve = Callable[..., Service]
CHUNKED = b" HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
BROKEN = {
    "garbage": b"\x00\x01 garbage\r\n\r\n",
    "a broken chunk": b"POST /api/v26.1/auth" + CHUNKED + b"zz\r\n",
    "a broken chunk to nowhere": b"POST /nowhere" + CHUNKED + b"zz\r\n",
    "a broken chunk of a body that nobody wants": (
        b"POST /api/v26.1/auth" + CHUNKED + b"20000\r\n" + bytes(0x20000) + b"\r\nzz\r\n"
    ),
    "a tunnel": b"CONNECT /api HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "a tunnel to nowhere": b"CONNECT x:80 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "another protocol": (
        b"GET /api HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZQ==\r\n\r\n"
    ),
    "a cut-off body": (
        b"POST /api/v26.1/auth HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900\r\n\r\nuser"
    ),
    "an origin that is none": (
        b"POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://[\r\n"
        b"Content-Length: 0\r\n\r\n"
    ),
}


def ask(service: Service, data: bytes, *, cut_off: bool = False) -> bytes:
    """The head of the answer, and what came with it."""
    host, _, port = service.address.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=HANG_SECONDS) as connection:
        connection.sendall(data)
        if cut_off:
            connection.shutdown(socket.SHUT_WR)
        heard = b""
        while b"\r\n\r\n" not in heard and (part := connection.recv(65536)):
            heard += part
    return heard


def test_what_is_broken_is_answered_and_the_log_stays_json(serve: Serve, tmp_path: Path) -> None:
    service = serve("--no-worker")
    answers = {name: ask(service, data, cut_off="cut-off" in name) for name, data in BROKEN.items()}
    assert b" 405 " in answers["a tunnel"].splitlines()[0]
    assert b" 405 " in answers["a tunnel to nowhere"].splitlines()[0]
    assert not [name for name, answer in answers.items() if b"EXCEPTION" in answer]
    log = (tmp_path / "stderr.txt").read_text()
    assert "Traceback" not in log
    for line in log.splitlines():
        assert isinstance(json.loads(line), dict)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/", "/api"])
def test_what_can_be_got_can_be_asked_for_by_head(serve: Serve, path: str) -> None:
    service = serve("--no-worker")
    got = ask(service, f"GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n".encode())
    told = ask(service, f"HEAD {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n".encode())
    assert told.split()[1] == got.split()[1]
    assert told.partition(b"\r\n\r\n")[2] == b""


def test_who_has_asked_and_says_nothing_more_is_answered(serve: Serve) -> None:
    service = serve("--no-worker")
    for path in ("/healthz", "/api/v26.1/objects/users/me", "/"):
        asked = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
        assert b" 200 " in ask(service, asked, cut_off=True).splitlines()[0]


def test_lines_beyond_a_bound_are_held_back_and_counted() -> None:
    now = 7.0
    throttle = Throttle(lambda: now)
    let_through = 0
    for _ in range(limits.SERVICE_LOG_LINES_PER_SECOND + 30):
        try:
            assert "lines_held_back" not in throttle(None, "info", {"event": "x"})
            let_through += 1
        except structlog.DropEvent:
            pass
    assert let_through == limits.SERVICE_LOG_LINES_PER_SECOND
    now = 8.0
    assert throttle(None, "info", {})["lines_held_back"] == 30
    assert throttle(None, "info", {}) == {}
