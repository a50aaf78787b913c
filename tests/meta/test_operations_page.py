"""What the operations page tells people to type works, beside a running service."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rescind import config

if TYPE_CHECKING:
    from process.conftest import Service

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()


def block(section: str, language: str) -> str:
    """The one block of a language in a section of the page."""
    [text] = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    [found] = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return str(found)


def test_the_backup_of_a_running_service_is_sound(
    serve: Callable[..., "Service"], tmp_path: Path
) -> None:
    service = serve(jobs=("rescind.demo",))
    [job_id] = service.submit("demo_sleep__c", run_date="2099-01-01T00:00:00Z")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    script = ["bash", "-euo", "pipefail", "-c", block("Backup", "sh")]
    subprocess.run(script, cwd=tmp_path, env={**os.environ, "PATH": path}, check=True)
    assert service.end() == 0
    for name in ("rescind.db", "rescind.db-wal", "rescind.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / "copy.db").rename(tmp_path / "rescind.db")
    assert serve(jobs=("rescind.demo",)).status(job_id) == "SCHEDULED"


def test_the_configuration_file_is_one(tmp_path: Path) -> None:
    file = tmp_path / "rescind.toml"
    file.write_text(block("Settings", "toml"))
    settings = config.settings(config.load({}, {}, file))
    assert (settings.jobs, settings.slots) == (("myproject.jobs",), 4)
