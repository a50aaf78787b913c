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
    with pytest.raises(ConfigurationError, match=f"{name} .* must be a number from 0 to"):
        declared(**options)


WRONG: dict[str, list[Any]] = {
    "title": ["", "x" * 1_501, 5, b"x", ["x"]],
    "queue": ["", 5, None],
    "idempotent": [1, "yes", None],
    "cancellable_in": ["QUEUED", ["SCHEDULED"], ["x"], [5], 5, None, [None]],
    "grace_seconds": [-1, 3_601, "10", None, True, [1], float("inf"), float("nan")],
    "timeout_minutes": [0, -1, 4_321, "5", None, True],
    "inactivity_minutes": [0, -1, "5", True, float("nan")],
    "attempts_max": [0, 101, 1.5, "1", None, True],
    "retry_seconds": [-1, 86_401, "5", None],
    "interrupt_seconds": ["1", True, []],
    "terminate_seconds": ["1", None, True],
    "runs_per_process": [0, 100_001, "1", None, True, 1.5],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values]
)
def test_each_wrong_argument_is_named(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        declared(**{name: value})
    [problem] = caught.value.problems
    assert problem.startswith(f"@job('declared__c'): {name} ")
    assert " must be " in problem
    assert len(problem) < 300


@pytest.mark.parametrize("name", [5, None, b"a__c", "A__c", "a", "a__c\n", "x" * 44 + "__c", hook])
def test_a_wrong_name_is_shown(name: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^@job\(.+\): name .+ must be lower-case words"):
        job(name)


def test_all_wrong_arguments_are_named_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        declared(**{name: values[0] for name, values in WRONG.items()})
    assert len(caught.value.problems) == len(WRONG)
