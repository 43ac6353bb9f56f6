import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import zarr
from toys.stores import NODE_THINGS

from pipeline.artifact import ArtifactError, create, file_digest, read, read_json, write_json
from pipeline.artifact.chunks import ChunkReader, _create_array, write_rows

IDS = ["one", "two", "bad", "none"]


def start(path, ids=IDS, **changes):
    made_by = {"stage": "build_vocabulary", "settings": {"a": 1}, "inputs": {}, **changes}
    return create(path, NODE_THINGS, ids=ids, **made_by)


def rows(video_id):
    num = {"one": 1, "two": 2, "none": 0}[video_id]
    return {"x": np.full((num, 3), num / 2), "node_frame": np.arange(num), "fps": np.array([25.0])}


def write(path, **changes):
    with start(path, **changes) as writer:
        for video_id in writer.remaining:
            if video_id == "bad":
                writer.fail(video_id, "empty file")
            else:
                writer.append(video_id, **rows(video_id))


def test_what_is_written_is_read(tmp_path):
    write(tmp_path / "a.zarr")
    store = read(tmp_path / "a.zarr" / "zarr.json", NODE_THINGS)
    assert store.ids == ["one", "two", "none"]
    assert store.failed == {"bad": "empty file"}
    assert store.ptr("node").tolist() == [0, 1, 3, 3]
    assert store.array("x").tolist() == [[0.5] * 3, [1] * 3, [1] * 3]
    assert store.video("two")["node_frame"].tolist() == [0, 1]
    assert store.video("none")["x"].shape == (0, 3)
    assert store.video("one", ["fps"]) == {"fps": np.float32(25)}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zarr"]


def test_equal_data_gives_an_equal_root_however_it_was_made(tmp_path):
    write(tmp_path / "a.zarr")
    write(tmp_path / "b.zarr", settings={"a": 2})
    assert (tmp_path / "a.zarr/zarr.json").read_bytes() == (tmp_path / "b.zarr/zarr.json").read_bytes()
    provenance = json.loads((tmp_path / "b.zarr/provenance/zarr.json").read_text())["attributes"]
    assert provenance["settings"] == {"a": 2}
    assert str(tmp_path) not in json.dumps(provenance)


def test_every_array_knows_its_dimensions_and_checks_its_chunks(tmp_path):
    write(tmp_path / "a.zarr")
    meta = json.loads((tmp_path / "a.zarr/x/zarr.json").read_text())
    assert meta["dimension_names"] == ["node", "feature"]
    sharding = meta["codecs"][0]
    assert sharding["name"] == "sharding_indexed"
    assert [codec["name"] for codec in sharding["configuration"]["codecs"]] == ["bytes", "zstd", "crc32c"]


def test_a_killed_job_continues_after_the_last_committed_video(tmp_path):
    write(tmp_path / "whole.zarr")
    with pytest.raises(KeyboardInterrupt), start(tmp_path / "a.zarr") as writer:
        writer.append("one", **rows("one"))
        writer.append("two", **rows("two"))
        raise KeyboardInterrupt
    assert not (tmp_path / "a.zarr").exists()
    partial = tmp_path / ".a.zarr.partial"
    with (partial / "x.rows").open("ab") as file:  # rows of a video that was being written
        file.write(b"torn")
    with (partial / "journal.jsonl").open("a") as file:
        file.write('{"id": "ba')
    with start(tmp_path / "a.zarr") as writer:
        assert writer.remaining == ["bad", "none"]
        writer.fail("bad", "empty file")
        writer.append("none", **rows("none"))
    assert (tmp_path / "a.zarr/zarr.json").read_bytes() == (tmp_path / "whole.zarr/zarr.json").read_bytes()


def test_a_job_killed_by_the_system_continues(tmp_path):
    begin = (
        "import os, signal, sys; from pathlib import Path; sys.path.insert(0, sys.argv[2]); import test_artifact as t\n"
    )
    begin += "with t.start(Path(sys.argv[1])) as w:\n"
    kill = "    w.append('one', **t.rows('one')); os.kill(os.getpid(), signal.SIGKILL)"
    go_on = "    print(*w.remaining, flush=True); os._exit(0)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    def call(script):
        command = [sys.executable, "-c", begin + script, tmp_path / "a.zarr", Path(__file__).parent]
        return subprocess.run(command, check=False, env=environment, capture_output=True, text=True)

    assert call(kill).returncode == -9
    assert call(go_on).stdout == "two bad none\n"


@pytest.mark.parametrize("change", [{"settings": {"a": 2}}, {"ids": ["two", "one"]}])
def test_a_partial_store_of_other_settings_or_videos_is_not_continued(tmp_path, change):
    with pytest.raises(KeyboardInterrupt), start(tmp_path / "a.zarr") as writer:
        writer.append("one", **rows("one"))
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt), start(tmp_path / "a.zarr", **change) as writer:
        assert writer.remaining == change.get("ids", IDS)
        raise KeyboardInterrupt


def test_rows_that_never_reached_the_disk_are_made_again(tmp_path):
    with pytest.raises(KeyboardInterrupt), start(tmp_path / "a.zarr") as writer:
        writer.append("one", **rows("one"))
        raise KeyboardInterrupt
    os.truncate(tmp_path / ".a.zarr.partial/x.rows", 2)
    with pytest.raises(KeyboardInterrupt), start(tmp_path / "a.zarr") as writer:
        assert writer.remaining == IDS
        raise KeyboardInterrupt


def test_an_old_store_stays_until_the_new_one_is_complete(tmp_path):
    write(tmp_path / "a.zarr")
    with pytest.raises(KeyboardInterrupt), start(tmp_path / "a.zarr", ids=["one"]):
        raise KeyboardInterrupt
    assert read(tmp_path / "a.zarr", NODE_THINGS).ids == ["one", "two", "none"]
    with start(tmp_path / "a.zarr", ids=["one"]) as writer:
        writer.append("one", **rows("one"))
    assert read(tmp_path / "a.zarr", NODE_THINGS).ids == ["one"]


def test_leaving_videos_out_silently_is_a_bug(tmp_path):
    with pytest.raises(ValueError, match="4 videos were neither appended nor failed"), start(tmp_path / "a.zarr"):
        pass


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.zeros((1, 3, 1))}, r"expected dimensions \('node', 'feature'\)"),
        ({"x": np.full((1, 3), np.nan)}, "not finite"),
        ({"x": np.full((1, 3), 1e6)}, "too large for f2"),
        ({"node_frame": np.array([40000])}, "do not fit i2"),
        ({"node_frame": np.array([0.5])}, "float64 given, i2 expected"),
        ({"node_frame": np.array([0, 1])}, "2 rows, but 1 nodes"),
        ({"fps": np.zeros(2)}, "one row a video"),
        ({"other": np.zeros(2)}, "expected arrays"),
    ],
)
def test_arrays_that_break_the_schema_are_refused(tmp_path, change, message):
    with pytest.raises(ValueError, match=message), start(tmp_path / "a.zarr") as writer:
        writer.append("one", **{**rows("one"), **change})


def test_large_arrays_span_chunks_and_shards(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.artifact.chunks.CHUNK_BYTES", 60)
    monkeypatch.setattr("pipeline.artifact.chunks.SHARD_CHUNKS", 2)
    x = np.arange(300.0).reshape(100, 3)
    with start(tmp_path / "a.zarr", ids=["one", "two"]) as writer:
        writer.append("one", x=x[:35], node_frame=np.arange(35), fps=np.zeros(1))
        writer.append("two", x=x[35:], node_frame=np.arange(65), fps=np.zeros(1))
    store = read(tmp_path / "a.zarr", NODE_THINGS)
    assert len(list((tmp_path / "a.zarr/x/c").iterdir())) == 5
    assert np.array_equal(store.array("x"), x)
    for _ in range(2):  # from one video to the other and back
        assert np.array_equal(store.video("two")["x"], x[35:])
        assert np.array_equal(store.video("one")["x"], x[:35])
        assert store.video("two")["node_frame"].tolist() == list(range(65))


def test_a_chunk_that_two_videos_share_is_decoded_once(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.artifact.chunks.CHUNK_BYTES", 60)  # ten rows
    with start(tmp_path / "a.zarr", ids=list("abc")) as writer:
        for number in range(3):
            writer.append(
                "abc"[number], x=np.full((15, 3), 1.0 * number), node_frame=np.zeros(15, int), fps=np.zeros(1)
            )
    store = read(tmp_path / "a.zarr", NODE_THINGS)
    decoded = []
    decode = ChunkReader._decode

    def counting(reader, number):
        decoded.append((reader.folder.name, number))
        return decode(reader, number)

    monkeypatch.setattr(ChunkReader, "_decode", counting)
    assert [store.video(video_id, ["x"])["x"].mean() for video_id in "abc"] == [0, 1, 2]
    assert decoded == [("node_ptr", 0), *(("x", number) for number in range(5))]
    store.video("a", ["x"])["x"][:] = 9  # a copy
    assert store.video("a", ["x"])["x"].max() == 0


@pytest.mark.parametrize("num_rows", [0, 1, 7, 20, 41])
def test_files_are_those_that_zarr_writes(tmp_path, monkeypatch, num_rows):
    monkeypatch.setattr("pipeline.artifact.chunks.CHUNK_BYTES", 60)  # ten rows
    monkeypatch.setattr("pipeline.artifact.chunks.SHARD_CHUNKS", 2)
    x_RD = np.random.default_rng(0).normal(size=(num_rows, 3)).astype("<f2")
    root = zarr.create_group(tmp_path / "a.zarr")
    given = []
    write_rows(tmp_path / "a.zarr/ours", _create_array(root, "ours", x_RD, ("node", "feature")), x_RD, given.append)
    _create_array(root, "zarrs", x_RD, ("node", "feature"))[:] = x_RD
    ours, zarrs = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (tmp_path / "a.zarr/ours", tmp_path / "a.zarr/zarrs")
    )
    assert ours == zarrs
    assert len(ours) == 1 + -(-num_rows // 20)  # the metadata, and a file for each shard
    assert np.array_equal(np.concatenate([x_RD[:0], *given]), x_RD)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("dtype", ["f2", "f4", ">f2"])
def test_no_number_that_is_not_finite_is_stored(tmp_path, bad, dtype):
    largest = np.finfo(np.float16).max
    x = np.array([[-largest, 0.0, largest], [6e-8, bad, 1]], dtype)
    with pytest.raises(ValueError, match="not finite"), start(tmp_path / "a.zarr") as writer:
        writer.append("one", **{**rows("two"), "x": x})
    with start(tmp_path / "a.zarr", ids=["one"]) as writer:
        writer.append("one", **{**rows("one"), "x": x[:1]})
    assert read(tmp_path / "a.zarr", NODE_THINGS).array("x").tolist() == [[-largest, 0, largest]]


def test_arrays_without_columns(tmp_path):
    with start(tmp_path / "a.zarr", ids=["one"]) as writer:
        writer.append("one", x=np.zeros((4, 0)), node_frame=np.zeros(4, int), fps=np.zeros(1))
    assert read(tmp_path / "a.zarr", NODE_THINGS).video("one")["x"].shape == (4, 0)


def shard_file(path):
    return path / "x/c/0/0"


def flip_a_byte(path):
    data = bytearray(shard_file(path).read_bytes())
    data[5] ^= 255
    shard_file(path).write_bytes(data)


def truncate(path):
    os.truncate(shard_file(path), 10)


@pytest.mark.parametrize("damage", [flip_a_byte, truncate])
def test_damage_is_seen_when_reading(tmp_path, damage):
    write(tmp_path / "a.zarr")
    damage(tmp_path / "a.zarr")
    with pytest.raises(ArtifactError, match=r"array `x` is damaged .* run build_vocabulary again: snakemake"):
        read(tmp_path / "a.zarr", NODE_THINGS).array("x")
    with pytest.raises(ArtifactError, match=r"array `x` is damaged .* run build_vocabulary again: snakemake"):
        read(tmp_path / "a.zarr", NODE_THINGS).video("two")


def remove_root(path):
    (path / "zarr.json").unlink()


def garble_root(path):
    (path / "zarr.json").write_text("{")


def remove_chunk(path):
    shard_file(path).unlink()


def remove_array(path):
    shutil.rmtree(path / "x")


def raise_version(path):
    root = json.loads((path / "zarr.json").read_text())
    root["attributes"]["version"] = 1
    (path / "zarr.json").write_text(json.dumps(root))


def make_foreign(path):
    root = json.loads((path / "zarr.json").read_text())
    root["attributes"] = {"title": "somebody else's"}
    (path / "zarr.json").write_text(json.dumps(root))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (shutil.rmtree, "does not exist"),
        (remove_root, "is not complete"),
        (garble_root, "no readable artifact"),
        (remove_chunk, "file x/c/0/0 is missing"),
        (remove_array, "array `x` is missing"),
        (raise_version, "holds things version 1, expected things version 2"),
        (make_foreign, "no readable artifact"),
    ],
)
def test_a_store_that_cannot_be_used_says_so_and_names_the_stage(tmp_path, damage, message):
    write(tmp_path / "a.zarr")
    damage(tmp_path / "a.zarr")
    with pytest.raises(ArtifactError, match=message) as caught:
        read(tmp_path / "a.zarr", NODE_THINGS)
    assert "build_vocabulary" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_interrupted_store_is_called_unfinished(tmp_path):
    with pytest.raises(KeyboardInterrupt), start(tmp_path / "a.zarr"):
        raise KeyboardInterrupt
    with pytest.raises(ArtifactError, match="is not finished: run build_vocabulary"):
        read(tmp_path / "a.zarr", NODE_THINGS)


def test_a_shard_without_videos_is_legal(tmp_path):
    with start(tmp_path / "a.zarr", ids=[]):
        pass
    store = read(tmp_path / "a.zarr", NODE_THINGS)
    assert store.ids == []
    assert store.ptr("node").tolist() == [0]


def test_inputs_are_known_by_their_content(tmp_path):
    write(tmp_path / "a.zarr")
    (tmp_path / "file").write_text("text")
    assert file_digest(tmp_path / "a.zarr") == read(tmp_path / "a.zarr", NODE_THINGS).digest
    assert file_digest(tmp_path / "a.zarr/zarr.json") == read(tmp_path / "a.zarr", NODE_THINGS).digest
    assert file_digest(tmp_path / "file") == "sha256:982d9e3eb996f559e633f4d194def376"


def test_json_artifacts(tmp_path):
    path = tmp_path / "deep" / "a.json"
    write_json(path, {"b": 1, "a": "\u00e9"})
    assert path.read_text(encoding="utf-8") == '{\n "a": "\u00e9",\n "b": 1\n}\n'
    assert read_json(path, ["a"], "index_captions") == {"a": "\u00e9", "b": 1}
    with pytest.raises(ArtifactError, match="lacks c: delete it and run index_captions"):
        read_json(path, ["a", "c"], "index_captions")
    path.write_text("[")
    with pytest.raises(ArtifactError, match="is no JSON"):
        read_json(path, ["a"], "index_captions")
    with pytest.raises(ArtifactError, match="does not exist: run index_captions"):
        read_json(tmp_path / "b.json", ["a"], "index_captions")


def test_threads_read_a_store_at_once(tmp_path):
    """Threads that cut crops read videos of one store, whose chunks are decoded into memory that they share."""
    array = np.repeat(np.arange(64, dtype=np.float32), 2**16).reshape(64, 2**16)  # a chunk a row
    stored = _create_array(zarr.create_group(tmp_path / "a.zarr"), "x", array, ("row", "column"))
    write_rows(tmp_path / "a.zarr/x", stored, array, lambda _: None)
    reader = ChunkReader(tmp_path / "a.zarr/x", stored)

    def read_in_order_of(seed: int) -> list[int]:
        order = np.random.default_rng(seed).permutation(64)
        return [int(row) for row in order if not (reader.rows(row, row + 1) == row).all()]

    with ThreadPoolExecutor(8) as threads:
        wrong = list(threads.map(read_in_order_of, range(8)))
    assert wrong == [[]] * 8
