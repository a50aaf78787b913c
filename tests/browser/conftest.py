"""A real browser, Debian's Chromium, in front of a real service."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from process.conftest import Service, database, no_drain, serve, started
from processes import HANG_SECONDS

__all__ = ["database", "no_drain", "serve", "started"]

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 375, "height": 740}
PASSWORD = "correct horse battery"

expect.set_options(timeout=HANG_SECONDS * 1000)

_QUIET = (
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--no-first-run", "--disable-gpu", "--disable-quic"),
)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser; each visit has cookies of its own."""
    path = shutil.which("chromium")
    if path is None:
        pytest.exit("no chromium: apt-get install --no-install-recommends chromium", 2)
    with sync_playwright() as playwright:
        # Its sandbox needs rights that containers and root do not have; it visits us alone.
        arguments = [*_QUIET, "--no-sandbox"]
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


class Visit:
    """Somebody in front of the pages."""

    def __init__(self, context: BrowserContext, service: Service, *, scripts: bool) -> None:
        self.context = context
        self.scripts = scripts
        self.service = service
        self.page: Page = context.new_page()
        self.said: list[str] = []
        """What the browser complained about."""
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on(
            "console",
            lambda message: (
                self.said.append(message.text) if message.type in ("error", "warning") else None
            ),
        )

    def open(self, path: str = "/") -> None:
        """Go to a page."""
        self.page.goto(f"{self.service.address}{path}")

    def sign_in(self, name: str = "admin", password: str | None = None) -> None:
        """Sign in on the page that asks for it."""
        self.page.get_by_label("User name").fill(name)
        self.page.get_by_label("Password").fill(password or self.service.password)
        self.page.get_by_role("button", name="Sign in").click()
        expect(self.page.get_by_role("button", name="Sign out")).to_be_visible()

    def is_live(self) -> None:
        """Wait until the page goes on by itself."""
        expect(self.page.locator("#live")).to_have_text("Live")

    def button(self, name: str) -> Any:
        """A button by its whole name."""
        return self.page.get_by_role("button", name=name, exact=True)

    def row(self, job_id: int) -> Any:
        """A job in the list."""
        return self.page.locator(f"#job-{job_id}")

    def check(self) -> None:
        """Nothing is to be scrolled sideways, and axe-core finds nothing serious."""
        page = self.page
        wide = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide[0] <= wide[1], f"{page.url} is {wide[0]} wide"
        found = Axe().run(page).response["violations"]
        serious = [
            (one["id"], [node["html"][:200] for node in one["nodes"]])
            for one in found
            if one["impact"] in ("serious", "critical")
        ]
        assert not serious, (page.url, serious)


@pytest.fixture
def service(no_drain: None, serve: Callable[..., Service]) -> Service:
    """One with two slots."""
    return serve("--slots", "2")


@pytest.fixture
def visit(chromium: Browser, service: Service) -> Iterator[Callable[..., Visit]]:
    """Come to the pages, signed in as the administrator unless said otherwise."""
    contexts: list[BrowserContext] = []

    def come(*, signed_in: bool = True, **options: Any) -> Visit:
        context = chromium.new_context(**{"viewport": DESKTOP, **options})
        context.set_default_timeout(HANG_SECONDS * 1000)
        contexts.append(context)
        scripts = options.get("java_script_enabled", True)
        visitor = Visit(context, service, scripts=scripts)
        if signed_in:
            visitor.open()
            visitor.sign_in()
        return visitor

    yield come
    for context in contexts:
        for page in context.pages:
            page.wait_for_load_state()  # a close in the midst of going elsewhere may never return
        context.close()


def add_user(folder: Path, name: str, *permissions: str) -> None:
    """A user beside the administrator."""
    options = [word for permission in permissions for word in ("--permission", permission)]
    subprocess.run(
        [
            *(sys.executable, "-m", "rescind.cli", "user", "add", name, "--password-stdin"),
            *("--database", f"sqlite:///{folder}/rescind.db", *options),
        ],
        input=PASSWORD,
        text=True,
        check=True,
        capture_output=True,
    )
