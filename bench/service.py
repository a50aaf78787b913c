"""A ``rescind serve`` of its own, and a client, for the benches of the whole service."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx2

JOBS = "/api/v26.1/services/jobs"


class Service:
    """In ``folder``, on a new SQLite database or on one whose first user has ``password``, with
    job modules that lie in ``paths``.
    """

    def __init__(
        self,
        folder: str,
        module: str | None,
        paths: Sequence[Path],
        *options: str,
        database: str | None = None,
        password: str | None = None,
    ) -> None:
        found = [*map(str, paths), os.environ.get("PYTHONPATH", "")]
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "rescind.cli", "serve", "--port", "0"),
                *("--database", database or f"sqlite:///{folder}/bench.db"),
                *(() if password else ("--first-administrator",)),
                *(("--jobs", module) if module else ("--no-worker",)),
                *options,
            ],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, found))},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        said = ""
        for line in self._process.stdout:
            said += line
            if "actions/cancel" in line:
                break
        [self.address] = re.findall(r"ready at (\S+)", said)
        if password is None:
            [password] = re.findall(r"password: (\S+)", said)
        self._client = httpx2.Client(base_url=self.address, timeout=60)
        form = {"username": "admin", "password": password}
        self.session = self._client.post("/api/v26.1/auth", data=form).json()["sessionId"]
        self._client.headers["Authorization"] = self.session

    def request(
        self, method: str, path: str, json: object = None, data: dict[str, str] | None = None
    ) -> tuple[float, dict[str, Any]]:
        """Seconds, and a successful answer."""
        began = time.perf_counter()
        answer = self._client.request(method, path, json=json, data=data)
        seconds = time.perf_counter() - began
        payload: dict[str, Any] = answer.json()
        assert payload["responseStatus"] in ("SUCCESS", "WARNING"), payload
        return seconds, payload

    def post(self, path: str, body: bytes) -> bytes:
        """A successful answer to a body of JSON, as it came."""
        headers = {"Content-Type": "application/json"}
        return self._client.post(path, content=body, headers=headers).raise_for_status().content

    def submit(self, name: str, **parameters: object) -> int:
        items = [{"job_metadata": name, "parameters": parameters}]
        return int(self._client.post(JOBS, json=items).json()["data"][0]["data"]["id"])

    def log(self, job_id: int) -> str:
        return self._client.get(f"{JOBS}/{job_id}/log").text

    def await_log(self, job_id: int, text: str = "") -> None:
        while not (found := self.log(job_id)) or text not in found:
            time.sleep(0.01)

    def cancel(self, job_id: int) -> float:
        """Seconds until it is CANCELLED."""
        began = time.perf_counter()
        self._client.post(f"{JOBS}/actions/cancel", json=[{"job_id": job_id}])
        while self._client.get(f"{JOBS}/{job_id}").json()["data"]["status"] != "CANCELLED":
            time.sleep(0.005)
        return time.perf_counter() - began

    @property
    def pid(self) -> int:
        """Of the service's own process."""
        return self._process.pid

    @property
    def peak_mib(self) -> float:
        """The most memory that the service's own process has taken so far."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024

    def end(self) -> None:
        self._process.terminate()
        self._process.wait()
