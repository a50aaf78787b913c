"""What pages cost that go on while somebody watches: 20 streams beside a service that works.

In a month's database, on SQLite and on PostgreSQL: the processor's share that the service takes,
and the time of one cancel by HTTP, without watchers, with 20 of the same list, with 20 of
different lists, and with 20 that load the same page again each second, the floor of what lives:

    .venv/bin/python bench/page.py --finished 100000
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
from lists import PASSWORD, arguments, full_database, percentiles
from service import JOBS, Service

WATCHERS = 20
ITEM = {"job_metadata": "bench__c", "run_date": "2099-01-01T00:00:00Z"}


def cookie(service: Service) -> str:
    """A browser's session."""
    form = {"username": "admin", "password": PASSWORD}
    headers = {"Origin": service.address}
    answer = httpx2.post(f"{service.address}/sign-in", data=form, headers=headers)
    return answer.headers["set-cookie"].partition(";")[0]


@contextmanager
def watchers(service: Service, paths: list[str], how: str) -> Iterator[None]:
    """Processes that watch pages, ten each."""
    command = [sys.executable, str(Path(__file__).parent / "watcher.py"), how, service.address]
    environment = {**os.environ, "COOKIE": cookie(service)}
    some = [paths[: len(paths) // 2], paths[len(paths) // 2 :]]
    clients = [subprocess.Popen([*command, *part], env=environment) for part in some if part]
    time.sleep(3 if paths else 0)  # until all of them watch
    yield
    for client in clients:
        client.terminate()
    for client in clients:
        client.wait()


def processor_seconds(pid: int) -> float:
    """That a process has taken so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(service: Service, rounds: int, what: str) -> None:
    """One job is submitted and cancelled at a time, twenty a second, so that lists change."""
    seconds = []
    began, taken = time.perf_counter(), processor_seconds(service.pid)
    for number in range(rounds):
        _, answer = service.request("POST", JOBS, [ITEM])
        job_id = answer["data"][0]["data"]["id"]
        took, _ = service.request("POST", f"{JOBS}/actions/cancel", [{"job_id": job_id}])
        seconds.append(took)
        time.sleep(max(0.0, began + (number + 1) / 20 - time.perf_counter()))
    share = (processor_seconds(service.pid) - taken) / (time.perf_counter() - began)
    p50, p99 = percentiles(seconds)
    print(f"  {what:40} {100 * share:6.0f} % {p50:8.1f} {p99:8.1f}", flush=True)


def main() -> None:
    given = arguments(__doc__)
    same = ["/"] * WATCHERS
    different = [f"/?title={number}" for number in range(WATCHERS)]
    for kind in given.stores:
        with full_database(kind, given) as (_, service):
            print(f"{kind}: of one processor; a cancel's p50 and p99 in ms", flush=True)
            for _ in range(2):
                for what, paths, how in (
                    ("nobody watches", [], "stream"),
                    (f"{WATCHERS} watch one list", same, "stream"),
                    (f"{WATCHERS} watch different lists", different, "stream"),
                    (f"{WATCHERS} load one list each second", same, "load"),
                ):
                    with watchers(service, paths, how):
                        measure(service, given.rounds, what)
            service.end()


if __name__ == "__main__":
    main()
