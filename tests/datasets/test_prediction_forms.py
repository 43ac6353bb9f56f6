"""Every form in which other systems write captions, as a tiny file of that form, and files of no form."""

import gzip
import json
import os
from typing import get_args

import pytest

from pipeline.config.experiments import PredictionForm
from pipeline.datasets.prediction_forms import EXAMPLES, form_of, read_ids, read_predictions
from pipeline.errors import PipelineError

CAPTIONS = {"video1": "a man sings", "video2": 'a "red" cat, asleep'}
IDS = "video1\nvideo2\n"


def lines(records):
    return "".join(f"{json.dumps(record)}\n" for record in records)


def sample(number, video, caption, **metrics):
    answer = {"answer": ["a man"], "pred": caption, "video_id": video}
    return {"doc_id": number, "target": "a man", "filtered_resps": [caption], "cider": answer, **metrics}


FILES = {
    "results": ("r.json", json.dumps([{"image_id": i, "caption": c} for i, c in CAPTIONS.items()])),
    "results of video_id": (
        "v.json",
        json.dumps([{"id": 1, "video_id": i, "caption": c} for i, c in CAPTIONS.items()]),
    ),
    "lmms_eval": ("s.jsonl", lines(sample(n, i, c) for n, (i, c) in enumerate(CAPTIONS.items()))),
    "lmms_eval in json": ("s.json", lines(sample(n, i, c) for n, (i, c) in enumerate(CAPTIONS.items()))),
    "mapping": ("m.json", json.dumps(CAPTIONS, indent=1)),
    "mapping of lists": ("l.json", json.dumps({i: [c] for i, c in CAPTIONS.items()})),
    "challenge": ("c.json", json.dumps({"version": "1", "captions": CAPTIONS})),
    "challenge result": (
        "d.json",
        json.dumps({"version": "1", "result": [{"video_id": i, "caption": c} for i, c in CAPTIONS.items()]}),
    ),
    "cocap": (
        "p.json",
        json.dumps({"results": {i: [{"sentence": c, "gt_sentence": "x"}] for i, c in CAPTIONS.items()}}),
    ),
    "vlmevalkit": (
        "k.csv",
        'index,video,prediction,answer\n0,video1,a man sings,x\n1,video2,"a ""red"" cat, asleep",x\n',
    ),
    "vlmevalkit tsv": (
        "k.tsv",
        'index\tprediction\tanswer\nvideo1\ta man sings\tx\nvideo2\t"a ""red"" cat, asleep"\tx\n',
    ),
    "swinbert": ("w.tsv", "".join(f"{i}\t{json.dumps([{'caption': c, 'conf': 0.5}])}\n" for i, c in CAPTIONS.items())),
    "swinbert texts": ("x.tsv", "".join(f"{i}\t{json.dumps([c])}\n" for i, c in CAPTIONS.items())),
}


@pytest.mark.parametrize("name", FILES)
def test_a_form_is_told_by_its_content_and_read(tmp_path, name):
    file, text = FILES[name]
    (tmp_path / file).write_text(text, encoding="utf-8")
    form, found = read_predictions(tmp_path / file, "auto", None)
    assert form == name.partition(" ")[0]
    assert {one.video: one.caption for one in found} == CAPTIONS
    assert all(one.place.startswith(str(tmp_path / file)) for one in found)
    assert read_predictions(tmp_path / file, form, None) == (form, found)


def test_every_form_has_an_example():
    assert {"auto", *EXAMPLES} == set(get_args(PredictionForm))


@pytest.mark.parametrize(("file", "ids"), [("ids.txt", IDS), ("ids.json", '["video1", "video2"]')])
def test_lines_without_ids_get_them_from_a_list(tmp_path, file, ids):
    (tmp_path / file).write_text(ids, encoding="utf-8")
    (tmp_path / "hyp.txt").write_text("\n".join(CAPTIONS.values()), encoding="utf-8")
    form, found = read_predictions(tmp_path / "hyp.txt", "auto", tmp_path / file)
    assert form == "lines"
    assert {one.video: one.caption for one in found} == CAPTIONS


def test_an_empty_line_is_an_empty_caption(tmp_path):
    (tmp_path / "ids.txt").write_text("a\nb\nc\n", encoding="utf-8")
    (tmp_path / "hyp.txt").write_text("one\n\nthree\n", encoding="utf-8")
    _, found = read_predictions(tmp_path / "hyp.txt", "lines", tmp_path / "ids.txt")
    assert [one.caption for one in found] == ["one", "", "three"]


def test_numbers_of_a_table_are_places_in_a_list_of_ids(tmp_path):
    (tmp_path / "ids.txt").write_text(IDS, encoding="utf-8")
    (tmp_path / "t.csv").write_text("index,prediction,answer\n1,a cat,x\n0,a man,x\n", encoding="utf-8")
    _, found = read_predictions(tmp_path / "t.csv", "auto", tmp_path / "ids.txt")
    assert [(one.video, one.caption) for one in found] == [("video2", "a cat"), ("video1", "a man")]
    (tmp_path / "t.csv").write_text("index,prediction,answer\n2,a cat,x\n", encoding="utf-8")
    with pytest.raises(PipelineError, match=r"t\.csv:2: index 2: expected the place of an id in .*from 0 to 1"):
        read_predictions(tmp_path / "t.csv", "auto", tmp_path / "ids.txt")


BAD = {
    "no form": ("a.json", '{"a": {"b": 1}}', "auto", "a file of no known form: save it as one of results: JSON"),
    "empty": ("a.json", "[]", "auto", "a file of no known form"),
    "spreadsheet": ("a.xlsx", "x", "auto", "a file of no known form"),
    "no JSON": ("a.json", "{", "auto", "no JSON"),
    "another form": ("a.json", '{"a": "b"}', "cocap", r'not of the form cocap: expected JSON \{"results"'),
    "nothing": ("a.json", "", "auto", r"a\.json: no JSON"),
    "null": ("a.json", "null", "auto", "a file of no known form"),
    "no caption": ("a.json", '[{"image_id": 1, "caption": 2}]', "auto", "entry 1 has no caption that is a text"),
    "no object": ("a.json", '[{"image_id": 1, "caption": "b"}, 5]', "auto", "entry 2 has no caption that is a text"),
    "no name": ("a.json", '[{"caption": "b"}]', "auto", "entry 1 names no video by `video_id` or `image_id`"),
    "a null for a name": ("a.json", '[{"image_id": null, "caption": "b"}]', "auto", "entry 1 names no video by"),
    "a list for a name": (
        "a.json",
        '[{"image_id": ["x"], "caption": "b"}]',
        "auto",
        r"by \['x'\], which is neither a text",
    ),
    "no number": (
        "a.json",
        '[{"image_id": NaN, "caption": "b"}]',
        "auto",
        "by nan, which is neither a text nor a whole n",
    ),
    "a null in a mapping": ("a.json", '{"a": "b", "c": null}', "auto", r"mapping \(c has no caption that is a text\)"),
    "a number in a mapping": ("a.json", '{"a": 5}', "auto", r"mapping \(a has no caption that is a text\)"),
    "a list in a list": ("a.json", '{"a": [["b"]]}', "auto", r"mapping \(a has no caption that is a text\)"),
    "a long name": ("a.json", json.dumps({"x" * 999: 5}), "auto", r"mapping \('x+\.\.\.x+' has no caption"),
    "a null in a challenge": (
        "a.json",
        '{"version": "1", "captions": {"a": null}}',
        "auto",
        r"challenge \(a has no capt",
    ),
    "UTF-16 without a mark": ("a.txt", "a\0 \0", "auto", "holds NUL characters, as UTF-16 read for UTF-8 does"),
    "a table without header": (
        "a.csv",
        "a,b\n",
        "auto",
        r"a\.csv:1: expected the header index,prediction,answer, found",
    ),
    "too many columns": ("a.tsv", "a\tb\tc\n", "auto", r"swinbert \(line 1 has 2 tabs\)"),
    "a null in a line": ("a.tsv", "a\tnull\n", "auto", r"swinbert \(a has no caption that is a text\)"),
    "a value too large": (
        "a.csv",
        f"index,prediction\na,{'b ' * 70_000}\n",
        "auto",
        r"a\.csv:2: no CSV \(field larger",
    ),
    "nested too deep": ("a.json", "[" * 100_000, "auto", r"no JSON \(maximum recursion depth"),
    "two in a list": ("a.json", '{"a": ["b", "c"]}', "auto", "a has 2 captions: leave one of them"),
    "none in a list": ("a.tsv", "a\t[]\n", "auto", "a has 0 captions"),
    "a key twice": ("a.json", '{"a": "b", "a": "c"}', "auto", "stands twice in one object"),
    "no tab": ("a.tsv", "a b\n", "auto", "line 1 has no tab"),
    "no name in a sample": ("a.jsonl", '{"cider": {"pred": "b"}}\n', "auto", "line 1 names no video by `video_id`"),
    "no answer": ("a.jsonl", '{"doc_id": 0}\n', "auto", "line 1 has no answer with `pred` and `video_id`"),
    "no ids": ("hyp.txt", "a\n", "auto", "captions without ids: give `ids`"),
    "sentence": ("a.json", '{"results": {"a": [{"gt_sentence": "x"}]}}', "auto", "a has no caption"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_in_a_line(tmp_path, name):
    file, text, form, message = BAD[name]
    (tmp_path / file).write_text(text, encoding="utf-8")
    with pytest.raises(PipelineError, match=message) as raised:
        read_predictions(tmp_path / file, form, None)
    assert "\n" not in str(raised.value)
    assert file in str(raised.value)


NO_FILES = {
    "folder": (lambda path: path.mkdir(), "it is a folder, not a file"),
    "nowhere": (lambda path: path.symlink_to("gone"), "it is a link that leads nowhere"),
    "itself": (lambda path: path.symlink_to(path), "it cannot be looked at"),
    "pipe": (os.mkfifo, "it is a pipe, a socket or a device, not a file"),
    "absent": (lambda _: None, "there is no such file"),
}


@pytest.mark.parametrize("name", NO_FILES)
def test_what_is_no_file_is_refused_in_a_line(tmp_path, name):
    make, message = NO_FILES[name]
    make(tmp_path / "a.json")
    with pytest.raises(PipelineError, match=message) as raised:
        read_predictions(tmp_path / "a.json", "auto", None)
    assert "\n" not in str(raised.value)
    (tmp_path / "hyp.txt").write_text("one\n", encoding="utf-8")
    with pytest.raises(PipelineError, match=message):
        read_predictions(tmp_path / "hyp.txt", "auto", tmp_path / "a.json")


def test_bytes_of_other_encodings_are_refused_in_a_line(tmp_path):
    for content in ("{}".encode("utf-16"), '{"a": "caf\u00e9"}'.encode("latin-1"), gzip.compress(b"{}")):
        (tmp_path / "a.json").write_bytes(content)
        with pytest.raises(PipelineError, match=r"a\.json: not UTF-8 \(byte \d+\): save it as UTF-8"):
            read_predictions(tmp_path / "a.json", "auto", None)


def test_a_byte_order_mark_is_no_part_of_the_content(tmp_path):
    (tmp_path / "m.json").write_text('{"a": "b"}', encoding="utf-8-sig")
    assert read_predictions(tmp_path / "m.json", "auto", None)[0] == "mapping"


def test_a_quoted_caption_may_span_lines_and_a_word_of_headers_may_be_said(tmp_path):
    (tmp_path / "k.csv").write_text('index,prediction\nv,"a ""man"", who\nsings"\nw,a cat\n', encoding="utf-8")
    _, found = read_predictions(tmp_path / "k.csv", "auto", None)
    assert [one.caption for one in found] == ['a "man", who\nsings', "a cat"]
    (tmp_path / "w.tsv").write_text('v\t[{"caption": "a weather prediction"}]\n', encoding="utf-8")
    assert form_of(tmp_path / "w.tsv") == "swinbert"


def test_an_empty_file_has_no_line(tmp_path):
    (tmp_path / "ids.txt").write_text(IDS, encoding="utf-8")
    (tmp_path / "hyp.txt").write_text("", encoding="utf-8")
    with pytest.raises(PipelineError, match="0 lines, and 2 ids"):
        read_predictions(tmp_path / "hyp.txt", "auto", tmp_path / "ids.txt")


def test_ids_are_counted_and_needed_by_their_forms_alone(tmp_path):
    (tmp_path / "ids.txt").write_text(IDS, encoding="utf-8")
    (tmp_path / "hyp.txt").write_text("one\n", encoding="utf-8")
    with pytest.raises(PipelineError, match="1 lines, and 2 ids"):
        read_predictions(tmp_path / "hyp.txt", "auto", tmp_path / "ids.txt")
    (tmp_path / "m.json").write_text('{"a": "b"}', encoding="utf-8")
    with pytest.raises(PipelineError, match="names its videos: leave `ids` out"):
        read_predictions(tmp_path / "m.json", "auto", tmp_path / "ids.txt")
    (tmp_path / "ids.json").write_text('{"a": "b"}', encoding="utf-8")
    with pytest.raises(PipelineError, match="expected a list of ids"):
        read_ids(tmp_path / "ids.json")


def test_a_list_of_several_lines_is_no_json_lines(tmp_path):
    (tmp_path / "r.json").write_text('[\n{"image_id": "a", "caption": "b"}\n]\n', encoding="utf-8")
    assert form_of(tmp_path / "r.json") == "results"
