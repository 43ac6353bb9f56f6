"""Forms of captions files, each written out as people export it."""

import pytest

from pipeline.datasets.caption_rows import read_rows


def read(path, text):
    path.write_text(text, encoding="utf-8")
    found = read_rows(path)
    return [(row.video, row.caption, row.split) for row in found.annotations], [
        note.split(": ", 1)[1] for note in found.notes
    ]


FORMS = {
    "hub.jsonl": (
        '{"video_id": "video0", "caption": "a dog", "sen_id": 0, "category": 9, "url": "https://example.org/x", '
        '"start time": 1.5, "end time": 9.0, "split": "train", "id": 0, "__index_level_0__": 0}\n',
        [("video0", "a dog", "train")],
        ["columns that are not read: sen_id, category, url, start time, end time and 2 more"],
    ),
    "lines.json": (
        '{"video": "a", "caption": "x"}\n{"video": "b", "caption": "y"}\n',
        [("a", "x", None), ("b", "y", None)],
        [],
    ),
    "array.json": (
        '[\n {"video": "a", "caption": ["x", "y"]},\n {"video": "b", "caption": "z"}\n]',
        [("a", "x", None), ("a", "y", None), ("b", "z", None)],
        [],
    ),
    "both_names.jsonl": (
        '{"video_id": "video0", "video": "video0.mp4", "caption": ["x"], "source": "MSR-VTT"}\n',
        [("video0.mp4", "x", None)],
        ["columns that are not read: video_id, source"],
    ),
    "mplug.jsonl": (
        '{"video": "a.mp4", "golden_caption": ["x", "y"]}\n',
        [("a.mp4", "x", None), ("a.mp4", "y", None)],
        [],
    ),
    "metadata.csv": ("file_name,text\nsub/a.mp4,a dog\n", [("sub/a.mp4", "a dog", None)], []),
    "capitals.csv": (
        "Video,Caption,Split\na.mp4,x,Train\nb.mp4,y,validation\nc.mp4,z,TEST\n",
        [("a.mp4", "x", "train"), ("b.mp4", "y", "val"), ("c.mp4", "z", "test")],
        [],
    ),
    "pandas.csv": (
        ",video,caption,split\n0,a.mp4,x,\n1,a.mp4,,nan\n2,b.mp4,no man,\n",
        [("a.mp4", "x", None), ("b.mp4", "no man", None)],
        ["1 captions are empty or null, and left out", "columns that are not read: (no name)"],
    ),
    "nulls.jsonl": (
        '{"video": "a", "caption": null}\n{"video": "a", "caption": NaN}\n{"video": "a", "caption": ["x", null, " "]}\n'
        '{"video": "b", "caption": []}\n',
        [("a", "x", None)],
        ["5 captions are empty or null, and left out"],
    ),
    "numbers.jsonl": (
        '{"video": 7, "caption": "x"}\n{"video": 8.0, "caption": "y", "split": null}\n',
        [("7", "x", None), ("8", "y", None)],
        [],
    ),
    "excel.csv": ("video;caption\na.mp4;x, y\n", [("a.mp4", "x, y", None)], []),
    "tabs.csv": ("video\tcaption\na.mp4\tx; y\n", [("a.mp4", "x; y", None)], []),
    "slip.tsv": (
        "video\tcaption\tsplt\na\tx, y\ttrain\n",
        [("a", "x, y", None)],
        ["columns that are not read: splt (did you mean split?)"],
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_forms_of_captions(tmp_path, name):
    text, rows, notes = FORMS[name]
    assert read(tmp_path / name, text) == (rows, notes)
