"""The head of a cluster dies, and with it the cluster: what runs hears its worker all the same."""

import importlib
from collections.abc import Iterator
from typing import Any

import pytest

from engines.conftest import CLOCK, JOBS, Driver
from rescind.engines.ray.engine import RayEngine
from rescind.lifecycle import Evidence


@pytest.fixture
def alone() -> Iterator[Any]:
    """A cluster that may be lost."""
    utils = importlib.import_module("ray.cluster_utils")
    cluster = utils.Cluster(
        initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False}
    )
    yield cluster
    cluster.shutdown()


def test_a_head_that_dies_ends_no_run(alone: Any) -> None:
    engine = RayEngine([JOBS], slots=2, clock=CLOCK, address=alone.address)
    engine.describe()
    driver = Driver(engine)
    driver.until(lambda: engine.free() > 0)
    run = driver.entered("waits")
    for every in alone.head_node.all_processes.values():
        for one in every:
            one.process.kill()
            one.process.wait()
    driver.until(lambda: engine.problem is not None)  # Ray looks for its head for a minute
    driver.stop(run)
    ended = driver.end(run)
    engine.close()
    assert ended.evidence is Evidence.STOPPED_ITSELF
    assert engine.free() == 0
