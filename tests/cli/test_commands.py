"""The command line as a person meets it: what it prints, and with which code it leaves."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from rescind.store.sql.versions import SCHEMA_VERSION

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def rescind(tmp_path: Path) -> Run:
    def run(
        *arguments: str, stdin: str = "", **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "rescind.cli", *arguments],
            cwd=tmp_path,
            env={**os.environ, "NO_COLOR": "1", **environment},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run


URL = "sqlite:///x.db"


def test_without_a_command_it_shows_its_help(rescind: Run) -> None:
    shown = rescind()
    for command in ("serve", "user", "db", "config"):
        assert command in shown.stdout + shown.stderr
    assert rescind("--version").stdout.startswith("rescind 0.")


def test_what_is_no_command_is_a_usage_error(rescind: Run) -> None:
    assert rescind("servee").returncode == 2
    assert rescind("serve", "--slotz", "3").returncode == 2


def test_a_database_is_made_checked_and_made_again_without_harm(
    rescind: Run, tmp_path: Path
) -> None:
    assert rescind("db", "check", "--database", URL).returncode == 3
    assert f"0 -> {SCHEMA_VERSION}" in rescind("db", "migrate", "--database", URL).stdout
    assert "already" in rescind("db", "migrate", "--database", URL).stdout
    assert rescind("db", "check", "--database", URL).returncode == 0
    assert (tmp_path / "x.db").stat().st_mode & 0o077 == 0


def test_a_database_that_lost_a_guard_is_not_sound(rescind: Run, tmp_path: Path) -> None:
    rescind("db", "migrate", "--database", URL)
    with apsw.Connection(str(tmp_path / "x.db")) as connection:
        connection.execute("DROP TRIGGER job_moves")
    checked = rescind("db", "check", "--database", URL)
    assert checked.returncode == 4
    assert "trigger job_moves is missing" in checked.stderr


def test_a_newer_database_is_left_alone(rescind: Run, tmp_path: Path) -> None:
    rescind("db", "migrate", "--database", URL)
    connection = apsw.Connection(str(tmp_path / "x.db"))
    connection.execute("PRAGMA user_version = 77")
    connection.close()
    for command in (["db", "migrate"], ["serve", "--port", "0"], ["user", "list"]):
        refused = rescind(*command, "--database", URL)
        assert refused.returncode == 4
        assert "77" in refused.stderr
        assert f"serves {SCHEMA_VERSION} and {SCHEMA_VERSION + 1}" in refused.stderr


def test_a_file_that_is_no_database_is_said_in_one_line(rescind: Run, tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("not a database, but long enough to look at" * 100)
    for command in (["db", "migrate"], ["serve", "--port", "0"], ["db", "check"]):
        refused = rescind(*command, "--database", URL)
        assert refused.returncode in (3, 4)
        assert len(refused.stderr.splitlines()) == 1


def test_users_are_added_listed_and_disabled(rescind: Run) -> None:
    rescind("db", "migrate", "--database", URL)
    add = ("user", "add", "--password-stdin", "--database", URL)
    assert rescind(*add, "ada", "--admin", stdin="long enough\n").returncode == 0
    assert rescind(*add, "bob", stdin="long enough\n").returncode == 0
    rows = [
        line.split("\t") for line in rescind("user", "list", "--database", URL).stdout.splitlines()
    ]
    assert rows[0][1:3] == ["ada", "active"]
    assert len(rows[0][3].split()) == 8
    assert rows[1][1:] == ["bob", "active", "api_access"]
    assert rescind("user", "disable", "bob", "--database", URL).returncode == 0
    assert "disabled" in rescind("user", "list", "--database", URL).stdout
    assert rescind("user", "enable", "bob", "--database", URL).returncode == 0
    passwd = ("user", "passwd", "bob", "--password-stdin", "--database", URL)
    assert rescind(*passwd, stdin="another long one\n").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "stdin", "said"),
    [
        (("add", "bob", "--password-stdin"), "short\n", "8 to"),
        (("add", " bob", "--password-stdin"), "long enough\n", "spaces"),
        (("add", "ADA", "--password-stdin"), "long enough\n", "already"),
        (("add", "bob"), "", "--password-stdin"),
        (("disable", "nobody"), "", "no user"),
        (("disable", "System"), "", "no user"),
    ],
)
def test_what_cannot_be_done_for_a_user_is_said_plainly(
    rescind: Run, arguments: tuple[str, ...], stdin: str, said: str
) -> None:
    rescind("db", "migrate", "--database", URL)
    add = ("user", "add", "ada", "--password-stdin", "--database", URL)
    assert rescind(*add, stdin="long enough\n").returncode == 0
    refused = rescind("user", *arguments, "--database", URL, stdin=stdin)
    assert refused.returncode == 3
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr


def test_settings_say_where_they_come_from(rescind: Run, tmp_path: Path) -> None:
    (tmp_path / "rescind.toml").write_text('slots = 3\njobs = ["a", "b.c"]\nport = 9000\n')
    shown = rescind("config", "--json", RESCIND_PORT="9001").stdout
    found = {row["name"]: row for row in json.loads(shown)}
    assert (found["slots"]["value"], found["slots"]["source"]) == ("3", "rescind.toml")
    assert (found["port"]["value"], found["port"]["source"]) == ("9001", "RESCIND_PORT")
    assert found["jobs"]["value"] == "a b.c"
    assert (found["profile"]["value"], found["profile"]["source"]) == ("open", "default")
    assert "9001" in rescind("config", RESCIND_PORT="9001").stdout


def test_every_problem_with_the_settings_is_reported_at_once(rescind: Run, tmp_path: Path) -> None:
    (tmp_path / "rescind.toml").write_text('slots = 0\nnonsense = 1\nengine = "cloud"\n')
    refused = rescind("config", RESCIND_PORT="many", RESCIND_DATABSE="x")
    assert refused.returncode == 3
    for word in ("slots", "nonsense", "cloud", "RESCIND_PORT", "RESCIND_DATABSE"):
        assert word in refused.stderr
    assert len(refused.stderr.splitlines()) == 5


def test_job_modules_that_cannot_be_imported_keep_it_from_starting(
    rescind: Run, tmp_path: Path
) -> None:
    (tmp_path / "broken.py").write_text("import no_such_thing\n")
    (tmp_path / "wrong.py").write_text(
        "from rescind import job\n@job('Bad Name', grace_seconds=-1)\ndef f(context): ...\n"
    )
    refused = rescind(
        *("serve", "--port", "0", "--database", URL, "--jobs", "broken", "--jobs", "wrong")
    )
    assert refused.returncode == 3
    assert "broken" in refused.stderr
    assert "no_such_thing" in refused.stderr
    assert "grace_seconds -1" in refused.stderr


def test_tls_files_that_are_not_there_are_said(rescind: Run) -> None:
    refused = rescind("serve", "--port", "0", "--tls-certificate", "no.pem", "--tls-key", "no.key")
    assert refused.returncode == 3
    assert "no.pem" in refused.stderr


FAILING: dict[str, tuple[tuple[str, ...], int]] = {
    "a folder that cannot be made": (("serve", "--database", "sqlite:////proc/x/y.db"), 3),
    "a folder": (("db", "migrate", "--database", "sqlite:////etc"), 3),
    "no database": (("serve", "--database", "sqlite:////etc/passwd"), 4),
    "nothing there": (("user", "list", "--database", "sqlite:////nope.db"), 3),
    "no such host": (("user", "list", "--database", "postgresql://nohost.invalid/db"), 3),
    "nobody listens": (("user", "list", "--database", "postgresql://127.0.0.1:1/db"), 3),
    "no such port": (("user", "list", "--database", "postgresql://127.0.0.1:99999/db"), 3),
    "no such parameter": (("user", "list", "--database", "postgresql://127.0.0.1/db?nope=1"), 3),
    "half an escape": (("user", "list", "--database", "postgresql://u:p%zz@127.0.0.1/db"), 3),
    "a host with a space": (("serve", "--host", "x y"), 3),
    "an empty host": (("serve", "--host", ""), 3),
    "a long host": (("serve", "--host", "a" * 300), 3),
    "no address": (("serve", "--host", "1.2.3.4.5"), 3),
    "a host of bytes": (("serve", "--host", "\udcff"), 3),
    "a module of bytes": (("serve", "--jobs", "\udcff"), 3),
    "no module": (("serve", "--jobs", ".."), 3),
    "a user of bytes": (("user", "add", "\udcff", "--password-stdin"), 3),
}


@pytest.mark.parametrize(("arguments", "code"), FAILING.values(), ids=FAILING.keys())
def test_what_fails_is_one_line_with_its_code(
    rescind: Run, arguments: tuple[str, ...], code: int
) -> None:
    if arguments[:2] == ("user", "add"):
        rescind("db", "migrate")
    failed = rescind(*arguments, stdin="long enough\n")
    assert failed.returncode == code, failed.stderr
    assert failed.stdout == ""
    assert re.fullmatch(r"rescind: .+\n", failed.stderr), failed.stderr


@pytest.mark.parametrize(
    "text",
    [
        "slots = [1, 2]",
        "jobs = 5",
        "jobs = ['a', 5]",
        "jobs = [['a']]",
        "database = {a = 1}",
        "secure_cookies = 3",
        "port = 81.5",
        "host = ['a']",
        "host = ''",
        "database = ''",
        "vault_id = true",
        "drain_seconds = nan",
        "allowed_hosts = ['a/b']",
        "slots =",
        "x = 1",
        "\udcff",
    ],
)
def test_a_wrong_file_of_settings_is_one_line(rescind: Run, tmp_path: Path, text: str) -> None:
    (tmp_path / "rescind.toml").write_bytes(text.encode(errors="surrogateescape"))
    failed = rescind("config")
    assert (failed.returncode, failed.stdout) == (3, "")
    assert re.fullmatch(r"rescind: rescind\.toml.+\n", failed.stderr), failed.stderr


def test_a_full_disk_is_one_line(rescind: Run) -> None:
    with Path("/dev/full").open("w") as full:
        failed = subprocess.run(
            [sys.executable, "-m", "rescind.cli", "config"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert failed.returncode == 3
    assert re.match(r"rescind: .*No space left on device", failed.stderr)
    assert "Traceback" not in failed.stderr
