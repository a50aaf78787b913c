"""A worker and its database: through a slow line, and while the database is away.

A proxy stands between them, which holds back each byte for half the round trip and, while the
database is "away", closes every connection and takes none. Eight long jobs that log and report ten
times a second run through each:

    .venv/bin/python bench/absences.py
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))


from postgres import Server
from proxy import Proxy
from rescind import databases
from rescind.lifecycle import Status
from rescind.model import NewJob
from store.harness import USER, submit_all

HERE = Path(__file__).parent
RUNS = 8
SETTLE_SECONDS = 12.0


def bench(server: Server, what: str, round_trip: float, absences: list[float]) -> None:
    with server.database() as url, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        proxy = Proxy(folder, url, round_trip)
        store = databases.open_store(url)
        store.add_user("ada", "hash", frozenset())
        worker = subprocess.Popen(
            [
                *(sys.executable, "-m", "rescind.cli", "worker", "--database", proxy.url),
                *("--jobs", "patient_jobs", "--slots", str(RUNS)),
            ],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(HERE)},
            stdout=subprocess.PIPE,
            stderr=(folder / "stderr.txt").open("w"),
            text=True,
        )
        assert worker.stdout is not None
        worker.stdout.readline()
        metadata = store.metadata(["long__c"])["long__c"]
        jobs = [NewJob(metadata=metadata, title="x", parameters={"seconds": 3600})] * RUNS
        ids = submit_all(store, jobs, USER)
        while any(not store.log(job_id) for job_id in ids):
            time.sleep(0.1)
        for seconds in absences:
            time.sleep(SETTLE_SECONDS)
            proxy.away(seconds)
        time.sleep(40)  # longer than a lease: what is lost is lost by then
        found = [store.job(job_id) for job_id in ids]
        kept = sum(
            job is not None and job.attempt == 1 and job.status is Status.RUNNING for job in found
        )
        cancelled_at = time.monotonic()
        store.cancel(ids, USER, running_allowed=True, owner=None)
        store.settle(USER, limit=500)
        while len(store.stops_wanted(found[0].worker or "") if found[0] else []):
            time.sleep(0.01)
        stopped = time.monotonic() - cancelled_at
        print(
            f"{what}: {RUNS - kept} of {RUNS} runs lost; cancels: all stopped after {stopped:.2f} s"
        )
        worker.terminate()
        worker.wait(60)
        worker.stdout.close()
        store.close()


def main() -> None:
    server = Server()
    bench(server, "a round trip of 50 ms, for a minute", 0.05, [0.0])
    for seconds in (5.0, 15.0, 25.0):
        bench(server, f"three absences of {seconds:g} s", 0.0, [seconds] * 3)
    server.stop()


if __name__ == "__main__":
    main()
