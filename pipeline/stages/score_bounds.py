"""Score what needs no model: the commonest caption, other videos' captions, and one reference against the others."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.artifact import read_json, write_json
from pipeline.errors import PipelineError
from pipeline.scoring.bounds import commonest, of_other_videos, one_against_others
from pipeline.scoring.coco import score_tokenised, tokenise_pairs
from pipeline.vocabulary import Tokenizer
from pipeline.workflow.paths import locate


def run(*, captions: list[Path], scores: list[Path], references: Path, split: str, out: Path) -> None:
    """Score the floors and the ceiling of a split.

    Args:
        captions: Captions of the split by each trial that the report compares.
        scores: Scores of these captions; the trial with the best CIDEr lends its captions to other videos.
        references: The data set's captions.json: references and splits.
        split: The split to score.
        out: Where the scores go (JSON): `split`, `best` (the trial; None without any) and `rows`, each with `name`
            (`commonest`, `others` or `reference`), `kind` (`floor` or `ceiling`), `told` (the commonest caption),
            `metrics`, `statistics`, `num_videos` and `num_covered`.

    Raises:
        PipelineError: No video of the split has a reference.
    """
    dataset = read_json(references, ["captions", "splits"], "index_captions")
    ids = dataset["splits"].get(split, [])
    truth = {i: dataset["captions"][i] for i in ids if dataset["captions"].get(i)}
    if not truth:
        raise PipelineError(f"{references}: none of the {len(ids)} videos of split '{split}' has a reference")
    best = best_trial(scores)
    generated = read_json(captions_of(best, captions), ["captions"], "generate_captions") if best else {"captions": {}}
    tokenizer: Tokenizer = generated.get("tokenizer", "ptb")
    told = {i: caption for i, caption in generated["captions"].items() if i in truth}
    train = [c for i in dataset["splits"].get("train", []) for c in dataset["captions"].get(i, [])]
    rows = [
        describe(name, kind, found, of, tokenizer, len(ids))
        for name, kind, found, of in candidates(train, told, truth, tokenizer)
    ]
    write_json(out, {"split": split, "best": best, "rows": rows})
    for row in rows:
        print(f"{row['name']}: CIDEr {row['metrics']['CIDEr']:.3f}, {row['num_covered']} of {len(ids)} videos")


def candidates(
    train: Sequence[str],
    told: Mapping[str, str],
    truth: Mapping[str, Sequence[str]],
    tokenizer: Tokenizer,
) -> list[tuple[str, str, Mapping[str, str], Mapping[str, Sequence[str]]]]:
    """Make the captions of each row, with the references that they are scored against; those without any are left out.

    Args:
        train: The captions of the training split.
        told: Captions of the best trial, of videos with references.
        truth: The references of each video.
        tokenizer: How captions are split into words.

    Returns:
        Name, kind, captions and references of each row.
    """
    same = dict.fromkeys(truth, commonest(train, tokenizer)) if train else {}
    others = of_other_videos(told)
    taken, left = one_against_others(truth)
    found: list[tuple[str, str, Mapping[str, str], Mapping[str, Sequence[str]]]] = [
        ("commonest", "floor", same, truth),
        ("others", "floor", others, {i: truth[i] for i in others}),
        ("reference", "ceiling", taken, left),
    ]
    return [row for row in found if row[2]]


def describe(
    name: str,
    kind: str,
    captions: Mapping[str, str],
    references: Mapping[str, Sequence[str]],
    tokenizer: Tokenizer,
    num_videos: int,
) -> dict[str, Any]:
    """Score the captions of a row; see `run` for what it returns."""
    total, statistics = score_tokenised(*tokenise_pairs(references, captions, tokenizer))
    return {
        "name": name,
        "kind": kind,
        "told": next(iter(captions.values())) if name == "commonest" else None,
        "metrics": total,
        "statistics": statistics.to_json(),
        "num_videos": num_videos,
        "num_covered": len(captions),
    }


def best_trial(scores: Sequence[Path]) -> str | None:
    """The trial with the best CIDEr, the first of equal ones; None of none."""
    found = {trial_of(path): read_json(path, ["metrics"], "score_captions")["metrics"]["CIDEr"] for path in scores}
    return max(found, key=lambda trial: found[trial]) if found else None


def captions_of(trial: str, captions: Sequence[Path]) -> Path:
    """The file of a trial among those of several."""
    return next(path for path in captions if trial_of(path) == trial)


def trial_of(path: Path) -> str:
    """The trial that a file of captions or scores belongs to, as its path says.

    Raises:
        PipelineError: it is the path of no such file.
    """
    located = locate(path)
    if located is None or "trial" not in located.names:
        raise PipelineError(f"{path}: expected a path such as results/experiments/grid/test/captions.json")
    return located.names["trial"]
