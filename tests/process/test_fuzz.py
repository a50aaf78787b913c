"""Whatever is sent: no EXCEPTION, no hang, no traceback, bounded memory. ``FUZZ_SECONDS`` sets for
how long, ``FUZZ_SEED`` with what; run with ``-s``, it prints its figures.
"""

import contextlib
import json
import os
import socket
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import httpx2
import pytest

from process.conftest import Service, on_both_stores, show
from process.fuzzing import Drawer, Drawn
from processes import HANG_SECONDS

SECONDS = float(os.environ.get("FUZZ_SECONDS", "60"))
SEED = int(os.environ.get("FUZZ_SEED", "20"))
THREADS = 2
MEMORY_MIB_MAX = 1024
PIECE_SECONDS = 0.01

Serve = Callable[..., Service]


class Figures:
    """What all threads have seen."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.rounds = 0
        self.kinds: Counter[str] = Counter()
        self.routes: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.slowest = (0.0, "")
        self.wrong: list[tuple[bytes, bytes]] = []

    def add(self, drawn: Drawn, answer: bytes, seconds: float) -> None:
        status = answer.split(b" ", 2)[1].decode() if answer.startswith(b"HTTP/1.") else "closed"
        with self.lock:
            self.kinds[drawn.kind] += 1
            self.routes[f"{drawn.method} {drawn.route}"] += 1
            self.statuses[status] += 1
            self.slowest = max(self.slowest, (seconds, f"{drawn.method} {drawn.route}"))
            if b"x-vaultapi-status: EXCEPTION" in answer or status[0] == "5":
                self.wrong.append((b"".join(drawn.pieces), answer))


class Sender(threading.Thread):
    """Sends what a seed draws, on one connection after another."""

    def __init__(self, service: Service, drawer: Drawer, figures: Figures, end: float) -> None:
        super().__init__()
        host, _, port = service.address.removeprefix("http://").rpartition(":")
        self._address = host, int(port)
        self._drawer, self._figures, self._end = drawer, figures, end
        self._pause = threading.Event()
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            while monotonic() < self._end:
                drawn = self._drawer.draw()
                begin = monotonic()
                answer = self._answer(drawn)
                self._figures.add(drawn, answer, monotonic() - begin)
        except BaseException as error:  # noqa: BLE001 - told to the test
            self.error = error

    def _answer(self, drawn: Drawn) -> bytes:
        """All that comes until the server closes, which it is asked to do."""
        heard = b""
        with contextlib.suppress(ConnectionError), socket.socket() as connection:
            connection.settimeout(HANG_SECONDS)
            connection.connect(self._address)
            for piece in drawn.pieces:
                connection.sendall(piece)
                if len(drawn.pieces) > 1:
                    self._pause.wait(PIECE_SECONDS)
            with contextlib.suppress(OSError):  # closed already
                connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65536):
                heard += part
        return heard


def sessions(service: Service) -> list[str]:
    """Of the administrator, one for each thread."""
    form = {"username": "admin", "password": service.password}
    answers = [httpx2.post(f"{service.address}/api/v26.1/auth", data=form) for _ in range(THREADS)]
    return [answer.json()["sessionId"] for answer in answers]


@on_both_stores
@pytest.mark.timeout(SECONDS + 240)
def test_whatever_is_sent_is_answered(no_drain: None, serve: Serve, tmp_path: Path) -> None:
    service = serve(jobs=["rescind.demo"])
    figures = Figures()
    end = monotonic() + SECONDS / 2  # on each store
    while (left := end - monotonic()) > 0:
        living = sessions(service)  # some of them are signed out on the way
        until = monotonic() + min(left, 5.0)
        seeds = range(SEED + figures.rounds * THREADS, SEED + (figures.rounds + 1) * THREADS)
        figures.rounds += 1
        drawers = [Drawer(seed, living, service.password) for seed in seeds]
        senders = [Sender(service, drawer, figures, until) for drawer in drawers]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
            assert sender.error is None, repr(sender.error)
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    show(f"{figures.kinds.total()} requests in {SECONDS / 2:g} s: {dict(figures.kinds)}")
    show(f"statuses: {dict(figures.statuses.most_common())}")
    show(f"slowest: {figures.slowest[0]:.2f} s, {figures.slowest[1]}; peak memory {peak:.0f} MiB")
    for route, count in sorted(figures.routes.items()):
        if count > figures.kinds.total() / 200:
            show(f"  {count:6} {route}")
    assert not figures.wrong, figures.wrong[0]
    assert service.readiness == (200, "ready")
    log = (tmp_path / "stderr.txt").read_text()
    assert "Traceback" not in log
    for line in log.splitlines():
        assert isinstance(json.loads(line), dict)
    assert peak < MEMORY_MIB_MAX
