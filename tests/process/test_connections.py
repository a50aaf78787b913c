"""Strangers who connect, and hold on: they hold nobody up."""

import contextlib
import resource
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from time import monotonic

import httpx2
import pytest

from certificates import certificate
from process.conftest import Program, Service, Started, on_both_stores, show
from processes import HANG_SECONDS
from rescind import limits

Serve = Callable[..., Service]
BOUND = 400
"""Connections: half of the files that a service may open here."""
HALF_OPEN = {
    "nothing": b"",
    "one byte": b"P",
    "half a header": b"POST /api/v26.1/auth HTTP/1.1\r\nHost: x\r\nX: ",
    "half a body": (
        b"POST /api/v26.1/auth HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\n\r\nuser"
    ),
}


class Strangers:
    """Connections of nobody in particular."""

    def __init__(self, address: str) -> None:
        host, _, port = address.partition("://")[2].rpartition(":")
        self._address = host, int(port)
        self.stack = ExitStack()

    def connect(self, said: bytes = b"") -> socket.socket:
        connection = self.stack.enter_context(
            socket.create_connection(self._address, timeout=HANG_SECONDS)
        )
        connection.sendall(said)
        return connection


@pytest.fixture
def strangers() -> Iterator[Callable[[str], Strangers]]:
    with ExitStack() as stack:

        def of(address: str) -> Strangers:
            made = Strangers(address)
            stack.push(made.stack)
            return made

        yield of


def is_closed(connection: socket.socket) -> bool:
    """Wait for its end."""
    try:
        return connection.recv(65536) == b""
    except ConnectionResetError:
        return True


def is_open(connection: socket.socket) -> bool:
    """As things stand."""
    connection.setblocking(False)
    try:
        return connection.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except ConnectionResetError:
        return False
    finally:
        connection.settimeout(HANG_SECONDS)


@contextlib.contextmanager
def few_files() -> Iterator[None]:
    """Programs that are started meanwhile may open no more than these."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (2 * BOUND, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("said", HALF_OPEN.values(), ids=HALF_OPEN.keys())
def test_beyond_a_bound_who_has_waited_longest_goes_and_who_asks_is_answered(
    serve: Serve, strangers: Callable[[str], Strangers], said: bytes
) -> None:
    with few_files():
        service = serve("--no-worker")
    others = strangers(service.address)
    oldest = others.connect(said)
    connections = []
    for number in range(BOUND + 100):
        connections.append(others.connect(said))
        if number % 50 == 0:  # on a connection that is kept, between other people's
            assert service.client.get("/objects/users/me").status_code == 200
    assert is_closed(oldest)
    assert is_closed(connections[0])
    assert is_open(connections[-1])
    with httpx2.Client(timeout=HANG_SECONDS) as anew:
        assert anew.get(f"{service.address}/healthz").text == "alive\n"


def test_a_header_has_a_time_to_arrive(serve: Serve, strangers: Callable[[str], Strangers]) -> None:
    service = serve("--no-worker")
    others = strangers(service.address)
    beginnings = (b"", b"P", b"GET / HTTP/1.1\r\nHost: x\r\nX: ")
    connections = [others.connect(said) for said in beginnings]
    begin = monotonic()
    for connection in connections:
        assert is_closed(connection)
        show(f"closed after {monotonic() - begin:.2f} s")


def test_who_does_not_take_an_answer_is_let_go_and_who_is_slow_is_not(
    serve: Serve, strangers: Callable[[str], Strangers]
) -> None:
    service = serve("--no-worker")
    wanted = 400  # more than the system keeps for a client
    ask = b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * wanted
    takes_nothing = strangers(service.address).connect(ask)
    is_slow = strangers(service.address).connect(ask)
    heard, pause = bytearray(), threading.Event()
    begin = monotonic()
    while (seconds := monotonic() - begin) < limits.ANSWER_SECONDS_MAX + 3:
        if len(heard) > 300_000 * seconds:
            pause.wait(0.1)
            continue
        part = is_slow.recv(65536)
        assert part, "cut off"
        heard += part
    while heard.count(b"HTTP/1.1 200") < wanted:
        part = is_slow.recv(1024 * 1024)
        assert part, "cut off"
        heard += part
    taken = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while part := takes_nothing.recv(1024 * 1024):
            taken += part
    assert taken.count(b"HTTP/1.1 200") < wanted


def test_the_same_holds_before_tls_is_agreed_upon(
    tmp_path: Path, started: Started[Program], strangers: Callable[[str], Strangers]
) -> None:
    file, _ = certificate(tmp_path)
    tls = ("--tls-certificate", "certificate.pem", "--tls-key", "key.pem")
    options = ("--port", "0", "--no-worker", *tls)
    with few_files():
        service = started(Program(tmp_path, "serve", *options, ready="ready"))
    address = service.banner[0].rpartition(" ")[2]
    trusted = ssl.create_default_context(cafile=file)
    others = strangers(address)
    oldest = others.connect()
    for _ in range(BOUND + 100):
        newest = others.connect(b"\x16")
    assert is_closed(oldest)
    assert is_open(newest)
    with httpx2.Client(timeout=HANG_SECONDS, verify=trusted) as client:
        assert client.get(f"{address}/healthz").text == "alive\n"
    assert is_closed(newest), "its time is up"


@on_both_stores
def test_beside_wrong_passwords_for_the_same_user_a_right_one_signs_in(serve: Serve) -> None:
    service = serve("--no-worker")
    over = threading.Event()
    tried: list[str] = []

    def try_wrong() -> None:
        with httpx2.Client(base_url=service.address, timeout=HANG_SECONDS) as client:
            while not over.is_set():
                form = {"username": "admin", "password": "wrong wrong"}
                [error] = client.post("/api/v26.1/auth", data=form).json()["errors"]
                tried.append(error["type"])

    with ThreadPoolExecutor(30) as pool:
        for _ in range(30):
            pool.submit(try_wrong)
        service.until(lambda: len(tried) > 40)
        begin = monotonic()
        form = {"username": "admin", "password": service.password}
        answer = service.client.post("/auth", data=form).json()
        show(f"signed in after {monotonic() - begin:.2f} s")
        over.set()
    assert answer["responseStatus"] == "SUCCESS"
    assert set(tried) == {"USERNAME_OR_PASSWORD_INCORRECT"}


@on_both_stores
@pytest.mark.parametrize("csv", [False, True], ids=["JSON", "CSV"])
@pytest.mark.parametrize("xml", [False, True], ids=["JSON", "XML"])
def test_a_slow_cancel_is_done_and_one_that_is_cut_off_does_nothing(
    serve: Serve, strangers: Callable[[str], Strangers], csv: bool, xml: bool
) -> None:
    service = serve()
    done, left = service.submit("demo_sleep__c", count=2, run_date="2099-01-01T00:00:00Z")
    item, kind = ("job_id\n{}\n", "text/csv") if csv else ('[{{"job_id": {}}}]', "application/json")
    accept = "application/xml" if xml else "application/json"
    others, pause = strangers(service.address), threading.Event()

    def asked(job_id: int) -> tuple[bytes, bytes]:
        body = item.format(job_id).encode()
        head = (
            "POST /api/v26.1/services/jobs/actions/cancel HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: {service.client.headers['Authorization']}\r\nAccept: {accept}\r\n"
            f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode(), body

    head, body = asked(done)
    slow = others.connect(head)
    for number in body:
        slow.sendall(bytes([number]))
        pause.wait(0.01)
    assert b"SUCCESS" in slow.recv(65536)
    head, body = asked(left)
    cut_off = others.connect(head + body[:-1])
    cut_off.shutdown(socket.SHUT_WR)
    assert is_closed(cut_off)
    assert service.status(done) in ("CANCELLING", "CANCELLED")
    assert service.status(left) == "SCHEDULED"
