"""(d) Submit to start. (e) Acceptance of a cancel to CANCELLED. (f) What an idle service takes.

    .venv/bin/python bench/latencies.py [--jobs N] [--stops N] [--stores …]

By the jobs' own instants, which the store keeps in milliseconds. The interrupted one is interrupted
0.1 s after it was told, the stubborn one has a grace of 0.5 s and 0.25 s after SIGTERM.
"""

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cancels import PASSWORD, administrator
from service import Service
from side_by_side import STORES, empty_database, spread, table

from rescind.databases import open_store
from rescind.engines.process.tree import descendants
from rescind.lifecycle import FINAL, Move
from rescind.store.protocol import Store

HERE = Path(__file__).parent
STOPS = ("cooperative__c", "interrupted__c", "stubborn__c")
IDLE_SECONDS = 10


def until(done: Callable[[], bool]) -> None:
    while not done():
        time.sleep(0.002)


def ended(store: Store, job_id: int) -> bool:
    job = store.job(job_id)
    return job is not None and job.status in FINAL


def instants(store: Store, job_id: int) -> dict[str, float]:
    """Of its moves, the last of each, in milliseconds."""
    return {event.move: event.at.timestamp() * 1000 for event in store.events(job_id)}


def starts(service: Service, store: Store, count: int) -> list[float]:
    """Milliseconds from submit to start, each when all is quiet."""
    found = []
    for _ in range(count):
        job_id = service.submit("noop__c")
        until(lambda job_id=job_id: ended(store, job_id))
        at = instants(store, job_id)
        found.append(at[Move.CLAIM] - at[Move.SUBMIT])
        time.sleep(random.uniform(0.05, 0.15))
    return found


def stops(service: Service, store: Store, name: str, count: int) -> list[float]:
    """Milliseconds from the acceptance of a cancel to CANCELLED."""
    found = []
    for _ in range(count):
        job_id = service.submit(name)
        service.await_log(job_id, "entered")
        service.cancel(job_id)
        at = instants(store, job_id)
        found.append(at[Move.SETTLE] - at[Move.CANCEL])
    return found


def queued(service: Service, store: Store, count: int) -> list[float]:
    """The same of jobs that wait behind one that runs."""
    blocker = service.submit("cooperative__c")
    service.await_log(blocker, "entered")
    ids = [service.submit("noop__c") for _ in range(count)]
    for job_id in ids:
        service.cancel(job_id)
    found = [instants(store, job_id) for job_id in ids]
    service.cancel(blocker)
    return [at[Move.SETTLE] - at[Move.CANCEL] for at in found]


def idle(pid: int) -> list[str]:
    """CPU and wake-ups a second of a service and all below it, and their memory."""
    pids = [pid, *descendants(pid)]

    def total() -> tuple[float, int]:
        ticks = wakes = 0
        for one in pids:
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(") ")[2].split()
            ticks += int(fields[11]) + int(fields[12])
            for status in Path(f"/proc/{one}/task").glob("*/status"):
                text = status.read_text()
                wakes += int(text.partition("voluntary_ctxt_switches:")[2].split()[0])
        return ticks / 100, wakes

    before = total()
    time.sleep(IDLE_SECONDS)
    after = total()
    kib = 0
    for one in pids:
        text = Path(f"/proc/{one}/smaps_rollup").read_text()
        kib += int(text.partition("\nPss:")[2].split()[0])
    cpu = 100 * (after[0] - before[0]) / IDLE_SECONDS
    wakes = (after[1] - before[1]) / IDLE_SECONDS
    return [f"{cpu:.1f} %", f"{wakes:.0f}", f"{kib / 1024:.0f} MiB in {len(pids)} processes"]


def main() -> str:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--stops", type=int, default=10)
    parser.add_argument("--stores", nargs="+", default=STORES, choices=STORES)
    options, _ = parser.parse_known_args()
    begun, stopped, quiet = [], [], []
    for kind in options.stores:
        with empty_database(kind) as url, tempfile.TemporaryDirectory() as folder:
            store = open_store(url)
            administrator(store)
            began = time.perf_counter()
            service = Service(
                *(folder, "noop_jobs", [HERE], "--slots", "1"), database=url, password=PASSWORD
            )
            ready = time.perf_counter() - began
            starts(service, store, 5)
            quiet.append([kind, f"{ready:.2f} s", *idle(service.pid)])
            values = sorted(starts(service, store, options.jobs))
            p99 = values[int(len(values) * 0.99)]
            begun.append(
                [kind, f"{statistics.median(values):.0f}", f"{p99:.0f}", f"{values[-1]:.0f}"]
            )
            stopped.append([kind, "queued", spread(queued(service, store, options.stops))])
            for name in STOPS:
                found = stops(service, store, name, options.stops)
                stopped.append([kind, name.removesuffix("__c"), spread(found)])
            service.end()
            store.close()
        print(begun[-1], stopped[-4:], quiet[-1], file=sys.stderr, flush=True)
    tables = [
        table("(d) Submit to start, ms", ["store", "p50", "p99", "worst"], begun),
        table("(e) Acceptance to CANCELLED, ms", ["store", "job", "median (from, to)"], stopped),
        table(
            "(f) An idle service", ["store", "ready after", "CPU", "wake-ups/s", "memory"], quiet
        ),
    ]
    return "\n".join(tables)


if __name__ == "__main__":
    print(main())
