from pathlib import Path

import numpy as np
import torch

from pipeline.artifact import Artifact, create, read
from pipeline.finetuning.detection_examples import Example, draw_examples, epoch_batches, examples_of, mirror
from pipeline.schemas import FRAMES

CLASSES = ["bar", "block"]


def write_frames(path: Path, videos: dict[str, np.ndarray], numbers: list[int]) -> Artifact:
    """Videos [F, H, W, 3] of which the frames of these numbers were sampled."""
    with create(path, FRAMES, ids=list(videos), stage="decode_frames", settings={}, inputs={}) as writer:
        for video_id, frames in videos.items():
            writer.append(
                video_id,
                pixels=frames.reshape(-1, 3),
                number=np.array(numbers),
                time=np.array(numbers) / 8,
                size=np.array([frames.shape[1:3]]),
                num_frames=np.array([numbers[-1] + 1]),
                fps=np.array([8.0]),
            )
    return read(path, FRAMES)


def test_examples_hold_what_is_visible_in_the_sampled_frame(tmp_path: Path):
    frames = np.arange(3 * 10 * 20 * 3, dtype=np.uint8).reshape(3, 10, 20, 3)
    artifact = write_frames(tmp_path / "frames.zarr", {"v": frames}, [0, 4, 5])
    whole, sliver = [0.0, 0.5, 0.25, 1.0], [0.0, 0.5, 0.04, 1.0]  # the second is 0.8 pixels across: all but gone
    objects = [
        {"shape": "block", "boxes": [whole, None, None, None, [0.5, 0.1, 1.0, 0.6], None]},
        {"shape": "bar", "boxes": [sliver, whole, whole, whole, whole, None]},
    ]
    examples = examples_of(artifact, "v", {"objects": objects}, CLASSES)
    assert [example.label_N.tolist() for example in examples] == [[2], [2, 1], []]
    assert examples[0].box_N4.tolist() == [[0, 5, 5, 10]]
    torch.testing.assert_close(examples[1].box_N4, torch.tensor([[10.0, 1, 20, 6], [0, 5, 5, 10]]))
    assert examples[2].box_N4.shape == (0, 4)
    assert (examples[1].image_CHW.numpy() == frames[1].transpose(2, 0, 1)).all()


def test_frames_are_drawn_once_and_from_the_videos_named(tmp_path: Path):
    generator = np.random.default_rng(0)
    ids = [f"train-{number}" for number in range(5)]
    videos = {video_id: generator.integers(0, 256, (3, 8, 8, 3), dtype=np.uint8) for video_id in [*ids, "val-0"]}
    artifact = write_frames(tmp_path / "frames.zarr", videos, [0, 2, 4])
    truths = {video_id: {"objects": [{"shape": "bar", "boxes": [[0.0, 0.0, 0.5, 0.5]] * 5}]} for video_id in videos}
    source = dict.fromkeys(artifact.ids, artifact)
    drawn = draw_examples(source, truths, ids, CLASSES, 9, seed=1)
    pixels = {example.image_CHW.numpy().tobytes() for example in drawn}
    assert len(drawn) == len(pixels) == 9
    val = {example.image_CHW.numpy().tobytes() for example in examples_of(artifact, "val-0", truths["val-0"], CLASSES)}
    assert not pixels & val
    other = draw_examples(source, truths, ids, CLASSES, 9, seed=2)
    assert {example.image_CHW.numpy().tobytes() for example in other} != pixels
    assert len(draw_examples(source, truths, ids, CLASSES, 1000, seed=1)) == 15


def test_a_mirrored_frame_written_out():
    image = torch.arange(12, dtype=torch.uint8).reshape(1, 2, 6)
    turned = mirror(Example(image, torch.tensor([[1.0, 0.0, 3.0, 2.0]]), torch.tensor([2])))
    assert turned.image_CHW[0, 0].tolist() == [5, 4, 3, 2, 1, 0]
    assert turned.box_N4.tolist() == [[3, 0, 5, 2]]
    assert turned.label_N.tolist() == [2]
    empty = mirror(Example(image, torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)))
    assert empty.box_N4.shape == (0, 4)


def test_an_epoch_shows_every_frame_once_in_batches_of_one_size():
    examples = [
        Example(torch.zeros(3, 8, 8 + 4 * (number % 2)), torch.zeros(0, 4), torch.zeros(0)) for number in range(11)
    ]
    batches = list(epoch_batches(examples, 2, seed=1, epoch=1))
    assert sorted(pick.index for batch in batches for pick in batch) == list(range(11))
    assert all(len({examples[pick.index].image_CHW.shape for pick in batch}) == 1 for batch in batches)
    assert {pick.mirrored for batch in batches for pick in batch} == {True, False}
    assert batches == list(epoch_batches(examples, 2, seed=1, epoch=1))
    assert batches != list(epoch_batches(examples, 2, seed=1, epoch=2))
