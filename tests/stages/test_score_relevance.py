"""The figures of a small explanation, by hand."""

import json

import numpy as np
import pytest
from toys.explained import CAPTIONS, HALVES, rows_of, write_explanation

from pipeline.artifact import create, write_json
from pipeline.errors import PipelineError
from pipeline.schemas import RELEVANCE
from pipeline.stages.score_relevance import run

NAMES = {"explanation": "why", "experiment": "lstm", "kind": "map_captioning", "method": "grad_cam"}


def score(folder, relevance, captions, truth=()):
    run(relevance=relevance, captions=captions, truth=list(truth), out=folder / "f.json", **NAMES)
    return json.loads((folder / "f.json").read_text(encoding="utf-8"))


def write_truth(folder, ids=("grid", "nodes")):
    """A red object on the right half, a blue one on the left half."""
    objects = [{"colour": c, "boxes": [HALVES[side].tolist()] * 20} for c, side in (("red", 1), ("blue", 0))]
    write_json(folder / "truth.json", {"videos": {i: {"objects": objects, "fps": 10.0} for i in ids}})
    return [folder / "truth.json"]


def test_curves_areas_and_twins(tmp_path, capsys):
    found = score(tmp_path, *write_explanation(tmp_path))
    assert {name: found[name] for name in ("explanation", "experiment", "method", "num_videos")} == {
        "explanation": "why", "experiment": "lstm", "method": "grad_cam", "num_videos": 2,
    }  # fmt: skip
    assert found["curves"]["shares"] == [number / 10 for number in range(11)]
    assert found["curves"]["deleted"] == pytest.approx(np.linspace(0, -4, 11).tolist())
    assert found["areas"] == pytest.approx({"deleted": -2, "inserted": -0.5, "deleted_at_random": -1})
    assert found["beats_random_at_20_percent"] == 1
    # Words of `grid`: one is flat, those of the twin go the other way in one and not in the other; that of `nodes` is.
    assert found["rank_correlation_with_twin"] == pytest.approx(((0 - 1 + 0) / 3 + 0) / 2)
    assert found["mass"] is None
    layers = [
        {"layer": n, "rank_correlation": v}
        for n, v in zip(("generator", "lstm", "words", "clip", "projection"), (1, 0.75, 0.5, 0.25, 0), strict=True)
    ]
    assert found["layers"] == layers
    assert capsys.readouterr().out == ("without the 20 % most relevant: -0.800, without as many random ones: -0.400\n")


def test_mass_on_the_objects_that_colours_name(tmp_path, capsys):
    """`red` has 3 of 4 on the right, its twin 1 of 4; `blue` 2 of 2 on the right, where it is not, its twin half."""
    found = score(tmp_path, *write_explanation(tmp_path), write_truth(tmp_path))["mass"]
    assert found["trained"] == pytest.approx(
        {"num_videos": 2, "mean_share": 0.375, "num_of_two": 2, "more_on_own": 0.5}
    )
    assert found["twin"] == pytest.approx({"num_videos": 2, "mean_share": 0.375, "num_of_two": 2, "more_on_own": 0.0})
    assert capsys.readouterr().out.endswith(
        "; more mass on its own object: 0.50 of the videos, with random weights 0.00\n"
    )


def test_what_does_not_fit_is_one_line(tmp_path):
    relevance, captions = write_explanation(tmp_path)
    with pytest.raises(PipelineError, match=r"truth.json says nothing of video nodes, which is explained: run make_sh"):
        score(tmp_path, relevance, captions, write_truth(tmp_path, ids=["grid"]))
    write_json(captions, {"captions": CAPTIONS | {"grid": "a ball"}, "tokenizer": "bare"})
    with pytest.raises(
        PipelineError, match=r"told.json: video grid: its caption has 2 words, but 3 are explained: run"
    ):
        score(tmp_path, relevance, captions)
    with create(tmp_path / "empty.zarr", RELEVANCE, ids=["v"], stage="explain_maps", settings={}, inputs={}) as writer:
        writer.append(
            "v",
            **(
                rows_of(1, [], [], (0, 0, 0))
                | {name: np.zeros((0, 11)) for name in ("deleted", "inserted", "deleted_at_random")}
                | {"token": np.zeros(0, "i4"), "log_p": np.zeros(0)}
            ),
        )
    write_json(captions, {"captions": {"v": ""}, "tokenizer": "bare"})
    with pytest.raises(PipelineError, match="none of its 1 videos has a word, so that nothing is explained"):
        score(tmp_path, tmp_path / "empty.zarr", captions)
