import json
from pathlib import Path

import pytest
from toys.captioner import DECODING, MODEL, MOTION_DIM, NODE_DIM, captioner, write_toys
from toys.maps import CHANNELS, lstm, write_map_toys
from toys.maps import MODEL as LSTM

from pipeline.artifact import file_digest, write_json
from pipeline.artifact.video_table import Clip
from pipeline.artifact.vocabulary_file import read_vocabulary
from pipeline.captioning.generation import Caption, caption_graphs
from pipeline.captioning.graph_set import load_graphs
from pipeline.captioning.lstm_file import describe_lstm
from pipeline.captioning.map_batches import iterate_map_captions
from pipeline.captioning.map_set import load_maps
from pipeline.captioning.model_file import describe_model
from pipeline.config import NucleusSettings
from pipeline.errors import PipelineError
from pipeline.stages.caption_videos import describe, printable, run
from pipeline.video.interval import Interval
from pipeline.weights.saving import save_weights


def caption_toys(folder, settings=DECODING, extra=()):
    """Caption toys in two tables, `video-2` without a graph; what was found, and what the model says by itself."""
    toys = write_toys(folder, num_train=2, num_val=2, num_test=1, without="video-2")
    vocabulary = read_vocabulary(toys.vocabulary)
    model = captioner(len(vocabulary), sharpen=20.0)
    save_weights(model.state_dict(), folder / "model", describe_model(MODEL, vocabulary, NODE_DIM, MOTION_DIM))
    ids = [f"video-{number}" for number in range(5)]
    for shard, members in enumerate((ids[:3], [*ids[3:], *extra])):
        videos = [{"id": video_id, "path": f"{video_id}.mp4", "size": 1} for video_id in members]
        write_json(folder / f"videos{shard}.json", {"root": "somewhere", "videos": videos})
    run(
        graphs=[toys.graphs],
        pair_motion=[],
        knowledge=[],
        objects=[],
        maps=[],
        videos=[folder / "videos0.json", folder / "videos1.json"],
        model=folder / "model",
        out=folder / "out.json",
        table=folder / "out.csv",
        experiment="toys",
        settings=settings,
        threads=1,
    )
    there = [video_id for video_id in ids if video_id != "video-2"]
    graphs = load_graphs([toys.graphs])
    expected = caption_graphs(model, vocabulary, [graphs[i] for i in there], settings, there)
    return json.loads((folder / "out.json").read_text()), dict(zip(there, expected, strict=True))


def test_every_video_is_captioned_without_any_references(tmp_path, capsys):
    found, expected = caption_toys(tmp_path, extra=["late"])
    assert found["experiment"] == "toys"
    assert found["videos"] == {
        video_id: {
            "path": f"{video_id}.mp4",
            "caption": caption.text,
            "score": caption.score,
            "right_to_left": caption.right_to_left,
        }
        for video_id, caption in expected.items()
    }
    assert found["missing"] == {"late": "not in graphs: run convert_graphs again", "video-2": "cut off"}
    assert found["inputs"] == {"model": {"digest": file_digest(tmp_path / "model"), "path": "model"}}
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines == ["video_id,caption", *(f"{i},{caption.text}" for i, caption in expected.items())]
    printed = capsys.readouterr().out.splitlines()
    assert printed == [f"{video_id}: {caption.text}" for video_id, caption in expected.items()]


def test_videos_are_captioned_from_maps(tmp_path, capsys):
    """One key less than with two directions; a model of the other kind is refused."""
    toys = write_map_toys(tmp_path, num_train=2, num_val=2, num_test=1, without="video-2")
    vocabulary = read_vocabulary(toys.vocabulary)
    model = lstm(len(vocabulary), sharpen=9.0)
    save_weights(model.state_dict(), tmp_path / "model", describe_lstm(LSTM, vocabulary, CHANNELS))
    ids = [f"video-{number}" for number in range(5)]
    videos = [{"id": video_id, "path": f"{video_id}.mp4", "size": 1} for video_id in [*ids, "late"]]
    write_json(tmp_path / "videos.json", {"root": "somewhere", "videos": videos})
    flags = {
        "graphs": [], "pair_motion": [], "knowledge": [], "objects": [], "maps": [toys.maps],
        "videos": [tmp_path / "videos.json"], "model": tmp_path / "model", "out": tmp_path / "out.json",
        "table": tmp_path / "out.csv", "experiment": "said", "settings": DECODING, "threads": 1,
    }  # fmt: skip
    run(**flags)
    found = json.loads((tmp_path / "out.json").read_text())
    there = [video_id for video_id in ids if video_id != "video-2"]
    expected = list(iterate_map_captions(model, vocabulary, load_maps([toys.maps]), there, DECODING))
    assert found["videos"] == {
        i: {"path": f"{i}.mp4", "caption": caption.text, "score": caption.score}
        for i, caption in zip(there, expected, strict=True)
    }
    assert found["missing"] == {"late": "not in maps: run extract_maps again", "video-2": "cut off"}
    assert found["experiment"] == "said"
    assert len(capsys.readouterr().out.splitlines()) == len(there)
    save_weights(captioner(len(vocabulary)).state_dict(), tmp_path / "model", {"description": "{}"})
    with pytest.raises(PipelineError, match="model holds no lstm captioner: run train_lstm again"):
        run(**flags)


def test_drawn_captions_are_told_too(tmp_path):
    nucleus = NucleusSettings(p=0.9, temperature=1.0, samples=3, seed=1)
    found, expected = caption_toys(tmp_path, DECODING.model_copy(update={"nucleus": nucleus}))
    assert {i: video["samples"] for i, video in found["videos"].items()} == {
        i: list(caption.samples) for i, caption in expected.items()
    }
    assert all(len(video["samples"]) == 3 for video in found["videos"].values())


def test_names_of_files_cannot_play_tricks_on_a_terminal():
    assert printable("Urlaub in K\u00f6ln.mp4") == "Urlaub in K\u00f6ln.mp4"
    assert printable("a\x1b[2J\nb.mp4") == "'a\\x1b[2J\\nb.mp4'"


def test_of_an_interval_its_seconds_are_told():
    caption = Caption("a dog", -1.0, "dog a")
    clip = Clip("x", "long.mp4", Path("data/long.mp4"), 1, Interval(2.0, 3.5))
    told = {"path": "long.mp4", "caption": "a dog", "score": -1.0, "right_to_left": "dog a"}
    assert describe(clip, caption) == told | {"start": 2.0, "stop": 3.5}
