"""Draw what the clips of SyncMNIST show and how it moves: their classes and the truth about every frame.

`draw_sync_mnist` draws their pixels. A clip depends neither on other clips nor on their number.
"""

from pathlib import Path

from pipeline.artifact import write_json
from pipeline.config import SyncMnistSettings
from pipeline.datasets.sharding import shard_of
from pipeline.datasets.sync_mnist.glyphs import glyph_bank
from pipeline.datasets.sync_mnist.labels import class_names
from pipeline.datasets.sync_mnist.made import as_truth
from pipeline.datasets.sync_mnist.tracks import draw_scene, plan_clips
from pipeline.jobs.progress import track


def run(out: Path, truth: Path, settings: SyncMnistSettings, shard: int) -> None:
    """Draw the classes and tracks of one shard.

    Args:
        out: JSON list to write: `classes`, the names of all classes in their order, and `videos` with id, split and
            label (the number of its class) of every clip.
        truth: JSON file to write: `videos`, by id, with digits, glyphs, which of them move together, and tracks;
            `canvas` and `window`, the sides in pixels of the canvas and of a digit's window.
        settings: Settings of the data set.
        shard: Number of the shard, from 0.

    Raises:
        PipelineError: if the files of real digits cannot be read, or lack a class.
    """
    bank = glyph_bank(settings)
    plan = {clip: place for clip, place in plan_clips(settings).items() if shard_of(clip, settings.shards) == shard}
    videos, truths = [], {}
    for clip_id, (split, number) in track(plan.items(), len(plan), f"make_sync_mnist {shard}"):
        scene = draw_scene(settings, bank, split, number)
        videos.append({"id": clip_id, "split": split, "label": scene.label(settings)})
        truths[clip_id] = as_truth(scene)
    write_json(truth, {"videos": truths, "canvas": settings.canvas, "window": bank.images_N.shape[1]})
    names = class_names(settings.digits, settings.synchronous, settings.classes)
    write_json(out, {"classes": names, "videos": videos})
