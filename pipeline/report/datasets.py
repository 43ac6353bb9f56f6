"""What the report says of a data set: its splits, captions, and the clips that it plays."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pipeline.artifact.video_table import Clip, read_clips
from pipeline.errors import VideoError
from pipeline.jobs.progress import track
from pipeline.report.clips import data_uri
from pipeline.workflow.paths import SPLITS, Located


def clips_of(tables: Iterable[Located]) -> dict[str, dict[str, Clip]]:
    """Where the clips of each data set are, from its video tables: data set to video to clip."""
    clips: dict[str, dict[str, Clip]] = {}
    for located in tables:
        clips.setdefault(located.names["dataset"], {}).update(read_clips(located.path))
    return clips


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


def show_clips(ids: Sequence[str], clips: Mapping[str, Clip]) -> Iterator[dict[str, str]]:
    """Make the clips to play: id and either the video's data or the problem with it."""
    for video_id in track(ids, len(ids), "write_report: clips"):
        if video_id not in clips:
            yield {"id": video_id, "problem": "no video table lists it"}
            continue
        try:
            yield {"id": video_id, "src": data_uri(clips[video_id].file, clips[video_id].interval)}
        except VideoError as error:
            yield {"id": video_id, "problem": str(error)}
