"""A headless Chromium that opens pages from disk, and notes what no page may do."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from .toy_pages import write_gallery, write_report
from .visit import Visit, opened

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which(os.environ.get("CHROMIUM", "chromium"))
PICTURES = ROOT / ".browser"  # git ignores it
SCREENS = {
    f"{name}-{scheme}": {"viewport": {"width": width, "height": height}, "color_scheme": scheme}
    for name, (width, height) in {"phone": (390, 844), "desk": (1280, 800)}.items()
    for scheme in ("light", "dark")
}


def pytest_sessionstart() -> None:
    """Refuse to begin without a browser: who calls this suite wants it run, not skipped."""
    if CHROMIUM is None:
        pytest.exit("no Chromium: install Debian's `chromium`, or name one in CHROMIUM (make test-browser)", 2)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, timeout=120_000)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of two experiments on 500 videos, all of which can be played, with maps of some captions' words."""
    return write_report(tmp_path_factory.mktemp("report"), num_videos=500)


@pytest.fixture(scope="session")
def few_clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of two experiments on 40 videos, of which few can be played, as the demo's page is."""
    return write_report(tmp_path_factory.mktemp("few"), num_videos=40, num_clips=4)


@pytest.fixture(scope="session")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The gallery of three videos, one of them a phone's on its side, and of a file that is none."""
    return write_gallery(tmp_path_factory.mktemp("gallery"))


@pytest.fixture
def visit(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Callable[..., Visit]]:
    """Opens a page in a context of its own (its options may be given); afterwards it must have done nothing wrong."""
    visits: list[Visit] = []

    def open_page(page: Path, **options: object) -> Visit:
        visits.append(opened(browser, page, options))
        return visits[-1]

    yield open_page
    for number, one in enumerate(visits):
        PICTURES.mkdir(exist_ok=True)
        name = re.sub(r"[^\w-]+", "-", request.node.name).strip("-")
        one.page.screenshot(path=PICTURES / f"{request.node.path.stem}.{name}.{number}.png", full_page=True)
        one.page.context.close()
    assert [fault for one in visits for fault in one.faults] == []
