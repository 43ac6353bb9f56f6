import json

import pytest

from pipeline.config import EpicKitchensSettings, parse_settings
from pipeline.datasets import epic_kitchens
from pipeline.datasets.labelled import find_labels
from pipeline.datasets.readers import clip_form
from pipeline.errors import PipelineError
from pipeline.video.frame_files import FrameFiles
from pipeline.video.interval import Interval

FIRST_EIGHT = (
    "narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,start_frame,stop_frame"
)
HEADER = f"{FIRST_EIGHT},narration,verb,verb_class,noun,noun_class,all_nouns,all_noun_classes"


def row(clip, start, stop, frames, verb, noun):
    return f"{clip},P01,P01_01,00:00:01.0,{start},{stop},{frames},x,x,{verb},x,{noun},\"['a', 'b']\",\"[1, 2]\""


@pytest.fixture
def folder(tmp_path):
    train = [
        row("P01_01_0", "00:00:00.14", "00:00:03.37", "8,202", 1, 0),
        row("P01_01_1", "00:01:04.37", "01:00:06.17", "262,370", 0, 1),
        row("P01_01_2", "00:00:06.00", "00:00:06.00", "360,360", 0, 1),
    ]
    (tmp_path / "train.csv").write_text("\n".join([HEADER, *train]) + "\n")
    (tmp_path / "val.csv").write_text(f"{HEADER}\n{row('P02_01_0', '00:00:00', '00:00:01', '1,60', 0, 0)}\n")
    (tmp_path / "test.csv").write_text(f"{FIRST_EIGHT}\nP03_01_0,P03,P03_01,00:00:01.0,00:00:00,00:00:01,1,50\n")
    (tmp_path / "verbs.csv").write_text("id,key,instances,category\n0,take,\"['take']\",x\n1,put,\"['put']\",x\n")
    (tmp_path / "nouns.csv").write_text("id,key,instances,category\n0,tap,\"['tap']\",x\n1,pan:dust,\"['pan']\",x\n")
    return tmp_path


def settings(folder, frames=None, **files):
    annotations = (
        {split: str(folder / f"{split}.csv") for split in ("train", "val", "test")} | {"challenge": None} | files
    )
    classes = {"verb": str(folder / "verbs.csv"), "noun": str(folder / "nouns.csv")}
    raw = {"kind": "epic_kitchens", "shards": 1, "videos": str(folder), "annotations": annotations}
    return parse_settings(
        EpicKitchensSettings, json.dumps(raw | {"classes": classes, "frames": frames, "tail": None, "unseen": None})
    )


def listed(folder, frames=None):
    form = clip_form(settings(folder, frames).model_dump(mode="json"))
    return epic_kitchens.list_videos(folder, [folder / "train.csv", folder / "test.csv"], form)


def test_clips_are_intervals_of_long_videos(folder):
    (folder / "P01").mkdir()
    (folder / "P01/P01_01.MP4").write_bytes(b"abc")
    first, second = listed(folder)
    assert (first.id, first.path, first.size, first.interval) == ("P01_01_0", "P01/P01_01.MP4", 3, Interval(0.14, 3.37))
    assert second.interval == Interval(64.37, 3606.17)


def test_clips_are_runs_of_frames(folder):
    (folder / "P01/rgb_frames/P01_01").mkdir(parents=True)
    for number in range(1, 300):
        (folder / f"P01/rgb_frames/P01_01/frame_{number:010d}.jpg").touch()
    first, second = listed(folder, "frame_%010d.jpg")
    assert (first.path, first.frames) == ("P01/rgb_frames/P01_01", FrameFiles("frame_%010d.jpg", 8, 194))
    assert (first.lacking, second.lacking) == (0, 70)  # it ends before frame 370, and the last is 299


def test_a_clip_from_frame_0_begins_with_the_first_file(folder):
    """Frames count from 1: of a clip from 0 one would be missing, and the clip lost."""
    train = folder / "train.csv"
    train.write_text(train.read_text().replace("8,202", "0,202"))
    (folder / "P01_01").mkdir()
    (folder / "P01_01/frame_0000000001.jpg").touch()
    assert listed(folder, "frame_%010d.jpg")[0].frames == FrameFiles("frame_%010d.jpg", 1, 201)
    (folder / "P01_01/frame_0000000000.jpg").touch()
    assert listed(folder, "frame_%010d.jpg")[0].frames == FrameFiles("frame_%010d.jpg", 0, 202)


def test_verbs_nouns_and_splits(folder):
    labelling = epic_kitchens.read_labels(settings(folder))
    found = find_labels(labelling, ["P01_01_0", "P02_01_0", "P03_01_0"])
    assert found.heads == {"noun": ["tap", "pan:dust"], "verb": ["take", "put"]}
    assert found.labels == {"P01_01_0": [0, 1], "P02_01_0": [0, 0]}
    assert found.splits == {"train": ["P01_01_0"], "val": ["P02_01_0"], "test": []}
    assert found.missing == ["P01_01_1"]
    assert found.groups == {"P01_01_0": "P01_01", "P02_01_0": "P01_01"}
    assert found.notes == [
        "1 intervals stop before they start, and are left out: P01_01_2",
        "in a split, but without labels: P03_01_0",
    ]


def test_clips_of_a_challenge_are_listed_beside_the_splits(folder):
    """They have no labels, are in no split that is learned from or scored, and are no surprise to be noted."""
    (folder / "open.csv").write_text(f"{FIRST_EIGHT}\nP04_01_1,P04,P04_01,0:0:1,00:00:00,00:00:01,1,50\n"
                                     "P04_01_0,P04,P04_01,0:0:1,00:00:00,00:00:01,1,50\n")  # fmt: skip
    labelling = epic_kitchens.read_labels(settings(folder, challenge=str(folder / "open.csv")))
    found = find_labels(labelling, ["P01_01_0", "P02_01_0", "P04_01_0"])
    assert found.splits == {"train": ["P01_01_0"], "val": ["P02_01_0"], "test": [], "challenge": ["P04_01_0"]}
    assert found.annotated["challenge"] == 2
    assert "P04_01_0" not in found.labels
    assert found.missing == ["P01_01_1"]
    assert not any("P04" in note for note in found.notes)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("00:00:00.14", "0.14", r"train.csv:2: `start_timestamp` is '0.14': expected hours:minutes:seconds"),
        ("x,1,x,0", "x,2,x,0", r"train.csv:2: the verb of P01_01_0 is 2: expected 0 to 1, for there are 2 classes"),
        ("x,1,x,0", "x,,x,0", r"train.csv:2: P01_01_0 has a verb or a noun and not both"),
        ("x,1,x,0", "x,,x,", r"train.csv:2: P01_01_0 has no verb and no noun, which only clips of test may lack"),
        ("verb_class", "verb_klass", r"train.csv:1: expected the header with narration_id, .*, verb_class, noun_class"),
    ],
)
def test_mistakes(folder, old, new, message):
    path = folder / "train.csv"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(PipelineError, match=message):
        epic_kitchens.read_labels(settings(folder))


def test_no_video_is_there(folder):
    (folder / "P99_01.MP4").touch()
    with pytest.raises(
        PipelineError, match=r"no annotated video has a file: the annotations tell of P01_01, P03_01, th"
    ):
        listed(folder)
