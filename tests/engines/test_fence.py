"""A run is killed when its time is up and nobody renews it, whatever becomes of the worker."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic

from engines.conftest import CLOCK, JOBS, Driver
from processes import HANG_SECONDS, is_alive
from rescind.engines.process.frames import frame
from rescind.engines.process.tree import descendants
from rescind.engines.protocol import Ending
from rescind.lifecycle import Evidence

SECONDS = 1.5


def test_a_run_that_nobody_renews_is_killed_without_its_grace(process: Driver) -> None:
    run = process.start("swallows", 60, seconds=SECONDS)
    process.until_logged(run, "entered")
    ended = process.end(run)
    assert (ended.ending, ended.evidence) == (Ending.STOPPED, Evidence.KILLED)
    assert "Stopped: its lease could not be renewed in time" in process.logged(run)
    process.engine.fence(CLOCK.elapsed() + 60)
    assert process.run("echo").ending is Ending.RETURNED


def test_a_run_that_is_renewed_goes_on(process: Driver) -> None:
    run = process.start("waits", seconds=SECONDS)
    end = monotonic() + 3 * SECONDS

    def is_over() -> bool:
        process.engine.fence(CLOCK.elapsed() + SECONDS)
        return monotonic() > end

    process.until(is_over)
    process.engine.fence(CLOCK.elapsed() + 60)
    process.stop(run)
    assert process.end(run).evidence is Evidence.STOPPED_ITSELF


def test_what_is_started_later_is_killed_at_the_same_time(process: Driver) -> None:
    process.engine.fence(CLOCK.elapsed() + SECONDS)
    assert process.end(process.start("waits")).ending is not Ending.RETURNED
    process.engine.fence(CLOCK.elapsed() + 60)
    assert process.run("echo").ending is Ending.RETURNED


def test_a_keeper_that_is_started_later_knows_of_it(
    make_process_engine: Callable[..., Driver],
) -> None:
    driver = make_process_engine()
    driver.until(lambda: driver.engine.free() > 0)
    [keeper] = driver.engine._keepers  # type: ignore[attr-defined]  # a test kills it
    driver.engine.fence(CLOCK.elapsed())
    os.kill(keeper.process.pid, signal.SIGKILL)
    driver.until(lambda: driver.engine._keepers not in ([], [keeper]))  # type: ignore[attr-defined]
    assert driver.end(driver.start("waits")).ending is Ending.NOT_ENTERED


def test_a_run_whose_time_is_up_is_not_entered(process: Driver) -> None:
    run = process.start("waits", seconds=0)
    ended = process.end(run)
    assert (ended.ending, ended.evidence) == (Ending.NOT_ENTERED, Evidence.NEVER_STARTED)
    assert "entered" not in process.logged(run)


FROZEN = """
import sys
from rescind.clock import SystemClock
from rescind.engines.process.engine import ProcessEngine
from rescind.engines.protocol import Asked, Logged, Order
from rescind.model import RunRef

clock = SystemClock()
engine = ProcessEngine([sys.argv[1]], slots=1, clock=clock)
while not engine.free():
    engine.poll(1)
run = RunRef(1, 1)
engine.fence(clock.elapsed() + 1.5)
engine.start(Order(run=run, processor=sys.argv[1] + ":waits_with_pid", parameters={},
                   grace_seconds=60))
while True:
    for event in engine.poll(1):
        if isinstance(event, Asked):
            engine.permit(run, True)
        if isinstance(event, Logged):
            print(event.text, flush=True)
"""


def test_a_worker_that_stands_still_has_its_runs_killed_all_the_same(tmp_path: Path) -> None:
    """SIGSTOP on the worker's process alone: its keepers go on, and end what they keep."""
    script = tmp_path / "frozen.py"
    script.write_text(FROZEN)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen(
        [sys.executable, str(script), JOBS], env=environment, stdout=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stdout is not None
        child = next(int(line) for line in worker.stdout if line.strip().isdecimal())
        assert worker.stdout.readline() == "entered\n"
        worker.send_signal(signal.SIGSTOP)
        end = monotonic() + HANG_SECONDS
        while is_alive(child):
            assert monotonic() < end, "the run outlived its time"
        assert descendants(worker.pid), "its keeper lives, and has a process for the next run"
        worker.kill()


def test_a_permit_that_comes_too_late_lets_nothing_in(
    make_process_engine: Callable[..., Driver],
) -> None:
    """The keeper stands still when the permit comes, until the run's time is up."""
    driver = make_process_engine()
    driver.until(lambda: driver.engine.free() > 0)
    [keeper] = driver.engine._keepers  # type: ignore[attr-defined]  # a test stops it
    ends_at = CLOCK.elapsed() + 1.0
    run = driver.start("waits", seconds=1.0)
    asked: list[object] = []
    while not asked:
        asked += driver.engine.poll(1)
    os.kill(keeper.process.pid, signal.SIGSTOP)
    # The engine itself would wake the keeper up by that.
    permit = {"do": "permit", "run": [run.job_id, run.attempt], "allowed": True}
    keeper.socket.sendall(frame(permit))
    while CLOCK.elapsed() < ends_at + 0.1:
        pass
    os.kill(keeper.process.pid, signal.SIGCONT)
    ended = driver.end(run)
    assert (ended.ending, ended.evidence) == (Ending.NOT_ENTERED, Evidence.NEVER_STARTED)
    assert driver.logged(run) in (
        ["Stopped: its lease could not be renewed in time"],
        [],
    )


def test_what_a_run_says_puts_its_end_off_by_nothing(
    make_process_engine: Callable[..., Driver],
) -> None:
    """Its worker does not listen, and its forked copies never stop reporting."""
    driver = make_process_engine()
    run = driver.start("reports_without_end", 60, seconds=1.5)
    driver.until_logged(run, "entered")
    [keeper] = driver.engine._keepers  # type: ignore[attr-defined]  # a test looks below it
    end = monotonic() + HANG_SECONDS
    while len(descendants(keeper.process.pid)) < 8:
        assert monotonic() < end, "it never forked"
    while len(descendants(keeper.process.pid)) >= 8:
        assert monotonic() < end, "its copies outlived its lease"
    ended = driver.end(run)
    assert (ended.ending, ended.evidence) == (Ending.STOPPED, Evidence.KILLED)
    driver.engine.fence(CLOCK.elapsed() + 60)
    assert driver.run("echo").ending is Ending.RETURNED
