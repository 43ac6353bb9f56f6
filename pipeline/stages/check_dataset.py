"""Count the videos, captions and splits of a data set, before any video is decoded."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.artifact import read_json, write_json
from pipeline.artifact.video_table import Clip, read_all_clips, total_size
from pipeline.jobs.storage import replaced
from pipeline.workflow.paths import SPLITS

NUM_SHOWN = 5  # videos of one kind that the table names


def run(
    out: Path, table: Path, name: str, kind: str, videos: list[Path], captions: Path, passed_over: list[str]
) -> None:
    """Write how many videos and captions a data set and its splits have, and what is missing.

    Args:
        out: JSON to write: `name`, `kind`, the numbers `videos`, `bytes`, `captioned` (videos with captions),
            `captions` and `captions_per_video`, the ids `uncaptioned` (videos without captions) and `missing`
            (captions without a file), `passed_over`, `notes`; `splits`, each with its numbers `videos`, `annotated` and
            `captions`; and `shared`, the numbers `videos` and `captions` of val and test, if they share any.
        table: Text file to write, with the same numbers as a table.
        name: Name of the data set.
        kind: Kind of the data set.
        videos: The video tables of all its shards.
        captions: The data set's captions.json: captions and splits.
        passed_over: What lies in the data set's folder and is not among its videos: a line for each reason.
    """
    index = read_json(captions, ["captions", "splits", "missing", "annotated", "notes"], "index_captions")
    counted = {"name": name, "kind": kind} | count(read_all_clips(videos), index)
    counted["passed_over"] = passed_over
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


def describe(counted: dict[str, Any], source: Path) -> str:
    """Format the numbers as a table of splits, with what the user should know below it.

    Args:
        counted: The numbers that `count` returns, with `name`, `kind` and `passed_over`.
        source: The file that holds them in full, which the text names where it shortens a list of ids.
    """
    splits = counted["splits"]
    free = {
        of: total + counted.get("shared", {}).get(of, 0) - sum(split[of] for split in splits.values())
        for of, total in (("videos", counted["captioned"]), ("captions", counted["captions"]))
    }
    rows = [_row(name, split["videos"], split["captions"], split["annotated"]) for name, split in splits.items()]
    if free["videos"]:
        rows.append(_row("no split", free["videos"], free["captions"], None))
    rows.append(_row("all", counted["captioned"], counted["captions"], None))
    head = ["", "videos", "captions", "a video", "missing"]
    widths = [max(10, *(len(row[column]) for row in [head, *rows])) for column in range(len(head))]
    lines = [f"{counted['name']} ({counted['kind']}): {counted['videos']:,} videos, {counted['bytes'] / 1e6:,.1f} MB"]
    for row in [head, *rows]:
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join(["  " + row[0].ljust(widths[0]), *cells]).rstrip())
    for label, ids in (("captions, but no file", counted["missing"]), ("no captions", counted["uncaptioned"])):
        if ids:
            lines.append(f"  {label}: {_some(ids, source)}")
    lines += [f"  passed over: {line}" for line in counted["passed_over"]]
    lines += [f"  note: {note}" for note in counted["notes"]]
    return "\n".join([*lines, "", ""])


def _row(name: str, videos: int, captions: int, annotated: int | None) -> list[str]:
    mean = f"{captions / videos:.1f}" if videos else "-"
    missing = "" if annotated is None else f"{annotated - videos:,} of {annotated:,}" if annotated > videos else "0"
    return [name, f"{videos:,}", f"{captions:,}", mean, missing]


def _some(ids: list[str], source: Path) -> str:
    names = ", ".join(name if name.isprintable() else ascii(name) for name in ids[:NUM_SHOWN])
    more = f" and {len(ids) - NUM_SHOWN:,} more ({source} lists them)" if len(ids) > NUM_SHOWN else ""
    return f"{len(ids):,} video{'s' if len(ids) > 1 else ''}: {names}{more}"
