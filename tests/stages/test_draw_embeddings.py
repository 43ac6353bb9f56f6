import json

import numpy as np
import pytest
from PIL import Image
from toys.tiny_tstl import CLASSES, GROUPS, VIEWS, write_experts, write_labelled, write_part

from pipeline.__main__ import main
from pipeline.artifact import read
from pipeline.artifact.clip_store import ClipStore
from pipeline.config import ViewSettings
from pipeline.recognition.trained import read_trained
from pipeline.recognition.vectors import Vectors
from pipeline.report.vectors import principal_plane
from pipeline.schemas import FEATURES
from pipeline.stages import draw_embeddings, extract_features


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Clips, of which test4 has failed, and a whole model, a selector and an expert over the same experts."""
    made = tmp_path_factory.mktemp("drawn")
    flags = write_labelled(made, 2, 2, 5)
    experts = write_experts(made)
    for name, heads in (("whole", {"class": CLASSES}), ("selector", {"group": GROUPS["names"]})):
        write_part(made / f"{name}.safetensors", experts, heads, 1)
    return made, {"--clips": flags["--clips"], "--labels": [flags["--labels"]], "--experts": experts}


def draw(made, out, model="whole", part="null", split="test"):
    folder, flags = made
    given = ["--model", folder / f"{model}.safetensors", "--part", part, "--split", split, "--threads", "1"]
    given += ["--settings", json.dumps(VIEWS), "--groups", *([folder / "groups.json"] if part != "null" else [])]
    for name, values in flags.items():
        given += [name, *values]
    return main([str(word) for word in ("draw_embeddings", *given, "--out", out)])


def test_places_along_the_directions_in_which_vectors_differ():
    """On a line from (0, 0, 0) to (4, 0, -3), whose length is 5, and a little beside it."""
    x = np.array([[0, 0, 0], [4, 0, -3], [2, 0.5, -1.5], [2, -0.5, -1.5]])
    places, shares = principal_plane(x)
    assert places == pytest.approx(np.array([[-2.5, 0], [2.5, 0], [0, 0.5], [0, -0.5]]), abs=1e-9)
    assert shares == pytest.approx([12.5 / 13, 0.5 / 13])


def test_what_has_no_second_direction_lies_on_a_line():
    places, shares = principal_plane(np.ones((1, 4)))
    assert (places.tolist(), shares.tolist()) == ([[0, 0]], [0, 0])
    assert principal_plane(np.array([[0.0], [2.0]]))[0].tolist() == [[-1, 0], [1, 0]]


def test_a_picture_that_is_the_same_again(folder, tmp_path, capsys):
    for name in ("one", "two"):
        assert draw(folder, tmp_path / f"{name}.png") == 0
    assert "4 clips of split test, vectors of 16 numbers" in capsys.readouterr().out
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    with Image.open(tmp_path / "one.png") as picture:
        assert picture.format == "PNG"
        assert picture.size == (960, 600)


def test_only_the_clips_that_are_drawn_are_shown_to_the_recognizer(folder, tmp_path, monkeypatch):
    shown, whole = [], ClipStore.read

    def noted(self, clip_id, numbers):
        shown.append(clip_id)
        return whole(self, clip_id, numbers)

    monkeypatch.setattr(ClipStore, "read", noted)
    assert draw(folder, tmp_path / "x.png") == 0
    assert sorted(shown) == ["test0", "test1", "test2", "test3"]


def test_what_is_drawn_is_what_is_stored_for_probes(folder, tmp_path):
    made, flags = folder
    views = ViewSettings(**VIEWS)
    model = made / "whole.safetensors"
    given = {"model": model, "experts": flags["--experts"], "settings": views, "threads": 1}
    extract_features.run(clips=flags["--clips"][0], out=tmp_path / "f.zarr", **given)
    stored = read(tmp_path / "f.zarr", FEATURES)
    vectors = Vectors(ClipStore(flags["--clips"]), read_trained(model, flags["--experts"]), views)
    for clip_id, x_TD in zip(stored.ids, vectors.read(stored.ids), strict=True):
        assert np.array_equal(stored.video(clip_id)["x"], x_TD.astype(np.float16))


def test_a_selector_is_coloured_by_group(folder, tmp_path, monkeypatch):
    """Of four classes in turn, which are in two groups in turn."""
    drawn = []
    monkeypatch.setattr(draw_embeddings, "draw_vectors", lambda _, kinds, names, __: drawn.append((kinds, names)))
    assert draw(folder, tmp_path / "class.png") == 0
    assert draw(folder, tmp_path / "group.png", "selector", '{"groups": "two", "group": null}') == 0
    assert drawn == [([0, 1, 2, 3], CLASSES), ([0, 1, 0, 1], GROUPS["names"])]


def test_a_model_of_other_classes_is_refused_in_one_line(folder, tmp_path, capfd):
    assert draw(folder, tmp_path / "x.png", "selector") == 2
    *_, error = capfd.readouterr().err.splitlines()
    assert "selector.safetensors: the model has 2 classes of group, but " in error


def test_a_split_without_clips_is_refused_in_one_line(folder, tmp_path, capfd):
    """Of an expert whose group has the clip that failed alone."""
    made, flags = folder
    content = json.loads(flags["--labels"][0].read_text())
    content["splits"]["test"] = ["test4"]
    (tmp_path / "labels.json").write_text(json.dumps(content))
    assert draw((made, flags | {"--labels": [tmp_path / "labels.json"]}), tmp_path / "x.png") == 2
    assert "no clip of split 'test' has frames" in capfd.readouterr().err
