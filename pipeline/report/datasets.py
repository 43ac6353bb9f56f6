"""What the report says of a data set: its splits, captions, and the clips that it plays."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.artifact import read_json
from pipeline.errors import VideoError
from pipeline.jobs.progress import track
from pipeline.report.clips import data_uri
from pipeline.workflow.paths import SPLITS, Located


def video_files(tables: Iterable[Located]) -> dict[str, dict[str, Path]]:
    """Where the videos of each data set are, from its video tables: data set to video to file."""
    files: dict[str, dict[str, Path]] = {}
    for located in tables:
        table = read_json(located.path, ["videos", "root"], "index_videos")
        root = Path(table["root"])
        found = {video["id"]: root / video["path"] for video in table["videos"]}
        files.setdefault(located.names["dataset"], {}).update(found)
    return files


def predictions_of(
    dataset: str, generated: Mapping[str, Mapping[str, Any]], config: Mapping[str, Any]
) -> dict[str, dict[str, str]]:
    """Test captions of the experiments on a data set: experiment to video to caption."""
    return {
        experiment: splits["test"]["captions"]
        for experiment, splits in generated.items()
        if "test" in splits and config["experiments"][experiment]["dataset"] == dataset
    }


def describe_dataset(
    table: Mapping[str, Any], predictions: Mapping[str, Mapping[str, str]], num_shown: int
) -> dict[str, Any]:
    """What the page says of a data set; `shown` are the test videos whose clips it plays.

    Args:
        table: The data set's captions.json.
        predictions: Experiment to test video to caption.
        num_shown: How many clips to play at most.
    """
    test = table["splits"].get("test", [])
    captioned = [i for i in test if any(i in captions for captions in predictions.values())]
    return {
        "splits": {split: len(table["splits"].get(split, [])) for split in SPLITS},
        "test": test,
        "missing": table.get("missing", []),
        "shown": spread(captioned, num_shown),
        "references": table["captions"],
        "predictions": predictions,
    }


def spread(ids: Sequence[str], count: int) -> list[str]:
    """Choose `count` ids at equal distances, whatever they score; all of them if there are fewer."""
    count = min(count, len(ids))
    return [ids[i * len(ids) // count] for i in range(count)]


def show_clips(ids: Sequence[str], files: Mapping[str, Path]) -> Iterator[dict[str, str]]:
    """Make the clips to play: id and either the video's data or the problem with it."""
    for video_id in track(ids, len(ids), "write_report: clips"):
        if video_id not in files:
            yield {"id": video_id, "problem": "no video table lists it"}
            continue
        try:
            yield {"id": video_id, "src": data_uri(files[video_id])}
        except VideoError as error:
            yield {"id": video_id, "problem": str(error)}
