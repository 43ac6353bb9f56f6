import pickle
import pickletools

import numpy as np
import pytest

from pipeline.artifact import create, read_json, write_json
from pipeline.errors import DamagedError, PipelineError
from pipeline.schemas import LOGITS
from pipeline.stages.score_epic import run
from pipeline.upkeep.contents import check_pickle

# Of nouns first: heads are sorted. Two views of clip 0; clip 1 is told a noun of its own and the other verb.
VIEWS = {
    "P01_01_0": [[2.0, 0, 0, 1.0, 0], [0, 0, 0, 3.0, 0]],
    "P18_02_1": [[0, 4.0, 0, 2.0, 1.0], [0, 4.0, 0, 2.0, 1.0]],
}
LABELS = {"P01_01_0": [0, 0], "P18_02_1": [1, 1], "P02_01_3": [2, 1]}
HEADS = {"noun": ["tap", "pan", "lid"], "verb": ["take", "put"]}


@pytest.fixture
def folder(tmp_path):
    ids = [*VIEWS, "P02_01_3"]
    with create(tmp_path / "l.zarr", LOGITS, ids=ids, stage="recognize_videos", settings={}, inputs={}) as writer:
        for clip_id, logits in VIEWS.items():
            number = np.arange(2, dtype=np.int16)
            writer.append(clip_id, logits=np.array(logits, np.float32), temporal=number, spatial=number * 0)
        writer.fail("P02_01_3", "cut off")
    write_labels(tmp_path, HEADS)
    (tmp_path / "verbs.csv").write_text("verb\n1\n")
    (tmp_path / "nouns.csv").write_text("noun\n2\n")
    (tmp_path / "unseen.csv").write_text("participant_id\nP18\nP32\n")
    return tmp_path


def write_labels(folder, heads):
    content = {
        "heads": heads, "labels": LABELS, "splits": {"train": [], "val": [], "test": sorted(LABELS)}, "missing": [],
        "annotated": {"train": 0, "val": 0, "test": 3}, "notes": [], "flips": dict.fromkeys(heads), "groups": {},
    }  # fmt: skip
    write_json(folder / "labels.json", content)


def score(folder, merge="softmax", files=("verbs", "nouns", "unseen"), split="test"):
    named = {
        flag: [folder / f"{name}.csv"] if name in files else []
        for flag, name in (("tail_verbs", "verbs"), ("tail_nouns", "nouns"), ("unseen", "unseen"))
    }
    places = {"out": folder / "epic_scores.json", "export": folder / "epic.pkl"}
    run(logits=folder / "l.zarr", labels=folder / "labels.json", split=split, merge=merge, **named, **places)
    with places["export"].open("rb") as file:
        return read_json(places["out"], [], "score_epic"), pickle.load(file)


def test_scores_and_export_by_hand(folder, capsys):
    scores, exported = score(folder)
    assert (scores["num_videos"], scores["num_covered"], scores["merged_by"]) == (3, 2, "softmax")
    all_clips, tail, unseen = (scores["parts"][name] for name in ("all", "tail", "unseen"))
    assert (all_clips["verb_top1"], all_clips["noun_top1"], all_clips["action_top1"]) == (0.5, 1, 0.5)
    assert (all_clips["action_top5"], all_clips["cast_action_top1"]) == (1, 0.5)
    assert tail["clips"] == {"verb": 1, "noun": 0, "action": 1}  # no scored clip has the rare noun
    assert (tail["verb_top1"], tail["noun_top1"], tail["action_top1"], tail["action_top5"]) == (0, None, 0, 1)
    assert unseen["clips"] == {"verb": 1, "noun": 1, "action": 1}
    assert exported["narration_id"].tolist() == ["P01_01_0", "P18_02_1"]
    assert (exported["verb_output"].shape, exported["noun_output"].shape) == ((2, 2), (2, 3))
    assert exported["verb_output"].dtype == exported["noun_output"].dtype == np.float32
    views = [[np.exp(1) / (np.exp(1) + 1), np.exp(3) / (np.exp(3) + 1)]]
    assert np.exp(exported["verb_output"][0, 0]) == pytest.approx(np.mean(views), rel=1e-6)
    assert np.exp(exported["noun_output"]).sum(1) == pytest.approx([1, 1], rel=1e-6)  # their softmax is the merged one
    assert "  unseen: verb_top1 0.0%" in capsys.readouterr().out


def test_outputs_of_a_challenge_are_exported_without_labels(folder, capsys):
    content = read_json(folder / "labels.json", [], "")
    ids = sorted(LABELS)
    changed = {
        "labels": {},
        "splits": content["splits"] | {"test": [], "challenge": ids},
        "annotated": {"challenge": 4},
    }
    _, of_test = score(folder)
    write_json(folder / "labels.json", content | changed)
    scores, exported = score(folder, split="challenge")
    assert exported["narration_id"].tolist() == ["P01_01_0", "P18_02_1"]
    for name in ("verb_output", "noun_output"):
        assert np.array_equal(exported[name], of_test[name])
    assert (scores["parts"], scores["num_videos"], scores["num_covered"]) == ({}, 4, 2)
    assert scores["notes"][1].startswith("the export lacks 2 clips of the challenge")
    assert "challenge: 2 of 4 clips" in capsys.readouterr().out


def test_logits_are_exported_as_they_are_merged(folder):
    _, exported = score(folder, "logits")
    assert exported["noun_output"].tolist() == [[1, 0, 0], [0, 4, 0]]
    assert exported["verb_output"].tolist() == [[2, 0], [2, 1]]


def test_the_export_is_read_by_numpy_of_any_version(folder):
    """Names below `numpy._core` are those of NumPy 2 alone; the tools of EPIC-Kitchens have an older one."""
    score(folder)
    names = [argument for opcode, argument, _ in pickletools.genops((folder / "epic.pkl").read_bytes())
             if opcode.name in ("SHORT_BINUNICODE", "GLOBAL") and "numpy" in str(argument)]  # fmt: skip
    assert names == ["numpy"]
    again = (folder / "epic.pkl").read_bytes()
    score(folder)
    assert (folder / "epic.pkl").read_bytes() == again


def test_without_files_of_rare_classes_and_participants(folder, caplog):
    scores, _ = score(folder, files=("verbs",))
    assert (scores["parts"]["tail"], scores["parts"]["unseen"]) == (None, None)
    assert [note.split(":")[0] for note in scores["notes"]] == [
        "no accuracy of tail classes or participants",
        "no accuracy of unseen classes or participants",
    ]
    assert len(caplog.messages) == 2


def test_mistakes(folder):
    (folder / "verbs.csv").write_text("verb\n2\n")
    with pytest.raises(PipelineError, match=r"verbs.csv:2: the verb is 2: expected 0 to 1, for there are 2 classes"):
        score(folder)
    (folder / "verbs.csv").write_text("noun\n1\n")
    with pytest.raises(PipelineError, match=r"verbs.csv:1: expected the header with verb"):
        score(folder)
    with pytest.raises(PipelineError, match=r"unseen.csv:2: `participant_id` is '18': expected one such as P01"):
        (folder / "unseen.csv").write_text("participant_id\n18\n")
        score(folder, files=("unseen",))
    write_labels(folder, {"class": ["a", "b", "c"], "other": ["d", "e"]})
    with pytest.raises(PipelineError, match=r"labels.json: its heads are class, other: actions of EPIC-Kitchens"):
        score(folder)


def test_a_pickle_that_is_cut_off_or_goes_on_is_damaged(folder):
    score(folder)
    path, whole = folder / "epic.pkl", (folder / "epic.pkl").read_bytes()
    check_pickle(path)
    path.write_bytes(whole[:-20])
    with pytest.raises(ValueError, match=r"pickle|expected"):
        check_pickle(path)
    path.write_bytes(whole + b"x")
    with pytest.raises(DamagedError, match="goes on after its end"):
        check_pickle(path)
