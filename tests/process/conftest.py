"""A whole service as people run it: processes of its own, reached by HTTP, ended by signals."""

import contextlib
import os
import re
import signal
import statistics
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import httpx2
import pytest

from processes import HANG_SECONDS

TESTS = Path(__file__).parents[1]
LEASE_SECONDS = 12.0
JOBS = ("rescind.demo", "process.jobs_for_tests")
FINAL = {
    "SUCCESS",
    "CANCELLED",
    "ERRORS_ENCOUNTERED",
    "TIMEOUT",
    "COMPLETED_DUE_TO_INACTIVITY",
    "MISSED_SCHEDULE",
    "FAILED_TO_RUN",
}
on_both_stores = pytest.mark.parametrize("database", ["sqlite", "postgres"], indirect=True)
"""For tests of the whole service that no store may make a difference to."""
on_postgres = pytest.mark.parametrize("database", ["postgres"], indirect=True)


def show(text: str) -> None:
    """Print a figure, for who runs the tests with ``-s``."""
    sys.stdout.write(f"\n  {text}\n")


def figures(times: Sequence[float]) -> str:
    """Of times in seconds: how many, median, 99th percentile, worst."""
    ordered = sorted(times)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return (
        f"{len(ordered)}, median {statistics.median(ordered):.3f} s, p99 {p99:.3f} s, "
        f"worst {ordered[-1]:.3f} s"
    )


class Program:
    """One ``rescind`` process; it has said that it is ready when this is constructed."""

    def __init__(self, folder: Path, *arguments: str, ready: str) -> None:
        self._stderr = (folder / "stderr.txt").open("a")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rescind.cli", *arguments],
            cwd=folder,
            env={
                "RESCIND_LEASE_SECONDS": str(LEASE_SECONDS),  # unless a test has set another
                **os.environ,
                "PYTHONPATH": str(TESTS),
            },
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
        )
        assert self.process.stdout is not None
        self.banner: list[str] = []
        guard = threading.Timer(HANG_SECONDS, self.process.kill)
        guard.start()
        for line in self.process.stdout:
            self.banner.append(line.rstrip("\n"))
            if ready in line:
                break
        guard.cancel()
        assert self.banner, f"it did not start: {(folder / 'stderr.txt').read_text()}"

    @property
    def alive(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.poll() is None

    def end(self, number: signal.Signals = signal.SIGTERM, seconds: float = HANG_SECONDS) -> int:
        """Send a signal; the exit status."""
        self.process.send_signal(number)
        return self.ended(seconds)

    def ended(self, seconds: float = HANG_SECONDS) -> int:
        """Wait for its end; the exit status."""
        try:
            status = self.process.wait(seconds)
        finally:
            self.process.kill()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._stderr.close()
        return status


class Worker(Program):
    """One ``rescind worker``."""

    def __init__(self, folder: Path, database: str, *options: str) -> None:
        super().__init__(folder, "worker", "--database", database, *options, ready="is ready")
        self.id = self.banner[0].rpartition(" ")[2]


class Service(Program):
    """One ``rescind serve`` and a signed-in client of it."""

    def __init__(
        self, folder: Path, database: str, *options: str, password: str | None = None
    ) -> None:
        super().__init__(
            folder,
            *("serve", "--port", "0", "--database", database, "--first-administrator"),
            *options,
            ready="actions/cancel",
        )
        self.address = self.banner[0].rpartition(" ")[2]
        if made := re.search(r"password: (\S{24})$", self.banner[1]):
            password = made[1]
        assert password is not None
        self.password = password
        self.client = httpx2.Client(base_url=f"{self.address}/api/v26.1", timeout=HANG_SECONDS)
        form = {"username": "admin", "password": password}
        session = self.client.post("/auth", data=form).json()["sessionId"]
        self.client.headers["Authorization"] = session

    def submit(self, name: str, count: int = 1, **item: Any) -> list[int]:
        """Submit jobs alike; their ids."""
        items = [{"job_metadata": name, **item}] * count
        answer = self.client.post("/services/jobs", json=items).json()
        assert answer["responseStatus"] == "SUCCESS", answer
        return [row["data"]["id"] for row in answer["data"]]

    def cancel(self, *ids: int) -> list[dict[str, Any]]:
        """Cancel jobs; the items of the answer."""
        items = [{"job_id": job_id} for job_id in ids]
        answer = self.client.post("/services/jobs/actions/cancel", json=items).json()
        assert answer["responseStatus"] == "SUCCESS", answer
        data: list[dict[str, Any]] = answer["data"]
        return data

    def status(self, job_id: int) -> str:
        """Where a job stands."""
        return str(self.client.get(f"/services/jobs/{job_id}").json()["data"]["status"])

    def log(self, job_id: int) -> str:
        """A job's log."""
        return str(self.client.get(f"/services/jobs/{job_id}/log").text)

    def evidence(self, job_id: int) -> str:
        """How a finished job stopped, as its log's summary says."""
        [found] = re.findall(r"Job Stop Evidence: (\w+)", self.log(job_id))
        return str(found)

    @property
    def readiness(self) -> tuple[int, str]:
        """What ``/readyz`` says."""
        answer = httpx2.get(f"{self.address}/readyz", timeout=HANG_SECONDS)
        return answer.status_code, answer.text.strip()

    def until(self, done: Callable[[], bool], seconds: float = HANG_SECONDS) -> float:
        """Ask until it is so; how many seconds it took."""
        started = monotonic()
        while not done():
            assert monotonic() - started < seconds, "waited in vain"
        return monotonic() - started

    def until_status(self, job_id: int, *statuses: str, seconds: float = HANG_SECONDS) -> float:
        """Wait until a job stands in one of these."""
        return self.until(lambda: self.status(job_id) in statuses, seconds)

    def until_logged(self, job_id: int, text: str) -> None:
        """Wait for a line of a job's log."""
        self.until(lambda: text in self.log(job_id))

    def ended(self, seconds: float = HANG_SECONDS) -> int:
        """Wait for its end; the exit status."""
        self.client.close()
        return super().ended(seconds)


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database of its own, where services keep everything."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return f"sqlite:///{tmp_path}/rescind.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def no_drain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Services wait for no job when they end."""
    monkeypatch.setenv("RESCIND_DRAIN_SECONDS", "0")


AnyProgram = TypeVar("AnyProgram", bound=Program)
Started = Callable[[AnyProgram], AnyProgram]


@pytest.fixture
def started() -> Iterator[Started[Any]]:
    """Programs that are ended when the test is over, if they are still alive."""
    programs: list[Program] = []

    def keep(program: AnyProgram) -> AnyProgram:
        programs.append(program)
        return program

    yield keep
    for program in programs:
        if program.alive:
            with contextlib.suppress(ProcessLookupError):
                assert program.end() == 0


def options_of(jobs: Sequence[str]) -> list[str]:
    """Modules as a command's options."""
    return [word for name in jobs for word in ("--jobs", name)]


@pytest.fixture
def serve(tmp_path: Path, database: str, started: Started[Service]) -> Callable[..., Service]:
    """Start services on one database."""
    passwords: list[str] = []

    def start(*options: str, jobs: Sequence[str] = JOBS) -> Service:
        password = passwords[0] if passwords else None
        service = Service(tmp_path, database, *options_of(jobs), *options, password=password)
        passwords.append(service.password)
        return started(service)

    return start


@pytest.fixture
def work(tmp_path: Path, database: str, started: Started[Worker]) -> Callable[..., Worker]:
    """Start workers on the same database."""

    def start(*options: str) -> Worker:
        return started(Worker(tmp_path, database, *options_of(JOBS), *options))

    return start
