"""A process that serves many runs: where its author says so, and only while it is so."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import pytest

from engines.conftest import Driver
from processes import is_alive
from rescind.engines.process.tree import children_of, descendants
from rescind.engines.protocol import Ending, StopReason
from rescind.lifecycle import Evidence

JOBS = "engines.jobs_again"


@pytest.fixture(params=["fork", "fresh"])
def again(request: pytest.FixtureRequest, make_process_engine: Callable[..., Driver]) -> Driver:
    return make_process_engine(modules=(JOBS,), warm=request.param)


def pid_of(driver: Driver, name: str, **parameters: object) -> int:
    ended = driver.run(name, **parameters)
    assert ended.ending is Ending.RETURNED, ended
    pid: int = ended.result["pid"]
    return pid


def test_a_process_serves_as_many_runs_as_its_author_says(again: Driver) -> None:
    ended = [again.run("clean") for _ in range(7)]
    assert [found.result["served"] for found in ended] == [1, 2, 3, 1, 2, 3, 1]
    assert {found.evidence for found in ended} == {Evidence.STOPPED_ITSELF}
    assert len({found.result["pid"] for found in ended}) == 3


def test_what_is_said_is_of_the_run_that_says_it(again: Driver) -> None:
    for _ in range(4):
        ended = again.run("clean")
        number = ended.run.job_id
        expected = ["INFO clean: told {}", "logged {}", "no line end {}", "printed {}"]
        assert sorted(again.logged(ended.run)) == [line.format(number) for line in expected]


def test_a_process_serves_one_processor_alone(again: Driver) -> None:
    first = again.run("clean").result
    assert again.run("other").result["served"] == 0
    third = again.run("clean").result
    assert (third["served"], third["pid"] != first["pid"]) == (1, True)


@pytest.mark.parametrize("what", ["daemon thread", "native thread", "zombie", "alarm"])
def test_a_process_with_anything_left_in_it_serves_no_more(again: Driver, what: str) -> None:
    first = pid_of(again, "leaves", what="nothing")
    assert pid_of(again, "leaves", what=what) == first
    assert pid_of(again, "leaves", what="nothing") != first


@pytest.mark.parametrize("what", ["child", "orphan", "daemon", "clone"])
def test_a_process_that_leaves_others_serves_no_more_and_they_are_ended(
    again: Driver, what: str
) -> None:
    for _ in range(3):
        first = pid_of(again, "leaves", what="nothing")
        assert pid_of(again, "leaves", what=what) == first
        assert not is_alive(first)
    assert pid_of(again, "leaves", what="nothing") != first
    commands = [_command(pid) for pid in descendants(os.getpid())]
    assert not any(command.startswith(b"sleep\0") for command in commands)


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_after_an_exception_comes_another_process(again: Driver) -> None:
    first = pid_of(again, "waits_again")
    ended = again.run("waits_again", raises=True)
    assert (ended.ending, again.logged(ended.run)) == (Ending.RAISED, [f"pid {first}"])
    assert pid_of(again, "waits_again") != first


@pytest.mark.parametrize("how", ["waits", "heeds"])
@pytest.mark.parametrize("reason", [StopReason.CANCEL, StopReason.TIMEOUT])
def test_a_later_run_is_stopped_as_a_first_is_and_then_comes_another_process(
    again: Driver, how: str, reason: StopReason
) -> None:
    first = pid_of(again, "waits_again")
    run = again.entered("waits_again", **{how: True})
    again.stop(run, reason)
    ended = again.end(run)
    assert ended.evidence is Evidence.STOPPED_ITSELF
    assert again.logged(run)[0] == f"pid {first}"
    assert not is_alive(first)
    assert pid_of(again, "waits_again") != first


def test_a_later_run_that_is_not_permitted_is_not_entered(again: Driver) -> None:
    first = pid_of(again, "waits_again")
    again.allow = False
    ended = again.run("waits_again")
    assert (ended.ending, ended.evidence) == (Ending.NOT_ENTERED, Evidence.NEVER_STARTED)
    again.allow = True
    assert pid_of(again, "waits_again") != first


@pytest.mark.parametrize("whom", ["run", "init"])
def test_a_process_that_is_killed_while_it_waits_costs_no_run(again: Driver, whom: str) -> None:
    first = pid_of(again, "waits_again")
    init = next(pid for pid in descendants(os.getpid()) if first in children_of(pid))
    os.kill(first if whom == "run" else init, signal.SIGKILL)
    again.until(lambda: not is_alive(first))
    ended = again.run("waits_again")
    if ended.ending is Ending.NOT_ENTERED:  # it was given the order as it died
        assert ended.evidence is Evidence.NEVER_STARTED
        ended = again.run("waits_again")
    assert ended.result["pid"] != first


def test_where_only_groups_are_known_no_process_serves_twice(
    make_process_engine: Callable[..., Driver],
) -> None:
    driver = make_process_engine(modules=(JOBS,), group_only=True)
    assert pid_of(driver, "clean") != pid_of(driver, "clean")


def test_a_stop_that_comes_as_a_run_returns_is_the_end_of_its_process(again: Driver) -> None:
    for delay in range(60):
        run = again.start("waits_again", interrupt_seconds=0.3)
        again.until(lambda run=run: again.has_asked(run))  # type: ignore[misc]
        end = monotonic() + delay * 0.0001
        while monotonic() < end:
            pass
        again.stop(run)
        assert again.end(run).evidence in (Evidence.NEVER_STARTED, Evidence.STOPPED_ITSELF)


def test_what_a_process_starts_while_it_waits_is_of_no_run_and_ends_it(again: Driver) -> None:
    first = pid_of(again, "starts_later")
    os.kill(first, signal.SIGUSR1)
    again.until(lambda: bool(children_of(first)))
    ended = again.run("starts_later")
    assert (ended.ending, ended.evidence) == (Ending.NOT_ENTERED, Evidence.NEVER_STARTED)
    assert not again.progressed(ended.run)
    assert "of the first run" not in again.logged(ended.run)
    assert not is_alive(first)
    assert pid_of(again, "starts_later") != first


def test_a_process_that_has_closed_its_output_serves_no_more(again: Driver) -> None:
    first = pid_of(again, "closes_output")
    assert pid_of(again, "closes_output") != first
    keepers = [keeper.process.pid for keeper in again.engine._keepers]  # type: ignore[attr-defined]
    assert pid_of(again, "clean") != first
    assert [keeper.process.pid for keeper in again.engine._keepers] == keepers  # type: ignore[attr-defined]
    assert all(is_alive(keeper) for keeper in keepers)


def test_an_order_to_a_process_that_dies_just_then_costs_no_keeper(again: Driver) -> None:
    [keeper] = again.engine._keepers  # type: ignore[attr-defined]
    for delay in range(40):
        again.allow = True
        ended = again.run("waits_again")
        again.until(lambda: again.engine.free() > 0)
        if ended.ending is Ending.RETURNED:
            os.kill(ended.result["pid"], signal.SIGKILL)
            end = monotonic() + delay * 0.0001
            while monotonic() < end:
                pass
    assert again.engine._keepers == [keeper]  # type: ignore[attr-defined]
    assert is_alive(keeper.process.pid)
