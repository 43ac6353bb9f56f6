import json

import pytest
from toys.captioner import DECODING, MODEL, MOTION_DIM, NODE_DIM, captioner, write_toys

from pipeline.artifact import file_digest
from pipeline.captioning.generation import caption_graphs
from pipeline.captioning.graph_set import load_graphs
from pipeline.captioning.model_file import describe_model
from pipeline.captioning.vocabulary_file import read_vocabulary
from pipeline.config import NucleusSettings
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
            captions=toys.captions,
            model=tmp_path / "model",
            out=tmp_path / out,
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
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
