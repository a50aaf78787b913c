"""The commands that ask a service, against a real one: what they print, and their exit codes."""

import json
import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from process.conftest import Service, database, serve, started
from processes import HANG_SECONDS
from rescind.cli.main import app

__all__ = ["database", "serve", "started"]
LATER = ("--run-date", "2099-01-01T00:00:00")
Done = subprocess.CompletedProcess[str]
Run = Callable[..., Done]


@pytest.fixture
def service(serve: Callable[..., Service]) -> Service:
    return serve("--slots", "2")


@pytest.fixture
def environment(tmp_path: Path, service: Service) -> dict[str, str]:
    """Of who has signed in to nothing; it knows where the service is."""
    inherited = {name: text for name, text in os.environ.items() if "RESCIND" not in name}
    state = {"XDG_STATE_HOME": str(tmp_path / "state"), "TZ": "UTC", "NO_COLOR": "1"}
    return {**inherited, **state, "RESCIND_URL": service.address}


@pytest.fixture
def outside(tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command as somebody who has not signed in; in this process, since a hundred Pythons
    would take a minute to start.
    """
    monkeypatch.chdir(tmp_path)
    for name in ("RESCIND_URL", "RESCIND_USERNAME", "RESCIND_PASSWORD"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str, stdin: str = "", **more: str) -> Done:
        done = CliRunner().invoke(app, arguments, input=stdin, env={**environment, **more})
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Done(arguments, done.exit_code, done.stdout, done.stderr)

    return run


@pytest.fixture
def rescind(outside: Run, service: Service) -> Run:
    """The same, signed in."""
    arguments = ("login", "--username", "admin", "--password-stdin")
    signed_in = outside(*arguments, stdin=f"{service.password}\n")
    assert signed_in.returncode == 0, signed_in.stderr
    return outside


def submit(rescind: Run, count: int = 1, title: str = "Sleep") -> list[str]:
    """Jobs that wait until 2099."""
    return [
        rescind("submit", "demo_sleep__c", "--title", title, *LATER).stdout.strip()
        for _ in range(count)
    ]


def refused(done: Done, code: int, *words: str) -> None:
    """One line that says what is wrong, never a traceback."""
    assert done.returncode == code, (done.stdout, done.stderr)
    for word in words:
        assert word in done.stderr
    assert "Traceback" not in done.stderr


def test_a_session_is_kept_for_its_owner_alone_and_ended_by_logout(
    rescind: Run, tmp_path: Path
) -> None:
    kept = tmp_path / "state" / "rescind" / "session.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert rescind("jobs").returncode == 0
    assert rescind("logout").returncode == 0
    assert not kept.exists()
    refused(rescind("jobs"), 5, "rescind login")
    refused(rescind("logout"), 5, "nobody is signed in")


def test_a_session_from_the_environment_is_never_kept(
    outside: Run, service: Service, tmp_path: Path
) -> None:
    who = {"RESCIND_USERNAME": "admin", "RESCIND_PASSWORD": service.password}
    assert outside("jobs", **who).returncode == 0
    assert not (tmp_path / "state").exists()
    refused(
        outside("jobs", **{**who, "RESCIND_PASSWORD": "wrong"}),
        5,
        "the user name or password is incorrect",
    )


def test_what_cannot_be_reached_or_done_without_a_terminal_says_so(outside: Run) -> None:
    nowhere = {"RESCIND_URL": "http://127.0.0.1:1", "RESCIND_USERNAME": "a"}
    refused(outside("jobs", **nowhere, RESCIND_PASSWORD="b"), 3, "127.0.0.1:1 cannot be reached")
    refused(outside("login"), 2, "--password-stdin")
    refused(outside("login", "--username", "admin", "--password-stdin", stdin="no\n"), 5)


def test_a_job_is_submitted_watched_and_read(rescind: Run, tmp_path: Path) -> None:
    given = json.dumps({"items": 2, "seconds_per_item": 0.01})
    job_id = rescind("submit", "demo_count__c", "--parameters", given).stdout.strip()
    assert job_id == "1"
    watched = rescind("status", job_id, "--watch")
    assert watched.stdout.splitlines()[-1].split("\t")[:2] == ["1", "SUCCESS"]
    assert rescind("wait", job_id).stdout == "1\tSUCCESS\n"
    assert json.loads(rescind("result", job_id).stdout) == {"items": 2}
    assert "Job Completion Status: SUCCESS" in rescind("log", job_id, "--follow").stdout
    assert rescind("rerun", job_id).stdout == "1\t2\n"
    details = rescind("details", job_id).stdout
    assert "repeated by 2" in details
    assert "submit" in details
    (tmp_path / "given.json").write_text(given)
    from_file = ("submit", "demo_count__c", "--parameters-file")
    assert rescind(*from_file, "given.json").stdout == "3\n"
    assert rescind(*from_file, "-", stdin=given).stdout == "4\n"
    assert rescind("wait", "2", "3", "4").returncode == 0
    histories = rescind("histories", "--status", "success").stdout.splitlines()
    assert [line.split()[0] for line in histories] == ["ID", "4", "3", "2", "1"]
    assert rescind("tasks", "1").returncode == 0


WRONG: list[tuple[tuple[str, ...], int, str]] = [
    (("submit", "unknown__c"), 1, "unknown__c"),
    (("submit", "demo_sleep__c", "--parameters", "[1]"), 2, "no JSON object"),
    (("submit", "demo_sleep__c", "--parameters", "@file"), 2, "no JSON object"),
    (("submit", "demo_sleep__c", "--parameters-file", "none.json"), 2, "none.json"),
    (("submit", "demo_sleep__c", "--priority", "1000"), 1, "priority"),
    (("status", "999"), 1, "Job [999] is not found"),
    (("status", "x"), 2, "Invalid value for 'ID'"),
    (("result", "999"), 1, "not found"),
    (("wait", "999"), 1, "not found"),
    (("query", "SELEKT"), 1, "SELEKT"),
    (("cancel",), 2, "one of these"),
    (("cancel", "1", "--where", "id = 1"), 2, "one of these"),
    (("cancel", "1", "x", "2,3"), 2, "argument 2: 'x'; argument 3: '2,3'"),
    (("cancel", "--file", "none"), 2, "none"),
    (("cancel", "--where", "no_field = 1"), 1, "no_field"),
    (("cancel", "--where", "id = 999"), 6, "nothing matches"),
    (("cancel", "--selection", "x"), 1, "Selection [x] is not found"),
    (("undo", "x"), 1, "Operation [x] is not found"),
    (("operations", "x"), 1, "Operation [x] is not found"),
    (("start", "999"), 1, "not found"),
    (("wait",), 2, "no ids are given"),
    (("rerun",), 2, "no ids are given"),
    (("rerun", "-"), 6, "- has no ids"),
]


def test_what_is_wrong_is_said_with_its_code(rescind: Run) -> None:
    for arguments, code, word in WRONG:
        refused(rescind(*arguments), code, word)


def test_ids_are_cancelled_from_arguments_a_file_and_standard_input(
    rescind: Run, tmp_path: Path
) -> None:
    ids = submit(rescind, 5)
    done = rescind("cancel", *ids[:2], "--reason", "wrong month", "--wait")
    assert done.returncode == 0
    assert "2 accepted, 0 refused" in done.stderr
    assert "2 stopped" in done.stderr
    (tmp_path / "ids.csv").write_text(f"\ufeffjob_id,title\n{ids[2]},x\n\n")
    assert rescind("cancel", "--file", "ids.csv", "--expect", "1").returncode == 0
    last = rescind("cancel", "-", stdin=f"{ids[3]}\n{ids[0]}\n999\n")
    refused(last, 1, "1 accepted, 2 refused", "999: UNKNOWN: ", f"{ids[0]}: ALREADY_CANCELLED: ")
    refused(rescind("cancel", ids[4], "--expect", "2"), 7, "2 expected")
    refused(rescind("cancel", "-", stdin="12\nnonsense\n"), 2, "line 2: 'nonsense'", "nothing was")
    refused(rescind("cancel", "-", stdin="\n"), 6)
    assert rescind("status", ids[4]).stdout.split("\t")[1] == "SCHEDULED"
    undone = rescind("rerun", "--undo", *ids[:2], "999")
    assert undone.stdout == f"{ids[0]}\t6\n{ids[1]}\t7\n"
    refused(undone, 1, "999: UNKNOWN", "2 jobs submitted, 1 refused")


def test_what_matches_is_shown_asked_for_cancelled_and_taken_back(rescind: Run) -> None:
    ids = submit(rescind, 3, "October") + submit(rescind, 2, "November")
    where = ("--where", "job_title__sys = 'October'")
    refused(rescind("cancel", *where), 7, "3 jobs: 3 SCHEDULED", "--yes", f"{ids[0]}  October")
    refused(rescind("cancel", *where, "--yes", "--expect", "4"), 7, "4 jobs expected")
    shown = rescind("cancel", *where, "--dry-run")
    assert shown.returncode == 0
    submit(rescind, 1, "October")
    exactly = ("cancel", "--selection", shown.stdout.strip(), "--yes", "--expect", "3")
    done = rescind(*exactly, "--wait", "--reason", "sent by hand")
    assert done.returncode == 0
    assert "3 accepted, 0 refused" in done.stderr
    assert "3 stopped by now" in done.stderr
    operation_id = done.stdout.strip()
    assert f"rescind undo {operation_id}" in done.stderr
    taken_back = rescind("undo", operation_id)
    assert taken_back.returncode == 0
    assert "3 undone, 0 refused" in taken_back.stderr
    refused(rescind("undo", operation_id), 1, "undone already")
    listed = rescind("operations").stdout.splitlines()
    assert [line.split()[:3] for line in listed[1:]] == [
        [taken_back.stdout.strip(), "undo", "DONE"],
        [operation_id, "cancel", "DONE"],
    ]
    assert "ACCEPTED" in rescind("operations", operation_id, "--code", "ACCEPTED").stdout
    newest = rescind("jobs", "--where", "job_title__sys = 'October'", "--limit", "4").stdout
    assert [line.split()[0] for line in newest.splitlines()] == ["ID", "9", "8", "7", "6"]
    again = rescind(*exactly)
    refused(again, 1, "0 accepted, 3 refused", f"{ids[0]}: ALREADY_CANCELLED (it is CANCELLED)")


def test_a_title_cannot_write_to_the_terminal_of_who_reads_it(rescind: Run) -> None:
    [job_id] = submit(rescind, 1, "\x1b[2Jgone\nline")
    where = ("--where", f"id = {job_id}")
    for done in (rescind("jobs"), rescind("details", job_id), rescind("cancel", *where)):
        said = done.stdout + done.stderr
        assert r"\x1b[2Jgone" in said
        assert "\x1b" not in said


def test_what_does_not_stop_in_time_is_said(rescind: Run) -> None:
    job_id = rescind("submit", "demo_stubborn__c").stdout.strip()
    assert "I will not stop" in "".join(_until(rescind, job_id, "I will not stop"))
    refused(
        rescind("cancel", job_id, "--wait", "--timeout", "0.1"), 8, "1 of 1 jobs have not ended"
    )
    done = rescind("wait", job_id)
    refused(done, 1, "ended as CANCELLED")
    assert done.stdout == f"{job_id}\tCANCELLED\n"


def _until(rescind: Run, job_id: str, text: str) -> Iterator[str]:
    while text not in (found := rescind("log", job_id).stdout):
        pass
    yield found


def test_json_is_the_answer_as_it_came_or_an_array_of_items(rescind: Run) -> None:
    ids = submit(rescind, 2)

    def said(*arguments: str) -> Any:
        return json.loads(rescind(*arguments, "--json").stdout)

    assert said("submit", "demo_sleep__c", *LATER) == {
        "responseStatus": "SUCCESS",
        "data": [{"responseStatus": "SUCCESS", "data": {"id": 3}}],
    }
    assert said("status", ids[0])["data"]["status"] == "SCHEDULED"
    assert said("jobs")["responseDetails"]["total"] == 3
    assert said("details", ids[0])["data"]["id"] == 1
    assert [job["job_id"] for job in said("monitors")["jobs"]] == [1, 2, 3]
    assert said("cancel", ids[0])["data"][0]["data"]["code"] == "ACCEPTED"
    shown = said("cancel", "--where", "id > 0", "--dry-run")
    assert shown["data"]["total"] == 2
    operated = said("cancel", "--selection", shown["data"]["selection_id"], "--yes")
    assert operated["data"]["outcomes"] == {"ACCEPTED": 2}
    undone = said("undo", operated["data"]["operation_id"])
    assert undone["data"]["outcomes"] == {"SUBMITTED": 2}
    assert len(said("operations")["data"]) == 2
    many = [*ids[:1]] * 501
    assert len(json.loads(rescind("cancel", "-", "--json", stdin="\n".join(many)).stdout)) == 501


def test_on_a_terminal_it_asks_before_it_cancels(
    rescind: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    submit(rescind, 2)
    command = [sys.executable, "-m", "rescind.cli", "cancel", "--where", "id > 0"]
    assert "7" in _typed(command, environment, tmp_path, "n\n")
    assert rescind("status", "1").stdout.split("\t")[1] == "SCHEDULED"
    said = _typed(command, environment, tmp_path, "y\n")
    assert "Cancel 2 jobs? [y/N]" in said
    assert "2 accepted, 0 refused" in said
    assert said.endswith("exit 0")
    # On a narrow terminal a row still has its id, its status and when.
    jobs = _typed([*command[:3], "jobs"], environment, tmp_path, "")
    assert re.search(r"^ *2 +CANCELLED +20\d\d-\d\d-\d\d", jobs, re.MULTILINE), jobs
    assert "\x1b[3" not in jobs  # NO_COLOR
    login = [*command[:3], "login", "--username", "admin"]
    assert _typed(login, environment, tmp_path, "wrong\n", "Password: ").endswith("exit 5")


def _typed(
    command: list[str],
    environment: dict[str, str],
    folder: Path,
    answer: str,
    question: str = "[y/N]",
) -> str:
    """What a command says on a terminal where somebody answers its question; and its exit code."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    said, answered = "", False
    while True:
        assert select.select([ours], [], [], HANG_SECONDS)[0], said
        try:
            said += os.read(ours, 4096).decode()
        except OSError:  # it has ended
            break
        if question in said and not answered:
            os.write(ours, answer.encode())
            answered = True
    os.close(ours)
    return f"{said}exit {process.wait(HANG_SECONDS)}"


def test_every_command_has_help_with_an_example() -> None:
    commands = {
        command.name or getattr(command.callback, "__name__", ""): command
        for command in app.registered_commands
    }
    assert {"cancel", "submit", "undo", "operations", "wait", "jobs", "serve"} <= set(commands)
    for name, command in commands.items():
        shown = CliRunner().invoke(app, [name, "--help"])
        assert shown.exit_code == 0
        assert "Example: rescind " in shown.output or name == "config", name
        assert command.epilog or name == "config"
