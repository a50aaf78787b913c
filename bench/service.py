"""A ``rescind serve`` of its own, and a client, for the benches of the whole service."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import httpx2

JOBS = "/api/v26.1/services/jobs"


class Service:
    """On SQLite, in ``folder``, with job modules that lie in ``paths``."""

    def __init__(self, folder: str, module: str, paths: Sequence[Path], *options: str) -> None:
        found = [*map(str, paths), os.environ.get("PYTHONPATH", "")]
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "rescind.cli", "serve", "--port", "0"),
                *("--first-administrator", "--database", f"sqlite:///{folder}/bench.db"),
                *("--jobs", module, *options),
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
        [address] = re.findall(r"ready at (\S+)", said)
        [password] = re.findall(r"password: (\S+)", said)
        self._client = httpx2.Client(base_url=address, timeout=60)
        form = {"username": "admin", "password": password}
        session = self._client.post("/api/v26.1/auth", data=form).json()["sessionId"]
        self._client.headers["Authorization"] = session

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

    def end(self) -> None:
        self._process.terminate()
        self._process.wait()
