"""What must not stand anywhere in the project, and links that must lead somewhere."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

FORBIDDEN = {
    "a path of somebody's machine": re.compile(r"(?<![\w/])/(?:work|root|home)/\w"),
    "a path out of the project": re.compile(r"\.\./" + "shared"),
    "work left undone": re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME)\b"),
}


def files() -> list[Path]:
    """Every file of the project: tracked, or new and not ignored."""
    command = [
        "git",
        "-C",
        str(ROOT),
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]
    listed = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    paths = [ROOT / name.decode() for name in listed.split(b"\0") if name]
    return sorted({path for path in paths if path.is_file()})


def found_in(text: str) -> list[str]:
    """What a text holds that it must not."""
    return [what for what, pattern in FORBIDDEN.items() if pattern.search(text)]


def test_no_file_mentions_what_it_must_not() -> None:
    found = {}
    for path in files():
        content = path.read_bytes()
        if b"\0" not in content and (what := found_in(content.decode())):
            found[path.relative_to(ROOT).as_posix()] = what
    assert not found


@pytest.mark.parametrize(
    "text", ["see /work" + "/x", "in ../" + "shared/x", "# TO" + "DO: later", "FIX" + "ME"]
)
def test_the_check_sees_what_it_must(text: str) -> None:
    assert found_in(text)


def test_the_check_lets_through_what_it_may() -> None:
    assert not found_in("https://example.org/work/x, a todo list, share/x")


def headings(page: Path) -> set[str]:
    """The anchors of a page, as code hosts make them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_links(page: Path, text: str) -> Iterator[str]:
    """The relative links of a page's text that lead nowhere."""
    for target, anchor in re.findall(r"\]\(([^)#:]*)#?([^):]*)\)", text):
        file = page.parent / target if target else page
        if not file.exists() or (anchor and anchor not in headings(file)):
            yield f"{target}#{anchor}"


PAGES = [path for path in files() if path.suffix == ".md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert not list(broken_links(page, page.read_text()))


@pytest.mark.parametrize("link", ["[a](nowhere.md)", "[a](#nowhere)", "[a](README.md#nowhere)"])
def test_a_broken_link_is_seen(link: str) -> None:
    assert list(broken_links(ROOT / "README.md", link))
