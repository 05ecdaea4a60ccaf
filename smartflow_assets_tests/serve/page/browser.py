"""A browser that keeps account of what a page asks for and complains of."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
HOSTILE = ("<img src=x onerror=alert(1)>", '"><script>alert(1)</script>', "javascript:alert(1)//{{7*7}}")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's browser. It ends with the block: while Playwright runs, nothing else in this process can run an event loop."""
    if not CHROMIUM.exists():
        raise RuntimeError(f"{CHROMIUM} is missing, and the page is tried in it. Install it: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
        )
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Visit:
    """One tab. `external`: requests that left the server; `complaints`: of the console, and what a script threw; `dialogs`: an alert() is
    the sign that data were run as code."""

    page: Page
    address: str
    external: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def open(self, place: str = "") -> Page:
        self.page.goto(f"{self.address}/{place}")
        return self.page


@contextmanager
def visiting(browser: Browser, address: str, token: str | None = None, **context: object) -> Iterator[Visit]:
    """A tab of its own, logged in where there is a token; the block fails if the page left the server, complained, or ran data as code."""
    opened = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce"} | context)  # pyright: ignore[reportArgumentType]
    opened.set_default_timeout(20_000)
    expect.set_options(timeout=20_000)  # what has to come through a copy and the stream takes its time on a busy machine
    page = opened.new_page()
    visit = Visit(page, address.rstrip("/"))
    page.on("console", lambda message: visit.complaints.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    page.on("dialog", lambda dialog: (visit.dialogs.append(dialog.message), dialog.dismiss()))

    def seen(route: Route) -> None:
        if route.request.url.startswith((visit.address, "data:", "blob:")):
            route.continue_()
        else:
            visit.external.append(route.request.url)
            route.abort()

    opened.route("**/*", seen)
    if token:
        opened.add_init_script(f"sessionStorage.setItem('smartflow.token', JSON.stringify('{token}'))")
    try:
        yield visit
        assert visit.external == []
        assert visit.complaints == [], str(visit.complaints)
        assert visit.dialogs == []
    finally:
        opened.close()
