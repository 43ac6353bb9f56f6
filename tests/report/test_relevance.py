"""Maps of words become scripts beside the page, in bytes whose largest is 127."""

import json
from base64 import b64decode

import numpy as np
import pytest

from pipeline.artifact import create, read, write_json
from pipeline.report.artifacts import sort_by_kind
from pipeline.report.relevance import describe_faithfulness, describe_maps, packed, write_maps
from pipeline.schemas import RELEVANCE

VOCABULARY = ["<pad>", "<bos>", "<eos>", "<unk>", "a", "red"]
CONFIG = {
    "explanations": {"words": {"experiment": "lstm", "method": "grad_cam"}},
    "experiments": {"lstm": {"dataset": "tiny", "vocabulary": "v"}},
}


def unpacked(text):
    return np.frombuffer(b64decode(text), np.int8).tolist()


def rows_of(shape, edges=0):
    """Two words, and 2 steps of 1 x 2 cells, or the same as four nodes."""
    none = np.zeros((2, 11), np.float32)
    return {
        "token": np.array([4, 5], np.int32),
        "log_p": np.array([-0.5, -0.25], np.float32),
        "relevance": np.array([1, -2, 0, 0.5, 0, 0, 0, 0], np.float32),
        "twin": np.array([1, 1, 1, 1, 0, 0, 0, 4], np.float32),
        "time": np.array([0.5, 0.5, 1.5, 1.5], np.float32),
        "box": np.array([[0, 0, 0.5, 1], [0.5, 0, 1, 1]] * 2, np.float16),
        "shape": np.array([shape], np.int32),
        "source": np.arange(edges, dtype=np.int16),
        "target": np.arange(edges, dtype=np.int16) + 1,
        "edge_relevance": np.ones(2 * edges, np.float32),
        "deleted": none,
        "inserted": none,
        "deleted_at_random": none,
        "randomised": np.zeros(0, np.float32),
    }


def store(path, rows, ids=("v1",)):
    with create(path, RELEVANCE, ids=list(ids), stage="write_report", settings={}, inputs={}) as writer:
        for _ in writer.remaining:
            writer.append(_, None, **rows)
    return path


def test_bytes_are_shares_of_each_words_largest():
    told = packed(np.array([[1.0, -2.0, 0.0, 0.5], [0.0, 0.0, 0.0, 0.0]]))
    assert [unpacked(row) for row in told] == [[64, -127, 0, 32], [0, 0, 0, 0]]
    assert packed(np.zeros((2, 0))) == ["", ""]


def test_a_grid_tells_the_cells_of_a_step_once(tmp_path):
    told = describe_maps(read(store(tmp_path / "r.zarr", rows_of([2, 1, 2])), RELEVANCE), "v1", VOCABULARY)
    assert told["words"] == ["a", "red"]
    assert (told["grid"], told["time"]) == ((2, 1, 2), [0.5, 1.5])
    assert told["box"] == [[0, 0, 0.5, 1], [0.5, 0, 1, 1]]
    assert unpacked(told["relevance"][0]) == [64, -127, 0, 32]
    assert unpacked(told["twin"][1]) == [0, 0, 0, 127]
    assert told["edges"] == []


def test_nodes_have_each_its_time_and_box_and_edges_join_them(tmp_path):
    told = describe_maps(read(store(tmp_path / "r.zarr", rows_of([0, 0, 0], 2)), RELEVANCE), "v1", VOCABULARY)
    assert (told["grid"], told["time"], len(told["box"])) == (None, [0.5, 0.5, 1.5, 1.5], 4)
    assert told["edges"] == [[0, 1], [1, 2]]
    assert unpacked(told["edge_relevance"][0]) == [127, 127]


def test_each_explained_video_gets_a_script(tmp_path):
    results = tmp_path / "results"
    root = store(results / "explanations/words/relevance.zarr", rows_of([2, 1, 2]), ("v1", "V 2")) / "zarr.json"
    vocabulary = results / "vocabularies/v.json"
    write_json(vocabulary, {"words": VOCABULARY, "max_words": 5, "tokenizer": "bare"})
    found = sort_by_kind([root, vocabulary])
    addresses = write_maps(found, CONFIG, ["words"], tmp_path / "page")["tiny"]
    assert addresses["v1"] == "maps/tiny/v1.js"
    for video_id, address in addresses.items():
        text = (tmp_path / "page" / address).read_text()
        assert f'["{address}"] = ' in text, video_id
        content = json.loads(text.partition("] = ")[2].removesuffix(";\n"))
        assert (content["words"]["experiment"], content["words"]["method"]) == ("lstm", "grad_cam")
    assert write_maps(found, CONFIG, [], tmp_path / "none") == {}
    assert not (tmp_path / "none").exists()


def test_faithfulness_is_told_in_the_order_of_the_settings(tmp_path):
    told = dict.fromkeys(("experiment", "method", "num_videos", "curves", "areas", "beats_random_at_20_percent"), 1)
    paths = [tmp_path / f"results/explanations/{name}/faithfulness.json" for name in ("a", "b")]
    for path in paths:
        write_json(path, told)
    assert list(describe_faithfulness(sort_by_kind(paths), ["b", "a"])) == ["b", "a"]
    write_json(paths[0], {})
    with pytest.raises(Exception, match="score_relevance"):
        describe_faithfulness(sort_by_kind(paths), ["a"])
