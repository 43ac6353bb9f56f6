"""The reader of MSVD, on generated files in the formats that it is published in."""

import csv
import json
import pickle

import pytest

from pipeline.config import MsvdSettings, SplitLists
from pipeline.datasets.annotated import find_clips
from pipeline.datasets.msvd import list_videos, read_annotations, read_mapping
from pipeline.errors import PipelineError

COLUMNS = ["VideoID", "Start", "End", "WorkerID", "Source", "AnnotationTime", "Language", "Description"]
NAMES = sorted(
    f"{'-_aZ9'[number % 5]}video{number * 7919 % 1970:04d}_{number % 50}_{number % 50 + 9}" for number in range(1970)
)
SIZES = {"train": 1200, "val": 100, "test": 670}


def write_corpus(path, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="1")
        writer.writeheader()
        for name, language, text in rows:
            video, start, end = name.rsplit("_", 2)
            row = {"VideoID": video, "Start": start, "End": end, "Language": language, "Description": text}
            writer.writerow(row)
    return path


def write_mapping(path, names=NAMES):
    path.write_text("\n".join(f"{name} vid{number}" for number, name in enumerate(names, start=1)))
    return path


def settings_of(folder, captions, mapping=None, splits="position"):
    return MsvdSettings(kind="msvd", shards=4, videos=folder, mapping=mapping, captions=captions, splits=splits)


def sizes(annotations):
    return {split: sum(of == split for of in annotations.split_of.values()) for split in SIZES}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """All the public files: 1,970 empty clips, the mapping, the lists, and the same captions in three formats."""
    folder = tmp_path_factory.mktemp("msvd")
    (folder / "clips").mkdir()
    for name in NAMES:
        (folder / "clips" / f"{name}.avi").touch()
    write_mapping(folder / "youtube_mapping.txt")
    said = [(name, f"caption {number} of {name}") for name in NAMES for number in range(3)]
    rows = [row for name, text in said for row in ((name, "English", text), (name, "German", "ein Hund"))]
    shuffled = rows[::2][::-1] + rows[1::2] + [(NAMES[0], "English", ""), (NAMES[1], "English", "NULL")]
    write_corpus(folder / "corpus.csv", shuffled)
    head = "# Descriptions of all clips\n\nname, then description:\n"
    (folder / "AllVideoDescriptions.txt").write_text(head + "".join(f"{name} {text}\n" for name, text in said))
    ids = {name: f"vid{number}" for number, name in enumerate(NAMES, start=1)}
    by_id = {}
    for name, text in said:
        by_id.setdefault(ids[name], []).append(text)
    (folder / "captions.json").write_text(json.dumps(by_id))
    words = {clip: [text.split() for text in texts] for clip, texts in by_id.items()}
    (folder / "raw-captions_mapped.pkl").write_bytes(pickle.dumps(words, protocol=2))
    for split, (start, stop) in {"train": (1, 1201), "val": (1201, 1301), "test": (1301, 1971)}.items():
        (folder / f"{split}.txt").write_text("\n".join(f"vid{number}" for number in range(start, stop)))
    return folder


@pytest.mark.parametrize(
    "captions", ["corpus.csv", "AllVideoDescriptions.txt", "captions.json", "raw-captions_mapped.pkl"]
)
@pytest.mark.parametrize("by_list", [False, True])
def test_1970_clips_in_splits_of_1200_100_and_670(published, captions, by_list):
    lists = SplitLists(**{split: published / f"{split}.txt" for split in SIZES})
    mapping = published / "youtube_mapping.txt"
    ids = [video.id for video in list_videos(published / "clips", mapping)]
    assert len(ids) == 1970
    settings = settings_of(published / "clips", published / captions, mapping, lists if by_list else "position")
    found = find_clips(read_annotations(settings), ids)
    assert {split: len(members) for split, members in found.splits.items()} == SIZES
    assert found.splits["val"] == sorted(f"vid{number}" for number in range(1201, 1301))
    texts = [f"caption {number} of {NAMES[41]}" for number in range(3)]
    assert found.captions["vid42"] == (texts[::-1] if captions == "corpus.csv" else texts)  # in the file's order
    assert sum(len(texts) for texts in found.captions.values()) == 3 * 1970
    assert (found.missing, found.notes) == ([], [])


@pytest.mark.parametrize("captions", ["corpus.csv", "AllVideoDescriptions.txt"])
def test_without_a_mapping_clips_are_called_like_their_files(published, captions):
    videos = list_videos(published / "clips", None)
    assert [video.id for video in videos] == NAMES
    found = find_clips(read_annotations(settings_of(published, published / captions)), NAMES)
    assert found.splits == {"train": NAMES[:1200], "val": NAMES[1200:1300], "test": NAMES[1300:]}
    assert len(found.captions[NAMES[0]]) == 3


def test_ids_of_the_mapping_without_the_mapping_fit_no_file(published):
    annotations = read_annotations(settings_of(published, published / "captions.json"))
    with pytest.raises(PipelineError, match="captions tell of vid1, vid2, vid3 and 1967 more, the files are "):
        find_clips(annotations, NAMES)


def test_missing_clips_are_listed_and_move_nobody_to_another_split(published):
    mapping = published / "youtube_mapping.txt"
    there = [f"vid{number}" for number in range(1, 1971) if number not in (7, 1201, 1970)]
    found = find_clips(read_annotations(settings_of(published, published / "captions.json", mapping)), there)
    assert {split: len(members) for split, members in found.splits.items()} == {"train": 1199, "val": 99, "test": 669}
    assert found.missing == ["vid1201", "vid1970", "vid7"]
    assert found.annotated == SIZES


def test_files_may_be_called_by_either_name(tmp_path):
    for name in ("a_0_5.avi", "vid2.mp4", "else.avi"):
        (tmp_path / name).write_bytes(b"x")
    mapping = write_mapping(tmp_path / "m.txt", ["a_0_5", "b c_0_5"])
    assert [(v.id, v.path) for v in list_videos(tmp_path, mapping)] == [
        ("else", "else.avi"),
        ("vid1", "a_0_5.avi"),
        ("vid2", "vid2.mp4"),
    ]
    (tmp_path / "vid1.avi").write_bytes(b"x")
    with pytest.raises(PipelineError, match=r"a_0_5\.avi and vid1\.avi are both vid1"):
        list_videos(tmp_path, mapping)


def test_positions_are_numbers_of_ids_and_else_places(tmp_path):
    few = {f"vid{number}": ["x"] for number in (1970, 3, 1250)}
    (tmp_path / "c.json").write_text(json.dumps(few))
    annotations = read_annotations(settings_of(tmp_path, tmp_path / "c.json"))
    assert annotations.split_of == {"vid1970": "test", "vid3": "train", "vid1250": "val"}
    assert annotations.notes == ["train/val/test are annotated for 1/1/1 clips, published for 1200/100/670"]
    (tmp_path / "m.txt").write_text(
        "".join(f"b{number}_0_1 clip {number}\n".replace("clip ", "x") for number in range(1970))
    )
    (tmp_path / "c.json").write_text(json.dumps({"b1969_0_1": ["x"], "x0": ["x"], "stranger": ["x"]}))
    annotations = read_annotations(settings_of(tmp_path, tmp_path / "c.json", tmp_path / "m.txt"))
    assert annotations.split_of == {"x1969": "test", "x0": "train"}


@pytest.mark.parametrize(
    ("first", "name"),
    [
        ("video0", "video{}"),
        ("vid0", "vid{}"),
        ("video1", "video{}"),
        ("0", "{}"),
        ("msvd0000", "msvd{:04d}"),
    ],
)
def test_positions_are_numbers_however_the_clips_are_called(tmp_path, first, name):
    """Sorted as texts, video10 would come before video2, and 1,540 of 1,970 clips go to another split."""
    start = int(first[-1])
    ids = [name.format(number + start) for number in range(1970)]
    (tmp_path / "c.json").write_text(json.dumps({clip: ["x"] for clip in sorted(ids)}))
    annotations = read_annotations(settings_of(tmp_path, tmp_path / "c.json"))
    assert [clip for clip in ids if annotations.split_of[clip] == "train"] == ids[:1200]
    assert [clip for clip in ids if annotations.split_of[clip] == "val"] == ids[1200:1300]
    assert annotations.notes == []


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([f"video{number}" for number in range(1, 1970)], r"not clear whether video0 or video1 is the first clip"),
        ([f"video{number}" for number in range(1971)], r"not clear whether video0 or video1 is the first clip"),
        ([f"q_{number}_9" for number in range(1201)], r"the 1,201 ids q_0_9, q_1_9, .* hold no number"),
    ],
)
def test_positions_that_are_not_clear_are_refused(tmp_path, ids, message):
    (tmp_path / "c.json").write_text(json.dumps({clip: ["x"] for clip in ids}))
    with pytest.raises(PipelineError, match=rf"`splits: position`: .*{message}.*: name a `mapping`, or lists of ids"):
        read_annotations(settings_of(tmp_path, tmp_path / "c.json"))


def test_without_numbers_the_order_of_a_file_that_holds_each_clip_once_counts(tmp_path):
    ids = [f"{'zebra' if number % 2 else 'ape'} {number} of mine" for number in range(1970)]
    (tmp_path / "c.json").write_text(json.dumps({clip: ["x"] for clip in ids}))
    annotations = read_annotations(settings_of(tmp_path, tmp_path / "c.json"))
    assert list(annotations.split_of) == ids
    assert [annotations.split_of[ids[place]] for place in (0, 1199, 1200, 1299, 1300)] == [
        "train", "train", "val", "val", "test",
    ]  # fmt: skip


def test_a_mapping_that_counts_from_another_number_is_refused(tmp_path):
    write_mapping(tmp_path / "m.txt")
    (tmp_path / "c.json").write_text(json.dumps({f"vid{number}": ["x"] for number in range(1970)}))
    with pytest.raises(PipelineError, match=r"begins with vid1, the captions with vid0: every caption would go to ano"):
        read_annotations(settings_of(tmp_path, tmp_path / "c.json", tmp_path / "m.txt"))


def test_lines_of_an_id_a_tab_and_a_sentence(tmp_path):
    (tmp_path / "sents_train_lc_nopunc.txt").write_text("vid1\ta dog runs\nvid1201\ta cat_0_5 sleeps\nvid1\tdogs\n")
    annotations = read_annotations(settings_of(tmp_path, tmp_path / "sents_train_lc_nopunc.txt"))
    assert annotations.captions == {"vid1": ["a dog runs", "dogs"], "vid1201": ["a cat_0_5 sleeps"]}
    assert annotations.split_of == {"vid1": "train", "vid1201": "val"}


def test_captions_mapping_and_lists_may_name_files(tmp_path):
    (tmp_path / "c.json").write_text(json.dumps({"a_0_5.avi": ["x"], "vid2": ["y"], "q_1_4.5": ["z"]}))
    (tmp_path / "m.txt").write_text("a_0_5 vid1\nb_0_5.avi vid2\n")
    for split, clip in zip(SIZES, ("a_0_5.avi", "vid2.mp4", "q_1_4.5"), strict=True):
        (tmp_path / f"{split}.txt").write_text(clip)
    lists = SplitLists(**{split: tmp_path / f"{split}.txt" for split in SIZES})
    annotations = read_annotations(settings_of(tmp_path, tmp_path / "c.json", tmp_path / "m.txt", lists))
    assert annotations.captions == {"vid1": ["x"], "vid2": ["y"], "q_1_4.5": ["z"]}
    assert annotations.split_of == {"vid1": "train", "vid2": "val", "q_1_4.5": "test"}


def test_a_language_may_be_written_in_any_case(tmp_path):
    rows = [("v_0_5", "English", "one"), ("v_0_5", "english", "two"), ("w_0_5", " ENGLISH ", "three")]
    annotations = read_annotations(settings_of(tmp_path, write_corpus(tmp_path / "c.csv", rows)))
    assert annotations.captions == {"v_0_5": ["one", "two"], "w_0_5": ["three"]}


def test_a_corpus_in_several_files_keeps_columns_quotes_and_order(tmp_path):
    one = write_corpus(tmp_path / "a.csv", [("v-1_0_5", "English", 'a "quoted",\n text'), ("v-1_0_5", "French", "un")])
    two = write_corpus(tmp_path / "b.csv", [("v-1_0_5", "English", "second"), ("\u00fc x_1.0_9", "English", "n/a ?")])
    annotations = read_annotations(settings_of(tmp_path, [one, two]))
    assert annotations.captions == {"v-1_0_5": ['a "quoted", text', "second"], "\u00fc x_1_9": ["n/a ?"]}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("c.csv", "VideoID,Start,End,Description\n", r"c\.csv:1: no column Language: expected VideoID, Start"),
        ("c.csv", "VideoID,Start,End,Language,Description\nv,1,2\n", r"c\.csv:2: a field is missing"),
        (
            "c.csv",
            "VideoID,Start,End,Language,Description\nv,1,x,English,a\n",
            r"c\.csv:2: End: expected whole seconds",
        ),
        ("c.csv", "VideoID,Start,End,Language,Description\nv,1,2,German,a\n", r"c\.csv: none of 1 rows has `English`"),
        ("c.csv", "VideoID,Start,End,Language,Description,Start\n", r"c\.csv:1: a column stands twice: VideoID, Start"),
        ("c.csv", "VideoID,Start,End,Language,Description\n../v,1,2,English,a\n", r"c\.csv:2: .*leave the data folder"),
        (
            "c.csv",
            'VideoID,Start,End,Language,Description\nv,1,2,English,"a\n' + "v,1,2,English,b\n" * 30,
            r"c\.csv:2: a field is missing, or a quote is never closed",
        ),
        ("c.txt", "# head\nv_0_5 a dog\nv_0 a dog\n", r"c\.txt:3: expected VideoID_Start_End and a caption"),
        ("c.txt", "# head\n/v_0_5 a dog\n", r"c\.txt:2: the id '/v_0_5' would leave the data folder"),
        ("c.json", '["a"]', r"c\.json: expected \{"),
        ("c.json", '{"vid1": "a"}', r"c\.json: vid1: expected a list of captions"),
        ("c.json", '{"vid1": [["a", "dog"]]}', r"c\.json: vid1: the caption of vid1 must be a text"),
        ("c.json", '{"vid1": ["a"], "vid1": ["b"]}', r"c\.json: the key 'vid1' stands twice in one object"),
        ("c.json", '{"": ["a"]}', r"must be a text that is not empty"),
        ("c.doc", "x", r"c\.doc`: expected the corpus \(\.csv\), AllVideoDescriptions\.txt"),
    ],
)
def test_malformed_captions_are_named_in_a_line(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(PipelineError, match=message) as raised:
        read_annotations(settings_of(tmp_path, tmp_path / name))
    assert "\n" not in str(raised.value)


def test_captions_in_another_encoding(tmp_path):
    (tmp_path / "c.csv").write_bytes(b"VideoID,Start,End,Language,Description\nv,1,2,English,caf\xe9\n")
    with pytest.raises(PipelineError, match=r"c\.csv: not UTF-8"):
        read_annotations(settings_of(tmp_path, tmp_path / "c.csv"))


@pytest.mark.parametrize("name", ["c.csv", "c.txt", "c.json"])
def test_a_missing_captions_file(tmp_path, name):
    with pytest.raises(PipelineError, match=rf"`captions: .*{name}`: there is no such file"):
        read_annotations(settings_of(tmp_path, tmp_path / name))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a_0_1\n", r"m\.txt:1: expected a clip name and an id"),
        ("a_0_1 vid1\n\nb_0_1 vid1\n", r"m\.txt:3: vid1 stands here for the second time"),
        ("a_0_1 vid1\na_0_1 vid2\n", r"m\.txt:2: a_0_1 stands here for the second time"),
        ("../a vid1\n", r"m\.txt:1: .*would leave the data folder"),
    ],
)
def test_malformed_mappings_are_named(tmp_path, content, message):
    (tmp_path / "m.txt").write_text(content)
    with pytest.raises(PipelineError, match=message):
        read_mapping(tmp_path / "m.txt")


def test_a_missing_mapping(tmp_path):
    with pytest.raises(PipelineError, match=r"`mapping: .*m\.txt`: there is no such file"):
        read_mapping(tmp_path / "m.txt")
