"""How long a cancel takes, idle and beside twelve floods of requests from a process of their own.

In a database with ``--finished`` and ``--unfinished`` jobs, for ``--seconds`` each, from a second
after its beginning. Every cancel names one job of its own and must be accepted; every second one
comes on a connection of its own:

    .venv/bin/python bench/strangers.py
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlencode

import httpx2
from lists import PASSWORD, arguments, full_database
from service import JOBS, Service

API = "/api/v26.1"
RULE = "|---|---|---|---|---|"
FORM = "application/x-www-form-urlencoded"
STATUS, LOG, PAGE = f"{JOBS}/1", f"{JOBS}/1/log", "/"
LINE_FEEDS = b"\n" * (8 * 1024 * 1024 - 1)
BRACKETS = b"[" * (8 * 1024 * 1024 - 1)
PAUSE_SECONDS = 0.01
"""Between two cancels."""
SETTLE_SECONDS = 1.0
WRONG = "sign-ins, wrong"


def asked(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    """A request as it is sent."""
    names = {"Host": "127.0.0.1", "Content-Length": str(len(body)), **headers}
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in names.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


def floods(session: str) -> dict[str, tuple[int, str, bytes]]:
    """Connections, how, and what they send, by what a flood is called. ``session`` is that of a
    user who may read and submit, but not cancel other people's jobs.
    """
    query = urlencode({"q": "SELECT id, status__sys FROM job__sys ORDER BY id DESC"}).encode()
    wrong = urlencode({"username": "admin", "password": "wrong wrong"}).encode()
    auth = f"{API}/auth"
    slow = asked("POST", auth, Content_Type=FORM)
    slow = slow.replace(b"Content-Length: 0", b"Content-Length: 60000") + b"username="
    csv = {"Authorization": session, "Content_Type": "text/csv"}
    return {
        "status": (16, "asks", asked("GET", STATUS, Authorization=session)),
        "log": (16, "asks", asked("GET", LOG, Authorization=session)),
        "page": (16, "asks", asked("GET", PAGE, Cookie=f"rescind_session={session}")),
        "histories": (16, "asks", asked("GET", f"{JOBS}/histories", Authorization=session)),
        "queries": (
            16,
            "asks",
            asked("POST", f"{API}/query", query, Authorization=session, Content_Type=FORM),
        ),
        "bad sessions": (16, "asks", asked("GET", STATUS, Authorization="0" * 128)),
        WRONG: (30, "asks", asked("POST", auth, wrong, Content_Type=FORM)),
        "half-open connections": (1_200, "holds", b"P"),
        "slow bodies": (1_200, "drips", slow),
        "cookies of backslashes": (
            8,
            "asks",
            asked("GET", PAGE, Cookie='rescind_session="' + "\\" * 62_000),
        ),
        "submits of line feeds": (8, "asks", asked("POST", JOBS, LINE_FEEDS, **csv)),
        "submits of brackets": (
            8,
            "asks",
            asked("POST", JOBS, BRACKETS, Authorization=session, Content_Type="application/json"),
        ),
    }


@contextmanager
def flood(service: Service, count: int, how: str, said: bytes) -> Iterator[None]:
    host, _, port = service.address.partition("://")[2].rpartition(":")
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("stranger.py")), host, port, str(count), how],
        stdin=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(said)
    process.stdin.close()
    try:
        time.sleep(SETTLE_SECONDS)
        yield
    finally:
        process.kill()
        process.wait()


def cancels(service: Service, ids: Iterator[int], seconds: float) -> list[float]:
    """The seconds that each took."""
    taken: list[float] = []
    with ExitStack() as stack:
        clients = [
            stack.enter_context(
                httpx2.Client(
                    base_url=service.address,
                    timeout=120,
                    headers={"Authorization": service.session},
                    limits=httpx2.Limits(max_keepalive_connections=kept),
                )
            )
            for kept in (0, 1)
        ]
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            client = clients[len(taken) % 2]
            began = time.perf_counter()
            answer = client.post(f"{JOBS}/actions/cancel", json=[{"job_id": next(ids)}])
            taken.append(time.perf_counter() - began)
            [item] = answer.json()["data"]
            assert item["responseStatus"] == "SUCCESS", json.dumps(item)
            time.sleep(PAUSE_SECONDS)
    return taken


def sign_ins(service: Service) -> list[float]:
    """The seconds that right ones took, of the user whose password the flood tries."""
    form = {"username": "admin", "password": PASSWORD}
    return [service.request("POST", f"{API}/auth", data=form)[0] for _ in range(20)]


def creator(service: Service) -> str:
    """The session of a user who may read and submit."""
    form = {"username": "creator", "password": PASSWORD}
    _, signed_in = service.request("POST", f"{API}/auth", data=form)
    return str(signed_in["sessionId"])


def row(name: str, taken: list[float]) -> str:
    ordered = sorted(1000 * one for one in taken)
    p50, p99 = (ordered[int(share * (len(ordered) - 1))] for share in (0.5, 0.99))
    return f"| {name} | {len(taken)} | {p50:.1f} | {p99:.1f} | {ordered[-1]:.1f} |"


def main() -> None:
    given = arguments(__doc__, seconds=10.0, finished=20_000, unfinished=40_000)
    for kind in given.stores:
        with full_database(kind, given) as (_, service):
            print(f"\n| {kind}: beside | cancels | p50 ms | p99 ms | worst ms |", RULE, sep="\n")
            scheduled = (n for n in range(1, given.unfinished) if n % 10 < 5)  # noqa: PLR2004 - full.py
            ids = (given.finished + n for n in scheduled)
            cancels(service, ids, 1.0)
            print(row("nothing", cancels(service, ids, given.seconds)), flush=True)
            for name, (count, how, said) in floods(creator(service)).items():
                with flood(service, count, how, said):
                    print(row(name, cancels(service, ids, given.seconds)), flush=True)
                    if name == WRONG:
                        print(row("(right sign-ins beside them)", sign_ins(service)), flush=True)
            print(f"peak memory of the service: {service.peak_mib:.0f} MiB")
            service.end()


if __name__ == "__main__":
    main()
