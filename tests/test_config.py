import copy
import re
from pathlib import Path

import pytest
import yaml

from pipeline.config import Config, EncoderSettings, I3dSettings, Settings, parse_settings, validate
from pipeline.errors import PipelineError

TEXT = (Path(__file__).parents[1] / "config.yaml").read_text()


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


def test_references_must_be_of_the_right_kind(raw):
    raw["nodes"]["grid"]["encoder"] = "i3d"
    raw["graphs"]["grid"]["motion"] = "clip"
    assert mistakes(raw) == [
        "`nodes.grid.encoder: i3d`: must be of kind clip4clip: clip",
        "`graphs.grid.motion: clip`: must be of kind i3d: i3d",
    ]


def test_a_name_cannot_leave_its_folder(raw):
    raw["nodes"]["../grid"] = raw["nodes"]["grid"]
    (mistake,) = mistakes(raw)
    assert mistake.startswith("`nodes.../grid`: a name may hold letters")


@pytest.mark.parametrize(
    ("section", "change", "message"),
    [
        (("nodes", "grid"), {"overlap": 1.0}, "`nodes.grid.overlap`: Input should be less than 1"),
        (("encoders", "i3d"), {"calibrate_on": None}, "`weights: random` needs `calibrate_on: <data set>`"),
        (("encoders", "i3d"), {"kind": "i3e"}, "`encoders.i3d`"),
        (("captioners", "bidirectional", "model"), {"graph_heads": 5}, r"must be a multiple of `graph_heads` \(5\)"),
        (("datasets", "shapes"), {"aspects": ["wide"]}, "datasets.shapes.aspects.0"),
    ],
)
def test_values_are_checked(raw, section, change, message):
    place = raw
    for key in section:
        place = place[key]
    place.update(change)
    assert re.search(message, "; ".join(mistakes(raw)))


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
    "calibration_clips", "dataset",
}  # fmt: skip
