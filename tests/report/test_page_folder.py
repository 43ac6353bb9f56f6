"""What lies beside the page: names of files, and scripts that are plain ASCII."""

import json
import re

import pytest

from pipeline.report.folder import HERE, SCRIPTS, file_name, renew, script_of


@pytest.mark.parametrize("video_id", ["a", "video7", "-4wsupcjdbc_5_15"])
def test_a_plain_id_is_the_name_of_its_files(video_id):
    assert file_name(video_id) == video_id


def test_other_ids_get_names_that_differ_and_lead_nowhere():
    ids = ["A", "../x", "a/b", "a b", "a_b.", "é", "x" * 300, "con.", "<script>", "a%2fb", ""]
    found = [file_name(video_id) for video_id in ids]
    assert len(set(map(str.lower, found))) == len(ids)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,100}", name) for name in found)


def test_a_script_gives_its_content_to_the_page():
    content = {"b": "</script>\u2028é", "a": [1.5, None]}
    text = script_of("data", content)
    assert text.isascii()
    assert text.startswith('(window.CLIPGRAPH = window.CLIPGRAPH || {})["data"] = {"a":')
    assert json.loads(text.partition("] = ")[2].removesuffix(";\n")) == content
    with pytest.raises(ValueError, match="not JSON compliant"):
        script_of("data", [float("nan")])


def test_all_parts_of_the_script_are_in_it_and_are_small(tmp_path):
    renew(tmp_path)
    script = (tmp_path / "page.js").read_text(encoding="utf-8")
    parts = sorted((HERE / "page").glob("*.js"))
    assert sorted(SCRIPTS) == [path.stem for path in parts]
    for path in parts:
        assert path.read_text(encoding="utf-8") in script
        assert len(path.read_text(encoding="utf-8").splitlines()) < 300
    assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|\beval\b|fetch\(|https?:", script)


def test_renewing_leaves_what_is_not_its_own(tmp_path):
    for name in ("mine.txt", "media/old/x.mp4", "maps/old/x.js", "data.js"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("old")
    renew(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.txt", "page.js", "vendor"]
