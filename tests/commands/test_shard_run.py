"""Which stage gets what; tests/workflow/test_caption.py runs the stages themselves."""

import inspect
import json
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from toys.rule_texts import flags, output_kinds, rule_texts

from pipeline.commands.graph_shard_run import GraphShardRun
from pipeline.commands.map_shard_run import MapShardRun
from pipeline.config import validate
from pipeline.config.overlays import read_config
from pipeline.errors import PipelineError
from pipeline.schemas import SCHEMAS
from pipeline.workflow.captioning_chain import CaptioningChain
from pipeline.workflow.experiment_chain import chain_of
from pipeline.workflow.map_captioning_chain import MapCaptioningChain

ROOT = Path(__file__).parents[2]
CONFIG = yaml.safe_load(ROOT.joinpath("config.yaml").read_text(encoding="utf-8"))
OTHERS = {
    "clips",
    "features",
    "fronts",
    "logits",
    "regions",
    "relevance",
    "routes",
}
PATHS = {
    "weights": "results/{encoder}.weights",
    "embedding": "results/{knowledge}.e",
    "triplets": "results/{knowledge}.t",
    "model": "results/{trial}.model",
}
STAGES = (
    "decode_frames",
    "extract_i3d",
    "extract_clip",
    "build_grid_nodes",
    "build_object_nodes",
    "build_spatial_graphs",
    "build_temporal_graphs",
    "extract_union_motion",
    "convert_graphs",
    "link_knowledge",
    "caption_videos",
)
INSTEAD = ("extract_cast", "extract_maps")  # in the place of I3D's motion, and of graphs


@pytest.fixture
def calls(monkeypatch):
    """Stages that only note what they are called with and make their output; their signatures are checked."""
    noted = []

    def recorder(stage, signature):
        def run(*args, **flags):
            bound = signature.bind(*args, **flags).arguments
            noted.append((stage, bound))
            bound["out"].mkdir()

        return run

    for stage in (*STAGES, *INSTEAD):
        module = import_module(f"pipeline.stages.{stage}")
        monkeypatch.setattr(module, "run", recorder(stage, inspect.signature(module.run)))
    return noted


def shard_run(folder, experiment, **changes):
    """A run of an experiment of the default configuration, with changes of the chain."""
    chain = chain_of(validate(CONFIG).model_dump(mode="json"), experiment, PATHS)
    for path, value in changes.items():
        *above, key = path.split("__")
        entry = chain
        for name in above:
            entry = entry[name]
        entry[key] = value
    parsed = CaptioningChain.model_validate_json(json.dumps(chain))
    return GraphShardRun(parsed, Path("results"), Path("model"), Path("videos.json"), folder)


def test_a_grid_needs_neither_detector_nor_knowledge(tmp_path, calls):
    run = shard_run(tmp_path, "grid")
    assert run.captions() == tmp_path / "captions.json"
    assert [stage for stage, _ in calls] == [
        "decode_frames",
        "build_grid_nodes",
        "build_temporal_graphs",
        "extract_i3d",
        "build_spatial_graphs",
        "convert_graphs",
        "caption_videos",
    ]
    flags = dict(calls)["caption_videos"]
    assert (flags["pair_motion"], flags["knowledge"], flags["objects"], flags["maps"]) == ([], [], [], [])
    assert flags["graphs"] == [dict(calls)["convert_graphs"]["out"]]
    assert (flags["experiment"], flags["settings"]) == ("grid", run.chain.captioner.decoding)


def run_everything(folder):
    """Run an experiment that has all there is, and whose knowledge has a sampling of its own."""
    slow = CONFIG["samplings"]["action"] | {"fps": 1.0, "on_bad_video": "fail"}
    run = shard_run(
        folder,
        "grid_object_knowledge",
        graph__motion_of="union_box",
        samplings__slow=slow,
        knowledge__sampling="slow",
    )
    run.read_by_captioner()
    run.captions()


def test_every_stage_between_videos_and_captions_is_called_as_its_rule_calls_it(tmp_path, calls):
    rules = rule_texts()
    of_captions = SCHEMAS.keys() - OTHERS
    between = {name for name, text in rules.items() if output_kinds(text) & of_captions}
    assert {*STAGES, *INSTEAD} == between | {"caption_videos"}
    run_everything(tmp_path)
    called = {stage: set(bound) for stage, bound in calls}
    assert called == {stage: flags(rules[stage], stage) for stage in STAGES}


def test_motion_of_a_cast_takes_the_place_of_i3d(tmp_path, calls, monkeypatch):
    monkeypatch.setattr("pipeline.recognition.cast_motion.named_experts", lambda _: ("clip", "i3d"))
    cast = {"kind": "cast", "experiment": "actions"}
    run = shard_run(tmp_path, "grid", encoders__cast=cast, graph__motion="cast", weights__cast="actions.model")
    run.read_by_captioner()
    called = dict(calls)
    assert "extract_i3d" not in called
    assert set(called["extract_cast"]) == flags(rule_texts()["extract_cast"], "extract_cast")
    assert called["extract_cast"]["model"] == Path("results/actions.model")
    assert called["extract_cast"]["experts"] == [Path("results/clip.weights"), Path("results/i3d.weights")]
    assert called["convert_graphs"]["motion"] == called["extract_cast"]["out"]


def test_everything_and_each_artifact_once(tmp_path, calls):
    run_everything(tmp_path)
    by_stage = dict(calls)
    assert sorted(stage for stage, _ in calls) == sorted([*STAGES, "decode_frames"])  # frames of two samplings
    decoded = {flags["out"].name: flags["settings"] for stage, flags in calls if stage == "decode_frames"}
    assert {name: (settings.fps, settings.on_bad_video) for name, settings in decoded.items()} == {
        "frames-action.zarr": (4.0, "record"),
        "frames-slow.zarr": (1.0, "record"),
    }
    assert by_stage["extract_clip"]["frames"].name == "frames-slow.zarr"
    assert by_stage["extract_clip"]["weights"] == Path("results/clip.weights")
    assert by_stage["link_knowledge"]["appearance"] == by_stage["extract_clip"]["out"]
    assert by_stage["link_knowledge"]["embedding"] == Path("results/captions.e")
    assert by_stage["link_knowledge"]["triplets"] == Path("results/captions.t")
    assert by_stage["build_object_nodes"]["weights"] == Path("results/objects.weights")
    assert by_stage["build_object_nodes"]["encoder_weights"] == [Path("results/clip.weights")]
    assert by_stage["extract_union_motion"]["nodes"] == by_stage["build_grid_nodes"]["out"]
    assert by_stage["extract_union_motion"]["frames"].name == "frames-action.zarr"
    flags = by_stage["caption_videos"]
    assert flags["pair_motion"] == [by_stage["extract_union_motion"]["out"]]
    assert flags["knowledge"] == [by_stage["link_knowledge"]["out"]]
    assert flags["objects"] == [by_stage["build_object_nodes"]["out"]]


def test_objects_by_the_detectors_own_features_need_no_other_encoder(tmp_path, calls):
    run = shard_run(tmp_path, "object", nodes__object__feature="backbone", nodes__object__encoder=None)
    run.read_by_captioner()
    flags = dict(calls)["build_object_nodes"]
    assert (flags["encoder"], flags["encoder_weights"]) == (None, [])
    assert dict(calls)["convert_graphs"]["nodes"] == flags["out"]


def test_an_encoder_of_the_wrong_kind_is_named(tmp_path, calls):
    run = shard_run(tmp_path, "grid", graph__motion="clip")
    with pytest.raises(PipelineError, match="encoder clip is of kind clip4clip"):
        run.read_by_captioner()


def map_shard_run(folder, encoder):
    """A run of an experiment of maps by an encoder."""
    config = read_config([ROOT / "config.yaml", ROOT / "configs/shapes_lstm.yaml", ROOT / "configs/cast_captions.yaml"])
    raw = config.model_dump(mode="json")
    raw["encoders"]["tsm"] = {"kind": "recognizer", "experiment": "tsm"}
    raw["experiments"]["tsm"] = raw["experiments"]["shapes_cast"] | {"recognizer": "small_tsm"}
    raw["maps"]["shapes_i3d"]["encoder"] = encoder
    parsed = MapCaptioningChain.model_validate_json(json.dumps(chain_of(raw, "lstm", PATHS)))
    return MapShardRun(parsed, Path("results"), Path("model"), Path("videos.json"), folder)


@pytest.mark.parametrize(
    ("encoder", "weights", "experts"),
    [
        ("i3d_maps", "i3d_maps.weights", []),
        ("tsm", "tsm.model", []),
        ("cast_motion", "shapes_cast.model", ["clip_vit.weights", "videomae_shapes.weights"]),
    ],
)
def test_maps_take_the_place_of_graphs(tmp_path, calls, monkeypatch, encoder, weights, experts):
    monkeypatch.setattr("pipeline.recognition.trained.is_cast", lambda path: path.name == "shapes_cast.model")
    monkeypatch.setattr("pipeline.recognition.cast_motion.named_experts", lambda _: ("clip_vit", "videomae_shapes"))
    run = map_shard_run(tmp_path, encoder)
    assert sorted(run.chain.files()) == sorted([weights, *experts])
    assert run.read_by_captioner() == {"maps": [tmp_path / "maps.zarr"]}
    assert run.captions() == tmp_path / "captions.json"
    assert [stage for stage, _ in calls] == ["decode_frames", "extract_maps", "caption_videos"]
    rules = rule_texts()
    assert {stage: set(bound) for stage, bound in calls} == {stage: flags(rules[stage], stage) for stage, _ in calls}
    made = dict(calls)["extract_maps"]
    assert (made["weights"], made["experts"]) == (run.results / weights, [run.results / path for path in experts])
    assert (made["settings"], made["encoder"]) == (run.chain.maps, run.chain.encoders[encoder])
    assert dict(calls)["decode_frames"]["settings"].on_bad_video == "record"
    said = dict(calls)["caption_videos"]
    assert (said["graphs"], said["pair_motion"], said["knowledge"], said["objects"]) == ([], [], [], [])
    assert (said["maps"], said["experiment"], said["settings"]) == ([made["out"]], "lstm", run.chain.captioner.decoding)


def test_a_cast_over_experts_that_the_settings_lack_is_refused(tmp_path, calls, monkeypatch):
    monkeypatch.setattr("pipeline.recognition.trained.is_cast", lambda _: True)
    monkeypatch.setattr("pipeline.recognition.cast_motion.named_experts", lambda _: ("clip_vit", "other"))
    with pytest.raises(PipelineError, match="trained over encoder other, which the settings of lstm do not name"):
        map_shard_run(tmp_path, "cast_motion").maps()
