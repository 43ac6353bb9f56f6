import numpy as np
import pytest
from PIL import Image
from toys.tiny_tstl import write_labels

from pipeline.__main__ import main
from pipeline.artifact import create
from pipeline.report.vectors import principal_plane
from pipeline.schemas import FEATURES


def write(folder, ids=("test0", "test1", "test3")):
    write_labels(folder, 4, 4, 4)
    with create(folder / "000.zarr", FEATURES, ids=[*ids], stage="", settings={}, inputs={}) as writer:
        for number, clip_id in enumerate(ids):
            writer.append(clip_id, x=np.random.default_rng(number).normal(size=(1, 6)))


def draw(folder, out, part="null"):
    given = ["--features", folder / "000.zarr", "--labels", folder / "labels.json", "--part", part, "--split", "test"]
    groups = [folder / "groups.json"] if part != "null" else []
    return main([str(word) for word in ("draw_embeddings", *given, "--groups", *groups, "--out", out)])


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


def test_a_picture_that_is_the_same_again(tmp_path):
    write(tmp_path)
    for name in ("one", "two"):
        assert draw(tmp_path, tmp_path / f"{name}.png") == 0
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    with Image.open(tmp_path / "one.png") as picture:
        assert picture.format == "PNG"
        assert picture.size == (960, 600)


def test_a_selector_is_coloured_by_group(tmp_path):
    write(tmp_path)
    assert draw(tmp_path, tmp_path / "class.png") == 0
    assert draw(tmp_path, tmp_path / "group.png", '{"groups": "two", "group": null}') == 0
    assert (tmp_path / "class.png").read_bytes() != (tmp_path / "group.png").read_bytes()


def test_a_split_without_features_is_refused_in_one_line(tmp_path, capfd):
    write(tmp_path, ["train0"])
    assert draw(tmp_path, tmp_path / "x.png") == 2
    assert "no clip of split 'test' has features" in capfd.readouterr().err
