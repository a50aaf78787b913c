"""Every query of the VQL page is run, and every target, field and bound it names is there."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rescind.vql.targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import Callable

    from process.conftest import Service

PAGE = (Path(__file__).parents[2] / "docs" / "vql.md").read_text()
QUERIES = re.findall(r"^```vql\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_queries_of_the_page_are_answered(serve: "Callable[..., Service]") -> None:
    service = serve("--no-worker")
    assert len(QUERIES) == 10
    for query in QUERIES:
        answer: dict[str, Any] = service.client.post("/query", data={"q": query}).json()
        assert answer["responseStatus"] == "SUCCESS", f"{query}\n{answer}"


@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
def test_the_page_has_every_target_and_its_fields(target: Any) -> None:
    [row] = re.findall(rf"^\| `{target.name}` \|.*$", PAGE, re.MULTILINE)
    assert re.findall(r"`(\w+)`", row.split("|")[3]) == list(target.fields)
