"""Jobs whose authors did not think of a stop feel it, and clean up to the last line."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engines.conftest import Driver
from rescind.engines.protocol import Ending, StopReason
from rescind.lifecycle import Evidence

JOBS = "engines.jobs_ordinary"
STOPPED_ITSELF = (Ending.STOPPED, Evidence.STOPPED_ITSELF, True)
"""Ending, evidence, and that its function had noticed."""


@pytest.fixture
def ordinary(make_process_engine: Callable[..., Driver]) -> Driver:
    return make_process_engine(modules=(JOBS,), warm="fork")


@pytest.fixture
def silent_url() -> Iterator[str]:
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"


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
    ],
)
def test_it_feels_the_stop_and_cleans_up(ordinary: Driver, name: str) -> None:
    ended, log = ordinary.stopped(name)
    assert (ended.ending, ended.evidence, ended.noticed) == STOPPED_ITSELF, log
    assert "cleaned up" in log
    assert not [line for line in log if "Traceback" in line]


@pytest.mark.parametrize("name", ["asks_by_urllib", "asks_by_requests"])
def test_who_waits_for_a_silent_server_feels_it(
    ordinary: Driver, silent_url: str, name: str
) -> None:
    ended, log = ordinary.stopped(name, url=silent_url)
    assert (ended.ending, ended.evidence) == (Ending.STOPPED, Evidence.STOPPED_ITSELF), log
    assert log[-1] == "cleaned up"


@pytest.mark.parametrize("how", ["fork", "spawn", "forkserver"])
def test_a_pool_is_closed_and_joined(ordinary: Driver, how: str) -> None:
    ended, log = ordinary.stopped("pools_by", how=how)
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


def test_who_polls_is_left_to_clean_up(ordinary: Driver) -> None:
    ended, log = ordinary.stopped("polls")
    assert (ended.ending, ended.noticed, log[-1]) == (Ending.RETURNED, True, "cleaned up")


def test_a_hook_cancels_a_query_and_may_log(ordinary: Driver, postgres_url: str) -> None:
    ended, log = ordinary.stopped("queries", interrupt_seconds=None, url=postgres_url)
    assert (ended.ending, ended.evidence) == (Ending.RAISED, Evidence.STOPPED_ITSELF)
    assert {"cancelling the query", "cancelled the query", "cleaned up"} <= set(log)
    assert any("canceling statement due to user request" in line for line in log)


def test_what_holds_the_interpreter_is_ended_by_force_and_the_log_says_so(
    ordinary: Driver,
) -> None:
    ended, log = ordinary.stopped("holds_the_interpreter", 1, interrupt_seconds=0.3)
    assert (ended.ending, ended.evidence) == (Ending.STOPPED, Evidence.TERMINATED)
    assert any("within its grace of 1 seconds" in line for line in log)


def test_who_needs_time_after_sigterm_may_have_it(ordinary: Driver) -> None:
    ended, log = ordinary.stopped(
        "needs_time_for_sigterm", 0.2, interrupt_seconds=None, terminate_seconds=40
    )
    assert (ended.ending, ended.evidence) == (Ending.STOPPED, Evidence.TERMINATED)
    assert log[-1] == "cleaned up"


def test_by_process_group_alone_it_feels_the_stop_too(
    make_process_engine: Callable[..., Driver],
) -> None:
    driver = make_process_engine(modules=(JOBS,), warm="fork", group_only=True)
    ended, log = driver.stopped("sleeps")
    assert (ended.evidence, log[-1]) == (Evidence.STOPPED_ITSELF, "cleaned up")


def test_an_interrupt_comes_at_half_the_grace_at_the_latest(ordinary: Driver) -> None:
    run = ordinary.start(f"{JOBS}:sleeps", 3, interrupt_seconds=50)
    ordinary.until_logged(run, "entered")
    ordinary.stop(run, StopReason.TIMEOUT)
    assert ordinary.end(run).evidence is Evidence.STOPPED_ITSELF
