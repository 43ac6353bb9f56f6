"""Frames of generated videos with the boxes in them, to train a detector on.

The generator's truth has a box of each object for every frame of the video, null where the object is not visible. The
frames artifact has the number of each sampled frame in the video.

Shapes: F frames of a video, C channels, H height, W width, N objects of a frame.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.artifact import Artifact
from pipeline.jobs.progress import track
from pipeline.video.stored_frames import frames_of

SMALLEST = 1.0  # pixels: objects that are narrower or lower are not learned

Truth = Mapping[str, Any]  # the truth of one video, as make_shapes writes it


@dataclass(frozen=True)
class Example:
    """A frame and the visible objects in it.

    Attributes:
        image_CHW: Pixels of the frame, bytes.
        box_N4: Box of each object: x0, y0, x1, y1 in pixels, float32.
        label_N: Class of each object, from 1.
    """

    image_CHW: Tensor
    box_N4: Tensor
    label_N: Tensor


@dataclass(frozen=True)
class Pick:
    """A frame of a batch: its number among the examples, and whether left and right are exchanged."""

    index: int
    mirrored: bool


def draw_examples(
    source: Mapping[str, Artifact],
    truths: Mapping[str, Truth],
    ids: Sequence[str],
    classes: Sequence[str],
    num_frames: int,
    seed: int,
) -> list[Example]:
    """Draw sampled frames of some videos, each at most once.

    Args:
        source: The `frames` artifact of each video.
        truths: The generator's truth of each video.
        ids: Ids of the videos to draw from.
        classes: Names of the classes; the first one has the label 1.
        num_frames: Number of frames to draw; all are taken if there are no more.
        seed: Seed of the draw.

    Returns:
        The frames, in the order of `ids` and then of time.
    """
    places = [
        (video_id, frame)
        for video_id in ids
        for frame in range(len(source[video_id].video(video_id, ["number"])["number"]))
    ]
    drawn = np.random.default_rng(seed).permutation(len(places))[:num_frames]
    chosen: dict[str, list[int]] = {}
    for place in np.sort(drawn):
        video_id, frame = places[place]
        chosen.setdefault(video_id, []).append(frame)
    examples = []
    for video_id, own in track(chosen.items(), len(chosen), "finetune_detector: videos read"):
        found = examples_of(source[video_id], video_id, truths[video_id], classes)
        # Copies, because a view of one frame would keep all frames of the video in memory.
        examples += [replace(found[frame], image_CHW=found[frame].image_CHW.clone()) for frame in own]
    return examples


def examples_of(artifact: Artifact, video_id: str, truth: Truth, classes: Sequence[str]) -> list[Example]:
    """The sampled frames of a video with the boxes of the objects that are visible in them.

    An object is left out of a frame where its box is null or measures less than a pixel across or down. Objects whose
    shape is not among `classes` are left out of all frames.
    """
    video = artifact.video(video_id, ["pixels", "size", "number"])
    frames_FHWC = frames_of(video)
    height, width = frames_FHWC.shape[1:3]
    examples = []
    for image_HWC, number in zip(frames_FHWC, video["number"].tolist(), strict=True):
        boxes, labels = [], []
        for one in truth["objects"]:
            box = one["boxes"][number]
            if box is None or one["shape"] not in classes:
                continue
            x0, y0, x1, y1 = (side * length for side, length in zip(box, [width, height] * 2, strict=True))
            if min(x1 - x0, y1 - y0) >= SMALLEST:
                boxes.append([x0, y0, x1, y1])
                labels.append(classes.index(one["shape"]) + 1)
        box_N4 = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
        examples.append(Example(image_HWC.permute(2, 0, 1), box_N4, torch.tensor(labels, dtype=torch.int64)))
    return examples


def epoch_batches(examples: Sequence[Example], batch_size: int, seed: int, epoch: int) -> Iterator[list[Pick]]:
    """Shuffle frames into batches, and mirror each frame with a probability of one half.

    The frames of a batch have one size, so that nothing is computed on padding. The last batch of each size may be
    smaller.

    Args:
        examples: The frames to shuffle.
        batch_size: Largest number of frames of a batch.
        seed: Decides, together with `epoch`, the order and the mirroring.
        epoch: Number of the epoch.

    Yields:
        The frames of each batch.
    """
    generator = np.random.default_rng([seed, epoch])
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for index in generator.permutation(len(examples)).tolist():
        by_shape.setdefault(tuple(examples[index].image_CHW.shape), []).append(index)
    batches = [
        same[start : start + batch_size] for same in by_shape.values() for start in range(0, len(same), batch_size)
    ]
    for number in generator.permutation(len(batches)):
        yield [Pick(index, bool(generator.random() < 0.5)) for index in batches[number]]


def mirror(example: Example) -> Example:
    """The example with left and right exchanged, in the frame and in its boxes."""
    width = example.image_CHW.shape[-1]
    x0, y0, x1, y1 = example.box_N4.unbind(dim=1)
    return Example(example.image_CHW.flip(-1), torch.stack([width - x1, y0, width - x0, y1], dim=1), example.label_N)
