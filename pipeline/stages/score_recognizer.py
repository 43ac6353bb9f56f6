"""Score the recognized clips of a split: top-1, top-5, mean class accuracy, classes, confusions, numbers of views."""

from pathlib import Path

from pipeline.artifact import read
from pipeline.config import PartSettings
from pipeline.recognition.labels import read_labels
from pipeline.recognition.parts import labels_of_part, read_part
from pipeline.recognition.scored_clips import recognized_of, require_classes, score_clips, write_scored
from pipeline.recognition.views import merging_of
from pipeline.schemas import LOGITS


def run(
    *,
    logits: Path,
    labels: Path,
    groups: list[Path],
    split: str,
    out: Path,
    per_video: Path,
    per_class: Path,
    part: PartSettings | None,
    merge: str = "logits",
) -> None:
    """Score the clips recognized for one split.

    Args:
        logits: The logits of the split's clips, by `recognize_videos`.
        labels: The data set's labels.json: classes, labels and splits.
        groups: The groups of the classes that a part of TSTL is of; nothing for the whole.
        split: The split to score: train, val or test.
        out: Where the scores go (JSON).
        per_video: Where a table of the scored clips goes (CSV): each with its class, the class that was told, its
            probability, and the rank of its class, from 1.
        per_class: Where a table of the classes goes (CSV): each with its clips, its top-1 and top-5 with their 95 %
            intervals.
        part: The part of TSTL that recognized the clips: the groups are the classes of a selector, and an expert is
            scored on the clips of its group; null for the whole.
        merge: How the views of a clip are merged for the scores that count: logits or softmax.

    Raises:
        PipelineError: No clip of the split was recognized, the logits are of other classes, or there is no such way to
            merge.
    """
    how = merging_of(merge)
    whole = read_labels(labels)
    known = labels_of_part(whole, read_part(part, groups, whole))
    store = read(logits, LOGITS)
    scored = recognized_of(store, known, split)
    require_classes(store, sum(known.widths.values()), labels)
    views = {clip_id: store.video(clip_id, ["logits"])["logits"] for clip_id in scored}
    write_scored(score_clips(known, split, views, store.failed, how), out, per_video, per_class)
