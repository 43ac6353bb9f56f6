"""A page that is open in the browser, with what was seen of it."""

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page, Request

AXE = Path(__file__).parent / "vendor/axe.min.js"
RUN_AXE = (
    "axe.run(document, {resultTypes: ['violations'], preload: false})"  # it would ask for style sheets, as no page may
)
SMALL = """() => [...document.querySelectorAll("a, button, select, input, summary, .tabulator-col[tabindex]")]
  .filter((one) => one.checkVisibility({ contentVisibilityAuto: true, visibilityProperty: true }))
  .filter((one) => !one.matches("p:not(.alarm) a, figcaption a, th a, td a, header p a"))
  .filter((one) => {
    const { width, height } = (one.querySelector("rect") || one).getBoundingClientRect();
    return Math.min(width, height) < 43.9;
  })
  .map((one) => one.outerHTML.slice(0, 160))"""
LOCAL = ("file://", "data:", "blob:")
STOPPED = "net::ERR_ABORTED"  # a browser stops loading a clip whose frames it does not need


class Visit:
    """An open page.

    Attributes:
        page: Playwright's page.
        faults: Messages of the console, errors of scripts, and requests that failed or left the disk.
        media: Addresses of the clips and pictures that were asked for.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.faults: list[str] = []
        self.media: set[str] = set()
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (self.faults.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", self._see)
        page.on("requestfailed", self._lose)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(f"console: {message.text}")

    def _see(self, request: Request) -> None:
        if not request.url.startswith(LOCAL):
            self.faults.append(f"asks {request.url}")
        if request.url.startswith("file://") and request.resource_type in ("media", "image"):
            self.media.add(request.url)

    def _lose(self, request: Request) -> None:
        if request.failure != STOPPED:
            self.faults.append(f"{request.url[:200]}: {request.failure}")

    def violations(self) -> list[str]:
        """What axe-core finds wrong: the rule, and the first elements that break it, as lines."""
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found: dict[str, Any] = self.page.evaluate(RUN_AXE)
        return [
            f"{rule['id']}: {rule['help']}: {json.dumps([node['html'][:160] for node in rule['nodes'][:3]])}"
            for rule in found["violations"]
        ]

    def sideways(self) -> int:
        """How many pixels of the page are beyond the right edge of the screen."""
        return self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")

    def small_targets(self) -> list[str]:
        """What can be pressed and is smaller than a finger's 44 pixels, as HTML; links within text may be so."""
        found: list[str] = self.page.evaluate(SMALL)
        return found

    def press_until(self, selector: str, key: str = "Tab", most: int = 200) -> None:
        """Press a key until an element has the focus.

        Raises:
            AssertionError: No element of the selector got it.
        """
        for _ in range(most):
            self.page.keyboard.press(key)
            if self.page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
        raise AssertionError(f"{most} times {key} reach no {selector}")


def opened(browser: Browser, page: Path, options: dict[str, Any]) -> Visit:
    """Open a file in a context of its own, and wait until it has loaded."""
    context = browser.new_context(**options)
    context.set_default_timeout(40_000)  # the machine may be busy
    visit = Visit(context.new_page())
    visit.page.goto(page.as_uri(), wait_until="load")
    return visit
