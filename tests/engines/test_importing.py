"""How runs come to the job modules: forked from one import of them, or each by its own."""

import os
import signal
from collections.abc import Callable, MutableMapping
from time import monotonic
from typing import Any

import pytest
from structlog.testing import capture_logs

from engines.conftest import Driver
from processes import HANG_SECONDS, named
from rescind import limits
from rescind.engines.protocol import Ending

JOBS = "engines.jobs_importing"
NUMPY = "engines.jobs_with_numpy"
MakeImporting = Callable[..., Driver]


@pytest.fixture
def importing(
    make_process_engine: Callable[..., Driver], monkeypatch: pytest.MonkeyPatch
) -> MakeImporting:
    """An engine whose module leaves something when it is imported."""

    def make(leaves: str = "", module: str = JOBS, **options: Any) -> Driver:
        monkeypatch.setenv("LEAVES", leaves)
        return make_process_engine(modules=(module,), **options)

    return make


def ready(driver: Driver) -> list[MutableMapping[str, Any]]:
    """Wait until a run can be ordered; what the service has logged until then."""
    with capture_logs() as logs:
        driver.until(lambda: driver.engine.free() > 0)
    return logs


def result(driver: Driver) -> dict[str, Any]:
    ended = driver.run(f"{JOBS}:imported")
    assert ended.ending is Ending.RETURNED, ended
    found: dict[str, Any] = ended.result
    return found


def test_runs_are_forked_from_one_import(importing: MakeImporting) -> None:
    driver = importing()
    [said] = ready(driver)
    assert "forked" in said["event"]
    assert result(driver)["threads"] == 2, "the function's and ours"


def test_threads_that_importing_has_joined_do_not_keep_runs_from_being_forked(
    importing: MakeImporting,
) -> None:
    for _ in range(10):
        [said] = ready(importing("joined"))
        assert "forked" in said["event"], said


@pytest.mark.parametrize("leaves", ["thread", "process"])
def test_where_importing_leaves_threads_or_processes_each_run_imports(
    importing: MakeImporting, leaves: str
) -> None:
    driver = importing(leaves, slots=2)
    logs = ready(driver)
    driver.until(lambda: driver.engine.free() == 2)
    [said] = logs
    assert "imports the job modules itself" in said["event"]
    number = {"thread": "1 threads and 0", "process": "0 threads and 1"}[leaves]
    assert number in said["why"]
    pids = {result(driver)["pid"] for _ in range(3)}
    assert len(pids) == 3


@pytest.mark.parametrize("warm", ["auto", "fork", "fresh"])
def test_a_copy_that_a_module_forks_is_not_taken_for_the_run(
    importing: MakeImporting, warm: str
) -> None:
    driver = importing("copy", warm=warm)
    assert {len(result(driver)) for _ in range(4)} == {5}


@pytest.mark.parametrize(("warm", "threads"), [("fork", 2), ("fresh", 3), ("auto", 3)])
def test_how_is_a_setting(importing: MakeImporting, warm: str, threads: int) -> None:
    driver = importing("thread", warm=warm)
    assert result(driver)["threads"] == threads, "forking leaves the module's thread behind"


def test_the_next_run_imports_while_the_slot_is_busy(importing: MakeImporting) -> None:
    driver = importing("slow", warm="fresh")
    ready(driver)
    first = driver.start("engines.jobs_for_tests:waits", grace_seconds=5)
    driver.until_logged(first, "entered")
    end = monotonic() + HANG_SECONDS
    while len(named(os.getpid(), "rescind-run")) < 2:
        assert monotonic() < end, "nothing gets ready"
    [keeper] = driver.engine._keepers  # type: ignore[attr-defined]  # it is told
    driver.until(lambda: bool(keeper.ready))
    driver.stop(first)
    driver.end(first)
    assert driver.engine.free() == 1


def test_what_importing_opened_is_named_once(importing: MakeImporting) -> None:
    driver = importing("descriptor", slots=2)
    logs = ready(driver)
    driver.until(lambda: driver.engine.free() == 2)
    [warned] = [said for said in logs if said["log_level"] == "warning"]
    assert [name.rpartition("/")[2] for name in warned["opened"]] == ["jobs_importing.py"]


@pytest.mark.parametrize("warm", ["fork", "fresh"])
def test_signals_are_as_the_modules_have_left_them(importing: MakeImporting, warm: str) -> None:
    driver = importing("handler sigchld", warm=warm)
    found = result(driver)
    assert (found["usr1"], found["sigchld"]) == (True, True)
    assert found["blocked"] == [signal.SIGUSR2]
    died = driver.run(f"{JOBS}:exits_with", status=9)
    assert "status 9" in (died.error or ""), "its init hears how it ended all the same"


@pytest.mark.parametrize("warm", ["fork", "fresh"])
def test_what_modules_print_is_in_no_jobs_log(importing: MakeImporting, warm: str) -> None:
    driver = importing("output", warm=warm)
    for _ in range(2):
        run = driver.start(f"{JOBS}:imported")
        driver.end(run)
        assert driver.logged(run) == []


@pytest.mark.parametrize("warm", ["auto", "fresh"])
def test_a_module_that_cannot_be_imported_is_said_and_tried_again(
    importing: MakeImporting, monkeypatch: pytest.MonkeyPatch, warm: str
) -> None:
    driver = importing("error", warm=warm)
    with capture_logs() as logs:
        end = monotonic() + 2.5 * limits.KEEPER_RESTART_SECONDS
        driver.until(lambda: monotonic() > end)
    errors = [said for said in logs if said["log_level"] == "error"]
    assert 1 <= len(errors) <= 4
    assert all("broken at import" in said["error"] for said in errors)


@pytest.mark.parametrize("warm", ["auto", "fork", "fresh"])
def test_numpy_works_however_it_is_imported_and_draws_anew(
    importing: MakeImporting, warm: str
) -> None:
    driver = importing(module=NUMPY, warm=warm)
    results = [driver.run(f"{NUMPY}:numpy_job").result for _ in range(3)]
    assert [found["product"] for found in results] == [300.0**3] * 3
    assert len({found["drawn"] for found in results}) == 3
