"""What ``@job`` makes of a declaration."""

from typing import Any

import pytest

from rescind import JobContext, job
from rescind.errors import ConfigurationError
from rescind.sdk.job import Processor


def declared(**options: Any) -> Processor:
    @job("declared__c", **options)
    def code(context: JobContext) -> None:
        """Do nothing."""

    return code


def hook(context: JobContext) -> None:
    """Do nothing."""


def test_a_job_is_interrupted_after_a_second_unless_it_says_otherwise() -> None:
    assert declared().metadata.interrupt_seconds == 1.0
    assert declared(interrupt_seconds=3).metadata.interrupt_seconds == 3.0
    assert declared(interrupt_seconds=None).metadata.interrupt_seconds is None


def test_a_job_with_a_hook_is_interrupted_only_if_it_says_so() -> None:
    for options, expected in (
        ({}, None),
        ({"interrupt_seconds": None}, None),
        ({"interrupt_seconds": 1}, 1.0),
    ):
        processor = declared(**options)
        processor.on_cancel(hook)
        assert processor.metadata.interrupt_seconds == expected


def test_the_time_between_sigterm_and_sigkill_is_the_jobs() -> None:
    assert declared().metadata.terminate_seconds == 0.25
    assert declared(terminate_seconds=5).metadata.terminate_seconds == 5.0


@pytest.mark.parametrize(
    "options",
    [
        {"interrupt_seconds": -1},
        {"interrupt_seconds": 3_601},
        {"interrupt_seconds": float("nan")},
        {"terminate_seconds": -0.1},
        {"terminate_seconds": 61},
    ],
)
def test_what_is_wrong_is_named(options: dict[str, float]) -> None:
    [name] = options
    with pytest.raises(ConfigurationError, match=f"{name} .* must be from 0 to"):
        declared(**options)
