"""Valid annotation files with some bytes changed, cut or repeated: read, or refused in a line."""

import json
import pickle
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.config import CocoCaptionsSettings, FolderSettings, MsrvttSettings, MsvdSettings, Splits, VatexSettings
from pipeline.datasets.readers import read_captions
from pipeline.errors import PipelineError
from pipeline.knowledge.openie import read_openie

IDS = ["vid1", "vid2", "vid1205", "a b_0_5", "v-1_10_15", "clip one.mp4"]
SAID = {"vid1": ["a dog runs", "caf\u00e9"], "vid2": ['a "cat", sitting'], "vid1205": ["x"]}
CORPUS = 'VideoID,Start,End,Language,Description\na b,0,5,English,a dog\nv-1,10,15,English,"a, cat"\na b,0,5,German,x\n'
COCO = {
    "images": [{"id": 1, "file_name": "vid1.mp4"}, {"id": "2", "file_name": "vid2.mp4"}],
    "annotations": [{"image_id": 1, "caption": "a dog"}, {"image_id": "2", "caption": "a cat"}],
}
MSRVTT = {
    "videos": [{"video_id": "vid1", "split": "train"}, {"video_id": "vid2", "split": "test"}],
    "sentences": [{"video_id": "vid1", "caption": "a dog"}, {"video_id": "vid2", "caption": "a cat"}],
}
WORDS = {clip: [text.split() for text in texts] for clip, texts in SAID.items()}
FILES = {
    "folder.csv": b'\xef\xbb\xbfvideo,caption,split\nclip one.mp4,"a dog, running",train\nvid1,a cat,test\n',
    "folder.jsonl": b'{"video": "vid1", "caption": "a dog", "split": "val"}\n{"video": "vid2", "caption": "x"}\n',
    "msvd.csv": CORPUS.encode(),
    "msvd.txt": b"# head\n\na b_0_5 a dog runs\nv-1_10_15 a cat\n",
    "msvd.json": json.dumps(SAID).encode(),
    "msvd.pkl": pickle.dumps(WORDS, protocol=4),
    "msvd.0.pkl": pickle.dumps(WORDS, protocol=0),
    "msvd.2.pkl": pickle.dumps(WORDS, protocol=2),
    "mapping.txt": b"a b_0_5 vid1\nv-1_10_15 vid2\n",
    "msrvtt.json": json.dumps(MSRVTT).encode(),
    "msrvtt.nested.json": json.dumps({clip: dict(enumerate(texts)) for clip, texts in SAID.items()}).encode(),
    "vatex.json": json.dumps([{"videoID": clip, "enCap": texts} for clip, texts in SAID.items()]).encode(),
    "coco.json": json.dumps(COCO).encode(),
}
# What breaks readers: quotes, brackets, huge numbers, halves of characters, other types, opcodes of pickle.
QUOTES = [b"", b'"', b"'", b",", b"\n", b"\r", b"\0", b"\xff", b"\xe2\x80\xa8", b'"\\ud800"', b"../", b"x" * 300]
TYPES = [b"[" * 2000, b"{" * 9, b"]", b"null", b"1e999", b"-", b"NaN", b"9" * 5000, b"true", b"[]", b"{}", b"0"]
CALLS = [b"cos\nsystem\n", b"c", b"R", b"\x93", b"\x81", b"\x80\x02", b"(", b"t", b"\x8d", b"s", b"e", b"."]
PLACES = [b"r\xff\xff\xff\x7f", b"h\x05", b"q\x00", b"p99\n", b"g7\n"]
BITS = st.sampled_from([*QUOTES, *TYPES, *CALLS, *PLACES]) | st.binary(max_size=6)
CHANGES = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), BITS), min_size=1, max_size=4)


def settings_of(name, file):
    """Settings that read the file, and no other but an empty one."""
    folder = file.parent
    empty = folder / "empty.json"
    empty.write_text('{"images": [], "annotations": []}' if name == "coco.json" else "[]")
    kind, common = name.partition(".")[0], {"shards": 2, "videos": folder}
    lists = {"train": file, "val": empty, "test": None}
    if kind == "folder":
        return FolderSettings(kind=kind, captions=file, splits=Splits(train=0.8, val=0.1, test=0.1), **common)
    if kind == "mapping":
        (folder / "c.txt").write_bytes(FILES["msvd.txt"])
        return MsvdSettings(kind="msvd", captions=folder / "c.txt", mapping=file, splits="position", **common)
    if kind == "msvd":
        return MsvdSettings(kind=kind, captions=file, mapping=None, splits="position", **common)
    if kind == "msrvtt":
        return MsrvttSettings(kind=kind, captions=file, splits="position" if "nested" in name else "file", **common)
    if kind == "vatex":
        return VatexSettings(kind=kind, captions=lists, **common)
    return CocoCaptionsSettings(kind="coco_captions", captions=lists, **common)


def read(name, content, folder):
    file = folder / f"c{Path(name).suffix}"
    file.write_bytes(content)
    return read_captions(settings_of(name, file), IDS)


FUZZ = settings(
    max_examples=60, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


def changed(content, changes):
    """A file's bytes after some were replaced by others: where, as a share of its length, how many, and by what."""
    for share, num_bytes, put in changes:
        place = round(share * len(content))
        content = content[:place] + put + content[place + num_bytes :]
    return content


@pytest.mark.parametrize("name", FILES)
def test_the_files_are_valid_as_they_are(tmp_path, name):
    if name == "folder.jsonl":  # a split of one video alone
        with pytest.raises(PipelineError, match="is in no split"):
            read(name, FILES[name], tmp_path)
    else:
        assert read(name, FILES[name], tmp_path).captions


@pytest.mark.parametrize("name", FILES)
def test_fuzz_of_annotation_files(name):
    @given(CHANGES)
    @FUZZ
    def change_and_read(changes):
        content = changed(FILES[name], changes)
        with tempfile.TemporaryDirectory() as folder:
            said, captions = "", {}
            try:
                captions = read(name, content, Path(folder)).captions
            except PipelineError as error:
                said = str(error)
            assert said.isprintable()
            assert len(said) < 9000
            json.dumps(captions, ensure_ascii=False).encode()  # as captions.json is written
            assert set(captions) <= set(IDS)

    change_and_read()


SENTENCE = {
    "openie": [{"subject": "a dog", "relation": "runs on", "object": "grass", "subjectSpan": [0, 2]}],
    "tokens": [{"pos": "DT", "lemma": "a"}, {"pos": "NN", "lemma": "dog"}],
}
TRIPLETS = {
    "json": json.dumps({"sentences": [SENTENCE]}).encode(),
    "lines": b"1.0\ta dog\truns on\tgrass\n0.5\ta cat\tsits on\ta mat\n",
    "ampersands": b"dog &grass &runs on\ncat &mat &sits on\n",
}
SHAPES = [
    "[" * 5000,
    "{}",
    "[[]]",
    '{"sentences": ["x"]}',
    '{"sentences": 5}',
    '{"sentences": [{"openie": [5]}]}',
    "[5]",
]


@pytest.mark.parametrize("content", SHAPES)
def test_triplets_of_other_shapes(tmp_path, content):
    (tmp_path / "t.json").write_text(content)
    said = ""
    try:
        assert list(read_openie(tmp_path / "t.json", 3)) == []
    except PipelineError as error:
        said = str(error)
    assert said == "" or "CoreNLP's JSON" in said


@pytest.mark.parametrize("name", TRIPLETS)
def test_fuzz_of_triplets(name):
    @given(CHANGES)
    @FUZZ
    def change_and_read(changes):
        content = changed(TRIPLETS[name], changes)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "t.json"
            file.write_bytes(content)
            said = ""
            try:
                list(read_openie(file, 3))
            except PipelineError as error:
                said = str(error)
            assert said.isprintable()

    change_and_read()
