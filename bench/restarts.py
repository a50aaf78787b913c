"""Restarts under load: how long the API is silent, and what becomes of jobs.

On SQLite the one service is stopped by SIGTERM and started again; on PostgreSQL there are two, and
one after the other is. Meanwhile a client submits short jobs, which may not be started twice, and
long ones, which may:

    .venv/bin/python bench/restarts.py [--restarts 20]
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from postgres import Server
from rescind import databases
from rescind.lifecycle import FINAL, Status
from rescind.model import Job

HERE = Path(__file__).parent
API = "/api/v26.1"
BATCH = 10


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Program:
    def __init__(self, folder: str, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rescind.cli", *words, "--jobs", "patient_jobs"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(HERE), "RESCIND_DRAIN_SECONDS": "2"},
            stdout=subprocess.PIPE,
            stderr=(Path(folder) / "stderr.txt").open("a"),
            text=True,
        )
        assert self.process.stdout is not None
        self.said = ""
        for line in self.process.stdout:
            self.said += line
            if "actions/cancel" in line or "worker is ready" in line:
                break

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == 0
        assert self.process.stdout is not None
        self.process.stdout.close()


class Load:
    """Submits and asks, at whichever of the addresses answers, as clients behind a balancer do."""

    def __init__(self, ports: list[int], password: str) -> None:
        self.ports = ports
        self.password = password
        self.over = threading.Event()
        self.submitted: list[int] = []
        self.silence = 0.0
        self.threads = [threading.Thread(target=work) for work in (self.ask, self.submit)]
        for thread in self.threads:
            thread.start()

    def request(self, method: str, path: str, **more: Any) -> dict[str, Any] | None:
        for port in self.ports:
            try:
                answer = httpx2.request(
                    method, f"http://127.0.0.1:{port}{API}{path}", timeout=5, **more
                )
            except httpx2.TransportError:
                continue
            found: dict[str, Any] = answer.json()
            return found
        return None

    def sign_in(self) -> str:
        form = {"username": "admin", "password": self.password}
        while (answer := self.request("POST", "/auth", data=form)) is None:
            time.sleep(0.05)
        return str(answer["sessionId"])

    def ask(self) -> None:
        headers = {"Authorization": self.sign_in()}
        heard = time.monotonic()
        while not self.over.is_set():
            if self.request("GET", "/objects/users/me", headers=headers) is not None:
                self.silence = max(self.silence, time.monotonic() - heard)
                heard = time.monotonic()
            time.sleep(0.01)

    def submit(self) -> None:
        headers = {"Authorization": self.sign_in()}
        items = [{"job_metadata": "short__c"}] * (BATCH - 1)
        items.append({"job_metadata": "long__c", "parameters": {"seconds": 3}})  # type: ignore[dict-item]
        number = 0
        while not self.over.is_set():
            number += 1
            keyed = {**headers, "Idempotency-Key": f"batch {number}"}
            answer = None
            while answer is None or "data" not in answer:  # sent again until it is answered
                answer = self.request("POST", "/services/jobs", headers=keyed, json=items)
            self.submitted += [row["data"]["id"] for row in answer["data"]]
            time.sleep(0.7)

    def end(self) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()


def jobs_of(url: str) -> list[Job]:
    store = databases.open_store(url)
    found = store.latest_jobs(limit=1_000_000, below=2**62, owner=None)
    store.close()
    return found


def bench(name: str, folder: str, url: str, restarts: int, *, hosts: int) -> None:
    ports = [free_port() for _ in range(hosts)]
    serve = lambda port: Program(  # noqa: E731
        folder, "serve", "--database", url, "--port", str(port), "--first-administrator"
    )
    if hosts > 1:
        databases.migrate(url)
    programs = [serve(ports[0])]
    password = programs[0].said.partition("password: ")[2].split()[0]
    programs += [serve(port) for port in ports[1:]]
    load = Load(ports, password)
    for number in range(restarts):
        time.sleep(1)
        which = number % hosts
        programs[which].end()
        programs[which] = serve(ports[which])
    load.end()
    while not all(job.status in FINAL for job in jobs_of(url)):
        time.sleep(0.2)
    for program in programs:
        program.end()
    jobs = {job.id: job for job in jobs_of(url)}
    ends = Counter(str(job.status) for job in jobs.values())
    lost = [job_id for job_id in load.submitted if job_id not in jobs]
    failed = [job for job in jobs.values() if job.status is not Status.SUCCESS]
    again = sum(job.attempt > 1 for job in jobs.values())
    print(
        f"{name}, {restarts} restarts, {len(jobs)} jobs: the API's longest silence "
        f"{load.silence:.2f} s; jobs lost: {len(lost)}; submitted twice: "
        f"{len(jobs) - len(load.submitted)}; started again after a drain: {again}; ended with an "
        f"error: {len(failed)}; ends: {dict(ends)}"
    )
    for job in failed[:5]:
        print(f"  {job.id} {job.job_metadata} {job.status}: {job.error}")


def on_sqlite(restarts: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bench("SQLite", folder, f"sqlite:///{folder}/bench.db", restarts, hosts=1)


def on_postgres(restarts: int) -> None:
    server = Server()
    with server.database(migrated=False) as url, tempfile.TemporaryDirectory() as folder:
        bench("PostgreSQL, two services", folder, url, restarts, hosts=2)
    server.stop()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--restarts", type=int, default=20)
    parser.add_argument("--stores", nargs="+", default=["sqlite", "postgres"])
    given = parser.parse_args()
    restarts = given.restarts
    if "sqlite" in given.stores:
        on_sqlite(restarts)
    if "postgres" in given.stores:
        on_postgres(restarts)


if __name__ == "__main__":
    main()
