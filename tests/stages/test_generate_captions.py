import csv
import json

import pytest
from toys.captioner import DECODING, MODEL, MOTION_DIM, NODE_DIM, captioner, write_toys
from toys.maps import CHANNELS, lstm, write_map_toys
from toys.maps import MODEL as LSTM

from pipeline.artifact import file_digest
from pipeline.artifact.vocabulary_file import read_vocabulary
from pipeline.captioning.generation import caption_graphs
from pipeline.captioning.graph_set import load_graphs
from pipeline.captioning.lstm_captioner import LstmCaptioner
from pipeline.captioning.lstm_file import describe_lstm
from pipeline.captioning.map_batches import iterate_map_captions
from pipeline.captioning.map_set import load_maps
from pipeline.captioning.model_file import describe_model
from pipeline.config import NucleusSettings
from pipeline.errors import PipelineError
from pipeline.stages.generate_captions import run
from pipeline.weights.saving import save_weights


@pytest.mark.parametrize("nucleus", [None, NucleusSettings(p=0.9, temperature=1.0, samples=2, seed=1)])
def test_captions_of_a_split_and_the_videos_left_out(tmp_path, nucleus):
    settings = DECODING.model_copy(update={"nucleus": nucleus})
    toys = write_toys(tmp_path, num_train=2, num_val=2, num_test=6, without="video-7")
    vocabulary = read_vocabulary(toys.vocabulary)
    model = captioner(len(vocabulary), sharpen=20.0)
    save_weights(model.state_dict(), tmp_path / "model", describe_model(MODEL, vocabulary, NODE_DIM, MOTION_DIM))
    for out in ("one.json", "two.json"):
        run(
            graphs=[toys.graphs],
            pair_motion=[],
            knowledge=[],
            objects=[],
            maps=[],
            captions=toys.captions,
            model=tmp_path / "model",
            out=tmp_path / out,
            table=tmp_path / "captions.csv",
            split="test",
            settings=settings,
            threads=1,
        )
    found = json.loads((tmp_path / "one.json").read_text())
    ids = ["video-4", "video-5", "video-6", "video-8", "video-9"]
    graphs = load_graphs([toys.graphs])
    expected = dict(zip(ids, caption_graphs(model, vocabulary, [graphs[i] for i in ids], settings, ids), strict=True))
    assert found["captions"] == {video_id: caption.text for video_id, caption in expected.items()}
    assert found["right_to_left"] == {video_id: caption.right_to_left for video_id, caption in expected.items()}
    assert sorted(found["scores"]) == ids
    assert ("samples" in found) == (nucleus is not None)
    if nucleus is not None:
        assert found["samples"] == {video_id: list(caption.samples) for video_id, caption in expected.items()}
    assert found["missing"] == ["video-7"]
    assert found["inputs"] == {"model": {"digest": file_digest(tmp_path / "model"), "path": "model"}}
    with (tmp_path / "captions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["video_id"]: row["caption"] for row in rows} == found["captions"]
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


def test_captions_of_maps(tmp_path):
    """One key less than with two directions; a model of the other kind is refused."""
    toys = write_map_toys(tmp_path, num_train=2, num_val=2, num_test=6, without="video-7")
    vocabulary = read_vocabulary(toys.vocabulary)
    model = lstm(len(vocabulary), sharpen=9.0)
    save_weights(model.state_dict(), tmp_path / "model", describe_lstm(LSTM, vocabulary, CHANNELS))
    flags = {
        "graphs": [], "pair_motion": [], "knowledge": [], "objects": [], "maps": [toys.maps], "captions": toys.captions,
        "model": tmp_path / "model", "out": tmp_path / "one.json", "table": tmp_path / "captions.csv", "split": "test",
        "settings": DECODING, "threads": 1,
    }  # fmt: skip
    run(**flags)
    found = json.loads((tmp_path / "one.json").read_text())
    ids = ["video-4", "video-5", "video-6", "video-8", "video-9"]
    expected = list(iterate_map_captions(model, vocabulary, load_maps([toys.maps]), ids, DECODING))
    assert found["captions"] == {i: caption.text for i, caption in zip(ids, expected, strict=True)}
    assert (found["missing"], found["right_to_left"]) == (["video-7"], {})
    lines = (tmp_path / "captions.csv").read_text().splitlines()
    assert lines == ["video_id,caption", *(f"{i},{text}" for i, text in found["captions"].items())]
    other = LstmCaptioner(LSTM, len(vocabulary), CHANNELS + 1)
    save_weights(other.state_dict(), tmp_path / "model", describe_lstm(LSTM, vocabulary, CHANNELS + 1))
    with pytest.raises(PipelineError, match="model: the captioner reads maps of 7 channels, these have 6: run train_l"):
        run(**flags)
    save_weights(captioner(len(vocabulary)).state_dict(), tmp_path / "model", {"description": "{}"})
    with pytest.raises(PipelineError, match="model holds no lstm captioner: run train_lstm again"):
        run(**flags)
