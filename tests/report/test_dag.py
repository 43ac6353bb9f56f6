import re

from toys.report import Page

from pipeline.report.dag import Stage, draw_dag, without_cycles

STAGES = {
    "index_videos": Stage(2, []),
    "decode_frames": Stage(2, ["index_videos"]),
    "import_weights": Stage(1, []),
    "extract_i3d": Stage(2, ["decode_frames", "import_weights", "index_videos"]),
}


def test_each_stage_is_drawn_once_with_its_jobs():
    page = Page(draw_dag(STAGES))
    assert [attrs["class"] for attrs in page.all("rect")] == ["stage"] * 4
    for name, jobs in {"index_videos": "2 jobs", "import_weights": "1 job", "extract_i3d": "2 jobs"}.items():
        assert f"{name} {jobs}" in page.text


def test_each_arrow_is_drawn_but_for_detours():
    arrows = [attrs["d"] for attrs in Page(draw_dag(STAGES)).all("path") if attrs["class"] == "arrow"]
    assert len(arrows) == 3  # index_videos to extract_i3d is told by way of decode_frames


def test_nothing_is_drawn_outside_the_picture():
    stages = STAGES | {"late": Stage(1, ["extract_i3d", "index_videos"]), "far": Stage(1, ["index_videos"])}
    stages["last"] = Stage(1, ["far", "late"])
    picture = draw_dag(stages)
    width, height = (float(number) for number in re.search(r'viewBox="0 0 (\S+) (\S+)"', picture).groups())
    for attrs in Page(picture).all("rect"):
        assert 0 <= float(attrs["x"]) <= float(attrs["x"]) + float(attrs["width"]) <= width
        assert 0 <= float(attrs["y"]) <= float(attrs["y"]) + float(attrs["height"]) <= height
    for x in re.findall(r"[MC ]([\d.]+) [\d.]+", "".join(re.findall(r' d="(M.*?)"', picture))):
        assert 0 <= float(x) <= width


def test_a_box_leads_to_its_stage_and_bears_its_notes():
    page = Page(draw_dag(STAGES, {"decode_frames": ", 12 s, 3.4 MB"}))
    assert "decode_frames 2 jobs, 12 s, 3.4 MB" in page.text
    assert {attrs["href"] for attrs in page.all("a")} == {f"#stage-{name}" for name in STAGES}


def test_the_same_stages_give_the_same_picture_in_any_order():
    assert draw_dag(STAGES) == draw_dag(dict(reversed(STAGES.items())))


def test_a_name_is_escaped():
    assert "<script>" not in draw_dag({"<script>": Stage(1, [])})


def test_stages_whose_jobs_read_one_another_are_drawn_once():
    """A training may begin with another model, and a probe's reads features, which a trained model has made."""
    reads = {
        "report": ["score"],
        "score": ["train"],
        "train": ["clips", "features", "train"],
        "features": ["clips", "train"],
        "clips": [],
    }
    assert without_cycles(reads) == reads | {"train": ["clips", "features"], "features": ["clips"]}
    drawn = draw_dag({name: Stage(2, of) for name, of in reads.items()})
    assert drawn.count('class="stage"') == 5
