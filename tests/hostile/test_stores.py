"""Stores, weights and JSON that lie about what they hold: refused in a line, and no memory is asked for."""

import json
import resource

import google_crc32c
import numpy as np
import pytest
import torch
from numcodecs.zstd import Zstd
from safetensors.torch import save_file
from toys.captioner import MODEL, MOTION_DIM, NODE_DIM, captioner
from toys.stores import THINGS

from pipeline.artifact import ArtifactError, create, read, read_json
from pipeline.captioning.model_file import describe_model, load_captioner
from pipeline.errors import PipelineError
from pipeline.models.i3d import load_i3d
from pipeline.vocabulary import Vocabulary
from pipeline.weights.saving import save_weights

WORDS = Vocabulary(("<pad>", "<bos>", "<eos>", "<unk>", *"abcdefgh"), max_words=6)


@pytest.fixture
def store(tmp_path):
    with create(tmp_path / "a.zarr", THINGS, ids=["one", "two"], stage=THINGS.stage, settings={}, inputs={}) as writer:
        for number, video_id in enumerate(writer.remaining):
            writer.append(video_id, x=np.full((number + 2, 3), float(number)), fps=np.array([25.0]))
    return tmp_path / "a.zarr"


def read_all(store):
    found = read(store, THINGS)
    return [found.video(video_id) for video_id in found.ids]


def change(file, path, value):
    content = json.loads(file.read_text())
    inner = content
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    file.write_text(json.dumps(content))


HUGE = [10**6, 10**12, 2**62, -1, "3", None, [], 1.5, True]
SHARD = ["chunk_grid", "configuration", "chunk_shape"]
CODECS = ["codecs", 0, "configuration"]


@pytest.mark.parametrize(
    "place",
    [
        ["shape", 0],
        ["shape", 1],
        [*SHARD, 0],
        [*CODECS, "chunk_shape", 0],
        ["shape"],
        ["data_type"],
        ["codecs"],
        ["fill_value"],
        ["zarr_format"],
        ["attributes"],
        [*CODECS, "codecs"],
    ],
    ids=lambda place: ".".join(map(str, place)),
)
@pytest.mark.parametrize("name", ["x", "row_ptr", "fps"])
def test_an_array_that_lies_about_its_shape(store, name, place):
    whole = (store / name / "zarr.json").read_text()
    for value in HUGE if name == "x" or place != ["shape", 1] else []:
        (store / name / "zarr.json").write_text(whole)
        change(store / name / "zarr.json", place, value)
        said, rows = "", [[[0] * 3] * 2, [[1] * 3] * 3]
        try:
            rows = [row["x"].tolist() for row in read_all(store)]
        except ArtifactError as error:
            said = str(error)
        # what is not looked at may say anything
        assert (said == "" and rows == [[[0] * 3] * 2, [[1] * 3] * 3]) or "build_vocabulary" in said
        assert said.isprintable()


def test_all_shapes_together_claim_more_than_the_machine_has(store):
    for place, value in ((["shape", 0], 10**13), ([*SHARD, 0], 10**13)):
        change(store / "x/zarr.json", place, value)
    with pytest.raises(ArtifactError, match=r"cut off|not laid out|rise from 0"):
        read_all(store)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ids", "ab"), ("ids", {"one": 1}), ("ids", ["one", "one"]), ("ids", [["one"], ["two"]]), ("ids", [1, 2]),
        ("ids", ["one"]), ("ids", ["one", "two", "three"]), ("ids", None), ("failed", []), ("failed", {"a": 1}),
        ("digest", None), ("schema", None), ("version", "1; x"), ("version", [1]), ("ids", 10**9),
    ],
)  # fmt: skip
def test_a_root_with_hostile_attributes(store, key, value):
    change(store / "zarr.json", ["attributes", key], value)
    with pytest.raises(ArtifactError, match="build_vocabulary"):
        read_all(store)


@pytest.mark.parametrize(
    "text", ["", "[", "[]", "5", "null", '"x"', "{}", "[" * 100_000, '{"zarr_format": 3}', '{"a": 1e999}']
)
@pytest.mark.parametrize("file", ["zarr.json", "x/zarr.json", "row_ptr/zarr.json"])
def test_a_root_that_is_no_root(store, file, text):
    (store / file).write_text(text)
    with pytest.raises(ArtifactError, match="build_vocabulary"):
        read_all(store)


def put_rows(store, name, values, size=None, place=None):
    """Write a chunk with right checksums, whatever it holds: the index says `place` (offset, bytes), if given."""
    body = Zstd(3).encode(np.ascontiguousarray(values).tobytes())
    if size is not None:  # the frame header of Zstandard says how many bytes come out: RFC 8878, 3.1.1.1
        body = b"\x28\xb5\x2f\xfd\xe0" + size.to_bytes(8, "little") + body[-8:]
    chunk = body + google_crc32c.value(body).to_bytes(4, "little")
    index = np.array([place or (0, len(chunk))], "<u8").tobytes()
    file = next((store / name / "c").rglob("0")) if name != "x" else store / "x/c/0/0"
    old = file.read_bytes()
    num_chunks = json.loads((store / name / "zarr.json").read_text())
    outer = num_chunks["chunk_grid"]["configuration"]["chunk_shape"][0]
    inner = num_chunks["codecs"][0]["configuration"]["chunk_shape"][0]
    index += b"\xff" * 16 * (outer // inner - 1)
    file.write_bytes(chunk + index + google_crc32c.value(index).to_bytes(4, "little"))
    assert file.read_bytes() != old


def rows_of_chunk(store, name):
    content = json.loads((store / name / "zarr.json").read_text())
    return content["codecs"][0]["configuration"]["chunk_shape"][0]


@pytest.mark.parametrize("bounds", [[0, -5, 5], [0, 10**12, 5], [-2, 2, 5], [0, 2, 4], [0, 2, 2**62], [5, 2, 0]])
def test_bounds_that_point_elsewhere(store, bounds):
    values = np.zeros(rows_of_chunk(store, "row_ptr"), np.int64)
    values[:3] = bounds
    put_rows(store, "row_ptr", values)
    with pytest.raises(ArtifactError, match="`row_ptr` does not rise from 0 to the number of rows"):
        read_all(store)


@pytest.mark.parametrize("size", [0, 1, 10**6, 2**40, 2**63])
def test_a_chunk_whose_header_asks_for_all_memory(store, size):
    put_rows(store, "x", np.zeros((rows_of_chunk(store, "x"), 3), np.float32), size=size)
    with pytest.raises(ArtifactError, match="array `x` is damaged"):
        read_all(store)


@pytest.mark.parametrize("place", [(0, 2**62), (2**63, 8), (2**64 - 1, 2**64 - 1), (10**6, 4)])
def test_an_index_that_points_out_of_its_file(store, place):
    put_rows(store, "x", np.zeros((rows_of_chunk(store, "x"), 3), np.float32), place=place)
    with pytest.raises(ArtifactError, match="array `x` is damaged"):
        read_all(store)


def header(length, content):
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text


LIES = {
    "length": header(2**62, {}),
    "length beyond the file": header(10**6, {}),
    "offsets": header(None, {"x": {"dtype": "F32", "shape": [4], "data_offsets": [0, 2**60]}}),
    "turned offsets": header(None, {"x": {"dtype": "F32", "shape": [4], "data_offsets": [16, 0]}}) + b"0" * 16,
    "negative": header(None, {"x": {"dtype": "F32", "shape": [4], "data_offsets": [-16, 0]}}) + b"0" * 16,
    "shape": header(None, {"x": {"dtype": "F32", "shape": [2**62, 2**62], "data_offsets": [0, 16]}}) + b"0" * 16,
    "type": header(None, {"x": {"dtype": "PICKLE", "shape": [4], "data_offsets": [0, 16]}}) + b"0" * 16,
    "overlap": header(
        None, {name: {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]} for name in "xy"}
    ) + b"0" * 16,
    "no JSON": header(None, b"{" * 100),
    "deep": header(None, b'{"a":' * 100_000),
    "nothing": b"",
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("load", [load_i3d, load_captioner])
def test_safetensors_with_a_lying_header(tmp_path, load, lie):
    (tmp_path / "w.safetensors").write_bytes(LIES[lie])
    with pytest.raises(PipelineError, match=r"w\.safetensors") as raised:
        load(tmp_path / "w.safetensors")
    assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["words"], None), (["words"], 5), (["kind"], None), (["model"], []), (["model"], None),
        (["node_dim"], 2**40), (["node_dim"], "x"), (["node_dim"], -1), (["places"], 10**15), (["motion_dim"], None),
        (["model", "width"], 2**40), (["model", "decoder_layers"], 10**9), (["model", "decoder_feedforward"], 2**50),
        (["model", "graph_width"], 0), (["model", "visual_layers"], "x"), (["object_dim"], 2**31),
    ],
)  # fmt: skip
def test_a_captioner_that_describes_another(tmp_path, path, value):
    description = json.loads(describe_model(MODEL, WORDS, NODE_DIM, MOTION_DIM)["description"])
    inner = description
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    file = tmp_path / "model.safetensors"
    save_weights(captioner().state_dict(), file, {"description": json.dumps(description)})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(PipelineError, match="train_captioner again") as raised:
        load_captioner(file)
    assert str(raised.value).isprintable()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB


@pytest.mark.parametrize("text", ["[", "[]", "5", '"x"', "[" * 100_000, "\ud800"])
def test_a_captioner_with_no_description(tmp_path, text):
    save_file(
        {"x": torch.zeros(1)},
        tmp_path / "m.safetensors",
        metadata={"description": text.encode("utf-8", "replace").decode()},
    )
    with pytest.raises(PipelineError, match="holds no bidirectional captioner"):
        load_captioner(tmp_path / "m.safetensors")


@pytest.mark.parametrize("content", [b"", b"[" * 100_000, b"\xff", b"[]", b"5", b'{"a": 1}', b'"videos"', b"9" * 5000])
def test_json_that_is_no_artifact(tmp_path, content):
    (tmp_path / "t.json").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"t\.json .*index_videos"):
        read_json(tmp_path / "t.json", ["videos", "root"], "index_videos")
