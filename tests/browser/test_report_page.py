"""The report in a browser: it sorts, filters, searches, plays and explains, by mouse, finger and keyboard."""

import shutil
from base64 import b64encode

import pytest

from .conftest import SCREENS
from .toy_pages import BAD, CAPTION, NASTY, SUSPECT, UNSAFE, caption_of

CARDS = "#list [data-video]"
DRAWN = """() => {
  const canvas = document.querySelector("#overlay").cloneNode();
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.drawImage(document.querySelector("#overlay"), 0, 0);
  const pixels = pen.getImageData(0, 0, canvas.width, canvas.height).data;
  const quarters = [0, 0, 0, 0];
  for (let i = 3; i < pixels.length; i += 4) if (pixels[i]) {
    const at = (i - 3) / 4, x = at % canvas.width, y = Math.floor(at / canvas.width);
    quarters[2 * (y >= canvas.height / 2) + (x >= canvas.width / 2)] += 1;
  }
  return quarters.map((number) => Math.round((4 * number) / (canvas.width * canvas.height)));
}"""


def cards(page):
    """The ids of the cards, in order."""
    return page.eval_on_selector_all(CARDS, "cards => cards.map(card => card.dataset.video)")


def opened_video(visit, report, video_id="v000", **options):
    """The page with one video opened by itself, once its clip and its maps are there."""
    seen = visit(report, **options)
    seen.page.click(f"{CARDS[:6]}[data-video={video_id}] button.open")
    seen.page.wait_for_selector("button.word")
    seen.page.wait_for_function("document.querySelector('#player').readyState >= 2")
    return seen


@pytest.mark.parametrize("screen", SCREENS)
def test_nothing_is_wrong_with_it(visit, report, screen):
    seen = visit(report, **SCREENS[screen])
    assert seen.violations() == []
    assert seen.sideways() <= 0
    assert seen.small_targets() == []


@pytest.mark.parametrize("screen", SCREENS)
def test_nothing_is_wrong_with_one_video(visit, report, screen):
    seen = opened_video(visit, report, **SCREENS[screen])
    assert seen.violations() == []
    assert seen.sideways() <= 0
    assert seen.small_targets() == []


@pytest.mark.parametrize("screen", SCREENS)
def test_nothing_is_wrong_with_rows_and_all_details(visit, report, screen):
    seen = visit(report, **SCREENS[screen])
    seen.page.click("button[data-view=rows]")
    seen.page.eval_on_selector_all("details:not(.plain)", "all => all.forEach(details => { details.open = true; })")
    seen.page.wait_for_function("document.querySelectorAll('#scores .tabulator').length === 2")
    assert seen.violations() == []
    assert seen.sideways() <= 0
    assert seen.small_targets() == []


@pytest.mark.parametrize("screen", SCREENS)
def test_nothing_is_wrong_where_few_videos_can_be_played(visit, few_clips, screen):
    seen = visit(few_clips, **SCREENS[screen])
    seen.page.click("#more")
    seen.page.locator("button.without").first.scroll_into_view_if_needed()
    assert seen.violations() == []
    assert seen.sideways() <= 0
    assert seen.small_targets() == []


def test_videos_with_maps_and_clips_come_first_and_the_others_show_what_was_said(visit, few_clips):
    page = visit(few_clips).page
    assert page.inner_text("#found") == "40 of 40 videos, 6 with a clip, 2 with maps of words"
    with_still = page.eval_on_selector_all(CARDS, "all => all.map(card => Boolean(card.querySelector('img')))")
    assert with_still == sorted(with_still, reverse=True)
    assert sum(with_still) == 6
    assert cards(page)[:2] == ["v000", "v001"]
    without = page.locator(f"{CARDS[:6]}[data-video=v002] button.without")
    said = without.text_content()  # whether it is drawn yet or not
    assert said.startswith(caption_of(2))
    assert f"Reference: {caption_of(2)}" in said
    without.click()
    assert page.inner_text("#video-title") == "Video v002"
    assert page.locator("#video video").count() == 0
    page.select_option("#sort", "split")
    assert cards(page) == sorted(cards(page))


def test_scores_sort_and_change_their_scale(visit, report):
    page = visit(report).page
    first = "#scores .tabulator-row >> nth=0"
    head = page.locator("#scores .tabulator-col", has_text="CIDEr").first
    head.click()
    assert "grid" in page.inner_text(first)
    head.click()
    assert "other" in page.inner_text(first)
    before = page.inner_text(first)
    page.click("#scale button[data-scale='100']")
    assert page.inner_text(first) != before
    assert page.get_attribute("#scale button[data-scale='100']", "aria-pressed") == "true"
    page.select_option(".compare select.one", "grid")
    page.select_option(".compare select.other", "other")
    assert "more than chance" in page.inner_text(".compare .difference")


def test_videos_are_searched_filtered_and_sorted(visit, report):
    page = visit(report).page
    assert page.inner_text("#found") == "500 of 500 videos, 499 with a clip, 2 with maps of words"
    page.fill("#search", "red circle")
    assert page.inner_text("#found") == "84 of 500 videos, 84 with a clip, 1 with maps of words"  # every sixth
    page.fill("#search", "")
    page.select_option("#sort", "best")
    assert cards(page)[0] == "v499"
    page.select_option("#sort", "worst")
    assert cards(page)[0] == "v000"
    page.fill("#least", "4.9")
    assert page.inner_text("#found") == "10 of 500 videos, 10 with a clip"
    page.fill("#least", "")
    for only, expected in {"left-out": [BAD], "suspect": [SUSPECT], "explained": ["v000", "v001"]}.items():
        page.select_option("#only", only)
        assert cards(page) == expected
    page.select_option("#only", "all")
    page.select_option("#of-experiment", "other")
    page.select_option("#sort", "best")
    assert cards(page)[0] == "v499"


def test_the_address_keeps_what_is_listed_and_shown(visit, report):
    page = visit(report).page
    page.fill("#search", "red circle")
    page.click(f"{CARDS} button.open >> nth=1")
    there = page.url
    again = visit(report).page
    again.goto(there)
    again.reload()
    assert again.input_value("#search") == "red circle"
    assert again.inner_text("#video-title") == "Video v006"
    page.go_back()
    assert page.is_hidden("#video")


def test_more_cards_come_at_a_press(visit, report):
    page = visit(report).page
    before = len(cards(page))
    page.click("#more")
    assert len(cards(page)) > before


def test_rows_filter_in_their_heads(visit, report):
    page = visit(report).page
    page.click("button[data-view=rows]")
    page.locator("#list .tabulator-header-filter input").first.press_sequentially("v49")
    page.wait_for_function("document.querySelector('#found').textContent === '10 of 500 videos, 10 with a clip'")
    page.click("#list .tabulator-row button.open >> nth=0")
    assert page.inner_text("#video-title") == "Video v490"


def test_a_clip_plays(visit, report):
    page = opened_video(visit, report).page
    page.click("#play")
    page.wait_for_function("document.querySelector('#player').currentTime > 0.2")
    page.click("#play")
    page.wait_for_function("document.querySelector('#play').textContent === 'Play'")  # the browser tells a pause later
    assert page.evaluate("document.querySelector('#player').paused")
    page.fill("#time", "1.5")
    page.wait_for_function("document.querySelector('button.step:nth-of-type(2)').getAttribute('aria-current')")


@pytest.mark.parametrize("screen", ["phone-light", "desk-dark"])
def test_a_tapped_word_shows_its_map_over_the_frames_and_in_words(visit, report, screen):
    page = opened_video(visit, report, has_touch=True, **SCREENS[screen]).page
    word = "button.word[data-experiment=grid][data-word='{}']"
    assert page.locator("button.word").all_inner_texts()[:5] == CAPTION.split()
    told = []
    for number, quarter in enumerate(([1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1])):
        page.tap(word.format(number))
        assert page.get_attribute(word.format(number), "aria-pressed") == "true"
        assert page.evaluate(DRAWN) == quarter
        told.append(page.inner_text("#told"))
    assert told[1].startswith("red: frame 1, ")
    assert "right, 100 %" in told[1]
    assert len(set(told)) == 4
    page.tap("button[data-whose=twin]")  # whose maps are those of the words in the opposite order
    page.tap(word.format(4))
    assert page.evaluate(DRAWN) == [1, 0, 0, 0]


def test_where_nodes_overlap_the_most_relevant_is_seen_alone(visit, report):
    """The node of the whole frame, with the frame through it: the other one, below it, adds nothing in its quarter."""
    page = opened_video(visit, report).page
    page.wait_for_selector("#method")
    page.select_option("#method", "again")
    opacity = """() => {
      const { width, height } = document.querySelector("#overlay");
      const pixels = document.querySelector("#overlay").getContext("2d").getImageData(0, 0, width, height).data;
      const at = (share) => Math.floor(share * height) * width + Math.floor(share * width);
      return [0.25, 0.75].map((share) => pixels[4 * at(share) + 3]);
    }"""
    assert page.evaluate(opacity) == pytest.approx([0.6 * 255, 0.6 * 255], abs=1)


def test_methods_and_figures_of_faithfulness_are_in_the_order_of_the_settings(visit, report):
    page = opened_video(visit, report).page
    page.wait_for_selector("#method")
    assert page.locator("#method option").all_inner_texts() == [
        "occlusion (grid_words)",
        "integrated gradients (again)",
    ]
    first, second = page.locator("#faithfulness tbody tr").all()
    assert first.locator("th").inner_text().split()[0] == "grid_words"
    assert second.locator("th").inner_text().split()[0] == "again"
    trained, twin = (cell.inner_text() for cell in first.locator("td").all()[-2:])
    assert trained.split("\n") == ["37.5 %", "of 2 videos", "more than in the other object: 100 % of 1"]
    assert twin.split("\n") == ["37.5 %", "of 2 videos"]


def test_the_map_of_a_caption_is_the_sum_of_maps_of_the_sum_one(visit, report):
    """A word that stands on one cell counts as much as one that stands on four alike, as in strips and films."""
    page = opened_video(visit, report).page
    of_words = [[127, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 127, 127, 127, 127], *[[0] * 8] * 3]
    rows = [b64encode(bytes(row)).decode() for row in of_words]
    change = "rows => { for (const of of Object.values(window.CLIPGRAPH)) for (const map of Object.values(of)) "
    page.evaluate(change + "if (map && map.relevance) map.relevance = rows; }", rows)
    page.click("button.word[data-word=all] >> nth=0")
    steps = page.eval_on_selector_all("button.step", "steps => steps.map(step => step.textContent)")
    assert steps == ["frame 1, 0.5 s, 50 %", "frame 2, 1.5 s, 50 %"]


def test_a_step_of_the_strip_leads_the_clip_there(visit, report):
    page = opened_video(visit, report).page
    page.click("button.word[data-word='4']")  # its cell is in the second step
    assert page.evaluate(DRAWN) == [0, 0, 0, 0]
    page.click("button.step >> nth=1")
    page.wait_for_function(
        "document.querySelector('button.step:nth-of-type(2)').getAttribute('aria-current') === 'true'"
    )
    assert page.evaluate(DRAWN) == [1, 0, 0, 0]


def test_the_keyboard_alone_searches_opens_a_video_and_sees_the_map_of_a_word(visit, report):
    seen = visit(report)
    page = seen.page
    seen.press_until("#search")
    page.keyboard.type("red circle")
    seen.press_until(f"{CARDS} button.open")
    page.keyboard.press("Enter")
    assert page.inner_text("#video-title") == "Video v000"
    page.wait_for_selector("button.word")
    seen.press_until("button.word[data-word='1']")
    assert page.inner_text("#told").startswith("red: ")  # focus shows it
    page.keyboard.press("Enter")
    assert page.get_attribute("button.word[data-word='1']", "aria-pressed") == "true"
    seen.press_until("#close", "Shift+Tab")
    page.keyboard.press("Enter")
    assert page.is_hidden("#video")
    assert page.evaluate("document.activeElement.closest('[data-video]').dataset.video") == "v000"


def test_the_keyboard_alone_sorts_scores(visit, report):
    seen = visit(report)
    seen.press_until("#scores .tabulator-col[tabindex='0']:has-text('CIDEr')".replace(":has-text('CIDEr')", ""))
    seen.page.keyboard.press("Enter")
    sorted_by = seen.page.locator(
        "#scores .tabulator-col[aria-sort=ascending], #scores .tabulator-col[aria-sort=descending]"
    )
    assert sorted_by.count() == 1


def test_captions_are_text_whatever_they_hold(visit, report):
    page = opened_video(visit, report).page
    page.fill("#search", UNSAFE)
    assert NASTY in page.inner_text(CARDS)
    page.click("button[data-view=rows]")
    page.wait_for_selector("#list .tabulator-row")
    assert NASTY in page.inner_text("#list .tabulator-row")


def test_scores_and_captions_can_be_read_without_scripts(visit, report):
    page = visit(report, java_script_enabled=False).page
    assert "4.99" not in page.inner_text("#scores")
    assert page.locator("#scores table").first.is_visible()
    page.click("#videos details summary")
    text = page.inner_text("#videos")
    for expected in (CAPTION, NASTY, "left out: decode_frames: the file is empty (0 bytes)", "CIDEr 4.99"):
        assert expected in text, expected
    assert page.locator("#find").is_hidden()


def test_a_page_without_its_folder_says_so_and_can_be_read(visit, report, tmp_path):
    copied = tmp_path / "index.html"
    shutil.copy(report, copied)  # as Snakemake's own report has it
    seen = visit(copied)
    assert seen.faults  # only what was beside the page is missing
    assert all("ERR_FILE_NOT_FOUND" in fault for fault in seen.faults)
    seen.faults.clear()
    assert "This page is alone here" in seen.page.inner_text("main")
    assert seen.page.locator("video:visible").count() == 0
    assert seen.page.locator("table.scores").first.is_visible()
    seen.page.locator("#training img").first.scroll_into_view_if_needed()  # it is loaded when it is near
    seen.page.wait_for_function("document.querySelector('#training img').naturalWidth > 0")
    seen.page.click("details.plain summary")
    assert CAPTION in seen.page.inner_text("details.plain")


def test_curves_of_trainings_and_of_removals_are_drawn(visit, report):
    page = visit(report).page
    figures = page.locator("figure.curves, figure.removal").all()
    assert len(figures) == 4
    for figure in figures:
        figure.scroll_into_view_if_needed()
        figure.locator(".uplot").first.wait_for()
    values = page.locator("figure.curves >> nth=0 >> .u-legend >> nth=0 >> .u-value").all_inner_texts()
    assert values == ["4", "0.75", "0.775"]  # of the last epoch, because none is marked


def test_the_three_clips_play_until_they_are_held(visit, report):
    page = visit(report).page
    page.wait_for_function("[...document.querySelectorAll('video.lively')].every(video => !video.paused)")
    assert page.eval_on_selector_all("video.lively", "all => all.map(video => video.muted)") == [True] * 3
    page.click("button.hold")
    assert page.eval_on_selector_all("video.lively", "all => all.every(video => video.paused)")
    page.click(".three a")
    assert page.inner_text("#video-title") == "Video v000"


def test_a_press_on_a_stage_shows_its_command(visit, report):
    page = visit(report).page
    command = page.locator("#stage-decode_frames pre")
    assert not command.is_visible()
    page.click(".dag a[href='#stage-decode_frames']")
    command.wait_for()
    assert "--forcerun decode_frames" in command.inner_text()


def test_a_print_has_all_captions_and_what_is_folded(visit, few_clips):
    page = visit(few_clips).page
    page.emulate_media(media="print")
    shown = page.evaluate("document.body.innerText")
    for expected in ("v039", caption_of(39), "--forcerun decode_frames", "What these figures are"):
        assert expected in shown, expected
    assert not page.is_visible("#find")


def test_nothing_moves_for_those_who_ask_for_that(visit, report):
    page = visit(report, reduced_motion="reduce").page
    page.wait_for_timeout(500)
    assert page.eval_on_selector_all("video", "videos => videos.every(video => video.paused)")
