"""The exception of a stop comes where it should, once, and nowhere else."""

from collections.abc import Callable
from pathlib import Path

import pytest

from engines.conftest import Driver
from rescind.engines.protocol import Ending
from rescind.lifecycle import Evidence

JOBS = "engines.jobs_interrupted"
STOPPED_ITSELF = (Ending.STOPPED, Evidence.STOPPED_ITSELF, True)
"""Ending, evidence, and that its function had noticed."""


@pytest.fixture
def interrupted(make_process_engine: Callable[..., Driver]) -> Driver:
    return make_process_engine(modules=(JOBS,), warm="fork")


@pytest.mark.parametrize("name", ["finalises", "loops_over_programs", "forks_and_is_told"])
def test_it_feels_the_stop_wherever_it_is(interrupted: Driver, name: str) -> None:
    ended, log = interrupted.stopped(name)
    assert (ended.ending, ended.evidence, ended.noticed) == STOPPED_ITSELF, log
    assert "cleaned up" in log


@pytest.mark.parametrize(
    "how",
    [
        *("pipes", "timeout", "input", "check_output", "check", "with", "lines", "system", "popen"),
        *("spawn", "future", "poll", "short_waits", "caught_error"),
    ],
)
def test_however_it_waits_for_a_program_it_cleans_up(interrupted: Driver, how: str) -> None:
    """The wait is over when the program has been ended: the stop comes there, and not later."""
    ended, log = interrupted.stopped("waits_for_program", how=how)
    assert (ended.ending, ended.evidence, ended.noticed) == STOPPED_ITSELF, (ended, log)
    assert log[-1] == "cleaned up"


@pytest.mark.parametrize("how", ["waits", "task", "callback", "gather", "blocked"])
def test_a_loop_of_its_own_is_cancelled(interrupted: Driver, how: str) -> None:
    ended, log = interrupted.stopped("runs_a_loop", how=how)
    assert (ended.ending, ended.evidence, ended.noticed) == STOPPED_ITSELF, (ended, log)
    assert log[-1] == "cleaned up"


@pytest.mark.parametrize("logs", [False, True])
def test_what_runs_beside_does_not_take_the_stop_from_the_function(
    interrupted: Driver, logs: bool
) -> None:
    ended, log = interrupted.stopped("beside_is_uninterrupted", logs=logs)
    assert (ended.ending, ended.evidence) == (Ending.STOPPED, Evidence.STOPPED_ITSELF), log[-3:]
    assert "cleaned up" in log


def test_handlers_that_raise_leave_nothing_shut(interrupted: Driver) -> None:
    ended, log = interrupted.stopped("alarms")
    assert (ended.ending, ended.evidence) == (Ending.STOPPED, Evidence.STOPPED_ITSELF), log[-3:]
    assert log[-1] == "cleaned up"


def test_what_was_swallowed_is_insisted_on(interrupted: Driver) -> None:
    ended, log = interrupted.stopped("finalises_and_waits_in_except", 6, interrupt_seconds=0.3)
    assert (ended.ending, ended.evidence) == (Ending.STOPPED, Evidence.STOPPED_ITSELF)
    assert log[-1] == "cleaned up"


def test_no_print_is_cut_off(interrupted: Driver) -> None:
    run = interrupted.entered("floods_by_print")
    interrupted.until(lambda: len(interrupted.logged(run)) > 20)
    interrupted.stop(run)
    assert interrupted.end(run).evidence is Evidence.STOPPED_ITSELF
    assert interrupted.logged(run)[-1] == "cleaned up"


def test_nothing_is_raised_in_an_uninterrupted_block_but_on_leaving_it(interrupted: Driver) -> None:
    ended, log = interrupted.stopped("uninterrupted", delay=2)
    assert ended.ending is Ending.STOPPED
    assert log == ["entered", "block done", "cleaning up", "cleaned up"]


def test_a_hook_that_is_not_enough_is_followed_by_an_interrupt_if_that_is_asked_for(
    interrupted: Driver,
) -> None:
    """While the hook waits, too."""
    ended, log = interrupted.stopped("hook_waits")
    assert (ended.ending, ended.evidence) == (Ending.STOPPED, Evidence.STOPPED_ITSELF)
    assert log == ["entered", "hook", "cleaning up", "cleaned up", "hook ends"]


def test_a_clean_up_under_way_is_not_interrupted(interrupted: Driver) -> None:
    ended, log = interrupted.stopped("fails_and_cleans_up")
    assert (ended.ending, log[0], log[1]) == (Ending.RAISED, "entered", "cleaned up")


def test_who_waits_in_an_except_block_is_interrupted_later(interrupted: Driver) -> None:
    ended, log = interrupted.stopped("waits_in_except", 4, interrupt_seconds=0.3)
    assert (ended.ending, ended.evidence) == (Ending.STOPPED, Evidence.STOPPED_ITSELF)
    assert log[-1] == "cleaned up"


def test_an_exception_of_a_helper_thread_tells_its_function(interrupted: Driver) -> None:
    """It cleans up for longer than it would have if it had not noticed."""
    run = interrupted.start(f"{JOBS}:gathers_threads", 4, interrupt_seconds=0.3)
    interrupted.until_logged(run, "entered")
    interrupted.stop(run)
    assert interrupted.end(run).noticed
    assert interrupted.logged(run)[-1] == "cleaned up"


def test_who_is_kept_out_is_not_interrupted(interrupted: Driver) -> None:
    ended, _ = interrupted.stopped("returns_unaware", interrupt_seconds=None, delay=2)
    assert (ended.ending, ended.result, ended.noticed) == (Ending.RETURNED, "done", False)


def test_who_returns_before_it_is_interrupted_has_not_noticed(interrupted: Driver) -> None:
    ended, _ = interrupted.stopped("returns_unaware", interrupt_seconds=20, delay=0.5)
    assert (ended.ending, ended.result, ended.noticed) == (Ending.RETURNED, "done", False)


def test_a_clean_up_that_fails_is_in_the_log(interrupted: Driver) -> None:
    ended, log = interrupted.stopped("cleanup_fails")
    assert ended.ending is Ending.RAISED
    assert "It was told to stop, and failed:" in log
    assert "ValueError: the clean-up is broken" in log


def test_helper_threads_are_told_every_time_and_do_not_speak_for_the_function(
    interrupted: Driver,
) -> None:
    ended, log = interrupted.stopped("threads_are_told")
    assert " ".join(["check"] * 3 + ["progress"] * 3 + ["sleep"] * 3) in log
    assert log.count("from a thread") == 9
    assert (ended.ending, log[-1]) == (Ending.STOPPED, "cleaned up")


def test_what_is_killed_leaves_no_shared_memory(interrupted: Driver) -> None:
    run = interrupted.start(f"{JOBS}:shares_memory", 0.2, interrupt_seconds=None)
    interrupted.until_logged(run, "entered")
    memory = Path("/dev/shm") / interrupted.logged(run)[0]
    assert memory.exists()
    interrupted.stop(run)
    assert interrupted.end(run).evidence is Evidence.KILLED
    assert not memory.exists()
