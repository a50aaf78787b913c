"""Jobs whose authors did not think of a stop feel it, and clean up to the last line."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engines.conftest import Driver
from rescind.engines.protocol import Ended, Ending, StopReason
from rescind.lifecycle import Evidence
from rescind.model import RunRef

JOBS = "engines.jobs_ordinary"


@pytest.fixture
def ordinary(make_process_engine: Callable[..., Driver]) -> Driver:
    return make_process_engine(modules=(JOBS,), warm="fork")


@pytest.fixture
def silent_url() -> Iterator[str]:
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"


def enter(
    driver: Driver, name: str, *, interrupt_seconds: float | None = 0.3, **parameters: Any
) -> RunRef:
    """Start a run and wait until it has entered. Its grace is a guard: nothing waits it out."""
    run = driver.start(f"{JOBS}:{name}", 60, interrupt_seconds=interrupt_seconds, **parameters)
    driver.until_logged(run, "entered")
    return run


def stopped(driver: Driver, name: str, **options: Any) -> tuple[Ended, list[str]]:
    """How a run ends that is told to stop once it has entered, and its log."""
    run = enter(driver, name, **options)
    driver.stop(run)
    ended = driver.end(run, seconds=40)
    return ended, driver.logged(run)


@pytest.mark.parametrize(
    "name",
    [
        "sleeps",
        "awaits",
        "awaits_a_thread",
        "awaits_a_group",
        "blocks_its_loop",
        "side_task_blocks",
        "threads_report",
        "catches_everything",
        "handles_signals",
        "computes",
        "finalises",
        "loops_over_programs",
        "forks_and_is_told",
    ],
)
def test_it_feels_the_stop_and_cleans_up(ordinary: Driver, name: str) -> None:
    ended, log = stopped(ordinary, name)
    assert (ended.ending, ended.evidence, ended.noticed) == (
        Ending.STOPPED,
        Evidence.STOPPED_ITSELF,
        True,
    ), log
    assert "cleaned up" in log
    assert not [line for line in log if "Traceback" in line]


@pytest.mark.parametrize("name", ["asks_by_urllib", "asks_by_requests"])
def test_who_waits_for_a_silent_server_feels_it(
    ordinary: Driver, silent_url: str, name: str
) -> None:
    ended, log = stopped(ordinary, name, url=silent_url)
    assert (ended.ending, ended.evidence) == (Ending.STOPPED, Evidence.STOPPED_ITSELF), log
    assert log[-1] == "cleaned up"


@pytest.mark.parametrize("how", ["fork", "spawn", "forkserver"])
def test_a_pool_is_closed_and_joined(ordinary: Driver, how: str) -> None:
    ended, log = stopped(ordinary, "pools_by", how=how)
    assert (ended.ending, ended.evidence) == (Ending.STOPPED, Evidence.STOPPED_ITSELF), log
    assert log[-1] == "cleaned up"


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize("name", ["runs_a_program", "runs_two_by_a_shell"])
def test_its_programs_end_first_and_leave_whole_files(
    ordinary: Driver, tmp_path: Path, name: str, check: bool
) -> None:
    files = [tmp_path / "file"] + [tmp_path / "file.2"] * (name == "runs_two_by_a_shell")
    parameters: dict[str, Any] = {"file": str(files[0]), "check": check}
    run = ordinary.start(f"{JOBS}:{name}", 60, interrupt_seconds=0.3, **parameters)
    ordinary.until(lambda: all(file.exists() and file.read_text() for file in files))
    ordinary.stop(run)
    ended = ordinary.end(run)
    assert [file.read_text() for file in files] == ["whole"] * len(files)
    assert ended.evidence is Evidence.STOPPED_ITSELF
    assert "cleaned up" in ordinary.logged(run)


@pytest.mark.parametrize(
    "how",
    [
        *("pipes", "timeout", "input", "check_output", "check", "with", "lines", "system", "popen"),
        *("spawn", "future", "poll", "short_waits", "caught_error"),
    ],
)
def test_however_it_waits_for_a_program_it_cleans_up(ordinary: Driver, how: str) -> None:
    """The wait is over when the program has been ended: the stop comes there, and not later."""
    ended, log = stopped(ordinary, "waits_for_program", how=how)
    assert (ended.ending, ended.evidence, ended.noticed) == (
        Ending.STOPPED,
        Evidence.STOPPED_ITSELF,
        True,
    ), (ended, log)
    assert log[-1] == "cleaned up"


@pytest.mark.parametrize("how", ["waits", "task", "callback", "gather", "blocked"])
def test_a_loop_of_its_own_is_cancelled(ordinary: Driver, how: str) -> None:
    ended, log = stopped(ordinary, "runs_a_loop", how=how)
    assert (ended.ending, ended.evidence, ended.noticed) == (
        Ending.STOPPED,
        Evidence.STOPPED_ITSELF,
        True,
    ), (ended, log)
    assert log[-1] == "cleaned up"


@pytest.mark.parametrize("logs", [False, True])
def test_what_runs_beside_does_not_take_the_stop_from_the_function(
    ordinary: Driver, logs: bool
) -> None:
    ended, log = stopped(ordinary, "beside_is_uninterrupted", logs=logs)
    assert (ended.ending, ended.evidence) == (Ending.STOPPED, Evidence.STOPPED_ITSELF), log[-3:]
    assert "cleaned up" in log


def test_handlers_that_raise_leave_nothing_shut(ordinary: Driver) -> None:
    ended, log = stopped(ordinary, "alarms")
    assert (ended.ending, ended.evidence) == (Ending.STOPPED, Evidence.STOPPED_ITSELF), log[-3:]
    assert log[-1] == "cleaned up"


def test_what_was_swallowed_is_insisted_on(ordinary: Driver) -> None:
    run = ordinary.start(f"{JOBS}:finalises_and_waits_in_except", 6, interrupt_seconds=0.3)
    ordinary.until_logged(run, "entered")
    ordinary.stop(run)
    ended = ordinary.end(run)
    assert (ended.ending, ended.evidence) == (Ending.STOPPED, Evidence.STOPPED_ITSELF)
    assert ordinary.logged(run)[-1] == "cleaned up"


def test_no_print_is_cut_off(ordinary: Driver) -> None:
    run = enter(ordinary, "floods_by_print")
    ordinary.until(lambda: len(ordinary.logged(run)) > 20)
    ordinary.stop(run)
    assert ordinary.end(run).evidence is Evidence.STOPPED_ITSELF
    assert ordinary.logged(run)[-1] == "cleaned up"


def test_who_polls_is_left_to_clean_up(ordinary: Driver) -> None:
    ended, log = stopped(ordinary, "polls")
    assert (ended.ending, ended.noticed, log[-1]) == (Ending.RETURNED, True, "cleaned up")


def test_a_hook_cancels_a_query_and_may_log(ordinary: Driver, postgres_url: str) -> None:
    ended, log = stopped(ordinary, "queries", interrupt_seconds=None, url=postgres_url)
    assert (ended.ending, ended.evidence) == (Ending.RAISED, Evidence.STOPPED_ITSELF)
    assert {"cancelling the query", "cancelled the query", "cleaned up"} <= set(log)
    assert any("canceling statement due to user request" in line for line in log)


def test_what_holds_the_interpreter_is_ended_by_force_and_the_log_says_so(
    ordinary: Driver,
) -> None:
    run = ordinary.start(f"{JOBS}:holds_the_interpreter", 1, interrupt_seconds=0.3)
    ordinary.until_logged(run, "entered")
    ordinary.stop(run)
    ended = ordinary.end(run)
    assert (ended.ending, ended.evidence) == (Ending.STOPPED, Evidence.TERMINATED)
    assert any("within its grace of 1 seconds" in line for line in ordinary.logged(run))


def test_who_needs_time_after_sigterm_may_have_it(ordinary: Driver) -> None:
    run = ordinary.start(f"{JOBS}:needs_time_for_sigterm", 0.2, terminate_seconds=40)
    ordinary.until_logged(run, "entered")
    ordinary.stop(run)
    ended = ordinary.end(run)
    assert (ended.ending, ended.evidence) == (Ending.STOPPED, Evidence.TERMINATED)
    assert ordinary.logged(run)[-1] == "cleaned up"


def test_by_process_group_alone_it_feels_the_stop_too(
    make_process_engine: Callable[..., Driver],
) -> None:
    driver = make_process_engine(modules=(JOBS,), warm="fork", group_only=True)
    ended, log = stopped(driver, "sleeps")
    assert (ended.evidence, log[-1]) == (Evidence.STOPPED_ITSELF, "cleaned up")


def test_nothing_is_raised_in_an_uninterrupted_block_but_on_leaving_it(ordinary: Driver) -> None:
    ended, log = stopped(ordinary, "uninterrupted", delay=2)
    assert ended.ending is Ending.STOPPED
    assert log == ["entered", "block done", "cleaning up", "cleaned up"]


def test_a_hook_that_is_not_enough_is_followed_by_an_interrupt_if_that_is_asked_for(
    ordinary: Driver,
) -> None:
    """While the hook waits, too."""
    ended, log = stopped(ordinary, "hook_waits")
    assert (ended.ending, ended.evidence) == (Ending.STOPPED, Evidence.STOPPED_ITSELF)
    assert log == ["entered", "hook", "cleaning up", "cleaned up", "hook ends"]


def test_a_clean_up_under_way_is_not_interrupted(ordinary: Driver) -> None:
    ended, log = stopped(ordinary, "fails_and_cleans_up")
    assert (ended.ending, log[0], log[1]) == (Ending.RAISED, "entered", "cleaned up")


def test_who_waits_in_an_except_block_is_interrupted_later(ordinary: Driver) -> None:
    run = ordinary.start(f"{JOBS}:waits_in_except", 4, interrupt_seconds=0.3)
    ordinary.until_logged(run, "entered")
    ordinary.stop(run)
    ended = ordinary.end(run)
    assert (ended.ending, ended.evidence) == (Ending.STOPPED, Evidence.STOPPED_ITSELF)
    assert ordinary.logged(run)[-1] == "cleaned up"


def test_an_exception_of_a_helper_thread_tells_its_function(ordinary: Driver) -> None:
    """It cleans up for longer than it would have if it had not noticed."""
    run = ordinary.start(f"{JOBS}:gathers_threads", 4, interrupt_seconds=0.3)
    ordinary.until_logged(run, "entered")
    ordinary.stop(run)
    assert ordinary.end(run).noticed
    assert ordinary.logged(run)[-1] == "cleaned up"


def test_who_is_kept_out_is_not_interrupted(ordinary: Driver) -> None:
    ended, _ = stopped(ordinary, "returns_unaware", interrupt_seconds=None, delay=2)
    assert (ended.ending, ended.result, ended.noticed) == (Ending.RETURNED, "done", False)


def test_who_returns_before_it_is_interrupted_has_not_noticed(ordinary: Driver) -> None:
    ended, _ = stopped(ordinary, "returns_unaware", interrupt_seconds=20, delay=0.5)
    assert (ended.ending, ended.result, ended.noticed) == (Ending.RETURNED, "done", False)


def test_an_interrupt_comes_at_half_the_grace_at_the_latest(ordinary: Driver) -> None:
    run = ordinary.start(f"{JOBS}:sleeps", 3, interrupt_seconds=50)
    ordinary.until_logged(run, "entered")
    ordinary.stop(run, StopReason.TIMEOUT)
    assert ordinary.end(run).evidence is Evidence.STOPPED_ITSELF


def test_a_clean_up_that_fails_is_in_the_log(ordinary: Driver) -> None:
    ended, log = stopped(ordinary, "cleanup_fails")
    assert ended.ending is Ending.RAISED
    assert "It was told to stop, and failed:" in log
    assert "ValueError: the clean-up is broken" in log


def test_helper_threads_are_told_every_time_and_do_not_speak_for_the_function(
    ordinary: Driver,
) -> None:
    ended, log = stopped(ordinary, "threads_are_told")
    assert " ".join(["check"] * 3 + ["progress"] * 3 + ["sleep"] * 3) in log
    assert log.count("from a thread") == 9
    assert (ended.ending, log[-1]) == (Ending.STOPPED, "cleaned up")


def test_what_is_killed_leaves_no_shared_memory(ordinary: Driver) -> None:
    run = ordinary.start(f"{JOBS}:shares_memory", 0.2, interrupt_seconds=None)
    ordinary.until_logged(run, "entered")
    memory = Path("/dev/shm") / ordinary.logged(run)[0]
    assert memory.exists()
    ordinary.stop(run)
    assert ordinary.end(run).evidence is Evidence.KILLED
    assert not memory.exists()
