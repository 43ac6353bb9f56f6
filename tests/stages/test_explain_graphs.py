"""The stage on videos of two or three frames, in a captioner that was not trained."""

import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toys.captioner import (
    DECODING,
    KNOWLEDGE_DIM,
    MODEL,
    MOTION_DIM,
    NODE_DIM,
    OBJECT_DIM,
    captioner,
    write_further,
    write_toys,
)
from toys.killed_stages import files_in, kill_in_video

from pipeline.artifact import Artifact, create, read
from pipeline.artifact.each_video import Rows
from pipeline.artifact.vocabulary_file import read_vocabulary
from pipeline.captioning.model_file import describe_model
from pipeline.config import RelevanceSettings
from pipeline.errors import PipelineError
from pipeline.schemas import GRAPHS, NODES, RELEVANCE
from pipeline.stages import explain_graphs, generate_captions
from pipeline.weights.saving import save_weights

NONE: dict[str, list[Path]] = {"pair_motion": [], "knowledge": [], "objects": []}


def write_nodes(folder: Path, graphs: Path, without: str = "") -> Path:
    """The nodes of the graphs of `write_toys`, whose frames are a quarter of a second apart."""
    known = read(graphs, GRAPHS)
    with create(folder / "nodes.zarr", NODES, ids=known.ids, stage="", settings={}, inputs={}) as writer:
        for video_id in known.ids:
            if video_id == without:
                writer.fail(video_id, "no frame was read")
                continue
            rows = known.video(video_id)
            count = len(rows["x"])
            kept = {name: rows[name] for name in ("x", "node_frame", "box")}
            times = np.arange(len(rows["motion"])) / 4
            found = {"label": np.zeros(count, np.int16), "score": np.ones(count)}
            writer.append(video_id, **kept, **found, frame_time=times)
    return folder / "nodes.zarr"


def prepare(folder: Path, further: bool = False, without: str = "") -> dict[str, Any]:
    """Make a data set and a captioner, and caption the split; returns the inputs of the stage."""
    toys = write_toys(folder, num_train=1, num_val=1, num_test=4, without="video-3")
    vocabulary = read_vocabulary(toys.vocabulary)
    others = write_further(folder, toys) if further else NONE
    dims = {"knowledge_dim": KNOWLEDGE_DIM, "object_dim": OBJECT_DIM} if further else {}
    model = captioner(len(vocabulary), sharpen=3.0, **dims)
    described = describe_model(MODEL, vocabulary, NODE_DIM, MOTION_DIM, **dims)
    save_weights(model.state_dict(), folder / "model", described)
    generate_captions.run(
        graphs=[toys.graphs],
        **others,
        maps=[],
        captions=toys.captions,
        model=folder / "model",
        out=folder / "generated.json",
        table=folder / "captions.csv",
        split="test",
        settings=DECODING,
        threads=1,
    )
    made = {"captions": folder / "generated.json", "model": folder / "model"}
    return {"graphs": [toys.graphs], **others, "nodes": [write_nodes(folder, toys.graphs, without)], **made}


def explain(inputs: dict[str, Any], out: Path, method: str = "occlusion", videos: int | None = None) -> Artifact:
    """Run the stage."""
    settings = RelevanceSettings.model_validate({"method": method, "videos": videos, "seed": 1})
    explain_graphs.run(**inputs, out=out, settings=settings, threads=1)
    return read(out, RELEVANCE)


@pytest.mark.parametrize("further", [False, True], ids=["graph alone", "pairs, knowledge, objects"])
@pytest.mark.parametrize("method", ["integrated_gradients", "occlusion"])
def test_every_word_has_the_relevance_of_every_node_and_edge(tmp_path: Path, method: str, further: bool):
    store = explain(prepare(tmp_path, further), tmp_path / "out.zarr", method)
    assert store.ids == ["video-2", "video-4", "video-5"]
    texts = json.loads((tmp_path / "generated.json").read_text())["captions"]
    words = read_vocabulary(tmp_path / "vocabulary.json").words
    for number, frames in zip((2, 4, 5), (2, 2, 3), strict=True):
        rows = store.video(f"video-{number}")
        assert " ".join(words[token] for token in rows["token"]) == texts[f"video-{number}"]
        num_words, num_nodes = len(rows["token"]), 2 * frames
        assert rows["relevance"].shape == rows["twin"].shape == (num_words * num_nodes,)
        assert rows["time"].tolist() == np.repeat(np.arange(frames) / 4, 2).tolist()
        assert rows["box"].tolist() == read(tmp_path / "nodes.zarr", NODES).video(f"video-{number}")["box"].tolist()
        assert rows["shape"].tolist() == [[0, 0, 0]]
        assert len(rows["edge_relevance"]) == num_words * len(rows["source"]) > 0
        assert rows["source"].max() == rows["target"].max() == num_nodes - 1
        assert (rows["log_p"] < 0).all()
        np.testing.assert_allclose(rows["deleted"][:, 0], rows["log_p"], atol=1e-5)
        np.testing.assert_allclose(rows["inserted"][:, -1], rows["log_p"], atol=1e-5)
        np.testing.assert_allclose(rows["deleted"][:, -1], rows["inserted"][:, 0], atol=1e-5)
        for name in ("relevance", "twin", "edge_relevance"):
            assert np.abs(rows[name]).max() > 0
        assert not np.allclose(rows["relevance"], rows["twin"])


def test_the_relevance_of_nodes_is_that_of_removed_ones(tmp_path: Path):
    """Of four nodes 30 % are one node, which is then the most relevant; occlusion is what its removal costs."""
    rows = explain(prepare(tmp_path), tmp_path / "out.zarr").video("video-2")
    relevance_WN = rows["relevance"].reshape(len(rows["token"]), 4)
    np.testing.assert_allclose(rows["log_p"] - rows["deleted"][:, 3], relevance_WN.max(1), atol=1e-5)


def test_a_bad_video_is_recorded_and_stops_no_other(tmp_path: Path):
    store = explain(prepare(tmp_path, without="video-4"), tmp_path / "out.zarr")
    assert store.ids == ["video-2", "video-5"]
    assert store.failed == {"video-4": "no frame was read"}


def test_equal_settings_give_equal_stores_and_some_videos_can_be_drawn(tmp_path: Path):
    inputs = prepare(tmp_path)
    whole = explain(inputs, tmp_path / "one.zarr")
    explain(inputs, tmp_path / "two.zarr")
    roots = [(tmp_path / name / "zarr.json").read_bytes() for name in ("one.zarr", "two.zarr")]
    assert roots[0] == roots[1]
    drawn = explain(inputs, tmp_path / "three.zarr", videos=2)
    assert len(drawn.ids) == 2
    assert set(drawn.ids) < set(whole.ids)


@pytest.mark.slow
def test_after_sigkill_it_goes_on_to_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    inputs = prepare(tmp_path)
    explain(inputs, tmp_path / "whole.zarr")
    settings = RelevanceSettings.model_validate({"method": "occlusion", "videos": None, "seed": 1})
    flags = {**inputs, "out": tmp_path / "killed.zarr", "settings": settings, "threads": 1}
    assert kill_in_video("explain_graphs", flags, 3) == -signal.SIGKILL
    assert not flags["out"].exists()
    made, begun = explain_graphs.rows_of, []

    def note(explained: explain_graphs.Explained, video_id: str, said: explain_graphs.Said) -> Rows:
        begun.append(video_id)
        return made(explained, video_id, said)

    monkeypatch.setattr(explain_graphs, "rows_of", note)
    explain(inputs, flags["out"])
    assert begun == ["video-5"]
    assert files_in(flags["out"]) == files_in(tmp_path / "whole.zarr")


def test_captions_without_a_right_to_left_one_are_refused(tmp_path: Path):
    inputs = prepare(tmp_path)
    content = json.loads((tmp_path / "generated.json").read_text())
    inputs["captions"] = tmp_path / "other.json"
    del content["right_to_left"]["video-5"]
    inputs["captions"].write_text(json.dumps(content))
    with pytest.raises(PipelineError, match="video video-5 has no `right_to_left` caption, expected one: run"):
        explain(inputs, tmp_path / "out.zarr")
    content["right_to_left"]["video-5"] = "a whale runs"
    inputs["captions"].write_text(json.dumps(content))
    with pytest.raises(PipelineError, match="video-5: the captioner does not know the word 'whale'"):
        explain(inputs, tmp_path / "out.zarr")
