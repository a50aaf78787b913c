"""What the engine ray costs beside the process engine and plain Ray tasks, on one machine.

A cluster of two nodes with four processors each (needs `make test-ray` once, for Ray):

    .venv/bin/python bench/ray_nodes.py

No-op runs a second through eight slots; from start to the wish to enter, on a keeper that is there
and on one that Ray has to place first; from stop to the end of a run that sleeps, also within TLS
(`openssl` makes a certificate), and on keepers a round trip of 50 ms away. Plain Ray: tasks
of one function with num_cpus=1, and ray.cancel of one that sleeps 10 ms at a time: in one long
sleep it does not hear of it before that is over. Then 200 runs of 0.5 s on the
two nodes. Nothing of a store: what a claim and its events cost is the same for all engines.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))

import ray
from ray.cluster_utils import Cluster

from certificates import certificate
from engines.conftest import CLOCK, JOBS, Driver
from rescind import limits
from rescind.engines.process.engine import ProcessEngine
from rescind.engines.protocol import Asked
from rescind.engines.ray.engine import RayEngine
from rescind.engines.ray.sealing import Certificate

ON_NODES = "ray_tests.jobs_on_nodes"
SLOTS, RUNS, ROUNDS = 8, 400, 20


def throughput(driver: Driver, runs: int, name: str) -> float:
    """Runs a second, as many at once as there are slots."""
    began, started = time.perf_counter(), []
    while len(started) < runs:
        started.append(driver.start(name))
    for run in started:
        driver.end(run)
    return runs / (time.perf_counter() - began)


def start_seconds(driver: Driver) -> float:
    driver.until(lambda: driver.engine.free() > 0)
    began = time.perf_counter()
    run = driver.start("echo")
    driver.until(lambda: Asked(run) in driver.events)
    seconds = time.perf_counter() - began
    driver.end(run)
    time.sleep(0.2)  # until it is ready for the next
    driver.engine.poll(0)
    return seconds


def stop_seconds(driver: Driver) -> float:
    run = driver.entered("waits")
    began = time.perf_counter()
    driver.stop(run)
    driver.end(run)
    return time.perf_counter() - began


def say(what: str, figure: str) -> None:
    print(f"  {what:44} {figure}", flush=True)


def milliseconds(act: Callable[[], float], rounds: int = ROUNDS) -> str:
    seconds = sorted(act() for _ in range(rounds))
    return f"{1000 * statistics.median(seconds):8.1f} ms, worst {1000 * seconds[-1]:.1f}"


def measure(name: str, driver: Driver) -> None:
    print(name, flush=True)
    driver.until(lambda: driver.engine.free() > 0)
    throughput(driver, 2 * SLOTS, "echo")
    say("no-op runs a second", f"{throughput(driver, RUNS, 'echo'):8.0f}")
    say("start to the wish to enter", milliseconds(lambda: start_seconds(driver)))
    say("stop to the end", milliseconds(lambda: stop_seconds(driver)))


def cold(driver: Driver) -> float:
    limits.NODE_IDLE_SECONDS = 0.0
    driver.until(lambda: not driver.engine._places)  # noqa: SLF001 - no other engine has them
    limits.NODE_IDLE_SECONDS = 60.0
    return start_seconds(driver)


class Distance:
    """What is sent to a port of this machine arrives at another half a round trip later."""

    def __init__(self, host: str, port: int, round_trip: float) -> None:
        self._target = (host, port)
        self._half = round_trip / 2
        self._loop = asyncio.new_event_loop()
        starting = asyncio.start_server(self._serve, host, 0)
        server = self._loop.run_until_complete(starting)
        self.port: int = server.sockets[0].getsockname()[1]
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*self._target)
        await asyncio.gather(self._pass(reader, back), self._pass(there, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def arrive(data: bytes) -> None:
            if data:
                writer.write(data)
            else:
                writer.close()

        data = b"!"
        while data:
            data = await reader.read(65536)
            self._loop.call_later(self._half, arrive, data)


def far(engine: RayEngine, driver: Driver) -> None:
    """How long a stop takes where keepers are far away: those that are placed from now on."""
    lobby = engine._lobby  # noqa: SLF001 - where keepers are sent is no setting that changes
    cold(driver)
    lobby.port = Distance(lobby.host, lobby.port, 0.05).port
    limits.NODE_IDLE_SECONDS = 0.0
    driver.until(lambda: not engine._places)  # noqa: SLF001 - as above
    limits.NODE_IDLE_SECONDS = 60.0
    say("stop to the end, 50 ms away and back", milliseconds(lambda: stop_seconds(driver)))


def plain(address: str) -> None:
    print("plain Ray tasks", flush=True)
    ray.init(address=address, log_to_driver=False, configure_logging=False)

    @ray.remote(max_retries=0, num_cpus=1)
    def noop() -> int:
        return 1

    @ray.remote(max_retries=0, num_cpus=1)
    def sleeps() -> None:
        while True:  # in one long sleep it would never hear of it
            time.sleep(0.01)

    def one() -> float:
        began = time.perf_counter()
        ray.get(noop.remote())
        return time.perf_counter() - began

    def cancelled() -> float:
        task = sleeps.remote()
        time.sleep(0.5)
        began = time.perf_counter()
        ray.cancel(task)
        try:
            ray.get(task)
        except ray.exceptions.RayError:
            return time.perf_counter() - began
        raise AssertionError

    ray.get([noop.remote() for _ in range(2 * SLOTS)])
    began = time.perf_counter()
    ray.get([noop.remote() for _ in range(RUNS)])
    say("no-op tasks a second", f"{RUNS / (time.perf_counter() - began):8.0f}")
    say("start to result", milliseconds(one))
    say("ray.cancel to its error", milliseconds(cancelled))
    ray.shutdown()


def main() -> None:
    os.environ["PYTHONPATH"] = sys.path[-1]  # nodes find the jobs as any job module
    limits.NODE_IDLE_SECONDS = 60.0
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 4, "include_dashboard": False}
    )
    cluster.add_node(num_cpus=4)
    process = ProcessEngine([JOBS], slots=SLOTS, clock=CLOCK)
    measure("process engine", Driver(process))
    process.close()
    engine = RayEngine([JOBS, ON_NODES], slots=SLOTS, clock=CLOCK, address=cluster.address)
    engine.describe()
    driver = Driver(engine)
    measure("engine ray", driver)
    say("start to the wish to enter, keeper placed first", milliseconds(lambda: cold(driver), 10))
    rate = throughput(driver, 200, f"{ON_NODES}:brief")
    say("200 runs of 0.5 s over two nodes, a second", f"{rate:8.1f} (at most {2 * SLOTS})")
    far(engine, driver)
    engine.close()
    with tempfile.TemporaryDirectory() as folder:
        tls = Certificate(*certificate(Path(folder)))
        engine = RayEngine(
            [JOBS], slots=SLOTS, clock=CLOCK, address=cluster.address, certificate=tls
        )
        engine.describe()
        measure("engine ray, within TLS", Driver(engine))
        engine.close()
    plain(cluster.address)
    cluster.shutdown()


if __name__ == "__main__":
    main()
