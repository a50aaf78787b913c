"""What jobs that flood their logs cost their neighbours: seconds from a cancel to CANCELLED.

    .venv/bin/python bench/flood.py [--cancels N] [--floods N]

One service with a slot more than floods. The floor is measured in the same run: the same cancels
with no flood beside them.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from service import Service


def cancel_neighbours(service: Service, count: int) -> list[float]:
    times = []
    for _ in range(count):
        job_id = service.submit("wait__c")
        service.await_log(job_id)
        times.append(service.cancel(job_id))
    return times


def figures(times: list[float]) -> str:
    return f"median {statistics.median(times):.3f} s, worst {max(times):.3f} s"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cancels", type=int, default=20)
    parser.add_argument("--floods", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        slots = str(options.floods + 1)
        service = Service(folder, "flood_jobs", [Path(__file__).parent], "--slots", slots)
        try:
            floor = cancel_neighbours(service, options.cancels)
            print(f"{options.cancels} cancels with no flood (the floor): {figures(floor)}")
            for how in ("write", "program", "print", "log"):
                floods = [service.submit("flood__c", how=how) for _ in range(options.floods)]
                for job_id in floods:
                    service.await_log(job_id)
                time.sleep(2)  # past their beginning, which is passed on at once
                times = cancel_neighbours(service, options.cancels)
                longer = statistics.median(times) - statistics.median(floor)
                print(
                    f"beside {options.floods} floods by {how}: {figures(times)}; "
                    f"{longer:+.3f} s in the median"
                )
                ends = [service.cancel(job_id) for job_id in floods]
                print(f"    the floods themselves, one after another: {figures(ends)}")
        finally:
            service.end()


if __name__ == "__main__":
    main()
