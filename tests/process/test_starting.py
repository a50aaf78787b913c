"""What goes wrong with job modules is one line that names the user's own file and line."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from process.conftest import Service
from processes import is_alive
from rescind.cli.exits import Exit

Serve = Callable[..., Service]
JOB = """
from rescind import job
@job("mine__c")
def mine(context):
    pass
"""


def start(folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rescind.cli", "serve", "--port", "0", *options],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def hurried(folder: Path) -> str:
    """A path on which Python finds that importing may take no more than two seconds."""
    (folder / "hurry").mkdir()
    (folder / "hurry" / "sitecustomize.py").write_text(
        "import rescind.limits\nrescind.limits.IMPORT_SECONDS_MAX = 2.0\n"
    )
    return str(folder / "hurry")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("import json\njson.loads('{')\n" + JOB, 2, "JSONDecodeError"),
        ("def f():\n    import nowhere\n\nf()\n", 2, "No module named 'nowhere'"),
        ("x = [\n", 1, "SyntaxError"),
        ("raise ValueError('two\\nlines')\n", 1, "ValueError: two lines"),
        ("import sys\nsys.exit(1)\n", 2, "SystemExit"),
        ("x = 1\n", 1, "declares no job"),
        ("from rescind.demo import sleep\n", 1, "rescind.demo"),
        (
            "import subprocess\nsubprocess.run(['true'])\n"
            "p = subprocess.Popen(['sleep', '1000'])\nsubprocess.run(['true'])\n" + JOB,
            3,
            "leaves the process",
        ),
        ("import os, time\nif os.fork() == 0: time.sleep(1000)\n" + JOB, 2, "leaves the process"),
        ("import time\n\ntime.sleep(1000)\n" + JOB, 3, "takes longer than 2 seconds"),
        ("import ctypes\nctypes.string_at(0)\n", None, "ended the process"),
        (
            "import os, time\nif os.fork() == 0:\n    os.setsid()\n"
            "    if os.fork() == 0: time.sleep(1000)\n    os._exit(0)\n" + JOB,
            2,
            "leaves the process",
        ),
        ("class E(Exception):\n    def __str__(self): 1 / 0\nraise E\n", 3, ": E ("),
        ("raise SyntaxError('two\\nlines')\n", 1, "SyntaxError: two lines"),
        ("class Odd:\n    @property\n    def __class__(self): 1 / 0\nodd = Odd()\n", 1, "no job"),
    ],
)
def test_at_start_it_is_one_line_and_exit_3(
    tmp_path: Path, text: str, line: int | None, words: str
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(text)
    ended = start(tmp_path, "--jobs", "mine", PYTHONPATH=hurried(tmp_path))
    [said] = [one for one in ended.stderr.splitlines() if one.startswith("rescind:")]
    assert ended.returncode == Exit.CANNOT
    assert words in said
    if line is not None:
        assert f"({file}, line {line})" in said
    if pid := re.search(r"the process (\d+)", said):
        assert not is_alive(int(pid[1])), "what importing has started is ended"


def test_a_worker_without_job_modules_is_told_so(tmp_path: Path) -> None:
    words = ("worker", "--database", "postgresql:///nowhere")
    ended = subprocess.run(
        [sys.executable, "-m", "rescind.cli", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == Exit.CANNOT
    assert ended.stderr.splitlines() == [
        "rescind: A worker runs jobs: name their modules with --jobs or RESCIND_JOBS."
    ]


def test_tls_files_that_are_none_are_one_line(tmp_path: Path) -> None:
    for name in ("certificate", "key"):
        (tmp_path / name).write_text("garbage\n")
    ended = start(tmp_path, "--tls-certificate", "certificate", "--tls-key", "key")
    [said] = [one for one in ended.stderr.splitlines() if one.startswith("rescind:")]
    assert ended.returncode == Exit.CANNOT
    assert "TLS files cannot be used" in said
    assert "Traceback" not in ended.stderr


def test_a_process_that_importing_starts_is_in_order_where_each_run_imports(
    serve: Serve, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(
        "import subprocess\nsubprocess.Popen(['sleep', '1000'])\n" + JOB
    )
    (tmp_path / "rescind.toml").write_text('warm = "fresh"\n')
    service = serve(jobs=("mine",))
    [job_id] = service.submit("mine__c")
    service.until_status(job_id, "SUCCESS")


def test_what_goes_wrong_later_is_told_of_what_waits_for_it_until_it_is_mended(
    serve: Serve, tmp_path: Path
) -> None:
    file = tmp_path / "mine.py"

    def deploy(text: str) -> None:
        """Put it there as a whole: a slot may be importing it."""
        other = tmp_path / "other.py"
        other.write_text(text)
        other.replace(file)

    deploy(JOB)
    (tmp_path / "rescind.toml").write_text('warm = "fresh"\n')
    service = serve(jobs=("mine",))
    service.until(lambda: service.readiness == (200, "ready"))
    deploy("\n\nraise RuntimeError('deployed half-way')\n" + JOB)
    ids = service.submit("mine__c", count=4)
    service.until(lambda: service.readiness[0] == 503)
    _, said = service.readiness
    assert "deployed half-way" in said
    assert f"({file}, line 3)" in said
    assert "deployed half-way" in (tmp_path / "stderr.txt").read_text()
    path = f"/services/jobs/{ids[-1]}/details"
    service.until(lambda: service.client.get(path).json()["data"]["obstacles"] != [])
    [obstacle] = service.client.get(path).json()["data"]["obstacles"]
    assert "deployed half-way" in obstacle["reason"]
    deploy(JOB)
    service.until(lambda: service.readiness == (200, "ready"))
    for job_id in ids:
        service.until_status(job_id, "SUCCESS")
    assert service.client.get(path).json()["data"]["obstacles"] == []


def test_start_up_says_which_jobs_there_are(serve: Serve, tmp_path: Path) -> None:
    serve(jobs=("rescind.demo",))
    said = (tmp_path / "stderr.txt").read_text()
    assert "demo_sleep__c (rescind.demo:sleep)" in said
