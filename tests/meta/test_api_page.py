"""The examples of the API page are run with curl, in order, and their answers compared."""

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from process.conftest import Service

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
INSTANT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def examples() -> list[tuple[str, str, str]]:
    """Each command with its answer's language and text."""
    block = r"^```{}\n(.*?)^```$\n\n"
    pattern = block.format("sh") + block.format(r"(\w+)").removesuffix(r"\n\n")
    return re.findall(pattern, PAGE.read_text(), re.MULTILINE | re.DOTALL)


def alike(shown: Any, answered: Any) -> bool:
    """Whether an answer is the one shown, in the order of its keys, but for what always differs."""
    if isinstance(shown, dict) and isinstance(answered, dict):
        return list(shown) == list(answered) and all(
            alike(value, answered[key]) for key, value in shown.items()
        )
    if isinstance(shown, list) and isinstance(answered, list):
        return len(shown) == len(answered) and all(map(alike, shown, answered))
    if isinstance(shown, str) and isinstance(answered, str):
        return bool(re.fullmatch(_pattern(shown), answered, re.DOTALL))
    return bool(shown == answered and type(shown) is type(answered))


def _pattern(shown: str) -> str:
    """Any instant for an instant, anything for an ellipsis."""
    parts = re.split(f"({INSTANT}|…)", shown)
    varying = [".+" if part == "…" else INSTANT for part in parts[1::2]]
    parts[0::2] = map(re.escape, parts[0::2])
    parts[1::2] = varying
    return "".join(parts)


def read(language: str, text: str) -> Any:
    """An answer, without the white space that only people need."""
    if language == "json":
        return json.loads(text)
    return re.sub(r">\s+<", "><", text.strip()) if language == "xml" else text.strip()


def test_every_example_is_answered_as_shown(
    no_drain: None, serve: Callable[..., "Service"]
) -> None:
    service = serve(jobs=("rescind.demo",))
    environment = {
        **os.environ,
        "ADDRESS": service.address,
        "PASSWORD": service.password,
        "SESSION": str(service.client.headers["Authorization"]),
    }
    found = examples()
    assert len(found) == 22
    for command, language, shown in found:
        deadline = monotonic() + 10
        while True:
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", command],
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            )
            answered = read(language, done.stdout)
            reads_only = " -d " not in command and "--data" not in command
            if alike(read(language, shown), answered):
                break
            # What an earlier example began may still be going on.
            assert reads_only, f"{command}\n{answered}"
            assert monotonic() < deadline, f"{command}\n{answered}"
