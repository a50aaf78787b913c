"""What every engine does, on a cluster."""

import pytest

from engines.conftest import Driver
from engines.test_conformance import *  # noqa: F403 - the same tests, on another engine
from rescind.engines.ray.engine import RayEngine


@pytest.fixture
def driver(shared_engine: RayEngine) -> Driver:
    driver = Driver(shared_engine)
    driver.until(lambda: shared_engine.free() > 0)
    return driver
