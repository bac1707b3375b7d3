"""A browser without a window, for tests of what pages do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser(request: pytest.FixtureRequest) -> Iterator[Browser]:
    """The Chromium of this machine; without one the test is skipped, with force it fails."""
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    why = None if found else f"needs one of {', '.join(CHROMIUM)}: apt-get install chromium"
    if find_spec("playwright") is None:
        why = "needs playwright: pip install playwright"
    if why is not None:
        forced = os.environ.get("UEMU_FORCE", "") not in ("", "0")
        if forced or request.config.getoption("uemu_force", default=False):
            pytest.fail(why, pytrace=False)
        pytest.skip(why)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Its sandbox needs what containers rarely have; the pages are our own.
        chromium = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield chromium
        chromium.close()


class Reader:
    """Opens documents from a file, with no network.

    Attributes:
        asked: what the browser fetched.
        said: what it wrote to its console, errors of scripts among it.
    """

    def __init__(self, browser: Browser, path: Path) -> None:
        self.asked: list[str] = []
        self.said: list[str] = []
        self._browser = browser
        self._path = path
        self._contexts: list[BrowserContext] = []

    def open(
        self,
        document: str,
        scheme: Literal["light", "dark"] = "light",
        *,
        width: int = 1280,
        height: int = 800,
    ) -> Page:
        """Show a document to a reader whose system has this theme."""
        self._path.write_text(document, encoding="utf-8")
        context = self._browser.new_context(
            offline=True, color_scheme=scheme, viewport={"width": width, "height": height}
        )
        self._contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.goto(self._path.as_uri())
        return page

    def close(self) -> None:
        """Close what is open, and see that each page was one file without a mistake."""
        for context in self._contexts:
            context.close()
        assert set(self.asked) <= {self._path.as_uri()}
        assert not self.said


def wait_until(page: Page, condition: str) -> None:
    """Ask again and again, from outside: the page itself may not evaluate what it is given."""
    for _ in range(200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"not within ten seconds: {condition}")


@pytest.fixture
def reader(browser: Browser, tmp_path: Path) -> Iterator[Reader]:
    """A reader of pages."""
    made = Reader(browser, tmp_path / "page.html")
    yield made
    made.close()
