"""Score verbs, nouns and actions of EPIC-Kitchens by its official rule and by CAST's, and export what they stand on.

The export is what the official tools read (`evaluate.py` and `create_submission.py` of epic-kitchens'
C1-Action-Recognition): a pickle of `verb_output`, `noun_output` and `narration_id`, whose rows are the clips.

Shapes: N clips, V verbs, K nouns.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.artifact import write_json
from pipeline.datasets.epic_kitchens import read_participants, read_tail
from pipeline.errors import PipelineError
from pipeline.recognition.epic_export import write_outputs
from pipeline.recognition.merged_clips import ScoredClips, merged_heads, merging_of, outputs_of, read_scored
from pipeline.recognition.views import Merging
from pipeline.scoring.epic import Outputs, accuracies, outcome_of

HEADS = ["noun", "verb"]  # sorted, as labels.json has them

log = logging.getLogger(__name__)


def run(
    *,
    logits: Path,
    labels: Path,
    split: str,
    merge: str,
    tail_verbs: list[Path],
    tail_nouns: list[Path],
    unseen: list[Path],
    out: Path,
    export: Path,
) -> None:
    """Score the clips recognized for one split.

    Args:
        logits: The logits of the split's clips, by `recognize_videos`.
        labels: The data set's labels.json: classes, labels and splits.
        split: The split to score: train, val or test.
        merge: How the views of a clip are merged: logits or softmax.
        tail_verbs: The file of rare verbs; nothing where there is none.
        tail_nouns: The file of rare nouns.
        unseen: The file of the participants of whom training has no video.
        out: Where the scores go (JSON).
        export: Where the outputs of all verbs and nouns go (pickle).

    Raises:
        PipelineError: No clip of the split was recognized, the labels are not of verbs and nouns, or a file cannot be
            read.
    """
    how = merging_of(merge)
    clips = read_scored(logits, labels, split)
    require_verbs_and_nouns(clips)
    widths = clips.known.widths
    tail = None
    if tail_verbs and tail_nouns:
        tail = {
            "verb": read_tail(tail_verbs[0], "verb", widths["verb"]),
            "noun": read_tail(tail_nouns[0], "noun", widths["noun"]),
        }
    participants = read_participants(unseen[0]) if unseen else None
    outputs = clip_outputs(clips, how)
    outcomes = [
        outcome_of(clip, verb_V, noun_K, *(clips.known.index.label_of(clip)[head] for head in ("verb", "noun")))
        for clip, (noun_K, verb_V) in zip(clips.ids, outputs, strict=True)
    ]
    parts = accuracies(outcomes, tail, participants)
    notes = notes_on(parts)
    write_outputs(export, clips.ids, [verb_V for _, verb_V in outputs], [noun_K for noun_K, _ in outputs])
    scores = {
        "split": split,
        "merged_by": how,
        "num_videos": clips.annotated,
        "num_covered": len(clips.ids),
        "parts": parts,
        "notes": notes,
    }
    write_json(out, scores)
    for note in notes:
        log.warning("%s", note)
    print(lines(scores))


def require_verbs_and_nouns(clips: ScoredClips) -> None:
    """Raise PipelineError unless the labels are verbs and nouns."""
    if list(clips.known.heads) != HEADS:
        raise PipelineError(
            f"{clips.known.path}: its heads are {', '.join(clips.known.heads)}: actions of EPIC-Kitchens are of a verb "
            "and a noun"
        )


def clip_outputs(clips: ScoredClips, how: Merging) -> list[list[Outputs]]:
    """The outputs of each clip for each head, in the order of the heads."""
    return [
        [outputs_of(merged, how) for merged in merged_heads(clips.views[clip], clips.known.widths, how)]
        for clip in clips.ids
    ]


def notes_on(parts: dict[str, Any]) -> list[str]:
    """Say what a reader of the scores must know: which parts lack a file, or have no clip."""
    notes = []
    for name, part in parts.items():
        if part is None:
            notes.append(f"no accuracy of {name} classes or participants: the data set names no file of them")
        elif not any(part["clips"].values()):
            notes.append(f"no scored clip is {name}")
    return notes


def lines(scores: dict[str, Any]) -> str:
    """Format the scores as lines of text, one for each part that is known."""
    covered = f"{scores['split']}: {scores['num_covered']} of {scores['num_videos']} clips"
    return "\n".join([covered, *(f"  {name}: {_figures(part)}" for name, part in scores["parts"].items() if part)])


def _figures(part: dict[str, Any]) -> str:
    names: Sequence[str] = [name for name in part if name != "clips" and part[name] is not None]
    return ", ".join(f"{name} {part[name]:.1%}" for name in names) or "no clip"
