"""What the process engine does beyond every other: it ends whatever a run has started."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from engines.conftest import JOBS, Driver
from processes import HANG_SECONDS, is_alive, programs_below
from rescind import limits
from rescind.engines.process import run_file
from rescind.engines.process.tree import descendants
from rescind.engines.protocol import Ending, StopReason
from rescind.errors import ConfigurationError
from rescind.lifecycle import Evidence
from rescind.model import RunRef

MakeEngine = Callable[..., Driver]


def start_entered(driver: Driver, name: str, grace_seconds: float = 0.2, **more: Any) -> RunRef:
    run = driver.start(name, grace_seconds, **more)
    driver.until_logged(run, "entered")
    return run


def keeper_of(driver: Driver) -> int:
    """The pid of the only keeper."""
    [keeper] = driver.engine._keepers  # type: ignore[attr-defined]  # a test kills it
    return int(keeper.process.pid)


@pytest.mark.parametrize("name", ["busy", "waits_with_pid"])
def test_what_does_not_heed_is_terminated_after_its_grace(process: Driver, name: str) -> None:
    run = start_entered(process, name)
    process.stop(run)
    ended = process.end(run)
    assert (ended.ending, ended.evidence) == (Ending.STOPPED, Evidence.TERMINATED)


@pytest.mark.parametrize("name", ["swallows", "sleeps_in_c"])
def test_what_ignores_everything_is_ended_by_force(process: Driver, name: str) -> None:
    run = start_entered(process, name)
    process.stop(run)
    ended = process.end(run)
    assert ended.ending is Ending.STOPPED
    expected = {"swallows": Evidence.KILLED, "sleeps_in_c": Evidence.TERMINATED}
    assert ended.evidence is expected[name]


def test_no_grace_means_at_once(process: Driver) -> None:
    run = start_entered(process, "swallows", grace_seconds=0)
    process.stop(run)
    assert process.end(run).evidence is Evidence.KILLED


@pytest.mark.parametrize(
    ("ignore", "evidence"),
    [([], Evidence.TERMINATED), (["SIGTERM", "SIGHUP", "SIGINT"], Evidence.KILLED)],
)
def test_a_grandchild_that_hid_itself_is_gone_when_the_run_has_ended(
    process: Driver, tmp_path: Path, ignore: list[str], evidence: Evidence
) -> None:
    file = tmp_path / "ticks"
    run = start_entered(process, "daemonizes", file=str(file), ignore=ignore)
    assert programs_below(os.getpid())
    process.stop(run)
    ended = process.end(run)
    size = file.stat().st_size
    assert (ended.ending, ended.evidence) == (Ending.STOPPED, evidence)
    assert not programs_below(os.getpid())
    process.run("echo")  # time passes, by an event
    assert file.stat().st_size == size


def test_what_a_finished_run_left_behind_is_ended_before_its_end_is_told(
    process: Driver, tmp_path: Path
) -> None:
    file = tmp_path / "ticks"
    run = process.start("daemonizes", file=str(file), ignore=["SIGTERM"], wait=False)
    ended = process.end(run)
    assert (ended.ending, ended.evidence) == (Ending.RETURNED, Evidence.KILLED)
    assert not programs_below(os.getpid())
    assert any("left behind" in line for line in process.logged(run))


def test_a_tree_of_hundreds_partly_stopped_and_still_forking_is_ended(process: Driver) -> None:
    run = start_entered(process, "many_children", grace_seconds=0)
    process.until(lambda: len(programs_below(os.getpid())) > 100)
    process.stop(run)
    process.end(run)
    assert not programs_below(os.getpid())


def test_a_process_that_leaves_has_died(process: Driver) -> None:
    ended = process.run("exits_hard")
    assert (ended.ending, ended.evidence) == (Ending.DIED, Evidence.STOPPED_ITSELF)
    assert "status 5" in (ended.error or "")
    assert process.run("echo").ending is Ending.RETURNED


def test_a_process_killed_by_somebody_else_has_died(process: Driver) -> None:
    run = start_entered(process, "waits_with_pid")
    os.kill(int(process.logged(run)[0]), signal.SIGKILL)
    ended = process.end(run)
    assert ended.ending is Ending.DIED
    assert "SIGKILL" in (ended.error or "")
    assert process.run("echo").ending is Ending.RETURNED


def test_a_process_killed_by_somebody_else_while_it_stops_was_killed(process: Driver) -> None:
    run = start_entered(process, "waits_when_told", grace_seconds=60)
    process.stop(run)
    process.until_logged(run, "told")  # else its end may be heard before its keeper hears of it
    os.kill(int(process.logged(run)[0]), signal.SIGKILL)
    ended = process.end(run)
    assert (ended.ending, ended.evidence) == (Ending.STOPPED, Evidence.KILLED)


def test_keepers_that_cannot_start_are_tried_again_but_not_at_once(
    make_process_engine: MakeEngine, tmp_path: Path
) -> None:
    folder = tmp_path / "missing" / "runs"
    driver = make_process_engine(run_files=folder)
    lost: list[int] = []
    end = monotonic() + 2.5
    while monotonic() < end:
        pids = [keeper.process.pid for keeper in driver.engine._keepers]  # type: ignore[attr-defined]  # counts them
        lost += [pid for pid in pids if pid not in lost]
        driver.engine.poll(0.05)
    assert len(lost) <= 4
    folder.parent.mkdir()
    assert driver.run("echo").ending is Ending.RETURNED


def test_a_killed_keeper_takes_all_it_kept_with_it(process: Driver, tmp_path: Path) -> None:
    file = tmp_path / "ticks"
    run = start_entered(process, "daemonizes", file=str(file), ignore=["SIGTERM"])
    os.kill(keeper_of(process), signal.SIGKILL)
    ended = process.end(run)
    assert (ended.ending, ended.evidence) == (Ending.DIED, Evidence.KILLED)
    size = file.stat().st_size
    assert process.run("echo").ending is Ending.RETURNED
    assert file.stat().st_size == size
    assert not programs_below(os.getpid())


WORKER = f"""
import sys
from rescind.clock import SystemClock
from rescind.engines.process import run_file
from rescind.engines.process.engine import ProcessEngine
from rescind.engines.protocol import Asked, Logged, Order
from rescind.model import RunRef
engine = ProcessEngine(["{JOBS}"], slots=1, clock=SystemClock())
while not engine.free():
    engine.poll(1)
engine.start(Order(run=RunRef(1, 1), processor="{JOBS}:daemonizes", grace_seconds=60,
                   parameters={{"file": sys.argv[1], "ignore": ["SIGTERM", "SIGHUP"]}}))
while True:
    for event in engine.poll(1):
        if isinstance(event, Asked):
            engine.permit(event.run, True)
        if isinstance(event, Logged):
            print(event.text, flush=True)
"""


def test_a_killed_workers_keepers_take_their_trees_down(tmp_path: Path) -> None:
    file = tmp_path / "ticks"
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, str(file)], stdout=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stdout is not None
        assert "entered\n" in iter(worker.stdout.readline, "")
        tree = descendants(worker.pid)
        assert len(tree) >= 3
        worker.kill()
        worker.wait()
    end = monotonic() + HANG_SECONDS
    while any(is_alive(pid) for pid in tree):
        assert monotonic() < end, "something outlived its worker"


def test_a_keeper_names_its_run_in_a_file_that_is_locked_as_long_as_it_may_be_going(
    make_process_engine: MakeEngine, tmp_path: Path
) -> None:
    driver = make_process_engine(run_files=tmp_path)
    driver.until(lambda: driver.engine.free() > 0)
    assert list(run_file.going(tmp_path).values()) == [None]
    run = start_entered(driver, "waits_with_pid")
    assert list(run_file.going(tmp_path).values()) == [run]
    driver.stop(run)
    driver.end(run)
    assert list(run_file.going(tmp_path).values()) == [None]
    driver.engine.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("word", ["keeper", "init"])
def test_a_run_file_names_a_run_until_nothing_of_it_is_left(
    make_process_engine: MakeEngine, tmp_path: Path, word: str
) -> None:
    driver = make_process_engine(run_files=tmp_path)
    run = start_entered(driver, "waits_with_pid")
    pid = int(driver.logged(run)[0])
    stat = Path(f"/proc/{pid}/stat").read_text()
    init = int(stat.rpartition(")")[2].split()[1])
    os.kill(keeper_of(driver) if word == "keeper" else init, signal.SIGKILL)
    end = monotonic() + HANG_SECONDS
    while run in run_file.going(tmp_path).values():
        assert monotonic() < end, "it is named for ever"
    assert not is_alive(pid)


def test_what_else_is_in_the_folder_of_run_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "notes").write_text("somebody's")
    (tmp_path / ("a" * 32)).write_text("nobody locks it")
    garbage = tmp_path / ("b" * 32)
    garbage.write_text("no run \0")
    with garbage.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert run_file.going(tmp_path) == {garbage: None}
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        garbage.name,
        "fifo",
        "lost+found",
        "notes",
    ]


def test_a_folder_of_run_files_that_is_removed_is_made_again(
    make_process_engine: MakeEngine, tmp_path: Path
) -> None:
    folder = tmp_path / "runs"
    driver = make_process_engine(run_files=folder)
    driver.until(lambda: driver.engine.free() > 0)
    shutil.rmtree(folder)
    os.kill(keeper_of(driver), signal.SIGKILL)
    driver.until(lambda: driver.engine.free() == 0)
    assert driver.run("echo").ending is Ending.RETURNED


def test_keepers_that_cannot_start_are_a_problem_until_they_can(
    make_process_engine: MakeEngine, tmp_path: Path
) -> None:
    blocked = tmp_path / "runs"
    blocked.write_text("a file where a folder should be")
    driver = make_process_engine(run_files=blocked)
    driver.until(lambda: driver.engine.problem is not None)
    assert "before it was ready" in (driver.engine.problem or "")
    blocked.unlink()
    driver.until(lambda: driver.engine.free() > 0)
    assert driver.engine.problem is None


def test_output_becomes_lines(process: Driver) -> None:
    run = process.start("prints")
    process.end(run)
    lines = process.logged(run)
    assert lines[0] == "printed \u00e9"
    assert "bytes \ufffd" in lines
    assert sum(len(line) for line in lines if line.startswith("y")) == 40_000
    assert max(len(line) for line in lines) <= 16 * 1024
    assert "no line end" in lines


def test_a_flood_of_output_does_not_hold_up_a_stop(process: Driver) -> None:
    run = start_entered(process, "floods")
    process.until(lambda: len(process.logged(run)) > limits.LOG_BURST_BYTES / 1_100)
    process.stop(run)
    assert process.end(run).evidence is Evidence.TERMINATED


@pytest.mark.parametrize("name", ["closes_files", "writes_rubbish"])
def test_code_that_breaks_its_connection_dies_alone(process: Driver, name: str) -> None:
    ended = process.run(name)
    assert ended.ending is Ending.DIED
    assert ended.error
    assert process.run("echo").ending is Ending.RETURNED


def test_code_sees_none_of_the_services_settings(process: Driver) -> None:
    result = process.run("environment").result
    assert result == {"rescind": [], "cwd_on_path": True, "stdin": ""}


def test_signals_have_their_default_meaning_in_a_child(process: Driver) -> None:
    assert process.run("shows_signals").result == "[true, true]"


def test_a_keeper_outlives_the_signals_of_a_terminal(process: Driver) -> None:
    process.run("echo")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(keeper_of(process), number)
    pid = keeper_of(process)
    assert process.run("echo").ending is Ending.RETURNED
    assert keeper_of(process) == pid


def test_two_slots_run_two_at_once(make_process_engine: MakeEngine) -> None:
    driver = make_process_engine(slots=2)
    first, second = start_entered(driver, "waits"), start_entered(driver, "waits")
    assert driver.engine.free() == 0
    driver.stop(second)
    assert driver.end(second).evidence is Evidence.STOPPED_ITSELF
    driver.stop(first, StopReason.DRAIN)
    driver.end(first)
    driver.until(lambda: driver.engine.free() == 2)


def test_closing_kills_what_runs(make_process_engine: MakeEngine) -> None:
    driver = make_process_engine()
    run = start_entered(driver, "waits_with_pid")
    pid = int(driver.logged(run)[0])
    driver.engine.close()
    assert not is_alive(pid)


def test_by_process_group_alone_the_group_is_ended(make_process_engine: MakeEngine) -> None:
    driver = make_process_engine(group_only=True)
    run = start_entered(driver, "swallows")
    driver.stop(run)
    assert driver.end(run).evidence is Evidence.KILLED
    assert driver.run("echo").ending is Ending.RETURNED


def test_modules_that_cannot_be_imported_are_all_named(make_process_engine: MakeEngine) -> None:
    driver = make_process_engine(modules=("no_such_module", "also.missing"))
    with pytest.raises(ConfigurationError) as caught:
        driver.engine.describe()
    assert [problem.split()[3] for problem in caught.value.problems] == [
        "no_such_module",
        "also.missing",
    ]
