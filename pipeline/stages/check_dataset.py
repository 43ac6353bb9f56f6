"""Count the videos, captions, labels and splits of a data set, before any video is decoded."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.artifact import read_json, write_json
from pipeline.artifact.label_index import LabelIndex, read_label_index
from pipeline.artifact.video_table import Clip, read_all_clips, total_size
from pipeline.jobs.storage import replaced
from pipeline.workflow.paths import SPLITS

NUM_SHOWN = 5  # videos of one kind that the table names


def run(
    out: Path,
    table: Path,
    name: str,
    kind: str,
    videos: list[Path],
    captions: list[Path],
    labels: list[Path],
    passed_over: list[str],
) -> None:
    """Write how many videos, captions and labels a data set and its splits have, and what is missing.

    Args:
        out: JSON to write: `name`, `kind`, the numbers `videos` and `bytes`, `passed_over`, `notes`. With captions the
            numbers `captioned` (videos with captions), `captions` and `captions_per_video`, the ids `uncaptioned`
            (videos without captions) and `missing` (captions without a file); `splits`, each with its numbers `videos`,
            `annotated` and `captions`; and `shared`, the numbers `videos` and `captions` of val and test, if they share
            any. With labels `labels`, an object of the number `labelled`, the ids `unlabelled` and `missing`, `splits`
            with `videos` and `annotated`, and `classes`: for each head the numbers of clips by class and split.
        table: Text file to write, with the same numbers as tables.
        name: Name of the data set.
        kind: Kind of the data set.
        videos: The video tables of all its shards.
        captions: The data set's captions.json, captions and splits; nothing if it has none.
        labels: The data set's labels.json, classes, labels and splits; nothing if it has none.
        passed_over: What lies in the data set's folder and is not among its videos: a line for each reason.
    """
    clips = read_all_clips(videos)
    counted: dict[str, Any] = {"name": name, "kind": kind, "passed_over": passed_over, "notes": []}
    counted |= {"videos": len(clips), "bytes": total_size(clips.values())}
    for path in captions:
        index = read_json(path, ["captions", "splits", "missing", "annotated", "notes"], "index_captions")
        counted |= count(clips, index)
    for path in labels:
        label_index = read_label_index(path)
        counted |= {"labels": count_labels(clips, label_index), "notes": [*counted["notes"], *label_index.notes]}
    write_json(out, counted)
    text = describe(counted, out)
    with replaced(table) as new:
        new.write_text(text, encoding="utf-8")
    print(text, end="")


def count(videos: Mapping[str, Clip], index: dict[str, Any]) -> dict[str, Any]:
    """Count a data set; `videos` is the number of clips, `bytes` the size of their files, each file once.

    Args:
        videos: The clips by id.
        index: The captions and splits, as `index_captions` writes them.

    Returns:
        The content of the JSON that `run` writes, without `name`, `kind` and `passed_over`.
    """
    captions = index["captions"]
    num_captions = sum(len(texts) for texts in captions.values())
    splits = {
        split: {
            "videos": len(index["splits"][split]),
            "annotated": index["annotated"][split],
            "captions": sum(len(captions[video_id]) for video_id in index["splits"][split]),
        }
        for split in SPLITS
    }
    shared = set(index["splits"]["val"]) & set(index["splits"]["test"])
    told = {"videos": len(shared), "captions": sum(len(captions[video_id]) for video_id in shared)}
    return ({"shared": told} if shared else {}) | {
        "videos": len(videos),
        "bytes": total_size(videos.values()),
        "captioned": len(captions),
        "captions": num_captions,
        "captions_per_video": round(num_captions / max(1, len(captions)), 2),
        "splits": splits,
        "uncaptioned": sorted(videos.keys() - captions.keys()),
        "missing": index["missing"],
        "notes": index["notes"],
    }


def count_labels(videos: Mapping[str, Clip], index: LabelIndex) -> dict[str, Any]:
    """Count the labels of a data set.

    Args:
        videos: The clips by id.
        index: The labels and splits.

    Returns:
        The content of `labels` in the JSON that `run` writes.
    """
    classes = {}
    for head, names in index.heads.items():
        of_split = {split: Counter(index.label_of(clip)[head] for clip in index.splits[split]) for split in SPLITS}
        classes[head] = {
            name: {split: numbers[number] for split, numbers in of_split.items()} for number, name in enumerate(names)
        }
    splits = {split: {"videos": len(index.splits[split]), "annotated": index.annotated[split]} for split in SPLITS}
    return {
        "labelled": len(index.labels),
        "unlabelled": sorted(videos.keys() - index.labels.keys()) if videos else [],
        "missing": index.missing,
        "splits": splits,
        "classes": classes,
    }


def describe(counted: dict[str, Any], source: Path) -> str:
    """Format the numbers as tables of splits, with what the user should know below them.

    Args:
        counted: The numbers that `run` writes.
        source: The file that holds them in full, which the text names where it shortens a list of ids.
    """
    lines = [f"{counted['name']} ({counted['kind']}): {counted['videos']:,} videos, {counted['bytes'] / 1e6:,.1f} MB"]
    lines += _captions(counted, source) if "captions" in counted else []
    lines += _labels(counted["labels"], source) if "labels" in counted else []
    lines += [f"  passed over: {line}" for line in counted["passed_over"]]
    lines += [f"  note: {note}" for note in counted["notes"]]
    return "\n".join([*lines, "", ""])


def _captions(counted: dict[str, Any], source: Path) -> list[str]:
    splits = counted["splits"]
    free = {
        of: total + counted.get("shared", {}).get(of, 0) - sum(split[of] for split in splits.values())
        for of, total in (("videos", counted["captioned"]), ("captions", counted["captions"]))
    }
    rows = [_row(name, split["videos"], split["captions"], split["annotated"]) for name, split in splits.items()]
    if free["videos"]:
        rows.append(_row("no split", free["videos"], free["captions"], None))
    rows.append(_row("all", counted["captioned"], counted["captions"], None))
    lines = _table(["", "videos", "captions", "a video", "missing"], rows)
    for label, ids in (("captions, but no file", counted["missing"]), ("no captions", counted["uncaptioned"])):
        if ids:
            lines.append(f"  {label}: {_some(ids, source)}")
    return lines


def _row(name: str, videos: int, captions: int, annotated: int | None) -> list[str]:
    mean = f"{captions / videos:.1f}" if videos else "-"
    return [name, f"{videos:,}", f"{captions:,}", mean, "" if annotated is None else _missing(videos, annotated)]


def _missing(videos: int, annotated: int) -> str:
    return f"{annotated - videos:,} of {annotated:,}" if annotated > videos else "0"


def _labels(labels: dict[str, Any], source: Path) -> list[str]:
    splits = labels["splits"]
    rows = [[split, f"{of['videos']:,}", _missing(of["videos"], of["annotated"])] for split, of in splits.items()]
    free = labels["labelled"] - sum(split["videos"] for split in splits.values())
    if free:
        rows.append(["no split", f"{free:,}", ""])
    lines = _table(["labels", "videos", "missing"], [*rows, ["all", f"{labels['labelled']:,}", ""]])
    lines += [f"  {head}: {_sizes(classes)}" for head, classes in labels["classes"].items()]
    for label, ids in (("labels, but no file", labels["missing"]), ("no label", labels["unlabelled"])):
        if ids:
            lines.append(f"  {label}: {_some(ids, source)}")
    return lines


def _sizes(classes: dict[str, dict[str, int]]) -> str:
    """The largest and the smallest class in training, and the classes of which a split has no clip."""
    in_train = {name: numbers["train"] for name, numbers in classes.items() if numbers["train"]}
    told = [f"{len(classes):,} classes"]
    if in_train:
        least, most = min(in_train, key=lambda name: in_train[name]), max(in_train, key=lambda name: in_train[name])
        range_of = f" ({least}) to {in_train[most]:,} ({most})" if in_train[least] < in_train[most] else ""
        told.append(f"train has {in_train[least]:,}{range_of} videos of one")
    for split in SPLITS:
        none = [name for name, numbers in classes.items() if not numbers[split]]
        if none and len(none) < len(classes):
            more = f" and {len(none) - NUM_SHOWN:,} more" if len(none) > NUM_SHOWN else ""
            told.append(f"{split} has none of {len(none):,}: {', '.join(none[:NUM_SHOWN])}{more}")
    return "; ".join(told)


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of a table, with the numbers under one another."""
    widths = [max(10, *(len(row[column]) for row in [head, *rows])) for column in range(len(head))]
    lines = []
    for row in [head, *rows]:
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join(["  " + row[0].ljust(widths[0]), *cells]).rstrip())
    return lines


def _some(ids: list[str], source: Path) -> str:
    names = ", ".join(name if name.isprintable() else ascii(name) for name in ids[:NUM_SHOWN])
    more = f" and {len(ids) - NUM_SHOWN:,} more ({source} lists them)" if len(ids) > NUM_SHOWN else ""
    return f"{len(ids):,} video{'s' if len(ids) > 1 else ''}: {names}{more}"
