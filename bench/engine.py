"""What a run costs in the process engine: latency, runs per second, memory of a slot.

    .venv/bin/python bench/engine.py [--runs N] [--modules MODULE …] [--processor MODULE:NAME]
        [--warm auto|fork|fresh] [--others N …]

The floor is measured in the same run: what any run with an init of its own must do, two forks and
two waits, from a process that has imported the same modules. ``--others`` starts that many other
processes first, which sleep.
"""

import argparse
import importlib
import inspect
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import structlog

from rescind.clock import SystemClock
from rescind.engines.process.engine import ProcessEngine
from rescind.engines.process.tree import descendants
from rescind.engines.protocol import Asked, Ended, Order
from rescind.model import RunRef


def engine_of(options: argparse.Namespace, slots: int) -> ProcessEngine:
    more: dict[str, Any] = {}
    if "warm" in inspect.signature(ProcessEngine).parameters:
        more["warm"] = options.warm
    engine = ProcessEngine(options.modules, slots=slots, clock=SystemClock(), **more)
    while engine.free() < slots:
        engine.poll(1)
    return engine


def run_all(engine: ProcessEngine, processor: str, count: int) -> tuple[list[float], float]:
    """Seconds from order to asking, for each run; and from the first order to the last end."""
    started: dict[RunRef, float] = {}
    latencies: list[float] = []
    ended, number, begin = 0, 0, perf_counter()
    while ended < count:
        while number < count and engine.free():
            number += 1
            run = RunRef(number, 1)
            started[run] = perf_counter()
            engine.start(
                Order(run=run, processor=processor, parameters={"items": 0}, grace_seconds=1)
            )
        for event in engine.poll(1):
            if isinstance(event, Asked):
                latencies.append(perf_counter() - started[event.run])
                engine.permit(event.run, True)
            elif isinstance(event, Ended):
                ended += 1
                assert event.error is None, event
    return latencies, perf_counter() - begin


def memory_mib(slots: int) -> float:
    """Proportional set size of all that is below this process, per slot."""
    kib = 0
    for pid in descendants(os.getpid()):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        kib += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kib / 1024 / slots


def floor(modules: list[str], count: int) -> float:
    """Seconds for one process that forks one that forks one, both of which exit and are reaped."""
    script = (
        "import importlib, os, sys, time\n"
        "count, *modules = sys.argv[1:]\n"
        "for name in modules: importlib.import_module(name)\n"
        "begin = time.perf_counter()\n"
        "for _ in range(int(count)):\n"
        "    init = os.fork()\n"
        "    if init == 0:\n"
        "        run = os.fork()\n"
        "        if run == 0: os._exit(0)\n"
        "        os.waitpid(run, 0)\n"
        "        os._exit(0)\n"
        "    os.waitpid(init, 0)\n"
        "print((time.perf_counter() - begin) / int(count))\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", script, str(count), *modules]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@contextmanager
def other_processes(count: int) -> Iterator[None]:
    # Not below this process: what is below it belongs to the engine.
    sleepers = subprocess.Popen(
        [
            "/bin/sh",
            "-c",
            f"i=0; while [ $i -lt {count} ]; do sleep 1000 & i=$((i+1)); done; echo ready; wait",
        ],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert sleepers.stdout is not None
    sleepers.stdout.readline()
    try:
        yield
    finally:
        os.killpg(sleepers.pid, 15)
        sleepers.wait()
        sleepers.stdout.close()


def measure(options: argparse.Namespace, others: int) -> None:
    least = floor(options.modules, options.runs)
    print(f"with {others} other processes; floor {least * 1e3:.2f} ms for two forks and two waits")
    for slots in (1, 2):
        before = memory_mib(slots)
        engine = engine_of(options, slots)
        idle = memory_mib(slots) - before
        run_all(engine, options.processor, 10)
        latencies, seconds = run_all(engine, options.processor, options.runs)
        engine.close()
        each = seconds / options.runs
        print(
            f"  {slots} slots: {options.runs / seconds:.0f} runs/s, "
            f"{each * slots / least:.1f} x floor; "
            f"order to asking: median {statistics.median(latencies) * 1e3:.2f} ms, "
            f"p99 {sorted(latencies)[int(len(latencies) * 0.99)] * 1e3:.2f} ms; "
            f"idle slot {idle:.1f} MiB"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--modules", nargs="+", default=["rescind.demo"])
    parser.add_argument("--processor", default="rescind.demo:count")
    parser.add_argument("--warm", default="auto", choices=["auto", "fork", "fresh"])
    parser.add_argument("--others", type=int, nargs="+", default=[10, 2000])
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    for name in options.modules:
        importlib.import_module(name)
    for others in options.others:
        with other_processes(others):
            measure(options, others)


if __name__ == "__main__":
    main()
