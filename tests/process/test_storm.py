"""Everything is killed at random moments, under submits and cancels of hundreds of jobs; nothing
that was promised is lost. ``STORM_SECONDS`` lets it blow for longer, ``STORM_SEED`` repeats one.
"""

import os
import random
import signal
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic

import httpx2
import pytest

from postgres import Server
from process.conftest import (
    JOBS,
    LEASE_SECONDS,
    Program,
    Service,
    Worker,
    figures,
    options_of,
    show,
)
from rescind import databases
from rescind.engines.process.tree import descendants
from rescind.errors import StoreUnavailable
from rescind.lifecycle import FINAL, Move, Status
from rescind.model import Event, Job
from store import harness

SECONDS = float(os.environ.get("STORM_SECONDS", "10"))
SEED = int(os.environ.get("STORM_SEED", "1"))
BACKLOG_JOBS_MAX = 1_000
KINDS = ("quick",) * 5 + ("sleeps",) * 5 + ("busy", "holds", "reports", "reports")
CALM = threading.Event()


class Storm:
    """Processes on one database, what they were asked, what they answered, and who was killed."""

    def __init__(self, folder: Path, database: str, server: Server) -> None:
        self.folder, self.database, self.server = folder, database, server
        self.on_postgres = database.startswith("postgresql:")
        self.ledger = folder / "ledger"
        self.ledger.touch()
        self.random = random.Random(SEED)
        self.password: str | None = None
        self.services: list[Service] = []
        self.workers: list[Worker] = []
        self.submitted: list[int] = []
        self.condemned: list[int] = []
        """Those that are cancelled; the others run, unless something befalls them."""
        self.accepted: set[int] = set()
        self.killed: dict[int, datetime] = {}
        """When a process was killed, by its pid, where it had a worker."""
        self.pids: dict[str, int] = {}
        """Of the workers that were killed."""
        self.outages: list[tuple[datetime, datetime]] = []
        self.kills: Counter[str] = Counter()
        self.stalled: list[tuple[Worker, float]] = []
        """Workers that a signal has stopped, and when they go on."""
        self.over = threading.Event()
        for _ in range(2 if self.on_postgres else 1):
            self.services.append(self.serve())
        if self.on_postgres:
            self.workers = [self.work(), self.work()]
        self.headers = dict(self.services[0].client.headers)
        self.store = databases.open_store(database)

    def serve(self) -> Service:
        options = ("--slots", "4", *options_of(JOBS))
        if self.on_postgres:
            options = ("--no-worker",)
        service = Service(self.folder, self.database, *options, password=self.password)
        self.password = service.password
        return service

    def work(self) -> Worker:
        return Worker(self.folder, self.database, *options_of(JOBS), "--slots", "4")

    def programs(self) -> list[Program]:
        return [*self.services, *self.workers]

    # What users do

    def ask(self, client: httpx2.Client, path: str, items: list[dict[str, object]]) -> list[object]:
        """Ask any of the services; nothing when there was no answer, or none that promises."""
        try:
            address = random.choice(self.services).address
            url = f"{address}/api/v26.1/services/jobs{path}"
            answer = client.post(url, json=items, headers=self.headers).json()
        except (httpx2.HTTPError, ValueError):
            CALM.wait(0.05)
            return []
        if answer["responseStatus"] != "SUCCESS":
            assert answer["responseStatus"] == "EXCEPTION", answer
            return []
        return list(answer["data"])

    def submit_all_the_time(self) -> None:
        own = random.Random(SEED + 1)
        with httpx2.Client(timeout=60) as client:
            while not self.over.is_set():
                if len(self.submitted) - len(self.accepted) > BACKLOG_JOBS_MAX:
                    CALM.wait(0.05)
                    continue
                name = own.choice(("storm__c", "idempotent_storm__c"))
                spared = own.random() < 0.4
                count = own.choice((1, 2, 3)) if spared else own.choice((20, 100))
                items: list[dict[str, object]] = [
                    {
                        "job_metadata": name,
                        "priority": own.randint(1, 20) if spared else own.randint(10, 100),
                        "parameters": {"ledger": str(self.ledger), "how": own.choice(KINDS)},
                    }
                    for _ in range(count)
                ]
                for item in self.ask(client, "", items):
                    assert isinstance(item, dict)
                    self.submitted.append(item["data"]["id"])
                    if not spared or own.random() < 0.4:
                        self.condemned.append(item["data"]["id"])
                CALM.wait(0.1)

    def cancel_all_the_time(self) -> None:
        own = random.Random(SEED + 2)
        with httpx2.Client(timeout=60) as client:
            while not self.over.is_set():
                recent = self.condemned[-1200:]
                self.cancel(client, own.sample(recent, min(own.choice((3, 30, 500)), len(recent))))
                CALM.wait(own.uniform(0.1, 1.5))

    def cancel(self, client: httpx2.Client, ids: list[int]) -> None:
        if ids:
            answers = self.ask(client, "/actions/cancel", [{"job_id": job_id} for job_id in ids])
            for job_id, item in zip(ids, answers, strict=False):
                assert isinstance(item, dict)
                if item["responseStatus"] == "SUCCESS":
                    assert item["data"]["id"] == job_id
                    self.accepted.add(job_id)

    # What befalls them

    def kill_something(self) -> None:
        kinds = ["serve", "keeper", "warm", "init", "run"]
        if self.on_postgres:
            kinds += ["worker", "worker", "stall", "stall", "postgres"]
        kind = self.random.choice(kinds)
        match kind:
            case "serve":
                index = self.random.randrange(len(self.services))
                self.kill(self.services[index])
                self.services[index] = self.serve()
            case "worker":
                index = self.random.randrange(len(self.workers))
                self.kill(self.workers[index])
                self.workers[index] = self.work()
            case "stall":
                worker = self.random.choice(self.workers)
                worker.process.send_signal(signal.SIGSTOP)
                self.stalled.append((worker, monotonic() + LEASE_SECONDS * 1.5))
            case "postgres":
                started = self.now()
                self.server.kill()
                self.server.start()
                self.outages.append((started, self.now()))
            case _:
                runner = self.random.choice([*self.workers, *self.services])
                below = [pid for pid in descendants(runner.process.pid) if is_kind(pid, kind)]
                if not below:
                    return
                try:
                    os.kill(self.random.choice(below), signal.SIGKILL)
                except ProcessLookupError:
                    return  # a run that has ended meanwhile
        self.kills[kind] += 1

    def wake(self, now: float) -> None:
        """Let those go on that have stood still for longer than their lease."""
        for worker, _ in (stall for stall in self.stalled if stall[1] <= now):
            if worker.alive:
                worker.process.send_signal(signal.SIGCONT)
        self.stalled = [stall for stall in self.stalled if stall[1] > now]

    def kill(self, program: Program) -> None:
        self.pids |= {worker.id: worker.pid for worker in self.store.workers()}
        program.process.kill()
        self.killed[program.process.pid] = self.now()
        program.end(signal.SIGKILL)

    def now(self) -> datetime:
        while True:
            try:
                return self.store.now()
            except StoreUnavailable:
                continue

    # What is left

    def jobs(self) -> list[Job]:
        found: list[Job] = []
        while page := self.store.latest_jobs(
            limit=1000, below=found[-1].id if found else 2**62, owner=None
        ):
            found += page
        return found

    def blow(self) -> None:
        """Let it blow, then let everything come to its end."""
        users = [
            threading.Thread(target=work)
            for work in (
                self.submit_all_the_time,
                self.cancel_all_the_time,
                self.cancel_all_the_time,
            )
        ]
        for user in users:
            user.start()
        end = monotonic() + SECONDS
        while monotonic() < end:
            CALM.wait(self.random.uniform(0.2, 1.5))
            self.wake(monotonic())
            self.kill_something()
        self.wake(float("inf"))
        self.over.set()
        for user in users:
            user.join()
        with httpx2.Client(timeout=60) as client:
            left = [job.id for job in self.jobs() if job.status not in FINAL]
            for start in range(0, len(left), 500):
                self.cancel(client, left[start : start + 500])
        assert harness.eventually(lambda: all(job.status in FINAL for job in self.jobs())), (
            "a job is stuck"
        )


def is_kind(pid: int, kind: str) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text() == f"rescind-{kind}\n"
    except OSError:
        return False


@pytest.fixture
def storm(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Storm]:
    server = Server()
    with server.database() as url:
        database = url if request.param == "postgres" else f"sqlite:///{tmp_path}/rescind.db"
        storm = Storm(tmp_path, database, server)
        yield storm
        storm.store.close()
        for program in storm.programs():
            if program.alive:
                program.end()
    server.stop()


@pytest.mark.timeout(SECONDS + 300)
@pytest.mark.parametrize("storm", ["sqlite", "postgres"], indirect=True)
def test_nothing_promised_is_lost_whatever_is_killed(storm: Storm) -> None:
    storm.blow()
    jobs = {job.id: job for job in storm.jobs()}
    events = {job_id: storm.store.events(job_id) for job_id in jobs}

    assert set(storm.submitted) <= jobs.keys(), "a submitted job was lost"
    cancelled = {job_id for job_id, job in jobs.items() if job.status is Status.CANCELLED}
    assert storm.accepted <= cancelled, "an accepted cancel was lost"
    for job_id, history in events.items():
        words = [event.move for event in history]
        if Move.CANCEL in words:
            assert words[-2:] == [Move.CANCEL, Move.SETTLE], (job_id, words)

    entries = [line.split() for line in storm.ledger.read_text().splitlines()]
    assert not [entry for entry in entries if entry[3] == "OVERLAP"], "two runs of one job at once"
    entered = Counter(int(entry[0]) for entry in entries if entry[3] == "run")
    for job_id, times in entered.items():
        job = jobs[job_id]
        assert times <= job.attempt, "entered without a claim"
        assert job.idempotent or times == 1, "not idempotent, and started twice"

    recoveries = recovery_times(storm, events)
    report(storm, jobs, events, entered, recoveries)


def recovery_times(storm: Storm, events: dict[int, list[Event]]) -> list[float]:
    """For how long jobs stayed with a worker that had been killed; the time for which the
    database itself was away does not count.
    """
    times: list[float] = []
    for history in events.values():
        held_by: str | None = None
        for event in history:
            killed_at = None if held_by is None else storm.killed.get(storm.pids.get(held_by, 0))
            if event.move is Move.CANCEL:
                continue
            if killed_at is not None and killed_at < event.at:
                times.append(
                    (event.at - killed_at - away(storm, killed_at, event.at)).total_seconds()
                )
            held_by = event.by if event.move is Move.CLAIM else None
    return sorted(times)


def away(storm: Storm, start: datetime, end: datetime) -> timedelta:
    overlaps = (min(end, back) - max(start, gone) for gone, back in storm.outages)
    return sum((max(overlap, timedelta()) for overlap in overlaps), timedelta())


def report(
    storm: Storm,
    jobs: dict[int, Job],
    events: dict[int, list[Event]],
    entered: Counter[int],
    recoveries: list[float],
) -> None:
    kills = ", ".join(f"{kind} {count}" for kind, count in sorted(storm.kills.items()))
    statuses = Counter(str(job.status) for job in jobs.values())
    show(
        f"{'PostgreSQL' if storm.on_postgres else 'SQLite'}: {len(jobs)} jobs, "
        f"{len(storm.accepted)} cancels accepted, {sum(entered.values())} runs entered, "
        f"kills: {kills}; ends: {dict(sorted(statuses.items()))}"
    )
    if recoveries:
        show(f"jobs of killed workers recovered: {figures(recoveries)}")
    stops: dict[str, list[float]] = defaultdict(list)
    for job_id, history in events.items():
        if history[-1].move is Move.SETTLE:
            seconds = (history[-1].at - history[-2].at).total_seconds()
            stops[str(jobs[job_id].evidence)].append(seconds)
    for evidence, times in sorted(stops.items()):
        show(f"{evidence}: {figures(times)} from acceptance to CANCELLED")
