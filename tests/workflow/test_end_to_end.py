"""The tiny run from videos to the report. Among the videos are one of a frame, one of five, and four that are none."""

import json

from toys.tiny_project import BAD, GOOD, Project

from pipeline.artifact import read
from pipeline.schemas import FRAMES, GRAPHS


def test_scores_cover_the_good_videos(finished: Project) -> None:
    for experiment in ("grid", "everything"):
        for split in ("val", "test"):
            scores = json.loads((finished.root / f"results/experiments/{experiment}/{split}/scores.json").read_text())
            assert set(scores["metrics"]) >= {"Bleu_4", "METEOR", "ROUGE_L", "CIDEr"}
            assert scores["num_covered"] == 2
        assert sorted(scores["missing"]) == sorted(BAD.values())  # test is where the bad ones are


def test_bad_videos_are_rows_with_a_reason(finished: Project) -> None:
    good, failed = [], {}
    for shard in ("000", "001"):
        frames = read(finished.root / f"results/datasets/home/frames/action/{shard}.zarr", FRAMES)
        good += frames.ids
        failed |= frames.failed
    assert sorted(good) == sorted(f"{name}.mp4" for name in GOOD)
    assert sorted(failed) == sorted(BAD.values())
    assert "empty" in failed[BAD["empty"]]
    assert "audio only" in failed[BAD["sound"]]
    assert all(failed.values())


def test_graphs_hold_the_good_videos(finished: Project) -> None:
    ids = []
    for shard in ("000", "001"):
        ids += read(finished.root / f"results/datasets/home/graphs/grid/{shard}.zarr", GRAPHS).ids
    assert sorted(ids) == sorted(f"{name}.mp4" for name in GOOD)


def test_knowledge_comes_from_the_training_captions(finished: Project) -> None:
    triplets = json.loads((finished.root / "results/knowledge/captions/triplets.json").read_text())
    assert ["square", "move to", "right"] in [triplet[:3] for triplet in triplets["triplets"]]
    assert not {"seen", "cannot", "something"} & set(" ".join(triplets["entities"] + triplets["relations"]).split())


def test_videos_without_captions_are_captioned(finished: Project) -> None:
    predicted = json.loads((finished.root / "results/predictions/unseen/captions.json").read_text())
    assert sorted(video["path"] for video in predicted["videos"].values()) == ["more/another.mp4", "one & only.mp4"]
    assert all(video["caption"] for video in predicted["videos"].values())
    assert list(predicted["missing"]) == ["broken.mp4"]
    gallery = (finished.root / "results/predictions/unseen/index.html").read_text(encoding="utf-8")
    assert "one &amp; only.mp4" in gallery
    assert "one & only.mp4" not in gallery


def test_the_report_lists_what_was_left_out(finished: Project) -> None:
    report = (finished.root / "results/report/index.html").read_text(encoding="utf-8")
    assert all(name in report for name in BAD.values())
    assert "CIDEr" in report


def test_no_path_of_this_machine_is_in_an_artifact(finished: Project) -> None:
    for path in (finished.root / "results").rglob("*.json"):
        assert str(finished.root) not in path.read_text(encoding="utf-8"), path
