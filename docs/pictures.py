"""Makes the pictures of the pages in docs/images anew: a service of its own, with jobs as people
have them, seen by Debian's Chromium. ``make pictures`` runs it.
"""

import os
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from playwright.sync_api import Browser, Page, sync_playwright

from process.conftest import Service

IMAGES = Path(__file__).parent / "images"
WIDE, NARROW = {"width": 1200, "height": 760}, {"width": 390, "height": 780}
MONTHS = ("September", "October", "November")


def submit(service: Service) -> int:
    """Jobs in most statuses; one that runs and shows its progress."""
    for month in MONTHS:
        service.submit("demo_sleep__c", title=f"Invoices, {month}", parameters={"seconds": 0})
    [failed] = service.submit("demo_fail__c", title="Import of prices")
    service.until_status(failed, "ERRORS_ENCOUNTERED")
    hour = {"items": 3_600, "seconds_per_item": 1}
    [counting] = service.submit("demo_count__c", title="Migration of documents", parameters=hour)
    [stubborn] = service.submit("demo_stubborn__c", title="Reindexing")
    service.until_logged(stubborn, "I will not stop")
    service.submit("demo_sleep__c", 2, title="Render a video", parameters={"seconds": 3_600})
    for number in range(1, 121):
        service.submit("demo_sleep__c", title=f"Export {number:03}", parameters={"seconds": 3_600})
    service.submit("demo_sleep__c", title="Nightly report", run_date="2099-01-01T02:00:00Z")
    service.cancel(stubborn)
    service.until_status(stubborn, "CANCELLED")
    service.until_logged(counting, "Counted 12")
    return counting


def come(browser: Browser, service: Service, *, dark: bool, size: dict[str, int]) -> Page:
    """A page of somebody who is signed in."""
    scheme = "dark" if dark else "light"
    context = browser.new_context(viewport=size, color_scheme=scheme)
    page = context.new_page()
    page.goto(service.address)
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill(service.password)
    page.get_by_role("button", name="Sign in").click()
    page.locator("#live", has_text="Live").wait_for()
    return page


def pictures(browser: Browser, service: Service, counting: int) -> None:
    page = come(browser, service, dark=False, size=WIDE)
    page.screenshot(path=IMAGES / "jobs.png")
    page.goto(f"{service.address}/?title=Export")
    page.get_by_role("button", name="Cancel all that match").click()
    page.get_by_label("Reason").fill("the wrong month")
    page.screenshot(path=IMAGES / "cancel.png")
    page.get_by_role("button", name="Cancel jobs").click()
    page.get_by_text("120 stopped by now").wait_for()
    page.screenshot(path=IMAGES / "cancelled.png")
    page.goto(f"{service.address}/jobs/{counting}")
    page.screenshot(path=IMAGES / "job.png")
    page.goto(f"{service.address}/charts")
    page.screenshot(path=IMAGES / "charts.png")
    phone = come(browser, service, dark=True, size=NARROW)
    phone.evaluate("document.getElementById('counts').scrollIntoView()")
    phone.screenshot(path=IMAGES / "phone.png")


def main() -> None:
    os.environ["RESCIND_DRAIN_SECONDS"] = "0"
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        database = f"sqlite:///{folder}/rescind.db"
        options = ("--jobs", "rescind.demo", "--slots", "4")
        service = Service(Path(folder), database, *options)
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        pictures(browser, service, submit(service))
        browser.close()
        service.end()


if __name__ == "__main__":
    main()
