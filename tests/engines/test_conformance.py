"""What every engine does."""

import pytest

from engines.conftest import JOBS, Driver
from rescind import limits
from rescind.engines.protocol import Asked, Ending, StopReason
from rescind.lifecycle import Evidence
from rescind.model import RunRef


def test_a_function_gets_its_run_and_gives_its_result(driver: Driver) -> None:
    ended = driver.run("echo", a=1, b=["\u00e9", None])
    assert (ended.ending, ended.evidence) == (Ending.RETURNED, Evidence.STOPPED_ITSELF)
    assert {name: ended.result[name] for name in ("job_id", "attempt", "parameters")} == {
        "job_id": 1,
        "attempt": 1,
        "parameters": {"a": 1, "b": ["\u00e9", None]},
    }


def test_an_async_function_runs_too(driver: Driver) -> None:
    ended = driver.run("echo_async", a=1)
    assert (ended.ending, ended.result) == (Ending.RETURNED, {"parameters": {"a": 1}})


@pytest.mark.parametrize("name", ["raises", "raises_async"])
def test_an_error_is_told_with_the_users_part_of_its_traceback(driver: Driver, name: str) -> None:
    ended = driver.run(name)
    assert (ended.ending, ended.evidence) == (Ending.RAISED, Evidence.STOPPED_ITSELF)
    assert ended.error is not None
    assert "ValueError: broken" in ended.error
    assert "jobs_for_tests.py" in ended.error
    assert "execution.py" not in ended.error
    assert "runners.py" not in ended.error


def test_leaving_by_sys_exit_is_an_error(driver: Driver) -> None:
    ended = driver.run("exits")
    assert ended.ending is Ending.RAISED
    assert "SystemExit: 3" in (ended.error or "")


def test_raising_job_cancelled_unasked_is_an_error(driver: Driver) -> None:
    assert driver.run("cancels_unasked").ending is Ending.RAISED


def test_a_result_that_is_no_json_or_too_large_is_an_error(driver: Driver) -> None:
    ended = driver.run("returns", kind="object")
    assert ended.ending is Ending.RAISED
    assert "not JSON" in (ended.error or "")
    ended = driver.run("returns", kind="large")
    assert ended.ending is Ending.RAISED
    assert str(limits.RESULT_BYTES_MAX) in (ended.error or "")
    ended = driver.run("returns", kind="deep")
    assert ended.ending is Ending.RAISED
    assert "nested" in (ended.error or "")
    for kind in ("nan", "infinity"):
        ended = driver.run("returns", kind=kind)
        assert ended.ending is Ending.RAISED
        assert ended.error == "The job's result holds NaN or an infinity, which JSON does not have"
    assert driver.run("returns", kind="list").result == [1, None, "a"]


@pytest.mark.parametrize("processor", [f"{JOBS}:missing", "no_such_module:x", f"{JOBS}:WRITER"])
def test_a_processor_that_is_not_there_is_an_error(driver: Driver, processor: str) -> None:
    ended = driver.run(processor)
    assert ended.ending is Ending.RAISED
    assert ended.error


def test_log_lines_and_progress_come_in_order(driver: Driver) -> None:
    run = driver.start("says")
    driver.end(run)
    assert driver.logged(run) == ["first", "second", "7"]
    assert driver.progressed(run) == [(1, 3), (2, 3)]


def test_what_no_store_can_hold_is_replaced(driver: Driver) -> None:
    run = driver.start("says_the_unsayable")
    ended = driver.end(run)
    lines = driver.logged(run)
    assert lines[0].startswith("nul \ufffd and surrogate ?")
    assert sum(line.count("\x01") for line in lines) == 200_000
    assert sum("progress takes whole numbers" in line for line in lines) == 5
    assert driver.progressed(run) == []
    assert sum(line.count("\ufffd") for line in lines) >= 200_000
    assert (ended.ending, "\0" in (ended.error or "\0")) == (Ending.RAISED, False)
    assert len((ended.error or "").encode()) <= limits.ERROR_BYTES_MAX


def test_a_run_asks_before_it_enters_and_a_refusal_keeps_it_out(driver: Driver) -> None:
    driver.allow = False
    run = driver.start("says")
    ended = driver.end(run)
    assert (ended.ending, ended.evidence) == (Ending.NOT_ENTERED, Evidence.NEVER_STARTED)
    assert Asked(run) in driver.events
    assert driver.logged(run) == []


def test_a_stop_before_the_entry_keeps_it_out(driver: Driver) -> None:
    driver.until(lambda: driver.engine.free() > 0)
    run = driver.start("says")
    driver.stop(run)
    ended = driver.end(run)
    assert (ended.ending, ended.evidence) == (Ending.NOT_ENTERED, Evidence.NEVER_STARTED)
    assert driver.logged(run) == []


def stop_once_entered(driver: Driver, run: RunRef, reason: StopReason) -> None:
    """Stop it as soon as it says that it has entered; within its log call, for inline runs."""
    if driver.engine.__class__.__name__ == "InlineEngine":
        from threading import Timer  # noqa: PLC0415 - another thread must do it

        timer = Timer(0.2, driver.stop, (run, reason))
        timer.start()
        return
    driver.until_logged(run, "entered")
    driver.stop(run, reason)


@pytest.mark.parametrize("name", ["waits", "waits_async", "cleans_up"])
def test_a_run_that_heeds_stops_itself(driver: Driver, name: str) -> None:
    run = driver.start(name)
    stop_once_entered(driver, run, StopReason.CANCEL)
    ended = driver.end(run)
    assert (ended.ending, ended.evidence) == (Ending.STOPPED, Evidence.STOPPED_ITSELF)
    assert ended.error is None


def test_clean_up_may_log_and_knows_why(driver: Driver) -> None:
    run = driver.start("cleans_up")
    stop_once_entered(driver, run, StopReason.TIMEOUT)
    driver.end(run)
    assert driver.logged(run) == ["entered", "cleaning up after TIMEOUT"]
    assert driver.progressed(run) == [(9, 9)]


def test_async_clean_up_runs(driver: Driver) -> None:
    run = driver.start("waits_async")
    stop_once_entered(driver, run, StopReason.CANCEL)
    driver.end(run)
    assert driver.logged(run) == ["entered", "cleaned up"]


def test_a_function_that_returns_when_asked_has_returned(driver: Driver) -> None:
    run = driver.start("returns_when_asked")
    stop_once_entered(driver, run, StopReason.CANCEL)
    ended = driver.end(run)
    assert (ended.ending, ended.result, ended.noticed) == (
        Ending.RETURNED,
        "finished all the same",
        True,
    )


def test_the_hook_runs_beside_the_function_and_can_unblock_it(driver: Driver) -> None:
    run = driver.start("hooked")
    stop_once_entered(driver, run, StopReason.CANCEL)
    ended = driver.end(run)
    assert (ended.ending, ended.evidence) == (Ending.STOPPED, Evidence.STOPPED_ITSELF)
    assert driver.logged(run) == ["entered", "hook"]


def test_a_hook_that_fails_is_told_and_stops_nothing(driver: Driver) -> None:
    run = driver.start("hook_fails")
    stop_once_entered(driver, run, StopReason.CANCEL)
    assert driver.end(run).ending is Ending.STOPPED
    assert any("the hook is broken" in line for line in driver.logged(run))


def test_stopping_twice_or_what_is_over_does_nothing(driver: Driver) -> None:
    run = driver.start("cleans_up")
    stop_once_entered(driver, run, StopReason.CANCEL)
    driver.end(run)
    driver.stop(run, StopReason.DRAIN)
    driver.stop(RunRef(99, 1))
    assert "cleaning up after CANCEL" in driver.logged(run)
    assert driver.run("echo").ending is Ending.RETURNED


def test_a_wake_ends_a_poll(driver: Driver) -> None:
    driver.until(lambda: driver.engine.free() > 0)
    driver.engine.wake()
    assert driver.engine.poll(60) == []


def test_the_modules_processors_are_described(driver: Driver) -> None:
    described = {value.name: value for value in driver.engine.describe()}
    assert described["echo__c"].processor == f"{JOBS}:echo"
    assert len(described) > 20
