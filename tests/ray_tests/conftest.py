"""A Ray cluster of two nodes on this machine, and engines that run jobs on it."""

import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from certificates import certificate
from engines.conftest import CLOCK, JOBS, Driver
from engines.test_ordinary_jobs import JOBS as ORDINARY_JOBS
from rescind.engines.ray.engine import RayEngine
from rescind.engines.ray.sealing import Certificate

NODES, NODE_CPUS = 2, 4

if importlib.util.find_spec("ray") is None:
    pytest.exit("no ray: make test-ray installs it", 2)


@pytest.fixture(scope="session", autouse=True)
def jobs_importable() -> None:
    """Nodes find the test jobs as any job module."""
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[1])


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """Two nodes, one of them the head."""
    os.environ["RESCIND_SECRET_OF_THE_SERVICE"] = "not for jobs"
    head = {"num_cpus": NODE_CPUS, "include_dashboard": False}
    utils = importlib.import_module("ray.cluster_utils")  # an extra, which takes its time
    cluster = utils.Cluster(initialize_head=True, head_node_args=head)
    for _ in range(NODES - 1):
        cluster.add_node(num_cpus=NODE_CPUS)
    del os.environ["RESCIND_SECRET_OF_THE_SERVICE"]  # no setting of a service
    yield cluster
    cluster.shutdown()


@pytest.fixture(scope="session")
def worker_certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """One that nobody has signed."""
    return Certificate(*certificate(tmp_path_factory.mktemp("certificate")))


@pytest.fixture
def make_engine(cluster: Any) -> Iterator[Callable[..., Driver]]:
    """Engines that are closed when the test is over."""
    engines: list[RayEngine] = []

    def make(modules: tuple[str, ...] = (JOBS,), slots: int = 4, **options: Any) -> Driver:
        engine = RayEngine(modules, slots=slots, clock=CLOCK, address=cluster.address, **options)
        engines.append(engine)
        engine.describe()
        return Driver(engine, module=modules[0])

    yield make
    for engine in engines:
        engine.close()


def keepers() -> list[psutil.Process]:
    """Those on the nodes."""
    every = psutil.process_iter(["name", "cmdline", "status"])
    return [
        one
        for one in every
        if one.info["name"] == "rescind-keeper"
        and one.info["status"] != psutil.STATUS_ZOMBIE
        and "rescind.engines.ray.keeper" in (one.info["cmdline"] or ())
    ]


def on_nodes() -> list[psutil.Process]:
    """Keepers on the nodes, and all that is below them."""
    return [one for keeper in keepers() for one in (keeper, *keeper.children(recursive=True))]


@pytest.fixture(scope="module")
def shared_engine(cluster: Any, worker_certificate: Certificate) -> Iterator[RayEngine]:
    """One for all tests of a module that leave it as it was: it takes seconds to reach Ray. Its
    keepers speak within TLS.
    """
    modules = [JOBS, ORDINARY_JOBS]
    engine = RayEngine(
        modules,
        slots=4,
        clock=CLOCK,
        address=cluster.address,
        warm="fork",
        certificate=worker_certificate,
    )
    engine.describe()
    yield engine
    engine.close()


@pytest.fixture
def driver(make_engine: Callable[..., Driver]) -> Driver:
    """One that anything fits."""
    driver = make_engine()
    driver.until(lambda: driver.engine.free() > 0)
    return driver
