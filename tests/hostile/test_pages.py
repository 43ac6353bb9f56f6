"""Captions, ids, reasons and names with HTML, scripts or formulas: text and nothing else, in pages and tables."""

import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pipeline.artifact import write_json
from pipeline.report.dag import Stage, draw_dag
from pipeline.scoring.tables import inert
from pipeline.stages import write_gallery, write_report
from pipeline.stages.score_captions import tabulate

TEMPLATES = sorted((Path(write_report.__file__).parents[1] / "report").glob("*.j2"))
PAYLOADS = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "</title></style></textarea><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)" x="',
    "' onfocus='alert(1)' autofocus='",
    "<svg/onload=alert(1)>",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "<!--",
    "]]>",
    "{{ 7 * 7 }}{% include '/etc/passwd' %}",
    "&lt;script&gt;",
    "<base href=//example.org>",
    "<meta http-equiv=refresh content='0;url=//example.org'>",
]


# Of the page's own folder, or in the page, with nothing filled in.
OWN_SCRIPT = re.compile(r'<script defer src="[\w./]+"></script>|<script>(?:(?!{[{%]|</).)*</script>', re.DOTALL)


class Page(HTMLParser):
    """Elements, attributes and text of a page."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.words = [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)


def assert_inert(page):
    """No element that runs or loads anything."""
    for tag, attrs in page.elements:
        assert tag not in ("script", "base", "iframe", "object", "embed", "form", "link"), tag
        assert not (tag == "meta" and "http-equiv" in attrs)
        for name, value in attrs.items():
            assert not name.startswith("on"), name
            if name in ("src", "href", "poster"):
                assert value.startswith(("data:video/", "data:image/", "#")), value


@pytest.mark.parametrize("text", PAYLOADS)
def test_a_gallery_with_a_payload_everywhere(tmp_path, make_video, text):
    """In the experiment's name, ids, paths, captions, samples, reasons, and the name of a file that is shown."""
    name = f"{text.replace('/', '_')}.mp4"
    make_video(tmp_path / name, 3)
    videos = [{"id": text, "path": name, "size": 1}, {"id": f"{text} 2", "path": f"gone {name}", "size": 1}]
    write_json(tmp_path / "videos.json", {"root": str(tmp_path), "videos": videos})
    told = {"caption": text, "score": -1.0, "right_to_left": text, "samples": [text], "path": text}
    content = {"experiment": text, "videos": {text: told, f"{text} 2": told}, "missing": {text: text}}
    write_json(tmp_path / "captions.json", content)
    write_gallery.run(
        captions=tmp_path / "captions.json",
        videos=[tmp_path / "videos.json"],
        out=tmp_path / "index.html",
        **dict.fromkeys(("graphs", "tested", "trained_graphs", "references"), ()),
    )
    page = Page((tmp_path / "index.html").read_text(encoding="utf-8"))
    assert_inert(page)
    assert "".join(page.words).count(text) >= 2 + 2 + 2 + 2  # captions, paths, samples, what is missing
    [clip] = [attrs for tag, attrs in page.elements if tag == "video"]
    assert clip["aria-label"] == f"Video {text}"


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_escape_what_they_fill_in(path):
    text = path.read_text(encoding="utf-8")
    text = OWN_SCRIPT.sub("", text)
    assert not re.search(r"<script|autoescape|\bon\w+=", text)
    # `safe` stands behind constants of the template alone
    assert all(re.search(r"""(["'])[^"']*\1 *\| *$""", before) for before in re.findall(r"([^{}|]*\| *)safe", text))
    # an attribute whose value is filled in has quotes, and none is a style or an address that could run
    for name, value in re.findall(r"""([\w-]+)=((?:"[^"]*")|(?:[^\s">]*\{\{))""", text):
        if "{{" in value:
            assert value.startswith('"'), f"{name}={value}"
            assert name != "style", f"{name}={value}"
            assert name != "href" or re.match(r'"(#|\{\{ video\.clip \}\})', value), (
                f"{name}={value}"
            )  # own places, own files


def test_the_drawing_of_the_stages_loads_nothing():
    page = Page(draw_dag({"decode_frames": Stage(1, [])}))
    assert_inert(page)
    assert page.elements[0][0] == "svg"


@pytest.mark.parametrize(
    "text", ['=HYPERLINK("http://example.org")', "+1+cmd|' /C calc'!A0", "-2+3|x!A", "@SUM(1)", "=1+1"]
)
def test_formulas_in_tables_are_text(text):
    metrics = dict.fromkeys(("CIDEr", "METEOR", "ROUGE_L", "Bleu_4"), 0.5)
    rows = list(csv.reader(io.StringIO(tabulate({text: text}, {text: metrics}, {text: [text]}))))
    assert [rows[1][place] for place in (0, 1, -1)] == [f"'{text}"] * 3


def test_ids_of_msvd_and_captions_stay_as_they_are():
    for text in ("-4wsuPCjDBc_5_15", "a dog - runs = fast", "", "caf\u00e9", "-", "videos/a.mp4"):
        assert inert(text) == text


def test_json_beside_the_pages_is_no_page(tmp_path):
    """Captions with `</script>` are written as JSON files, which no page holds."""
    write_json(tmp_path / "captions.json", {"captions": {"a": "</script>"}})
    assert json.loads((tmp_path / "captions.json").read_text()) == {"captions": {"a": "</script>"}}
    assert not any("tojson" in path.read_text(encoding="utf-8") for path in TEMPLATES)
