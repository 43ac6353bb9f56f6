"""Make the embedded data set: real video files of moving shapes, their captions and the truth about every frame.

Generated videos replace a camera's where nothing may be downloaded: they are H.264, VP9 and MPEG-4 files of known
content. A clip depends neither on other clips nor on their number, so a killed run goes on where it stopped, and asking
for more clips makes only the new ones. The data set was made for this project.
"""

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.artifact import write_json
from pipeline.artifact.journal import read_lines, to_line
from pipeline.config import ShapesSettings
from pipeline.datasets.shapes.captions import captions_of, draw_captions, vocabulary
from pipeline.datasets.shapes.drawing import boxes_of, make_noise_tile, render
from pipeline.datasets.shapes.scenes import (
    Pair,
    Scene,
    choose_held_out_pairs,
    draw_scene,
    largest_side,
    plan_videos,
    random_of,
)
from pipeline.datasets.sharding import shard_of
from pipeline.errors import PipelineError
from pipeline.jobs import preemption
from pipeline.jobs.progress import track
from pipeline.jobs.storage import replaced, sole_writer, write_all, writing
from pipeline.video.encoding import CODECS, encode
from pipeline.workflow.code_digest import digest

log = logging.getLogger(__name__)

Record = dict[str, Any]  # {"video": the clip's entry in the list, "truth": its entry in truth.json}

JOURNAL, LOCK = ".journal.jsonl", ".lock"


def run(out: Path, truth: Path, settings: ShapesSettings, shard: int) -> None:
    """Make the videos of one shard, in the folder of the list.

    Args:
        out: JSON list to write: `videos` with id, file, size, sha256, split and captions of every video.
        truth: JSON file to write: `videos`, by id, with their objects and the objects' boxes in every frame,
            `vocabulary` of the generator, and `held_out_pairs`, the colour-shape pairs of the test split alone.
        settings: Settings of the data set.
        shard: Number of the shard, from 0.

    Raises:
        PipelineError: The settings ask for more captions than the grammar has or more pairs than there are.
    """
    held_out = choose_held_out_pairs(settings)
    splits = {name: split for name, split in plan_videos(settings).items() if shard_of(name, settings.shards) == shard}
    noise_tile = make_noise_tile(settings.noise, 2 * largest_side(settings), random_of(settings.seed, "noise"))
    folder = out.parent
    folder.mkdir(parents=True, exist_ok=True)
    key = run_key(settings)
    with sole_writer(folder / LOCK, out), preemption.deferring_sigterm():
        records = {name: record for name, record in resume(folder, key).items() if name in splits}
        remove_strangers(folder, records)
        write_journal(folder / JOURNAL, key, records)
        todo = [name for name in splits if name not in records]
        with (folder / JOURNAL).open("ab", buffering=0) as journal:
            for name in track(todo, len(todo), f"make_shapes {shard}"):
                records[name] = make_clip(folder, name, splits[name], held_out, settings, noise_tile)
                with writing(folder, kept=f"{len(records) - 1} of {len(splits)} videos stay"):
                    write_all(journal.fileno(), to_line({"name": name, "record": records[name]}))
                if name != todo[-1]:
                    preemption.stop_if_requested(f"after {len(records)} of {len(splits)} videos")
    words = vocabulary(settings.colours, settings.shapes, settings.actions)
    truths = {name: records[name]["truth"] for name in splits}
    write_json(truth, {"videos": truths, "vocabulary": words, "held_out_pairs": held_out})
    write_json(out, {"videos": [records[name]["video"] for name in splits]})


def make_clip(
    folder: Path, name: str, split: str, held_out: list[Pair], settings: ShapesSettings, noise_tile: NDArray[np.int16]
) -> Record:
    """Draw, render, caption and write one clip; its file appears only when it is complete.

    Args:
        folder: Folder that the file goes to.
        name: Id of the clip.
        split: Split that the clip belongs to.
        held_out: The colour-shape pairs of the test split alone.
        settings: Settings of the data set.
        noise_tile: Pixel noise, from which each frame cuts its own.

    Returns:
        The clip's entries in the list and in truth.json.
    """
    scene = draw_scene(name, split, held_out, settings)
    content = encode(render(scene, noise_tile, random_of(settings.seed, f"{name} pixels")), scene.fps, scene.container)
    file = folder / f"{name}.{scene.container}"
    with replaced(file) as new:
        new.write_bytes(content)
    video = {
        "id": name,
        "file": file.name,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "split": split,
        "captions": caption_scene(name, scene, settings),
    }
    return {"video": video, "truth": describe(scene)}


def caption_scene(name: str, scene: Scene, settings: ShapesSettings) -> list[str]:
    """Draw the captions of one clip, all different.

    Raises:
        PipelineError: The grammar has fewer captions for the clip than the settings ask for.
    """
    actor, *others = scene.bodies
    other = (others[0].colour, others[0].shape) if others else None
    captions = captions_of(actor.colour, actor.shape, str(actor.action), scene.relation, other)
    if len(captions) < settings.captions:
        raise PipelineError(
            f"make_shapes: captions is {settings.captions}, but the grammar has {len(captions)} for a {actor.colour} "
            f"{actor.shape} that {actor.action}: set captions to at most that"
        )
    return draw_captions(captions, settings.captions, random_of(settings.seed, f"{name} captions"))


def describe(scene: Scene) -> Record:
    """Make a clip's entry in truth.json; the acting object comes first, a box is null where its object is invisible."""
    objects = [
        {
            "colour": body.colour,
            "shape": body.shape,
            "size": body.size,
            "action": body.action,
            "boxes": boxes_of(body, scene.width, scene.height),
        }
        for body in scene.bodies
    ]
    return {
        "objects": objects,
        "relation": scene.relation,
        "fps": float(scene.fps),
        "num_frames": scene.num_frames,
        "width": scene.width,
        "height": scene.height,
    }


def run_key(settings: ShapesSettings) -> str:
    """Hash all that a clip depends on: the code, and all settings but the numbers of clips and of shards."""
    content = [settings.model_dump(mode="json", exclude={"clips", "shards"}), digest("make_shapes", "shapes")]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def resume(folder: Path, key: str) -> dict[str, Record]:
    """Read the records of the clips that an earlier run with this key made and that have not changed since.

    Args:
        folder: Folder of the clips and their journal.
        key: Key of this run, from `run_key`.

    Returns:
        Records by id; none if there is no journal, or one with another key.
    """
    path = folder / JOURNAL
    entries, _, is_damaged = read_lines(path.read_bytes() if path.exists() else b"")
    if is_damaged:
        log.info("%s is damaged after %d videos: the others are made again", path, max(0, len(entries) - 1))
    if not entries or entries[0].get("key") != key:
        return {}
    records = {entry["name"]: entry["record"] for entry in entries[1:]}
    return {name: record for name, record in records.items() if _is_intact(folder, record["video"])}


def remove_strangers(folder: Path, records: dict[str, Record]) -> None:
    """Delete the videos that are in no record: those of other settings or shards, and half-written files."""
    known = {record["video"]["file"] for record in records.values()}
    for path in folder.iterdir():
        is_video = path.suffix[1:] in CODECS or path.suffix == ".new"
        if is_video and path.name not in known:
            path.unlink()


def write_journal(path: Path, key: str, records: dict[str, Record]) -> None:
    """Start the journal of this run: a line with its key, then a line for each clip that is kept."""
    lines = [to_line({"key": key}), *(to_line({"name": name, "record": record}) for name, record in records.items())]
    with replaced(path) as new:
        new.write_bytes(b"".join(lines))


def _is_intact(folder: Path, video: Record) -> bool:
    path = folder / video["file"]
    digest_now = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
    return digest_now == str(video["sha256"])
