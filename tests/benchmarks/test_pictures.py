import shutil
import stat

import numpy as np
import pytest
from matplotlib.collections import LineCollection, PathCollection
from PIL import Image

from benchmarks import pictures
from pipeline.artifact import create, write_json
from pipeline.errors import PipelineError
from pipeline.schemas import FRAMES, GRAPHS

# Two frames of 4 x 4 pixels; the first has two nodes, the second one.
GRAPH_ROWS = {
    "x": np.ones((3, 2)),
    "node_frame": np.array([0, 0, 1]),
    "box": np.array([[0, 0, 0.5, 1], [0.5, 0, 1, 1], [0, 0, 1, 1]]),
    "source": np.array([0, 0, 1, 1, 2, 0, 1]),
    "target": np.array([0, 1, 0, 1, 2, 2, 2]),
    "kind": np.array([0, 0, 0, 0, 0, 1, 1]),
    "weight": np.array([1, 1, 1, 1, 1, 0.75, 0.25]),
    "motion": np.zeros((2, 3)),
}
FRAME_ROWS = {
    "pixels": np.repeat([[200, 0, 0], [0, 0, 200]], 16, axis=0).astype(np.uint8),
    "number": np.array([0, 2]),
    "time": np.array([0.0, 0.2]),
    "size": np.array([[4, 4]]),
    "num_frames": np.array([4]),
    "fps": np.array([10.0]),
}


@pytest.fixture
def results(tmp_path):
    """The demo's results as far as the picture needs them, with the video in the second shard."""
    data = tmp_path / "results/datasets/shapes"
    for shard, video_id in (("000", "test-1"), ("001", "test-2")):
        for path, schema, rows in (
            (data / f"graphs/grid/{shard}.zarr", GRAPHS, GRAPH_ROWS),
            (data / f"frames/action/{shard}.zarr", FRAMES, FRAME_ROWS),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            with create(path, schema, ids=[video_id], stage=schema.stage, settings={}, inputs={}) as writer:
                writer.append(video_id, **rows)
    write_json(data / "captions.json", {"captions": {"test-2": ["a red dot moves", "a dot moves"]}})
    generated = tmp_path / "results/experiments/grid/test/captions.json"
    generated.parent.mkdir(parents=True)
    write_json(generated, {"captions": {"test-2": "a dot turns blue"}})
    return tmp_path / "results"


def test_a_scene_is_read_from_the_shard_that_has_the_video(results):
    scene = pictures.read_scene(results, "test-2")
    assert (scene.caption, scene.reference) == ("a dot turns blue", "a red dot moves")
    assert [picture[0, 0].tolist() for picture in scene.pictures] == [[200, 0, 0], [0, 0, 200]]
    assert scene.graph["node_frame"].tolist() == [0, 0, 1]


def test_a_video_that_is_not_there_is_named(results):
    with pytest.raises(PipelineError, match="no graph and caption of video test-9, expected the finished demo"):
        pictures.read_scene(results, "test-9")


def test_nodes_stand_in_the_middle_of_their_boxes_on_the_plane_of_their_frame(results):
    across, down = pictures.PLANE
    expected = [across / 4 + down / 2, across * 3 / 4 + down / 2, across / 2 + down / 2 + pictures.NEXT]
    assert np.allclose(pictures.node_places(pictures.read_scene(results, "test-2").graph), expected)


def test_edges_within_frames_are_drawn_once_and_those_to_the_next_by_weight(results):
    figure = pictures.draw_graph(pictures.read_scene(results, "test-2"))
    within, between = (found for found in figure.axes[0].collections if isinstance(found, LineCollection))
    [nodes] = (found for found in figure.axes[0].collections if isinstance(found, PathCollection))
    assert len(within.get_segments()) == 1  # 0 to 1; the loops and 1 to 0 add no line
    assert len(between.get_segments()) == 2
    thin, wide = between.get_linewidths()
    assert thin < wide
    assert np.allclose(between.get_segments()[1][0], nodes.get_offsets()[0])  # the weight of 0.75 is the wide one's
    assert [text.get_text() for text in figure.texts] == ["caption", "a dot turns blue", "reference", "a red dot moves"]


def test_only_the_first_frames_are_drawn(results, monkeypatch):
    monkeypatch.setattr(pictures, "NUM_FRAMES", 1)
    figure = pictures.draw_graph(pictures.read_scene(results, "test-2"))
    [nodes] = (found for found in figure.axes[0].collections if isinstance(found, PathCollection))
    assert len(nodes.get_offsets()) == 2


def test_a_picture_has_fewer_colours_where_its_file_would_be_too_large(tmp_path, monkeypatch):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8))
    pictures.save(picture, tmp_path / "docs/all.png")
    full = (tmp_path / "docs/all.png").stat().st_size
    monkeypatch.setattr(pictures, "MAX_BYTES", full - 1)
    pictures.save(picture, tmp_path / "fewer.png")
    assert (tmp_path / "fewer.png").stat().st_size < full
    monkeypatch.setattr(pictures, "MAX_BYTES", 10)
    with pytest.raises(PipelineError, match=r"none.png: \d+ bytes, expected at most 10"):
        pictures.save(picture, tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


def test_without_a_browser_one_line_says_what_to_install(results, tmp_path, monkeypatch, capsys):
    (results / "report").mkdir()
    (results / "report/index.html").write_text("<p>report</p>")
    monkeypatch.setenv("PATH", str(tmp_path))
    options = ["--results", str(results), "--out", str(tmp_path / "out"), "--video", "test-2"]
    assert pictures.main(options) == 2
    error = capsys.readouterr().err
    assert "apt-get install chromium" in error
    assert error.count("\n") == 1
    assert (tmp_path / "out/graph.png").is_file()


def test_a_browser_that_takes_no_picture_is_said(results, tmp_path, monkeypatch):
    page = results / "index.html"
    page.write_text("<p>report</p>")
    browser = tmp_path / "bin/chromium"
    browser.parent.mkdir()
    browser.write_text("#!/bin/sh\necho cannot open display >&2\nexit 3\n")
    browser.chmod(browser.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{browser.parent}:/bin:/usr/bin")
    with pytest.raises(PipelineError, match=r"took no picture of .*exit code 3\): cannot open display"):
        pictures.photograph(page, 100, 100)


@pytest.mark.skipif(not any(map(shutil.which, pictures.BROWSERS)), reason="no Chromium is installed")
def test_a_page_is_photographed(tmp_path):
    page = tmp_path / "index.html"
    page.write_text("<body style='margin: 0; background: rgb(0, 128, 0)'></body>")
    picture = pictures.photograph(page, 320, 200)
    assert picture.size == (320, 200)
    assert picture.getpixel((160, 100)) == (0, 128, 0)


PAGE = """<body style="margin: 0"><section id="video" style="width: 300px; height: 200px; background: rgb(0, 0, 128)">
<button class="word">a</button><button class="word" onclick="chosen = 'green'">green</button>
<select id="method"><option value="one">one</option>
<option value="other">other</option></select><p id="told">green: frame 2, centre, 30 %.</p>
<button class="step">1</button><button class="step" onclick="paint()">2</button><video></video></section>
<script>
var chosen = "";
const paint = () => {
  const isOther = document.querySelector("#method").value === "other" && location.hash.endsWith("video=v7");
  const all = chosen === "green" && isOther;
  document.querySelector("#video").style.background = all ? "rgb(0, 128, 0)" : "rgb(128, 0, 0)";
};
</script></body>"""


@pytest.mark.skipif(not any(map(shutil.which, pictures.BROWSERS)), reason="no Chromium is installed")
def test_the_map_of_a_word_is_photographed_in_the_step_that_it_names(tmp_path):
    page = tmp_path / "index.html"
    page.write_text(PAGE)
    picture = pictures.photograph_word(page, "v7", "other", 1)
    assert picture.size == (300, 200)
    assert picture.getpixel((290, 190)) == (0, 128, 0)
    with pytest.raises(PipelineError, match="video v7 has no explanation third, expected that of configs/shapes_expl"):
        pictures.photograph_word(page, "v7", "third", 1)
