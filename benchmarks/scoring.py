"""Compare `score_captions` with the slowest of its metrics alone.

Run: `python -m benchmarks.scoring`. The captions are made by a small grammar: a generated one and twenty references for
each of 299 videos, a tenth of MSR-VTT's test split. With more videos the start of Java counts for less. The whole stage
reads them from files, splits them into words, computes all metrics and writes its tables. Alone, each metric gets
captions that are split already.
"""

import contextlib
import io
import json
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge

from benchmarks.measuring import Row, main, take_turns
from pipeline.scoring.coco import meteor, tokenise_pairs
from pipeline.stages import score_captions

NUM_VIDEOS, NUM_REFERENCES = 299, 20
WHO = ("a man", "a woman", "two young girls", "the dog", "a group of people", "someone", "an old lady", "the chef")
DOES = ("is cutting", "cuts", "is playing with", "holds", "is talking about", "showed", "is cooking", "was carrying")
WHAT = ("an onion", "the guitar", "a red ball", "some vegetables", "a video game", "a horse", "the new car", "paper")
WHERE = ("in a kitchen", "on the stage", "outside", "in front of a house", "at night", "quickly", "on a street")


def random_captions(num_videos: int, num_references: int) -> tuple[dict[str, list[str]], dict[str, str]]:
    """References and a generated caption of each video; those of a video have words in common."""
    draw = random.Random(0)
    references, hypotheses = {}, {}
    for number in range(num_videos):
        choices = [draw.sample(words, 3) for words in (WHO, DOES, WHAT, WHERE)]
        captions = [" ".join(draw.choice(words) for words in choices) for _ in range(num_references + 1)]
        hypotheses[f"video{number}"], *references[f"video{number}"] = captions
    return {i: [f"{caption.capitalize()}." for caption in of_video] for i, of_video in references.items()}, hypotheses


def write(folder: Path, references: dict[str, list[str]], hypotheses: dict[str, str]) -> dict[str, Any]:
    """Write the files that the stage reads; returns its flags."""
    (folder / "captions.json").write_text(json.dumps({"captions": hypotheses, "missing": []}))
    dataset = {"captions": references, "splits": {"test": list(hypotheses)}}
    (folder / "references.json").write_text(json.dumps(dataset))
    return {
        "captions": folder / "captions.json",
        "references": folder / "references.json",
        "split": "test",
        "out": folder / "scores.json",
        "per_video": folder / "per_video.csv",
    }


def rows(rounds: int) -> list[Row]:
    """Measure the stage and each metric, in turn."""
    references, hypotheses = random_captions(NUM_VIDEOS, NUM_REFERENCES)
    split = tokenise_pairs(references, hypotheses)
    with tempfile.TemporaryDirectory() as folder:
        flags = write(Path(folder), references, hypotheses)

        def stage() -> None:
            with contextlib.redirect_stdout(io.StringIO()):
                score_captions.run(**flags)

        alone: dict[str, Callable[[], Any]] = {
            "METEOR": lambda: meteor(*split),
            "CIDEr": lambda: Cider().compute_score(*split),
            "BLEU": lambda: Bleu(4).compute_score(*split, verbose=0),
            "ROUGE-L": lambda: Rouge().compute_score(*split),
        }
        of_stage, *of_each = take_turns([stage, *alone.values()], max(1, rounds // 2))
    name, slowest = max(zip(alone, of_each, strict=True), key=lambda metric: metric[1].wall)
    label, now = f"`score_captions`, {NUM_VIDEOS} x {NUM_REFERENCES} references", f"{of_stage.wall / 1000:.1f} s"
    peer = f"{name} alone: {slowest.wall / 1000:.1f} s"
    return [Row(label, now, peer, of_stage.wall / slowest.wall, 1.2, "x", at_most=True)]


if __name__ == "__main__":
    raise SystemExit(main("scoring", __doc__, rows))
