"""The gallery in a browser: it plays, stands upright, says what it should, and reads well everywhere."""

import pytest

from .conftest import SCREENS
from .toy_pages import NASTY

SIZE = "video => [video.videoWidth, video.videoHeight]"
STILL = """label => new Promise((done) => {
  const still = new Image();
  still.onload = () => done([still.width, still.height]);
  still.src = document.querySelector(`video[aria-label="${label}"]`).poster;
})"""


@pytest.mark.parametrize("screen", SCREENS)
def test_nothing_is_wrong_with_it(visit, gallery, screen):
    seen = visit(gallery, **SCREENS[screen])
    assert seen.violations() == []
    assert seen.sideways() <= 0


def test_every_clip_plays_and_a_phone_s_stands_upright(visit, gallery):
    page = visit(gallery).page
    page.wait_for_function("[...document.querySelectorAll('video')].every(video => video.readyState >= 1)")
    sizes = {video.get_attribute("aria-label"): video.evaluate(SIZE) for video in page.locator("video").all()}
    assert sizes == {"Video a.mp4": [64, 48], "Video b.avi": [64, 48], "Video phone.mp4": [48, 80]}
    for video in page.locator("video").all():
        video.evaluate("video => video.play()")
    page.wait_for_function("[...document.querySelectorAll('video')].every(video => video.currentTime > 0.1)")


def test_a_poster_is_upright_as_its_clip(visit, gallery):
    page = visit(gallery).page
    assert page.evaluate(STILL, "Video phone.mp4") == [48, 80]


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_captions_standings_and_reasons_can_be_read(visit, gallery, scripts):
    page = visit(gallery, java_script_enabled=scripts).page
    text = page.locator("body").inner_text()
    for expected in (
        NASTY,
        "a green square moves right",
        "surer than 50\u00a0% of the test captions (score -1.00)",
        "1 video is unlike the training clips.",
        "surer than none of the test captions (score -3.00)",
        "unlike the training clips: farther from them than all test clips",
        "no farther from the training clips than any test clip",
        "1 video could not be captioned.",
        "not a video file",
    ):
        assert expected in text, expected


def test_the_keyboard_alone_reaches_every_clip_and_the_reasons(visit, gallery):
    seen = visit(gallery)
    seen.press_until("a[href='#missing']")
    seen.page.keyboard.press("Enter")
    assert seen.page.url.endswith("#missing")
    for label in ("a.mp4", "b.avi", "phone.mp4"):
        seen = visit(gallery)
        seen.press_until(f"video[aria-label='Video {label}']")
        seen.page.keyboard.press("Space")
        seen.page.wait_for_function("document.activeElement.currentTime > 0")
