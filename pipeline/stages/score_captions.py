"""Score generated captions against the raw references with the COCO caption metrics.

The metrics are BLEU (Papineni et al., 2002), METEOR (Denkowski and Lavie, 2014), ROUGE-L (Lin, 2004) and CIDEr
(Vedantam et al., 2015) as pycocoevalcap implements them. Captions are split by the Penn Treebank tokenizer, as on the
COCO caption server (Chen et al., 2015, section 3). References are the annotators' sentences as written: nothing is
truncated and no word is dropped because a vocabulary lacks it, so the figures are comparable with the literature. Where
the captioner's vocabulary has `tokenizer: characters`, the words that are scored are characters.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from pipeline.artifact import read_json, write_json
from pipeline.errors import PipelineError
from pipeline.jobs.storage import replaced
from pipeline.scoring.coco import cider_can_tell, score_tokenised, tokenise_pairs
from pipeline.scoring.statistics import METRICS
from pipeline.scoring.tables import csv_text, inert
from pipeline.scoring.tokenising import split_all
from pipeline.vocabulary import Tokenizer

log = logging.getLogger(__name__)


def run(*, captions: Path, references: Path, split: str, out: Path, per_video: Path) -> None:
    """Score the captions generated for one split.

    Args:
        captions: Generated captions of `generate_captions`.
        references: The data set's captions.json: references and splits.
        split: The split to score: train, val or test.
        out: Where the scores go (JSON).
        per_video: Where a table of the scored videos goes (CSV): each with its caption, its own scores (BLEU-4 is not
            smoothed, CIDEr weighs words by their rarity in all scored videos) and its first reference.

    Raises:
        PipelineError: No video of the split has both a generated caption and a reference.
    """
    generated = read_json(captions, ["captions", "missing"], "generate_captions")
    dataset = read_json(references, ["captions", "splits"], "index_captions")
    ids = dataset["splits"].get(split, [])
    scored = [i for i in ids if i in generated["captions"] and dataset["captions"].get(i)]
    if not scored:
        raise PipelineError(
            f"{captions}: none of the {len(ids)} videos of split '{split}' has both a generated caption and a "
            f"reference in {references}; check the split and its videos' failures in the report"
        )
    hypotheses = {i: generated["captions"][i] for i in scored}
    truth = {i: dataset["captions"][i] for i in scored}
    tokenizer: Tokenizer = generated.get("tokenizer", "bare")  # files that do not say it: there was no other then
    references_by_video, candidates = tokenise_pairs(truth, hypotheses, tokenizer)
    total, statistics = score_tokenised(references_by_video, candidates)
    by_video = statistics.by_video()
    train = [c for i in dataset["splits"].get("train", []) for c in dataset["captions"].get(i, [])]
    notes = notes_on(references_by_video, tokenizer)
    scores = {
        "split": split,
        "metrics": total,
        "num_videos": len(ids),
        "num_covered": len(scored),
        "missing": [i for i in ids if i not in generated["captions"]],
        "without_references": [i for i in ids if not dataset["captions"].get(i)],
        **describe(list(hypotheses.values()), train, tokenizer),
        "cider_by_video": {i: scores["CIDEr"] for i, scores in by_video.items()},
        "statistics": statistics.to_json(),
        "notes": notes,
    }
    with replaced(per_video) as new:
        new.write_text(tabulate(hypotheses, by_video, truth), encoding="utf-8")
    write_json(out, scores)
    for note in notes:
        log.warning("%s", note)
    print(table(scores))


def score(references: Mapping[str, Sequence[str]], hypotheses: Mapping[str, str]) -> dict[str, float]:
    """Score one caption for each video against its raw references.

    Args:
        references: The annotators' sentences of each video, as written.
        hypotheses: The generated caption of each video; it must have the same videos.

    Returns:
        `Bleu_1` to `Bleu_4`, `METEOR`, `ROUGE_L` in [0, 1] and `CIDEr` in [0, 10], over all videos.

    Raises:
        PipelineError: no video at all, the videos differ, or a video has no reference.
    """
    return score_tokenised(*tokenise_pairs(references, hypotheses))[0]


def notes_on(references: Mapping[str, list[str]], tokenizer: Tokenizer) -> list[str]:
    """Say what a reader of the scores must know.

    Args:
        references: Tokenised references of each video that is scored.
        tokenizer: The tokenizer of the captioner's vocabulary.
    """
    notes = []
    if not cider_can_tell(references):
        which = "on a single video" if len(references) == 1 else f"on these {len(references)} videos, which all share"
        what = "" if len(references) == 1 else " them,"
        notes.append(f"CIDEr weighs n-grams by how few videos share them: {which}{what} it is 0 by construction")
    if tokenizer == "characters":
        notes.append("all scores count characters, not words; METEOR finds equal characters alone, no synonyms")
    return notes


def describe(hypotheses: Sequence[str], train: Sequence[str], tokenizer: Tokenizer = "bare") -> dict[str, float | int]:
    """Measure how varied captions are; case, punctuation and spacing make no caption different or new.

    Args:
        hypotheses: At least one generated caption.
        train: The captions of the training split.
        tokenizer: The tokenizer of the captioner's vocabulary.

    Returns:
        `num_distinct`, `novel_share` (the share that equals no training caption) and `mean_words` (their mean length).
    """
    split = [tuple(words) for words in split_all([*hypotheses, *train], tokenizer)]
    captions, known = split[: len(hypotheses)], set(split[len(hypotheses) :])
    return {
        "num_distinct": len(set(captions)),
        "novel_share": fmean(caption not in known for caption in captions),
        "mean_words": fmean(len(caption) for caption in captions),
    }


def tabulate(
    hypotheses: Mapping[str, str], by_video: Mapping[str, Mapping[str, float]], references: Mapping[str, Sequence[str]]
) -> str:
    """Write a CSV table with a line for each video: id, caption, scores, first reference."""
    metrics = ("CIDEr", "METEOR", "ROUGE_L", "Bleu_4")
    rows = [
        [inert(i), inert(caption), *[f"{by_video[i][metric]:.6f}" for metric in metrics], inert(references[i][0])]
        for i, caption in hypotheses.items()
    ]
    return csv_text(["video", "caption", *metrics, "reference"], rows)


def table(scores: Mapping[str, Any]) -> str:
    """Format the scores as two lines of text, the names above the figures, and one line about coverage."""
    names = "  ".join(f"{name:>7}" for name in METRICS)
    figures = "  ".join(f"{scores['metrics'][name]:7.3f}" for name in METRICS)
    coverage = (
        f"{scores['split']}: {scores['num_covered']} of {scores['num_videos']} videos, {scores['num_distinct']} "
        f"distinct captions, {scores['novel_share']:.0%} novel, {scores['mean_words']:.1f} words on average"
    )
    return f"{names}\n{figures}\n{coverage}"
