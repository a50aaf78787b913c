"""Ray's own clean-up of what its workers leave behind, switched on: it takes no run along."""

import contextlib
import importlib
import os
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from engines.conftest import CLOCK, JOBS, Driver
from ray_tests.conftest import on_nodes
from rescind.engines.protocol import Ending
from rescind.engines.ray.engine import RayEngine
from rescind.lifecycle import Evidence

CLEANS_UP = {
    "RAY_kill_child_processes_on_worker_exit": "true",
    "RAY_kill_child_processes_on_worker_exit_with_raylet_subreaper": "true",
    "RAY_process_group_cleanup_enabled": "true",
}


@pytest.fixture(scope="module")
def tidy() -> Iterator[Any]:
    """A cluster of one node that kills what its workers have started when they end."""
    utils = importlib.import_module("ray.cluster_utils")
    os.environ.update(CLEANS_UP)
    cluster = utils.Cluster(
        initialize_head=True, head_node_args={"num_cpus": 4, "include_dashboard": False}
    )
    yield cluster
    cluster.shutdown()
    for name in CLEANS_UP:
        del os.environ[name]


@pytest.fixture
def driver(tidy: Any) -> Iterator[Driver]:
    engine = RayEngine([JOBS], slots=2, clock=CLOCK, address=tidy.address)
    engine.describe()
    driver = Driver(engine)
    driver.until(lambda: engine.free() > 0)
    yield driver
    engine.close()


def test_runs_come_and_go(driver: Driver) -> None:
    for _ in range(3):
        assert driver.run("echo").ending is Ending.RETURNED


def test_a_worker_of_rays_that_dies_takes_no_run_along_unseen(driver: Driver) -> None:
    run = driver.entered("waits")
    holders = [one for one in psutil.process_iter() if "ray::rescind" in one.name()]
    assert holders
    below = [one for one in on_nodes() if one.name() == "rescind-run"]
    for holder in holders:
        holder.kill()
    psutil.wait_procs(holders, timeout=30)
    with contextlib.suppress(AssertionError):
        driver.until(lambda: False, seconds=2)  # what Ray does about it, it does by now
    driver.stop(run)
    evidence = driver.end(run).evidence
    # A node that kills even what is nobody's child takes the keeper; the run's end is told as lost.
    assert evidence in (Evidence.STOPPED_ITSELF, Evidence.WORKER_LOST)
    _, alive = psutil.wait_procs(below, timeout=30)
    assert not [one for one in alive if one.status() != psutil.STATUS_ZOMBIE]
