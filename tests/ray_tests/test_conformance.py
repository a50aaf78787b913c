"""What every engine does, on a cluster."""

from engines.test_conformance import *  # noqa: F403 - the same tests, on another engine
