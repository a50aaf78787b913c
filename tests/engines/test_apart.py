"""Each run has a process of its own: it finds nothing that another left, and leaves nothing."""

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import pytest

from engines.conftest import Driver
from engines.test_process import start_entered
from processes import HANG_SECONDS, is_alive, named, programs_below
from rescind import limits
from rescind.engines.process.tree import descendants
from rescind.engines.protocol import Ending
from rescind.lifecycle import Evidence
from rescind.model import RunRef

JOBS = "engines.jobs_apart"
DAEMONS = int(os.environ.get("DAEMONS", "40"))
FORK_LOOPS = int(os.environ.get("FORK_LOOPS", "8"))
POOLS = int(os.environ.get("POOLS", "5"))

MakeEngine = Callable[..., Driver]


@pytest.fixture
def apart(make_process_engine: MakeEngine) -> Driver:
    """An engine with one slot, so that every run follows the one before."""
    return make_process_engine(modules=(JOBS,))


def start(driver: Driver, name: str, grace_seconds: float = 0.2, **parameters: object) -> RunRef:
    return start_entered(driver, f"{JOBS}:{name}", grace_seconds, **parameters)


def run(driver: Driver, name: str, **parameters: object) -> object:
    ended = driver.run(f"{JOBS}:{name}", **parameters)
    assert ended.ending is Ending.RETURNED, ended
    return ended.result


def test_a_run_finds_nothing_that_another_has_left(apart: Driver) -> None:
    before = run(apart, "looks")
    ended = apart.run(f"{JOBS}:leaves_all")
    assert ended.ending is Ending.RETURNED, ended
    assert run(apart, "looks") == before


def test_an_alarm_rings_for_nobody_else(apart: Driver) -> None:
    run(apart, "leaves_all")
    waits = start(apart, "loops_on", file=os.devnull)
    end = monotonic() + 1
    apart.until(lambda: monotonic() > end)
    apart.stop(waits)
    assert apart.end(waits).evidence is Evidence.STOPPED_ITSELF


def test_locks_and_ports_are_free_when_a_run_has_ended(apart: Driver, tmp_path: Path) -> None:
    file = str(tmp_path / "lock")
    port = run(apart, "holds", file=file)
    assert run(apart, "holds", file=file, port=port) == port


def test_a_thread_of_a_module_ends_with_its_run(apart: Driver, tmp_path: Path) -> None:
    file = tmp_path / "written"
    loops = start(apart, "loops_on", file=str(file))
    apart.until(lambda: file.exists() and file.stat().st_size > 3)
    apart.stop(loops)
    assert apart.end(loops).evidence is Evidence.STOPPED_ITSELF
    size = file.stat().st_size
    following = apart.start(f"{JOBS}:looks")
    apart.end(following)
    assert file.stat().st_size == size
    assert apart.logged(following) == []


def test_runs_do_not_draw_the_same_numbers(apart: Driver) -> None:
    drawn = [run(apart, "draws") for _ in range(3)]
    assert len({*drawn, random.Random().random()}) == 4


def test_what_c_printed_is_in_the_log_of_its_run(apart: Driver) -> None:
    first = apart.start(f"{JOBS}:prints_in_c")
    apart.end(first)
    following = apart.start(f"{JOBS}:looks")
    apart.end(following)
    assert apart.logged(first) == ["printed by C"]
    assert apart.logged(following) == []


# Nothing of a run is alive when its end is told


@pytest.mark.timeout(120 + DAEMONS)
def test_no_daemon_outlives_the_end_of_its_run(apart: Driver, tmp_path: Path) -> None:
    for number in range(DAEMONS):
        file = tmp_path / str(number)
        run(apart, "daemon", file=str(file))
        said = file.read_text().split() if file.exists() else []
        assert not [pid for pid in said if is_alive(int(pid))], f"daemon {number} lives"
    assert not programs_below(os.getpid())
    assert len(named(os.getpid(), "rescind-run")) <= 1, "one that waits, and copies of none"


@pytest.mark.timeout(120 + 5 * FORK_LOOPS)
@pytest.mark.parametrize("wait", [False, True])
def test_what_forks_and_exits_in_a_loop_is_ended(apart: Driver, wait: bool) -> None:
    for _ in range(FORK_LOOPS):
        loop = start(apart, "fork_loop", grace_seconds=0, wait=wait)
        apart.stop(loop)
        ended = apart.end(loop)
        assert ended.evidence is Evidence.KILLED, ended
        assert len(named(os.getpid(), "rescind-run")) <= 1, "one that waits, and copies of none"


def test_every_program_of_a_run_is_asked_before_it_is_killed(apart: Driver, tmp_path: Path) -> None:
    hides = start(apart, "own_sessions", folder=str(tmp_path))
    apart.stop(hides)
    assert apart.end(hides).evidence is Evidence.KILLED
    assert [file.read_text() for file in tmp_path.iterdir()] == ["terminated"] * 3


# Whatever befalls the processes around a run


def test_a_signal_to_its_own_group_hits_the_run_alone(apart: Driver) -> None:
    around = {*named(os.getpid(), "rescind-keeper"), *named(os.getpid(), "rescind-warm")}
    ended = apart.run(f"{JOBS}:signals_its_group")
    assert (ended.ending, "SIGKILL" in (ended.error or "")) == (Ending.DIED, True)
    assert run(apart, "looks")
    assert around <= descendants(os.getpid())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize("name", ["loops_on", "fork_loop"])
def test_an_init_that_is_lost_takes_its_run_along(
    apart: Driver, tmp_path: Path, number: signal.Signals, name: str
) -> None:
    lost = start(apart, name, file=str(tmp_path / "written"), wait=True)
    os.kill(min(named(os.getpid(), "rescind-init")), number)
    if number == signal.SIGSTOP:
        apart.stop(lost)
    ended = apart.end(lost)
    assert ended.ending is (Ending.STOPPED if number == signal.SIGSTOP else Ending.DIED)
    assert ended.evidence is Evidence.KILLED
    assert not named(os.getpid(), "rescind-run")
    assert run(apart, "looks")


@pytest.mark.parametrize("name", ["rescind-init", "rescind-run"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_what_befalls_the_next_run_does_not_touch_this_one(
    apart: Driver, number: signal.Signals, name: str
) -> None:
    this = start(apart, "loops_on", file=os.devnull)
    apart.until(lambda: len(named(os.getpid(), "rescind-run")) == 2)
    os.kill(max(named(os.getpid(), name)), number)
    lines = len(apart.logged(this))
    apart.until(lambda: len(apart.logged(this)) > lines + 100)
    apart.stop(this)
    assert apart.end(this).evidence is Evidence.STOPPED_ITSELF
    stopped = apart.start(f"{JOBS}:looks", 0.2)
    apart.stop(stopped)
    apart.end(stopped)
    assert run(apart, "looks")


def test_a_next_run_that_is_stopped_before_it_is_ready_is_replaced(
    make_process_engine: MakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "stopped"
    monkeypatch.setenv("STOPPED_ONCE", str(mark))
    driver = make_process_engine(modules=("engines.jobs_stopping",))
    ended = driver.run("engines.jobs_stopping:waited_for")
    assert (ended.ending, mark.exists()) == (Ending.RETURNED, True)


@pytest.mark.parametrize("name", ["rescind-init", "rescind-warm"])
def test_a_keeper_ends_with_its_worker_whatever_has_become_of_the_next_run(
    apart: Driver, name: str
) -> None:
    this = start(apart, "loops_on", file=os.devnull)
    apart.until(lambda: len(named(os.getpid(), "rescind-run")) == 2)
    os.kill(max(named(os.getpid(), name)), signal.SIGKILL)
    lines = len(apart.logged(this))
    apart.until(lambda: len(apart.logged(this)) > lines + 20)
    apart.engine.close()
    assert not named(os.getpid(), "rescind-keeper")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_warm_parent_that_is_lost_is_replaced_and_its_runs_go_on(
    apart: Driver, number: signal.Signals
) -> None:
    goes_on = start(apart, "loops_on", file=os.devnull)
    parent = min(named(os.getpid(), "rescind-warm"))  # a fork of it has its name for an instant
    os.kill(parent, number)
    apart.stop(goes_on)
    assert apart.end(goes_on).evidence is Evidence.STOPPED_ITSELF
    for _ in range(3):
        assert run(apart, "looks")
    assert not is_alive(parent)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("lose_init", [False, True])
def test_a_run_that_became_another_user_is_ended_all_the_same(
    apart: Driver, lose_init: bool
) -> None:
    other = start(apart, "sets_user")
    pid = int(apart.logged(other)[0])
    if lose_init:
        os.kill(min(named(os.getpid(), "rescind-init")), signal.SIGKILL)
    else:
        apart.stop(other)
    assert apart.end(other).evidence in (Evidence.KILLED, Evidence.TERMINATED)
    assert not is_alive(pid)


def test_inits_end_their_runs_when_worker_and_keeper_are_killed_at_once(
    make_process_engine: MakeEngine, tmp_path: Path
) -> None:
    """The keeper's own end is enough: nobody above it has to do anything."""
    driver = make_process_engine(modules=(JOBS,))
    start(driver, "daemon_and_wait", file=str(tmp_path / "ticks"))
    [keeper] = named(os.getpid(), "rescind-keeper")
    pid = int((tmp_path / "ticks").read_text().split()[0])
    os.kill(keeper, signal.SIGKILL)
    end = monotonic() + HANG_SECONDS
    while is_alive(pid):
        assert monotonic() < end, "the daemon outlived its keeper"


def test_an_init_ends_its_run_though_its_keeper_died_without_hearing_it(
    apart: Driver, tmp_path: Path
) -> None:
    file = tmp_path / "ticks"
    start(apart, "daemon_and_wait", file=str(file))
    pid = int(file.read_text().split()[0])
    keeper = min(named(os.getpid(), "rescind-keeper"))
    os.kill(keeper, signal.SIGSTOP)
    os.kill(min(named(os.getpid(), "rescind-run")), signal.SIGKILL)  # which its init says
    init = min(named(os.getpid(), "rescind-init"))
    end = monotonic() + HANG_SECONDS
    while len(descendants(init)) > 1:
        assert monotonic() < end
    os.kill(keeper, signal.SIGKILL)
    while is_alive(pid):
        assert monotonic() < end, "the daemon outlived its keeper"


def test_a_run_that_stops_its_init_and_exits_is_told_as_died(apart: Driver) -> None:
    ended = apart.run(f"{JOBS}:stops_its_init_and_exits")
    assert ended.ending is Ending.DIED
    assert run(apart, "looks")


def test_code_that_closes_its_files_is_not_ended_for_that(apart: Driver, tmp_path: Path) -> None:
    file = tmp_path / "written"
    closes = apart.start(
        f"{JOBS}:closes_all_and_goes_on", file=str(file), delay=limits.INIT_ANSWER_SECONDS + 1
    )
    ended = apart.end(closes)
    assert "close all files" in (ended.error or "")
    assert file.read_text() == "closed and done"


@pytest.mark.parametrize("number", [34, 40, 64, int(signal.SIGSEGV)])
def test_a_run_that_a_signal_ends_is_told_with_its_name(apart: Driver, number: int) -> None:
    ended = apart.run(f"{JOBS}:dies_by", number=number)
    assert (ended.ending, "SIG" in (ended.error or "")) == (Ending.DIED, True)


def test_programs_do_not_inherit_what_connects_a_run(apart: Driver) -> None:
    assert run(apart, "programs_see") == "0 1 2 3\n", "the last one is what lists them"


@pytest.mark.parametrize("name", ["rescind-keeper", "rescind-warm"])
def test_what_stands_still_while_nothing_runs_is_noticed(apart: Driver, name: str) -> None:
    run(apart, "looks")
    apart.until(lambda: apart.engine.free() > 0)
    os.kill(min(named(os.getpid(), name)), signal.SIGSTOP)
    for _ in range(2):
        assert run(apart, "looks")


@pytest.mark.parametrize("fenced", [False, True])
def test_a_keeper_that_is_stopped_during_a_run_goes_on(apart: Driver, fenced: bool) -> None:
    """Nobody tells it anything meanwhile: no stop, no renewal."""
    seconds = 1.0 if fenced else None
    stopped = apart.start(f"{JOBS}:returns_after", delay=60 if fenced else 0.5, seconds=seconds)
    apart.until_logged(stopped, "entered")
    os.kill(min(named(os.getpid(), "rescind-keeper")), signal.SIGSTOP)
    ended = apart.end(stopped)
    assert ended.ending is (Ending.STOPPED if fenced else Ending.RETURNED)


# How a run ends, and with what evidence


@pytest.mark.timeout(120 + POOLS)
@pytest.mark.parametrize("name", ["pools_threads", "to_thread", "pools_processes"])
def test_ordinary_pools_end_with_their_function(apart: Driver, name: str) -> None:
    for _ in range(POOLS):
        pool = apart.start(f"{JOBS}:{name}")
        ended = apart.end(pool)
        assert (ended.ending, ended.evidence) == (Ending.RETURNED, Evidence.STOPPED_ITSELF)
        assert apart.logged(pool) == []


@pytest.mark.parametrize("how", ["fork", "forkserver"])
def test_processes_of_every_kind_end_with_their_pool(apart: Driver, how: str) -> None:
    pool = apart.start(f"{JOBS}:pools_processes", how=how)
    ended = apart.end(pool)
    assert (ended.ending, ended.evidence) == (Ending.RETURNED, Evidence.STOPPED_ITSELF)
    assert apart.logged(pool) == []


@pytest.mark.parametrize("how", ["thread", "fork", "spawn", "forkserver"])
def test_a_stop_that_is_heeded_in_a_pool_is_no_kill(apart: Driver, how: str) -> None:
    pool = start(apart, "heeds_in_a_pool", grace_seconds=20, how=how)
    apart.stop(pool)
    ended = apart.end(pool)
    assert (ended.ending, ended.evidence) == (Ending.STOPPED, Evidence.STOPPED_ITSELF)


def test_permit_and_stop_together_are_told_as_what_they_were(
    make_process_engine: MakeEngine,
) -> None:
    driver = make_process_engine(modules=(JOBS,))
    entered = 0
    for number in range(30):
        driver.until(lambda: driver.engine.free() > 0)
        both = driver.start(f"{JOBS}:says_entered")
        driver.until(lambda run=both: driver.has_asked(run))  # type: ignore[misc]  # bound at once
        driver.stop(both)
        ended = driver.end(both)
        said = "entered" in driver.logged(both)
        entered += said
        assert (ended.ending is Ending.NOT_ENTERED) is not said, (number, ended)
        assert (ended.evidence is Evidence.NEVER_STARTED) is not said, (number, ended)
    assert entered < 30


@pytest.mark.parametrize(
    ("how", "status"), [("returns", 0), ("raises", 1), ("exits", 7), ("fails in exec", 1)]
)
def test_a_copy_that_comes_back_does_not_speak_for_the_run(
    apart: Driver, how: str, status: int
) -> None:
    assert run(apart, "copy_returns", how=how) == f"of the run: {status}"


def test_an_async_copy_does_not_speak_for_the_run_either(apart: Driver) -> None:
    assert run(apart, "async_copy_returns") == "of the run"


def test_copies_and_threads_may_all_log_at_once(apart: Driver) -> None:
    report = apart.start(f"{JOBS}:copies_report", lines=60, size=9_000)
    ended = apart.end(report)
    assert (ended.ending, ended.result) == (Ending.RETURNED, 7), ended
    lines = [line for line in apart.logged(report) if line != "chatter"]
    expected = {f"{n} {line} " + str(n) * 9_000 for n in range(7) for line in range(60)}
    gaps = [line for line in lines if "are left out here" in line]
    whole = [line for line in lines if line not in gaps]
    assert len(whole) == len(set(whole)) > 50
    assert set(whole) <= expected


def test_a_copy_that_is_killed_while_it_logs_breaks_nothing(apart: Driver) -> None:
    assert run(apart, "kills_a_reporting_copy") == "of the run"


def test_a_result_counts_when_exit_functions_have_run(apart: Driver, tmp_path: Path) -> None:
    file = tmp_path / "written"
    leaves = apart.start(f"{JOBS}:exit_functions", file=str(file))
    assert apart.end(leaves).result == "returned"
    assert file.read_text() == "written at exit"
    assert apart.logged(leaves) == ["printed at exit"]


def test_threads_that_are_no_daemons_are_waited_for(apart: Driver, tmp_path: Path) -> None:
    file = tmp_path / "written"
    assert run(apart, "threads_to_wait_for", file=str(file), delay=0.05) == "returned"
    assert file.read_text() == "written by a thread"


@pytest.mark.parametrize("name", ["exit_functions", "threads_to_wait_for"])
def test_what_takes_too_long_to_leave_is_ended_by_force(
    apart: Driver, tmp_path: Path, name: str
) -> None:
    file = tmp_path / "written"
    leaves = apart.start(f"{JOBS}:{name}", file=str(file), delay=1000)
    ended = apart.end(leaves)
    assert (ended.ending, ended.result) == (Ending.RETURNED, "returned")
    assert not file.exists()
    assert any("did not end" in line for line in apart.logged(leaves))
