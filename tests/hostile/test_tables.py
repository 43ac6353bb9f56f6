"""JSON artifacts that were edited, or come from a stranger: paths that lead elsewhere, ids and sizes that are none."""

import copy
import json
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.__main__ import main
from pipeline.artifact import ArtifactError, read_json, write_json
from pipeline.commands.caption import read_experiment
from pipeline.config import validate
from pipeline.errors import PipelineError
from pipeline.stages import write_gallery
from pipeline.workflow.experiment_chain import chain_of

ROOT = Path(__file__).parents[2]
MADE = {"id": "s1", "file": "s1.mp4", "size": 3, "sha256": "12ab", "split": "train", "captions": ["c"]}
TOLD = {"path": "a.mp4", "caption": "a dog", "score": -1.0, "right_to_left": "a dog"}
# What a stage writes, by the stage.
CONTENTS = {
    "index_videos": {"root": "videos", "videos": [{"id": "a b/c.mp4", "path": "a b/c.mp4", "size": 3, "stop": 2.5}]},
    "make_shapes": {"videos": [MADE]},
    "index_captions": {"captions": {"a": ["a dog"]}, "splits": {"train": ["a"]}},
    "index_labels": {
        "heads": {"class": ["jump", "run"]},
        "labels": {"a": [1]},
        "splits": {"train": ["a"], "val": [], "test": []},
        "missing": [],
        "annotated": {"train": 1},
        "notes": [],
        "flips": {"class": [0, 1]},
        "groups": {"a": "g"},
    },
    "generate_captions": {"captions": {"a": "a dog"}, "missing": ["b"]},
    "caption_videos": {"experiment": "grid", "videos": {"a": TOLD}, "missing": {"b": "why"}},
}
NO_PATHS = ["/etc/passwd", "..", "../../x", "a/../../x", "", ".", "a\0b", "a\nb", "\x1b[2J", 5, None, ["x"], True]
NO_NAMES = ["", "a\nb", "\x1b[2J", "a\u2028b", "\ud800", 5, None, ["x"], {"x": 1}]
NO_SIZES = [-1, 1.5, "3", None, True, [], float("nan"), float("inf")]
NO_SECONDS = [-1, "3", None, True, [], float("nan"), float("inf")]
HOSTILE = [
    *(("index_videos", ["videos", 0, "path"], value) for value in NO_PATHS),
    *(("index_videos", ["videos", 0, "id"], value) for value in NO_NAMES),
    *(("index_videos", ["videos", 0, "size"], value) for value in NO_SIZES),
    *(("index_videos", ["videos", 0, "stop"], value) for value in [*NO_SECONDS, 0]),
    *(("index_videos", ["videos", 0, "start"], value) for value in [*NO_SECONDS, 2.5, 9]),
    *(("index_videos", ["videos"], value) for value in ({}, "ab", 5, None, [5], ["a"], [{}], [[]])),
    *(("index_videos", ["root"], value) for value in (5, None, [], "a\0b", "")),
    *(("make_shapes", ["videos", 0, "file"], value) for value in [*NO_PATHS, "a/b.mp4"]),
    *(("make_shapes", ["videos"], value) for value in ("ab", None, {"a": 5}, {"a\n": {}})),
    *(("make_shapes", ["videos", 0, "size"], value) for value in NO_SIZES),
    *(("make_shapes", ["videos", 0, "captions"], value) for value in ("ab", None, [5])),
    *(("index_captions", ["captions"], value) for value in ([], {"a": "dog"}, {"a": [5]}, {"a\n": ["x"]})),
    *(("index_captions", ["splits"], value) for value in ([], {"train": "ab"}, {"train": [5]}, {"train": 5})),
    *(("index_labels", ["heads"], value) for value in ([], {}, {"class": ["one"]}, {"a\n": ["x", "y"]})),
    *(("index_labels", ["labels"], value) for value in ([], {"a": 1}, {"a": [-1]}, {"a": ["run"]}, {"a\n": [1]})),
    *(("index_labels", ["splits"], value) for value in ([], {"train": "ab"}, {"train": [5]})),
    *(("index_labels", ["flips"], value) for value in ([], {"class": 1}, {"class": [0, True]})),
    *(("generate_captions", ["captions"], value) for value in ([], {"a": 5}, {"a": ["dog"]}, {"a\n": "dog"})),
    *(("caption_videos", ["videos", "a"], value) for value in ({}, [], "x", None)),
    *(("caption_videos", ["videos", "a", "score"], value) for value in ("1", None, [])),
    *(("caption_videos", ["videos", "a", "samples"], value) for value in ("ab", [5], None)),
    *(("caption_videos", ["missing"], value) for value in ([], {"a": 5}, "ab")),
]


def put(content, path, value):
    """A copy of some JSON with another value in one place."""
    content = copy.deepcopy(content)
    inner = content
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return content


@pytest.mark.parametrize("stage", CONTENTS)
def test_what_stages_write_is_read(tmp_path, stage):
    write_json(tmp_path / "t.json", CONTENTS[stage])
    assert read_json(tmp_path / "t.json", list(CONTENTS[stage]), stage) == CONTENTS[stage]


@pytest.mark.parametrize(("stage", "path", "value"), HOSTILE, ids=str)
def test_what_no_stage_writes_is_refused_in_a_line(tmp_path, stage, path, value):
    (tmp_path / "t.json").write_text(json.dumps(put(CONTENTS[stage], path, value)), encoding="utf-8")
    with pytest.raises(ArtifactError, match=rf"t\.json holds what no stage writes: `{path[0]}") as raised:
        read_json(tmp_path / "t.json", [], stage)
    assert f"delete it and run {stage} again" in str(raised.value)
    assert str(raised.value).isprintable()


def test_one_id_twice(tmp_path):
    table = CONTENTS["index_videos"]
    write_json(tmp_path / "t.json", table | {"videos": table["videos"] * 2})
    with pytest.raises(ArtifactError, match="one id is there twice"):
        read_json(tmp_path / "t.json", [], "index_videos")


def test_a_thousand_mistakes_are_told_in_short(tmp_path):
    write_json(tmp_path / "t.json", {"videos": [{"id": "x" * 10_000, "path": "..", "size": -1}] * 1000})
    with pytest.raises(ArtifactError, match="and 1997 more") as raised:
        read_json(tmp_path / "t.json", [], "index_videos")
    assert len(str(raised.value)) < 1000


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(value, above=()):
    """Every place of some JSON but its top."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else []
    for key, inner in inside:
        yield (*above, key)
        yield from places(inner, (*above, key))


@pytest.mark.parametrize("stage", CONTENTS)
def test_fuzz_of_tables(tmp_path, stage):
    @given(st.sampled_from(list(places(CONTENTS[stage]))), VALUES)
    @settings(max_examples=60, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def change_and_read(place, value):
        (tmp_path / "t.json").write_text(json.dumps(put(CONTENTS[stage], place, value)), encoding="utf-8")
        said = ""
        try:
            read_json(tmp_path / "t.json", [], stage)
        except ArtifactError as error:
            said = str(error)
        assert said.isprintable()
        assert len(said) < 2000

    change_and_read()


@pytest.mark.parametrize("path", ["../../secret.mp4", "/etc/passwd"])
def test_a_stage_decodes_nothing_outside_the_data_set(tmp_path, capsys, path):
    table = put(CONTENTS["index_videos"], ["videos", 0, "path"], path)
    write_json(tmp_path / "videos.json", table)
    sampling = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))["samplings"]["action"]
    flags = ["--videos", str(tmp_path / "videos.json"), "--out", str(tmp_path / "f.zarr"), "--threads", "1"]
    assert main(["decode_frames", *flags, "--settings", json.dumps(sampling)]) == 2
    said = capsys.readouterr().err
    assert "is no path below its folder" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "f.zarr").exists()


def test_a_prediction_of_videos_that_no_table_has(tmp_path):
    write_json(tmp_path / "videos.json", CONTENTS["index_videos"])
    write_json(tmp_path / "captions.json", CONTENTS["caption_videos"])
    with pytest.raises(PipelineError, match=r"captions\.json: video a is in none of the video tables"):
        write_gallery.run(
            captions=tmp_path / "captions.json",
            videos=[tmp_path / "videos.json"],
            out=tmp_path / "index.html",
            **dict.fromkeys(("graphs", "tested", "trained_graphs", "references"), ()),
        )


@pytest.fixture(scope="module")
def chain():
    """What an experiment with all there is stands on."""
    config = validate(yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))).model_dump(mode="json")
    paths = {"weights": "results/encoders/{encoder}/weights.safetensors", "embedding": "results/e", "triplets": "r/t"}
    return chain_of(config, "grid_object_knowledge", paths)


OUT = ["/etc/passwd", "../../x", "a/../../../x", "", ".", "a\0b"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *((["weights", "i3d"], value) for value in OUT),
        *((["embedding"], value) for value in OUT),
        *((["triplets"], value) for value in OUT),
        *((["name"], value) for value in ("../x", "a b", "", "-x")),
        *((["samplings", value], {}) for value in ("../x", "/x", "a b")),
        *((["nodes", value], {}) for value in ("../x", "/x")),
        (["graph", "nodes"], "nobody"),
        (["graph", "motion"], "nobody"),
        (["nodes", "grid", "sampling"], "nobody"),
        (["nodes", "grid", "encoder"], "nobody"),
        (["nodes", "object", "detector"], "nobody"),
        (["experiment", "objects"], "nobody"),
        (["knowledge", "encoder"], "nobody"),
        (["weights"], {}),
        (["encoders"], []),
    ],
    ids=str,
)
def test_settings_of_a_stranger_stay_in_the_results(tmp_path, chain, path, value):
    folder = tmp_path / "results/experiments/mine"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").touch()
    content = put(chain, path, value)
    if path[0] in ("samplings", "nodes") and len(path) == 2:
        content[path[0]][path[1]] = next(iter(chain[path[0]].values()))
    write_json(folder / "settings.json", content)
    with pytest.raises(PipelineError, match=r"settings\.json: .*run describe_experiment again") as raised:
        read_experiment(folder)
    assert str(raised.value).isprintable()
