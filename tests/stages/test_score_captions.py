"""COCO scores: values worked out by hand, the tokenizer's habits, raw references (trap T7), and the stage itself."""

import csv
import json
import math
import os
from contextlib import nullcontext

import numpy as np
import pytest

from pipeline.artifact import write_json
from pipeline.errors import PipelineError
from pipeline.scoring import coco
from pipeline.scoring.coco import overlap, tokenise
from pipeline.scoring.statistics import METRICS, NUM_METEOR, from_json
from pipeline.stages import score_captions
from pipeline.stages.score_captions import describe, notes_on, score, tabulate


@pytest.fixture(scope="module")
def started_meteor():
    """One METEOR for all the tests, because it takes seconds to start; no system Java can be found."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "/nonexistent")
        with coco.start_meteor() as meteor:
            assert os.environ["PATH"] == "/nonexistent"
            yield meteor
        assert meteor.meteor_p.returncode is not None
        assert meteor.meteor_p.stdout.closed


@pytest.fixture
def with_meteor(started_meteor, monkeypatch):
    monkeypatch.setattr(coco, "start_meteor", lambda: nullcontext(started_meteor))


@pytest.mark.usefixtures("with_meteor")
@pytest.mark.slow
def test_identical_captions_are_perfect():
    sentences = {"a": "A red circle moves left.", "b": "Two small dogs run down a hill!"}
    scores = score({i: [s] for i, s in sentences.items()}, sentences)
    assert tuple(scores) == METRICS
    for name in METRICS[:-1]:
        assert scores[name] == pytest.approx(1.0, abs=1e-6), name
    assert scores["CIDEr"] == pytest.approx(10.0)


def test_hand_computed_bleu():
    # "a red dog runs" against "a red dog sits down": 3 of 4 words, 2 of 3 pairs, 1 of 2 triples; 4 words against 5.
    scores, _ = overlap({"v": ["a red dog sits down"]}, {"v": ["a red dog runs"]})
    brevity = math.exp(1 - 5 / 4)
    assert scores["Bleu_1"] == pytest.approx(brevity * 3 / 4)
    assert scores["Bleu_2"] == pytest.approx(brevity * math.sqrt(3 / 4 * 2 / 3))
    assert scores["Bleu_3"] == pytest.approx(brevity * (3 / 4 * 2 / 3 * 1 / 2) ** (1 / 3))
    # ROUGE-L: longest common subsequence 3, precision 3/4, recall 3/5, beta 1.2
    assert scores["ROUGE_L"] == pytest.approx((1 + 1.2**2) * 0.75 * 0.6 / (0.6 + 1.2**2 * 0.75))


def test_nothing_in_common_scores_nothing():
    scores, rows = overlap({"a": ["red circle"], "b": ["blue dog"]}, {"a": ["green hills"], "b": ["old house"]})
    assert max(scores.values()) < 1e-6
    assert rows[:, -1].tolist() == [0, 0]  # CIDEr


def test_corpus_bleu_pools_the_videos():
    # 2 of 2 words right in one video, 0 of 4 in the other: 2/6 pooled, where the mean of the videos would be 1/2.
    references = {"a": ["red circle"], "b": ["a dog runs here"]}
    scores, _ = overlap(references, {"a": ["red circle"], "b": ["my old house burns"]})
    assert scores["Bleu_1"] == pytest.approx(2 / 6)


def test_scores_are_those_of_any_country(monkeypatch):
    """Where Java speaks German, METEOR would print 0,5, which is no number."""
    references, hypotheses = {"v": ["a red ball rolls", "the ball moves"]}, {"v": ["a red ball moves"]}
    expected = coco.meteor(references, hypotheses)[0]
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Duser.language=de -Duser.country=DE -Dfile.encoding=ISO-8859-1")
    assert 0 < coco.meteor(references, hypotheses)[0] == expected < 1
    assert tokenise(["Ein großer Ball, 1.5 m"]) == ["ein großer ball 1.5 m"]


def without_meteor(monkeypatch):
    """Spare a test METEOR's start: no word is ever matched; returns the references that METEOR would have got."""
    seen = []

    def nothing(references, hypotheses):
        seen.append(references)
        return 0.0, np.zeros((len(hypotheses), NUM_METEOR))

    monkeypatch.setattr(coco, "meteor", nothing)
    return seen


def test_references_are_raw_t7(monkeypatch):
    """Truncated references without their rare words would flatter these captions: the stage's tokens keep them."""
    raw = {"a": ["a small crimson circle slowly moves to the left"], "b": ["a vermilion square grows"]}
    degraded = {"a": ["a small circle moves"], "b": ["a square grows"]}
    hypotheses = {"a": "a small circle moves", "b": "a square grows"}

    seen = without_meteor(monkeypatch)
    honest, flattered = score(raw, hypotheses), score(degraded, hypotheses)
    assert seen[0] == raw
    assert flattered["Bleu_3"] > 0.99
    for name in ("Bleu_3", "ROUGE_L", "CIDEr"):
        assert honest[name] < flattered[name] - 0.05, name


@pytest.mark.parametrize(
    ("references", "hypotheses", "message"),
    [
        ({}, {}, "at least one"),
        ({"a": ["x"]}, {"b": "x"}, "only one of them"),
        ({"a": []}, {"a": "x"}, "no reference"),
    ],
)
def test_mismatched_videos_are_refused(references, hypotheses, message):
    with pytest.raises(PipelineError, match=message):
        score(references, hypotheses)


def test_describe():
    told = describe(["A dog runs.", "a dog  runs", "a cat sits", "a new thing here"], ["a dog runs!", "A cat sits"])
    assert told == {"num_distinct": 3, "novel_share": 0.25, "mean_words": 3.25}


def test_what_counts_as_new_goes_by_the_words_of_the_captioner():
    generated, train = ["a man isn't in a t-shirt", "\u4eba\u8dd1"], ["A man isnt in a tshirt.", "\u4eba \u8dd1"]
    assert describe(generated, train)["novel_share"] == 0.5
    assert describe(generated, train, "characters") == {"num_distinct": 2, "novel_share": 0.0, "mean_words": 4.0}
    assert describe(generated[:1], ["a man is n't in a T-shirt!", *train], "ptb")["novel_share"] == 0.0


def test_a_cider_that_can_only_be_0_is_said():
    one, other = ["a dog runs"], ["a dog runs", "a cat"]
    assert coco.cider_can_tell({"a": one, "b": other})
    assert coco.cider_can_tell({"a": one, "b": ["a dog runs fast"]})
    assert not coco.cider_can_tell({"a": one})
    assert not coco.cider_can_tell({"a": one, "b": one * 2})
    assert notes_on({"a": one, "b": other}, "ptb") == []
    [note] = notes_on({"a": one}, "ptb")
    assert note.endswith("how few videos share them: on a single video it is 0 by construction")
    [note] = notes_on({"a": one, "b": one}, "bare")
    assert note.endswith("how few videos share them: on these 2 videos, which all share them, it is 0 by construction")
    assert overlap({"a": one, "b": one}, {"a": one, "b": one})[0]["CIDEr"] == 0


def test_captions_of_characters_are_scored_by_characters(monkeypatch):
    seen = without_meteor(monkeypatch)
    chinese = {"a": ["\u4e00\u4e2a\u4eba\u5728\u8dd1"], "b": ["\u4e00\u53ea\u72d7\u5750\u7740"]}
    generated = {"a": "\u4e00\u4e2a\u4eba\u5728\u8df3", "b": "\u4e00\u53ea\u72d7\u5750\u7740"}
    pairs = coco.tokenise_pairs(chinese, generated, "characters")
    total, _ = coco.score_tokenised(*pairs)
    assert seen[0] == {"a": ["\u4e00 \u4e2a \u4eba \u5728 \u8dd1"], "b": ["\u4e00 \u53ea \u72d7 \u5750 \u7740"]}
    assert total["Bleu_1"] == pytest.approx(9 / 10)
    assert notes_on(pairs[0], "characters") == [
        "all scores count characters, not words; METEOR finds equal characters alone, no synonyms"
    ]


@pytest.fixture
def dataset(tmp_path):
    """Four test videos: one tame, one whose generated caption is odd, one never captioned, one without references."""
    captions = {"t": ["a dog runs"], "a": ["A dog runs."], "b": ["...", "a ||| hat"], "c": ["x"], "d": []}
    path = tmp_path / "references.json"
    write_json(path, {"captions": captions, "splits": {"train": ["t"], "val": ["t"], "test": ["a", "b", "c", "d"]}})
    return path


@pytest.mark.usefixtures("with_meteor")
@pytest.mark.slow
def test_run_scores_what_there_is(dataset, tmp_path, capsys):
    generated, out = tmp_path / "captions.json", tmp_path / "scores.json"
    write_json(generated, {"captions": {"a": "a dog runs", "b": "", "d": "no truth"}, "missing": ["c"]})
    score_captions.run(
        captions=generated, references=dataset, split="test", out=out, per_video=tmp_path / "per_video.csv"
    )
    scores = json.loads(out.read_text())
    assert (scores["num_videos"], scores["num_covered"]) == (4, 2)
    assert (scores["missing"], scores["without_references"]) == (["c"], ["d"])
    assert (scores["num_distinct"], scores["novel_share"], scores["mean_words"]) == (2, 0.5, 1.5)
    assert scores["cider_by_video"].keys() == {"a", "b"}
    assert set(scores["metrics"]) == set(METRICS)
    assert all(0 < value < 10 for value in scores["metrics"].values())
    assert scores["notes"] == []
    statistics = from_json(scores["statistics"])
    assert statistics.scores() == pytest.approx(scores["metrics"], abs=1e-12)  # METEOR's Java and BLEU's corpus score
    with (tmp_path / "per_video.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["video"]: row for row in csv.DictReader(file)}
    assert rows.keys() == {"a", "b"}
    assert (rows["a"]["caption"], rows["a"]["reference"], rows["b"]["reference"]) == (
        "a dog runs",
        "A dog runs.",
        "...",
    )
    assert [float(rows["a"][name]) for name in ("METEOR", "ROUGE_L")] == [1, 1]
    printed = capsys.readouterr().out
    assert f"{scores['metrics']['METEOR']:.3f}" in printed
    assert "2 of 4 videos" in printed


def test_run_notes_that_cider_of_one_video_says_nothing(dataset, tmp_path, monkeypatch):
    without_meteor(monkeypatch)
    generated, out = tmp_path / "captions.json", tmp_path / "scores.json"
    write_json(generated, {"captions": {"t": "a dog runs"}, "missing": []})
    score_captions.run(
        captions=generated, references=dataset, split="val", out=out, per_video=tmp_path / "per_video.csv"
    )
    scores = json.loads(out.read_text())
    assert scores["metrics"]["CIDEr"] == 0
    assert scores["metrics"]["Bleu_2"] == pytest.approx(1.0, abs=1e-6)
    assert "CIDEr" in scores["notes"][0]


def test_run_without_anything_to_score(dataset, tmp_path):
    generated = tmp_path / "captions.json"
    write_json(generated, {"captions": {"t": "a dog"}, "missing": []})
    with pytest.raises(PipelineError, match="none of the 4 videos of split 'test'"):
        score_captions.run(
            captions=generated, references=dataset, split="test", out=tmp_path / "s", per_video=tmp_path / "p"
        )


def test_the_table_keeps_commas_quotes_and_lines_apart():
    scores = dict.fromkeys(METRICS, 0.25) | {"CIDEr": 1.5}
    captions = {"a, b": 'he said "no", twice', "c": ""}
    text = tabulate(captions, dict.fromkeys(captions, scores), {"a, b": ["one\nline", "x"], "c": ["; y"]})
    assert text.splitlines()[0] == "video,caption,CIDEr,METEOR,ROUGE_L,Bleu_4,reference"
    rows = list(csv.reader(text.splitlines(keepends=True)))
    figures = ["1.500000", "0.250000", "0.250000", "0.250000"]
    assert rows[1:] == [["a, b", 'he said "no", twice', *figures, "one\nline"], ["c", "", *figures, "; y"]]
