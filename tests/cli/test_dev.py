"""``rescind dev``: what one writes is served at once, and again when it has changed."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from typer.testing import CliRunner

from processes import HANG_SECONDS
from rescind.cli.main import app

JOB = """from rescind import JobContext, job


@job("hello__c", idempotent=True)
def hello(context: JobContext) -> str:
    context.log("hello")
    context.sleep(float(context.parameters.get("seconds", 0)))
    return {answer!r}
"""
Run = Callable[..., Any]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    inherited = {name: text for name, text in os.environ.items() if "RESCIND" not in name}
    return {**inherited, "XDG_STATE_HOME": str(tmp_path / "state"), "NO_COLOR": "1"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with a job, and modules that must not be taken for it."""
    folder = tmp_path / "project"
    (folder / "venv").mkdir(parents=True)
    (folder / "jobs.py").write_text(JOB.format(answer="first"))
    return folder


@pytest.fixture
def rescind(folder: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in the project."""
    monkeypatch.chdir(folder)
    for name in ("RESCIND_URL", "RESCIND_USERNAME", "RESCIND_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    return lambda *arguments: CliRunner().invoke(app, arguments, env=environment)


@pytest.fixture
def said(folder: Path, environment: dict[str, str]) -> Iterator[Callable[[str], str]]:
    """Starts ``rescind dev``; waits until it has said something, and returns all of it."""
    log = folder.parent / "dev.log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "rescind.cli", "dev", "--port", "0"],
            cwd=folder,
            env=environment,
            stdout=stream,
            stderr=stream,
        )

    def until(text: str) -> str:
        end = monotonic() + HANG_SECONDS
        while text not in log.read_text():
            assert monotonic() < end, log.read_text()
        return log.read_text()

    yield until
    process.send_signal(signal.SIGTERM)  # SIGINT may be ignored, where tests run in the background
    assert process.wait(HANG_SECONDS) == 0
    assert "Traceback" not in log.read_text().partition("SyntaxError")[0]


def test_what_one_writes_is_served_and_again_when_it_has_changed(
    said: Callable[[str], str], rescind: Run, folder: Path
) -> None:
    address = re.findall(r"Rescind serves jobs at (http://127\.0\.0\.1:\d+)", said("password: "))
    assert len(address) == 1
    assert (folder / ".rescind").stat().st_mode & 0o777 == 0o700
    assert (folder / ".rescind" / ".gitignore").read_text() == "*\n"
    assert rescind("submit", "hello__c").stdout == "1\n"
    assert rescind("wait", "1").exit_code == 0
    assert rescind("result", "1").stdout == '"first"\n'
    rescind("submit", "hello__c", "--parameters", '{"seconds": 2}')
    while "hello" not in rescind("log", "2").stdout:
        pass
    (folder / "jobs.py").write_text(JOB.format(answer="second"))
    said("jobs.py changed: loading the jobs anew")
    said("Serving again")
    assert rescind("wait", "2").stdout == "2\tSUCCESS\n"  # it was given back, not cancelled
    assert rescind("result", "2").stdout == '"second"\n'
    (folder / "jobs.py").write_text("def broken(:\n")
    said("waiting for another change")
    (folder / "jobs.py").write_text(JOB.format(answer="third"))
    end = monotonic() + HANG_SECONDS
    while (submitted := rescind("submit", "hello__c")).exit_code:
        assert monotonic() < end, submitted.stderr
    assert rescind("wait", submitted.stdout.strip()).exit_code == 0
    assert rescind("result", submitted.stdout.strip()).stdout == '"third"\n'


def test_without_jobs_it_says_what_to_do(rescind: Run, folder: Path) -> None:
    (folder / "jobs.py").unlink()
    done = rescind("dev")
    assert done.exit_code == 3
    assert done.stderr == "rescind: there is no jobs.py and no package jobs here: name a module\n"
    assert not (folder / ".rescind").exists()
