"""What a cancel does to jobs whose authors did not think of one; ``docs/writing-jobs.md`` has it.

    .venv/bin/python bench/ordinary.py

Each job of ``tests/engines/jobs_ordinary.py`` is run by a service with its defaults (10 s of grace,
interrupted after 1 s) and cancelled when it has entered.
"""

import re
import socket
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from service import Service

TESTS = Path(__file__).parents[1] / "tests"
sys.path.insert(0, str(TESTS))

from postgres import Server  # noqa: E402 - it lies in tests


class Case(NamedTuple):
    what: str
    name: str
    how: str | None = None


CASES = (
    Case("`time.sleep`", "sleeps"),
    Case("`urllib`, a server that does not answer", "asks_by_urllib"),
    Case("`requests`, the same", "asks_by_requests"),
    Case("`subprocess.run`, needs 1 s after SIGTERM", "runs_a_program"),
    Case("the same, `shell=True`, two programs", "runs_two_by_a_shell"),
    Case("a database query, with a hook that logs", "queries"),
    Case("polls `cancelled`, then 3 s of clean-up", "polls"),
    Case("`async`, `asyncio.sleep`", "awaits"),
    Case("`async`, `asyncio.to_thread`", "awaits_a_thread"),
    Case("`async`, a `TaskGroup`", "awaits_a_group"),
    Case("`async`, `time.sleep` in the coroutine", "blocks_its_loop"),
    Case("a pool of four threads that report", "threads_report"),
    Case("`multiprocessing`, fork", "pools_by", "fork"),
    Case("`multiprocessing`, spawn", "pools_by", "spawn"),
    Case("`multiprocessing`, forkserver", "pools_by", "forkserver"),
    Case("a native call that holds the interpreter", "holds_the_interpreter"),
    Case("`except BaseException`, and raises again", "catches_everything"),
    Case("handlers of SIGTERM and SIGINT of its own", "handles_signals"),
    Case("NumPy in a loop", "computes"),
)


def row(service: Service, case: Case, parameters: dict[str, object]) -> str:
    job_id = service.submit(f"{case.name}__c", **parameters)
    service.await_log(job_id, "entered")
    seconds = service.cancel(job_id)
    log = service.log(job_id)
    [evidence] = re.findall(r"Job Stop Evidence: (\w+)", log)
    cleaned_up = "yes" if re.search(r"\bcleaned up$", log, re.MULTILINE) else "no"
    return f"| {case.what} | {seconds:.2f} s | {evidence} | {cleaned_up} |"


def main() -> None:
    server = Server()
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.create_server(("127.0.0.1", 0)) as silent,
        server.database() as database,
    ):
        service = Service(folder, "engines.jobs_ordinary", [TESTS], "--slots", "1")
        try:
            print("| the job | from cancel to CANCELLED | evidence | cleaned up |")
            print("|---|---|---|---|")
            for number, case in enumerate(CASES):
                parameters: dict[str, object] = {
                    "url": f"http://127.0.0.1:{silent.getsockname()[1]}/",
                    "file": f"{folder}/{number}",
                    "how": case.how,
                }
                if case.name == "queries":
                    parameters["url"] = database
                print(row(service, case, parameters), flush=True)
        finally:
            service.end()
    server.stop()


if __name__ == "__main__":
    main()
