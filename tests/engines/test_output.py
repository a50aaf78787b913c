"""The log of a run: what it wrote, in the order written, whatever becomes of it."""

import re
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from engines.conftest import Driver
from rescind import limits
from rescind.engines.protocol import Alive, Ending, Logged, StopReason
from rescind.lifecycle import Evidence
from rescind.model import RunRef

JOBS = "engines.jobs_with_output"


@pytest.fixture
def output(make_process_engine: Callable[..., Driver]) -> Driver:
    return make_process_engine(modules=(JOBS,))


def log_of(driver: Driver, name: str, **parameters: Any) -> list[str]:
    run = driver.start(f"{JOBS}:{name}", **parameters)
    driver.end(run)
    return driver.logged(run)


def after_cancel(driver: Driver, run: RunRef) -> dict[str, bool]:
    """Which lines are marked."""
    return {
        event.text: event.after_cancel
        for event in driver.events
        if isinstance(event, Logged) and event.run == run
    }


def test_all_channels_come_in_the_order_written(output: Driver) -> None:
    channels = ("print", "one", "log", "two", "logging", "stderr", "program", "printf", "copy")
    lines = log_of(output, "all_channels", rounds=30)
    expected = []
    for first in range(0, 300, 10):
        expected += [f"{first + n} {name}" for n, name in enumerate((*channels, "buffer"))]
        expected[-6] = f"INFO shop.orders: {first + 4} logging"
    assert lines == expected


def test_the_log_that_the_documents_show_is_what_comes(
    make_process_engine: Callable[..., Driver], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "writing-jobs.md").read_text()
    shown = re.search(
        r"```python\n(@job\(\"tells__c\"\).*?)```\n\n```text\n(.*?)```", page, re.DOTALL
    )
    assert shown is not None
    imports = "import logging, subprocess\nfrom rescind import JobContext, job\n"
    (tmp_path / "jobs_of_the_documents.py").write_text(imports + shown[1])
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    driver = make_process_engine(modules=("jobs_of_the_documents",))
    run = driver.start("jobs_of_the_documents:tells")
    driver.end(run)
    assert driver.logged(run) == [line.partition(" ")[2] for line in shown[2].splitlines()]


def test_logging_comes_with_level_and_logger_from_info_on(output: Driver) -> None:
    lines = log_of(output, "logs_by_logging")
    assert lines[:3] == [
        "INFO shop.orders: an order",
        "WARNING shop.orders: a warning",
        "ERROR root: it failed",
    ]
    assert lines[3] == "Traceback (most recent call last):"
    assert lines[-2:] == [
        "ValueError: invalid literal for int() with base 10: 'broken'",
        "INFO:shop.orders:another order",
    ]


def test_lines_that_another_handler_prints_come_once(output: Driver) -> None:
    lines = log_of(output, "logs_by_handlers_of_its_own")
    assert lines == ["OWN hello", "ROOT root prints", "INFO quiet: to a file, too"]


@pytest.mark.parametrize("how", ["reconfigure", "detach", "buffer"])
def test_streams_may_be_replaced_as_people_do(output: Driver, how: str) -> None:
    run = output.start(f"{JOBS}:replaces_streams", how=how)
    ended = output.end(run)
    assert ended.ending is Ending.RETURNED, ended.error
    assert output.logged(run) == ["gr\u00fc\u00dfe", "and more"]


def test_a_programs_line_is_ended_by_a_print(output: Driver) -> None:
    assert log_of(output, "ends_a_programs_line") == [
        "Compiling... done",
        "second",
        "third",
        "Linking...",
        "a log line",
        "fourth",
    ]


def test_no_print_is_torn_by_another_thread_or_copy(output: Driver) -> None:
    lines = log_of(output, "threads_print")
    names = [f"{prefix}{thread}" for prefix in "cr" for thread in range(4)]
    assert sorted(lines) == sorted(
        f"{name} {number} {name * 50} end" for name in names for number in range(300)
    )
    for name in names:
        numbers = [int(line.split()[1]) for line in lines if line.startswith(f"{name} ")]
        assert numbers == list(range(300))


@pytest.mark.parametrize("how", ["exit", "kill"])
def test_what_was_written_is_there_however_the_process_ends(output: Driver, how: str) -> None:
    lines = log_of(output, "prints_and_dies", how=how)
    assert lines == ["a whole line", "a log line", "of C", "begun"]


def test_a_line_is_there_while_the_job_runs(output: Driver) -> None:
    run = output.start(f"{JOBS}:prints_and_waits")
    output.until_logged(run, "a whole line")
    output.stop(run)
    output.end(run)


def test_what_makes_no_line_yet_is_a_sign_of_life(output: Driver) -> None:
    run = output.start(f"{JOBS}:begins_lines", duration=1.0)
    output.until(lambda: output.events.count(Alive(run)) > 3)
    assert output.logged(run) == []
    output.end(run)
    assert set(output.logged(run)[0]) == {"."}


def test_a_line_that_was_begun_is_gone_on_with(output: Driver) -> None:
    assert log_of(output, "goes_on") == [
        "The answer is 42",
        "begun by one call, ",
        "a line between",
        "ended by another",
    ]


def test_no_character_is_cut(output: Driver) -> None:
    lines = log_of(output, "cuts_nothing")
    assert "\ufffd" not in "".join(lines)
    assert max(len(line.encode()) for line in lines) <= limits.LOG_LINE_BYTES_MAX
    text = "".join(lines)
    assert [text.count(sign) for sign in ("\u20ac", "\U0001f600", "\u00e9")] == [
        20_000,
        20_000,
        40_000,
    ]


def test_nothing_hangs_when_a_signals_handler_logs(output: Driver) -> None:
    run = output.start(f"{JOBS}:logs_in_a_handler")
    ended = output.end(run)
    assert ended.ending is Ending.RETURNED, ended.error
    assert ended.result > 10


def test_what_the_job_redirects_is_its_own(output: Driver, tmp_path: Path) -> None:
    run = output.start(f"{JOBS}:redirects", file=str(tmp_path / "file"))
    assert output.end(run).result == "to the file\n"
    assert output.logged(run) == ["to the log", "to the log again"]


def test_a_pipe_that_does_not_wait_loses_nothing(output: Driver) -> None:
    run = output.start(f"{JOBS}:does_not_block")
    assert output.end(run).ending is Ending.RETURNED
    numbers = [int(line.split()[0]) for line in output.logged(run)]
    assert numbers == [number for number in range(3_000) for _ in range(2)]


@pytest.mark.parametrize("how", ["fork", "forkserver", "spawn"])
def test_what_a_pool_prints_is_there(
    make_process_engine: Callable[..., Driver], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    # Workers that are programs of their own would write each piece of a line by itself.
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    lines = log_of(make_process_engine(modules=(JOBS,)), "pool_prints", how=how)
    assert sorted(lines) == sorted(f"pool {number}" for number in range(20))


def test_streams_are_what_code_expects(output: Driver) -> None:
    run = output.start(f"{JOBS}:uses_streams")
    assert output.end(run).result == {
        "numbers": [1, 2],
        "encoding": "utf-8",
        "tty": False,
        "writable": True,
        "written": 11,
        "wrong": "TypeError",
    }
    assert output.logged(run) == ["flushed", "two", "lines", "no line end"]


@pytest.mark.parametrize(
    ("reason", "marked"), [(StopReason.CANCEL, True), (StopReason.DRAIN, False)]
)
def test_what_comes_after_a_cancel_is_marked(
    output: Driver, reason: StopReason, marked: bool
) -> None:
    run = output.start(f"{JOBS}:writes_across_a_stop")
    output.until_logged(run, "entered")
    output.stop(run, reason)
    output.end(run)
    assert after_cancel(output, run) == {
        "before": False,
        "entered": False,
        "printed after": marked,
        "logged after": marked,
        "begun after": marked,
    }


def test_of_much_the_head_and_the_tail_are_kept_and_the_log_says_so(output: Driver) -> None:
    lines = log_of(output, "writes_much", lines=40_000)
    assert (lines[0].split()[0], lines[-1].split()[0]) == ("0", "39999")
    expected = 0
    for line in lines:
        if "are left out here" in line:
            expected += int(line.split()[1].replace(",", ""))
        else:
            assert int(line.split()[0]) == expected
            expected += 1
    gaps = [at for at, line in enumerate(lines) if "are left out here" in line]
    assert sum(len(line) + 1 for line in lines[: gaps[0]]) > limits.LOG_HEAD_BYTES * 3 / 4
    assert sum(len(line) + 1 for line in lines[gaps[-1] :]) > limits.LOG_TAIL_BYTES * 3 / 4


def test_as_much_as_a_log_keeps_is_passed_on_whole(output: Driver) -> None:
    lines = log_of(output, "writes_much", lines=3_000)
    assert [int(line.split()[0]) for line in lines] == list(range(3_000))


@pytest.mark.parametrize("how", ["yes", "print", "log", "write"])
def test_a_flood_is_stopped_like_anything_else(output: Driver, how: str) -> None:
    run = output.start(f"{JOBS}:floods_by", 20, interrupt_seconds=0.3, how=how)
    output.until(lambda: any(isinstance(event, Alive) for event in output.events))
    began = monotonic()
    output.until(lambda: monotonic() > began + 1)
    output.stop(run)
    ended = output.end(run)
    assert ended.evidence is Evidence.STOPPED_ITSELF
    kept = sum(len(line) + 1 for line in output.logged(run))
    assert kept < 2 * limits.LOG_BYTES_MAX
