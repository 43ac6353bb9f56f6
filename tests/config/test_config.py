import copy
import re
from pathlib import Path

import pytest
import yaml
from toys.sync_mnist import PUBLISHED

from pipeline.config import Config, EncoderSettings, I3dSettings, Settings, parse_settings, validate
from pipeline.config.mistakes import UNCAPTIONED
from pipeline.datasets import readers
from pipeline.errors import PipelineError

TEXT = (Path(__file__).parents[2] / "config.yaml").read_text()


@pytest.fixture
def raw():
    return copy.deepcopy(yaml.safe_load(TEXT))


def mistakes(raw):
    with pytest.raises(PipelineError) as caught:
        validate(raw)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix("config: ").split("; ")


def test_the_shipped_config_is_valid_and_frozen(raw):
    config = validate(raw)
    assert isinstance(config, Config)
    with pytest.raises(ValueError, match="frozen"):
        config.nodes["grid"].cells = 2


def test_there_are_no_defaults():
    models = [Settings]
    for model in models:
        models += model.__subclasses__()
        assert [name for name, field in model.model_fields.items() if not field.is_required()] == [], model.__name__
    assert len(models) > 15


def test_all_mistakes_are_reported_at_once(raw):
    raw["nodes"]["grid"]["overlp"] = raw["nodes"]["grid"].pop("overlap")
    raw["graphs"]["grid"]["nodes"] = "grdi"
    raw["datasets"]["shapes"]["shards"] = "two"
    raw["samplings"]["action"]["fps"] = 0.0
    del raw["report"]
    assert sorted(mistakes(raw)) == [
        '`datasets.shapes.shards`: Input should be a valid integer (is "two")',
        "`graphs.grid.nodes: grdi`: no such entry in `nodes`: did you mean `grid`?",
        "`nodes.grid.overlap`: missing, there are no defaults: copy it from config.yaml",
        "`nodes.grid.overlp`: there is no such key: did you mean `overlap`?",
        "`report`: missing, there are no defaults: copy it from config.yaml",
        "`samplings.action.fps`: Input should be greater than 0 (is 0.0)",
    ]


@pytest.mark.parametrize(
    ("place", "key", "suggested"),
    [
        ((), "experiment", ": did you mean `experiments`?"),
        (("report",), "experiment", ": did you mean `experiments`?"),
        (
            ("experiments", "grid"),
            "experiment",
            ": there is captioner, dataset, graph, kind, ",
        ),
        (("nodes", "grid"), "detect", ": there is cells, encoder, kind, overlap, sampling"),
        (("nodes", "object"), "detect", ": did you mean `detector`?"),
        (("graphs", "grid", "similarity"), "topk", ": did you mean `top_k`?"),
        (("encoders", "clip", "finetune"), "epoch", ": did you mean `epochs`?"),
        (("samplings", "action"), "epochs", ": there is "),
        (("datasets", "shapes"), "sed", ": did you mean `seed`?"),
    ],
)
def test_suggestions_are_keys_of_the_level_in_question(raw, place, key, suggested):
    """Of any level, somebody who wrote `experiment` was told to write `experiment`."""
    level = raw
    for part in place:
        level = level[part]
    level[key] = 1
    [message] = [message for message in mistakes(raw) if "there is no such key" in message]
    assert message.startswith(f"`{'.'.join([*place, key])}`: there is no such key{suggested}")


def test_a_detector_learns_from_generated_boxes_alone(raw):
    folder = {"kind": "folder", "shards": 1, "videos": "home", "captions": None}
    raw["datasets"]["home"] = folder | {"splits": {"train": 0.8, "val": 0.1, "test": 0.1}}
    raw["encoders"]["clip"]["finetune"]["dataset"] = "home"
    validate(raw)
    raw["encoders"]["objects"]["finetune"]["dataset"] = "home"
    assert mistakes(raw) == ["`encoders.objects.finetune.dataset: home`: must be of kind shapes: shapes"]
    raw["encoders"]["objects"]["finetune"]["dataset"] = "shaeps"
    assert mistakes(raw) == [
        "`encoders.objects.finetune.dataset: shaeps`: no such entry in `datasets`: did you mean `shapes`?"
    ]


def test_references_must_be_of_the_right_kind(raw):
    raw["nodes"]["grid"]["encoder"] = "i3d"
    raw["graphs"]["grid"]["motion"] = "clip"
    raw["maps"]["seen"] = {"sampling": "action", "encoder": "clip", "align_size": [4, 2, 2], "bits": 10}
    assert mistakes(raw) == [
        "`nodes.grid.encoder: i3d`: must be of kind clip4clip: clip",
        "`graphs.grid.motion: clip`: must be of kind i3d or cast: i3d",
        "`maps.seen.encoder: clip`: must be of kind i3d or cast or recognizer: i3d",
    ]


def test_motion_of_cast_is_that_of_an_experiment_that_trains_one(raw):
    raw["encoders"]["cast_motion"] = {"kind": "cast", "experiment": "actions"}
    raw["graphs"]["grid"]["motion"] = "cast_motion"
    of_actions = {"kind": "recognition", "dataset": "shapes", "clipping": "every_frame", "recognizer": "small_tsm"}
    raw["experiments"]["actions"] = of_actions | {"part": None, "seeds": [1]}
    raw["graphs"]["grid"]["motion_of"] = "union_box"
    found = mistakes(raw)
    assert found[:2] == [
        "`encoders.cast_motion.experiment: actions`: its recognizer is of kind convolutional: name an experiment that "
        "trains one of kind cast",
        "`graphs.grid.motion_of: union_box`: motion of boxes is I3D's, and encoder cast_motion is of kind cast: write "
        "frame",
    ]
    raw["encoders"]["cast_motion"]["experiment"] = "grid"
    raw["graphs"]["grid"]["motion_of"] = "frame"
    assert mistakes(raw) == ["`encoders.cast_motion.experiment: grid`: must be of kind recognition: actions"]


def test_captions_are_of_data_sets_that_have_some(raw):
    raw["datasets"]["digits"] = copy.deepcopy(PUBLISHED)
    raw["experiments"]["grid"]["dataset"] = "digits"
    raw["predictions"] = {"home": {"experiment": "grid", "dataset": "digits"}}
    assert mistakes(raw) == [
        "`experiments.grid.dataset: digits`: a data set of kind sync_mnist has labels and no captions: name another, "
        "or write `kind: recognition`",
        "`predictions.home.dataset: digits`: a data set of kind sync_mnist has no videos, which a captioner needs: "
        "name another",
    ]
    assert {*readers.LABELLED} - {"shapes"} == {*UNCAPTIONED}


def test_a_name_cannot_leave_its_folder(raw):
    raw["nodes"]["../grid"] = raw["nodes"]["grid"]
    (mistake,) = mistakes(raw)
    assert mistake.startswith("`nodes.../grid`: a name may hold letters")


@pytest.mark.parametrize(
    ("section", "change", "message"),
    [
        (("nodes", "grid"), {"overlap": 1.0}, "`nodes.grid.overlap`: Input should be less than 1"),
        (("encoders", "i3d"), {"calibrate_on": None}, "`weights: random` needs `calibrate_on: <data set>`"),
        (("encoders", "i3d"), {"kind": "i3e"}, "`encoders.i3d.kind`"),
        (("captioners", "bidirectional", "model"), {"graph_heads": 5}, r"must be a multiple of `graph_heads` \(5\)"),
        (("datasets", "shapes"), {"aspects": ["wide"]}, "datasets.shapes.aspects.0"),
        (
            ("captioners", "bidirectional", "model"),
            {"pool": "all"},
            r"`captioners.bidirectional.model.pool`: Input should be 'present' or 'padded' \(is \"all\"\)",
        ),
    ],
)
def test_values_are_checked(raw, section, change, message):
    place = raw
    for key in section:
        place = place[key]
    place.update(change)
    assert re.search(message, "; ".join(mistakes(raw)))


def test_the_report_names_experiments_that_there_are(raw):
    raw["report"]["experiments"] = ["grid", "grd"]
    assert mistakes(raw) == ["`report.experiments: grd`: no such entry in `experiments`: did you mean `grid`?"]


def test_published_figures_of_a_data_set_that_is_not_there(raw):
    row = {"dataset": "shape", "system": "TSM", "top1": 45.6, "top5": None, "source": "paper"}
    raw["report"]["published"] = [row]
    assert mistakes(raw) == ["`report.published: shape`: no such entry in `datasets`: did you mean `shapes`?"]


def test_settings_that_need_one_another(raw):
    raw["nodes"]["object"]["encoder"] = None
    raw["knowledge"]["captions"]["triplets"]["source"] = "openie"
    raw["captioners"]["bidirectional"]["decoding"]["min_words"] = 21
    found = "; ".join(mistakes(raw))
    assert "`feature: clip` needs an `encoder`" in found
    assert "`source: openie` needs an `openie_file`" in found
    assert "`min_words` (21) must not be more than `max_words` (20)" in found


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"url": "ftp://host/i3d.pt", "sha256": "0" * 64}, r"`encoders.i3d.weights.url`: String should match .*ftp:"),
        ({"url": "https://host/i3d.pt", "sha256": "ABC"}, r'`encoders.i3d.weights.sha256`: String should .*"ABC"'),
        ({"url": "https://host/i3d.pt"}, r"`encoders.i3d.weights.sha256`: missing"),
        ({"url": "https://host/i3d.pt", "sha256": "0" * 64, "md5": "0"}, r"`encoders.i3d.weights.md5`: there is no"),
        (3, r"`encoders.i3d.weights`: Input should be a valid string \(is 3\)"),
    ],
)
def test_weights_are_a_word_or_an_address_with_its_digest(raw, weights, message):
    raw["encoders"]["i3d"]["weights"] = {"url": "https://host/i3d.pt", "sha256": "0" * 64}
    assert validate(raw).encoders["i3d"].weights.sha256 == "0" * 64
    raw["encoders"]["i3d"]["weights"] = weights
    found = mistakes(raw)
    assert len(found) == 1
    assert re.search(message, found[0])


def test_folder_data_sets_are_valid(raw):
    splits = {"train": 0.8, "val": 0.1, "test": 0.1}
    raw["datasets"]["mine"] = {"kind": "folder", "shards": 1, "videos": "data/mine", "captions": None, "splits": splits}
    assert validate(raw).datasets["mine"].videos == Path("data/mine")
    raw["datasets"]["mine"]["splits"] = {"train": 0.8, "val": 0.1, "test": 0.2}
    assert "must sum to 1" in mistakes(raw)[0]


def test_settings_travel_as_json(raw):
    encoder = validate(raw).encoders["i3d"]
    assert parse_settings(EncoderSettings, encoder.model_dump_json()) == encoder
    with pytest.raises(PipelineError, match=r"settings: .*size"):
        parse_settings(I3dSettings, encoder.model_dump_json().replace('"size":', '"side":'))


def test_every_setting_is_explained():
    """A field's line, or that of an entry of the same name before it, ends in a comment, or its section's does."""
    silent = []
    seen = set()
    for line in TEXT.splitlines():
        match = re.match(r"^( {4,})(\w+):(.*)$", line)
        if not match:
            continue
        _, key, rest = match.groups()
        if key not in seen and "#" not in rest and key not in SELF_EXPLANATORY:
            silent.append(key)
        seen.add(key)
    assert silent == []


# Keys whose names say it all, or that repeat a section's name.
SELF_EXPLANATORY = {
    "arch", "embed_dim", "vision", "text", "kind", "clips", "colours", "shapes", "actions", "seed", "epochs", "lr",
    "batch_size", "weight_decay", "model", "training", "decoding", "graph_heads", "clip_norm", "label_smoothing",
    "dropout", "beam", "max_words", "nodes", "motion", "graph", "captioner", "vocabulary", "sampling", "encoder",
    "calibration_clips", "dataset", "triplets", "embedding", "linking",
}  # fmt: skip
