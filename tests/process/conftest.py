"""A whole service as people run it: a process of its own, reached by HTTP, ended by signals."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import httpx2
import pytest

TESTS = Path(__file__).parents[1]
FINAL = {
    "SUCCESS",
    "CANCELLED",
    "ERRORS_ENCOUNTERED",
    "TIMEOUT",
    "COMPLETED_DUE_TO_INACTIVITY",
    "MISSED_SCHEDULE",
    "FAILED_TO_RUN",
}


def show(text: str) -> None:
    """Print a figure, for who runs the tests with ``-s``."""
    sys.stdout.write(f"\n  {text}\n")


class Service:
    """One ``rescind serve`` and a signed-in client of it."""

    def __init__(self, folder: Path, *options: str, password: str | None = None) -> None:
        self.database = folder / "rescind.db"
        self._stderr = (folder / "stderr.txt").open("a")
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "rescind.cli", "serve", "--port", "0"),
                *("--database", f"sqlite:///{self.database}", "--first-administrator"),
                *options,
            ],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(TESTS)},
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
        )
        assert self.process.stdout is not None
        self.banner: list[str] = []
        for line in self.process.stdout:
            self.banner.append(line.rstrip("\n"))
            if "actions/cancel" in line:
                break
        assert self.banner, f"it did not start: {(folder / 'stderr.txt').read_text()}"
        self.address = self.banner[0].rpartition(" ")[2]
        if made := re.search(r"password: (\S{24})$", self.banner[1]):
            password = made[1]
        assert password is not None
        self.password = password
        self.client = httpx2.Client(base_url=f"{self.address}/api/v26.1", timeout=30)
        form = {"username": "admin", "password": password}
        session = self.client.post("/auth", data=form).json()["sessionId"]
        self.client.headers["Authorization"] = session

    def submit(self, name: str, count: int = 1, **item: Any) -> list[int]:
        """Submit jobs alike; their ids."""
        items = [{"job_metadata": name, **item}] * count
        answer = self.client.post("/services/jobs", json=items).json()
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

    def until(self, done: Callable[[], bool], seconds: float = 30) -> float:
        """Ask until it is so; how many seconds it took."""
        started = monotonic()
        while not done():
            assert monotonic() - started < seconds, "waited in vain"
        return monotonic() - started

    def until_status(self, job_id: int, *statuses: str, seconds: float = 30) -> float:
        """Wait until a job stands in one of these."""
        return self.until(lambda: self.status(job_id) in statuses, seconds)

    def until_logged(self, job_id: int, text: str) -> None:
        """Wait for a line of a job's log."""
        self.until(lambda: text in self.log(job_id))

    def end(self, number: signal.Signals = signal.SIGTERM, seconds: float = 30) -> int:
        """Send a signal; the exit status."""
        self.client.close()
        self.process.send_signal(number)
        status = self.process.wait(seconds)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._stderr.close()
        return status


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start services in one folder; those still alive are ended when the test is over."""
    started: list[Service] = []

    def start(
        *options: str, jobs: Sequence[str] = ("rescind.demo", "process.jobs_for_tests")
    ) -> Service:
        modules = [word for name in jobs for word in ("--jobs", name)]
        password = started[-1].password if started else None
        started.append(Service(tmp_path, *modules, *options, password=password))
        return started[-1]

    yield start
    for service in started:
        if service.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                assert service.end() == 0
