"""The command `caption` by captioners of maps says what `generate_captions` says of the same videos."""

import json
import shutil

import pytest
import torch
from toys.captioner import DECODING
from toys.experts import cast_settings
from toys.map_encoders import I3D, MAPS_OF, write_map_encoders
from toys.maps import MODEL, TRAINING
from toys.recognizers import TSM, recognizer_settings
from toys.report import Page
from toys.sampled_shard import LENGTHS, SAMPLING, write_sampled_shard

from pipeline.artifact import read, write_json
from pipeline.artifact.vocabulary_file import read_vocabulary
from pipeline.captioning.lstm_captioner import LstmCaptioner
from pipeline.captioning.lstm_file import describe_lstm
from pipeline.captioning.map_set import load_maps
from pipeline.commands.caption import main, read_experiment
from pipeline.config import CastEncoderSettings, RecognizerEncoderSettings
from pipeline.errors import PipelineError
from pipeline.schemas import FRAMES
from pipeline.stages import extract_maps, generate_captions
from pipeline.weights.saving import save_weights
from pipeline.workflow.experiment_chain import chain_of
from pipeline.workflow.paths import ARTIFACTS

ENCODERS = {
    "i3d": I3D,
    "tsm": RecognizerEncoderSettings(kind="recognizer", experiment="tsm"),
    "cast": CastEncoderSettings(kind="cast", experiment="cast"),
}
RECOGNIZERS = {"tsm": recognizer_settings(TSM, size=32), "cast": cast_settings()}
EXPERTS = {"clip": "spatial", "mae": "temporal"}  # encoders that the CAST names, and their files
WORDS = ["<pad>", "<bos>", "<eos>", "<unk>", "a", "bird", "cat", "dog", "home", "is", "running", "runs", "the"]


@pytest.fixture(scope="module")
def shard(tmp_path_factory, make_video):
    """A shard of videos, one of which is none, with their table and sampled frames, and encoders of maps."""
    folder = tmp_path_factory.mktemp("shard")
    write_sampled_shard(folder, make_video)
    write_map_encoders(folder)
    return folder


def chain(encoder):
    """The settings of the experiment `said`, of maps by an encoder."""
    said = {"kind": "map_captioning", "dataset": "d", "maps": "m", "captioner": "lstm", "vocabulary": "v", "seeds": [1]}
    parts = {"model": MODEL, "training": TRAINING, "decoding": DECODING}
    of_experts = dict.fromkeys(EXPERTS, I3D)  # whatever they are: their names lead to their files
    config = {
        "samplings": {"action": SAMPLING.model_copy(update={"on_bad_video": "fail"}).model_dump(mode="json")},
        "encoders": {name: of.model_dump(mode="json") for name, of in {**ENCODERS, **of_experts}.items()},
        "maps": {"m": MAPS_OF.model_copy(update={"encoder": encoder}).model_dump(mode="json")},
        "captioners": {"lstm": {"kind": "lstm"} | {name: of.model_dump(mode="json") for name, of in parts.items()}},
        "vocabularies": {"v": {"dataset": "d", "tokenizer": "ptb", "min_count": 1, "max_words": 5}},
        "recognizers": {name: of.model_dump(mode="json") for name, of in RECOGNIZERS.items()},
        "experiments": {"said": said, **{name: {"recognizer": name} for name in RECOGNIZERS}},
    }
    return chain_of(config, "said", ARTIFACTS)


def finish(shard, results, encoder):
    """Finish the experiment by stages as the workflow calls them, but for a training; the experiment's folder."""
    experiment = results / "experiments/said"
    write_json(experiment / "settings.json", chain(encoder))
    for name, below in chain(encoder)["weights"].items():
        (results / below).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(shard / f"{EXPERTS.get(name, name)}.safetensors", results / below)
    dataset = results / "datasets/d"
    experts = [shard / f"{file}.safetensors" for file in EXPERTS.values() if encoder == "cast"]
    extract_maps.run(
        videos=shard / "videos.json", frames=shard / "frames.zarr", weights=shard / f"{encoder}.safetensors",
        experts=experts, out=dataset / "maps.zarr", settings=MAPS_OF, encoder=ENCODERS[encoder],
        window=SAMPLING.window, time_limit=60.0, threads=1, decoders=1,
    )  # fmt: skip
    (dataset / "words.json").write_text(json.dumps({"words": WORDS, "max_words": 5}))
    vocabulary, channels = read_vocabulary(dataset / "words.json"), load_maps([dataset / "maps.zarr"]).shape[3]
    torch.manual_seed(1)
    model = LstmCaptioner(MODEL, len(vocabulary), channels)
    with torch.no_grad():
        model.generator.weight *= 9  # for captions that differ
    save_weights(model.state_dict(), experiment / "model.safetensors", describe_lstm(MODEL, vocabulary, channels))
    ids = ["text", *LENGTHS]
    captions = {"captions": {i: ["a dog runs"] for i in ids}, "splits": {"train": [], "val": [], "test": ids}}
    write_json(dataset / "captions.json", captions)
    generate_captions.run(
        graphs=[], pair_motion=[], knowledge=[], objects=[], maps=[dataset / "maps.zarr"],
        captions=dataset / "captions.json", model=experiment / "model.safetensors",
        out=experiment / "test/captions.json", table=experiment / "test/captions.csv", split="test",
        settings=DECODING, threads=1,
    )  # fmt: skip
    return experiment


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_command_says_what_the_workflow_says(shard, tmp_path, capsys, encoder):
    experiment = finish(shard, tmp_path / "results", encoder)
    expected = json.loads((experiment / "test/captions.json").read_text())
    assert sorted(expected["captions"]) == sorted(LENGTHS)
    assert len(set(expected["scores"].values())) == len(LENGTHS)
    out = tmp_path / "new/captions.json"
    assert main([str(shard / "files"), "--experiment", str(experiment), "--out", str(out)]) == 0
    said, found = capsys.readouterr(), json.loads(out.read_text())
    assert {name: video["caption"] for name, video in found["videos"].items()} == {
        f"{name}.mp4": caption for name, caption in expected["captions"].items()
    }
    for name, score in expected["scores"].items():
        assert found["videos"][f"{name}.mp4"]["score"] == pytest.approx(score, abs=1e-3)
    assert found["missing"] == {"text.mp4": read(shard / "frames.zarr", FRAMES).failed["text"]}
    assert said.out.splitlines() == [f"{name}: {video['caption']}" for name, video in found["videos"].items()]
    assert "3 of 4 videos captioned" in said.err
    header, *rows = (experiment / "test/captions.csv").read_text().splitlines()
    assert out.with_suffix(".csv").read_text().splitlines() == [header, *(row.replace(",", ".mp4,", 1) for row in rows)]
    page = Page(out.with_suffix(".html").read_text(encoding="utf-8"))
    assert page.text.count("test captions (score") == len(LENGTHS)
    assert "unlike" not in page.text
    assert "farther" not in page.text


def test_what_is_not_there_is_named(tmp_path):
    results = tmp_path / "results"
    experiment = results / "experiments/said"
    write_json(experiment / "settings.json", chain("cast"))
    (experiment / "model.safetensors").touch()
    with pytest.raises(PipelineError) as error:
        read_experiment(experiment)
    assert str(error.value).endswith(
        "snakemake results/experiments/cast/model.safetensors results/encoders/clip/weights.safetensors "
        "results/encoders/mae/weights.safetensors"
    )
    write_json(experiment / "settings.json", chain("cast") | {"encoders": {}})
    with pytest.raises(PipelineError, match=r"`encoders: cast`: there is no such entry: delete it and run describe"):
        read_experiment(experiment)
