"""Score verbs, nouns and actions of EPIC-Kitchens by its official rule and by CAST's, and export what they stand on.

The export is what the official tools read (`evaluate.py` and `create_submission.py` of epic-kitchens'
C1-Action-Recognition): a pickle of `verb_output`, `noun_output` and `narration_id`, whose rows are the clips.

Shapes: N clips, V verbs, K nouns.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.artifact import read, write_json
from pipeline.datasets.epic_kitchens import read_participants, read_tail
from pipeline.errors import PipelineError
from pipeline.recognition.epic_export import write_outputs
from pipeline.recognition.labels import Labels, read_labels
from pipeline.recognition.scored_clips import merged_heads, recognized_of, require_classes
from pipeline.recognition.views import merging_of, outputs_of
from pipeline.schemas import LOGITS
from pipeline.scoring.epic import accuracies, outcome_of
from pipeline.workflow.paths import CHALLENGE

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
        split: The split to score: train, val or test; or challenge, whose clips have no labels: their outputs are
            exported, and nothing is scored.
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
    known, store = read_labels(labels), read(logits, LOGITS)
    ids, widths = recognized_of(store, known, split), known.widths
    require_verbs_and_nouns(known)
    require_classes(store, sum(widths.values()), labels)
    tail = None
    if tail_verbs and tail_nouns:
        tail = {
            "verb": read_tail(tail_verbs[0], "verb", widths["verb"]),
            "noun": read_tail(tail_nouns[0], "noun", widths["noun"]),
        }
    participants = read_participants(unseen[0]) if unseen else None
    outcomes, nouns, verbs = [], [], []
    for clip in ids:
        merged = merged_heads(store.video(clip, ["logits"])["logits"], widths, how)
        noun_K, verb_V = (outputs_of(scores, how) for scores in merged)
        if split != CHALLENGE:
            label = known.index.label_of(clip)
            outcomes.append(outcome_of(clip, verb_V, noun_K, label["verb"], label["noun"]))
        nouns.append(noun_K)
        verbs.append(verb_V)
    annotated = known.index.annotated.get(split, len(known.split(split)))
    parts = accuracies(outcomes, tail, participants) if split != CHALLENGE else {}
    notes = notes_on(parts) if split != CHALLENGE else notes_on_challenge(annotated - len(ids))
    write_outputs(export, ids, verbs, nouns)
    scores = {
        "split": split,
        "merged_by": how,
        "num_videos": annotated,
        "num_covered": len(ids),
        "parts": parts,
        "notes": notes,
    }
    write_json(out, scores)
    for note in notes:
        log.warning("%s", note)
    print(lines(scores))


def require_verbs_and_nouns(labels: Labels) -> None:
    """Raise PipelineError unless the labels are verbs and nouns."""
    if list(labels.heads) != HEADS:
        raise PipelineError(
            f"{labels.path}: its heads are {', '.join(labels.heads)}: actions of EPIC-Kitchens are of a verb and a noun"
        )


def notes_on(parts: Mapping[str, Any]) -> list[str]:
    """Say what a reader of the scores must know: which parts lack a file, or have no clip."""
    notes = []
    for name, part in parts.items():
        if part is None:
            notes.append(f"no accuracy of {name} classes or participants: the data set names no file of them")
        elif not any(part["clips"].values()):
            notes.append(f"no scored clip is {name}")
    return notes


def notes_on_challenge(num_lacking: int) -> list[str]:
    """Say that nothing was scored, and how many clips the export lacks, which the official tools want to be none."""
    notes = ["the clips of a challenge have no labels: their outputs are exported, and nothing is scored"]
    if num_lacking:
        notes.append(
            f"the export lacks {num_lacking} clips of the challenge, which takes none that lacks one: mend them"
        )
    return notes


def lines(scores: Mapping[str, Any]) -> str:
    """Format the scores as lines of text, one for each part that is known."""
    covered = f"{scores['split']}: {scores['num_covered']} of {scores['num_videos']} clips"
    return "\n".join([covered, *(f"  {name}: {_figures(part)}" for name, part in scores["parts"].items() if part)])


def _figures(part: Mapping[str, Any]) -> str:
    names: Sequence[str] = [name for name in part if name != "clips" and part[name] is not None]
    return ", ".join(f"{name} {part[name]:.1%}" for name in names) or "no clip"
