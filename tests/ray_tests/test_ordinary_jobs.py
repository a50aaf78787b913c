"""Ordinary jobs feel a stop on a cluster as everywhere."""

import pytest

from engines.conftest import Driver
from engines.test_ordinary_jobs import *  # noqa: F403 - the same tests, on another engine
from engines.test_ordinary_jobs import JOBS, test_by_process_group_alone_it_feels_the_stop_too
from rescind.engines.ray.engine import RayEngine

del test_by_process_group_alone_it_feels_the_stop_too  # a keeper on a node is always on Linux


@pytest.fixture  # type: ignore[no-redef]  # on purpose
def ordinary(shared_engine: RayEngine) -> Driver:
    driver = Driver(shared_engine, module=JOBS)
    driver.until(lambda: shared_engine.free() > 0)
    return driver
