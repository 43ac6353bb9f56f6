import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops.poolers import LevelMapper

from pipeline.models import detection
from pipeline.models.detection import box_features, choose, find_in_videos, find_objects, pooled_maps
from pipeline.models.detector import SMALL, random_detector


class Ramps(nn.Module):
    """Maps that hold what their cells show on the average, at strides 8 and 16."""

    def forward(self, images_BCHW: Tensor) -> dict[str, Tensor]:
        return {"0": F.avg_pool2d(images_BCHW, 8), "1": F.avg_pool2d(images_BCHW, 16)}


class FixedBoxes(nn.Module):
    """Sees the same boxes in every image."""

    def __init__(self, boxes: Tensor, size: int) -> None:
        super().__init__()
        self.boxes = nn.Parameter(boxes)
        self.transform = GeneralizedRCNNTransform(size, 4 * size, [0.0] * 3, [1.0] * 3)
        self.backbone = Ramps()

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        resized, _ = self.transform(images)
        self.backbone(resized.tensors)
        labels = torch.arange(1, len(self.boxes) + 1)
        return [{"boxes": self.boxes, "labels": labels, "scores": 1 / (labels + 1)} for _ in images]


@pytest.mark.parametrize("size", [48, 96, 200])
def test_features_are_those_of_the_box_and_nothing_shifts_them(size: int):
    """Pixels say where they are, so the feature of a box must say where its centre is; 50 x 70 frames are padded."""
    height, width = 50, 70
    boxes = torch.tensor([[10.0, 12.0, 40.0, 40.0], [30.0, 8.0, 54.0, 36.0], [16.0, 20.0, 28.0, 30.0]])
    across, down = torch.arange(width).expand(height, width), torch.arange(height)[:, None].expand(height, width)
    image = torch.stack([across, down, torch.zeros_like(down)]).to(torch.uint8)
    found = find_objects(FixedBoxes(boxes, size), torch.stack([image, image]), 9, 0.0, torch.float32)
    for objects in found:
        assert torch.equal(objects.box_N4, boxes)
        assert objects.label_N.tolist() == [1, 2, 3]
        centre_N2 = (boxes[:, :2] + boxes[:, 2:]) / 2
        torch.testing.assert_close(objects.x_ND[:, :2] * 255 + 0.5, centre_N2, atol=0.05, rtol=0)
        assert not objects.x_ND[:, 2].any()


def test_a_box_is_pooled_from_the_map_that_torchvision_takes():
    model = random_detector(SMALL, 2, 64, seed=1)
    maps = {"0": torch.zeros(1, 4, 16, 16), "1": torch.ones(1, 4, 8, 8), "pool": torch.full((1, 4, 4, 4), 2.0)}
    names, (canonical_size, canonical_level) = pooled_maps(model, maps)
    assert names == ["0", "1"]
    boxes = torch.tensor([[0.0, 0, side, side] for side in (5, 31, 32, 33, 63, 64, 100)])
    mapper = LevelMapper(3, 4, canonical_size, canonical_level)
    levels = box_features(model, maps, [boxes], (128, 128))[:, 0]
    assert levels.tolist() == mapper([boxes]).tolist() == [0, 0, 0, 0, 0, 1, 1]


def test_other_detectors_give_their_first_maps_of_one_depth():
    pyramid = {name: torch.zeros(1, 8, 2**level, 2**level) for level, name in ((5, "0"), (4, "1"), (3, "p6"))}
    assert pooled_maps(nn.Identity(), pyramid) == (["0", "1", "p6"], (224, 4))
    ssd = {"0": torch.zeros(1, 512, 38, 38), "1": torch.zeros(1, 1024, 19, 19), "2": torch.zeros(1, 512, 10, 10)}
    assert pooled_maps(nn.Identity(), ssd)[0] == ["0"]
    feature = box_features(
        nn.Identity(), ssd, [torch.tensor([[0.0, 0, 300, 300]])], (300, 300)
    )  # stride 8, not 300 / 38
    assert feature.shape == (1, 512)


def test_the_surest_are_kept_and_ties_go_by_place():
    boxes = torch.tensor([[2.0, 0, 3, 1], [0, 1, 1, 2], [0, 0, 1, 1], [5, 5, 9, 9], [4, 4, 4, 8], [1, 1, 2, 2]])
    scores = torch.tensor([0.75, 0.75, 0.75, 0.875, 0.9375, 0.25])
    kept, labels, sure = choose(boxes, torch.tensor([1, 2, 3, 4, 5, 6]), scores, max_objects=3, score=0.5)
    assert labels.tolist() == [4, 3, 2]  # 5 has no area, and 1 stands right of two that are as sure
    assert kept.tolist() == [[5, 5, 9, 9], [0, 0, 1, 1], [0, 1, 1, 2]]
    assert sure.tolist() == [0.875, 0.75, 0.75]
    turned = choose(boxes.flip(0), torch.tensor([6, 5, 4, 3, 2, 1]), scores.flip(0), max_objects=3, score=0.5)
    assert torch.equal(turned[0], kept)
    assert len(choose(boxes, torch.arange(6), scores, 3, 0.95)[0]) == 0


def test_frames_of_one_size_are_looked_at_together(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(detection, "FRAMES_AT_ONCE", 4)
    model = random_detector(SMALL, 4, 32, seed=1)
    generator = torch.Generator().manual_seed(0)
    videos = [
        torch.randint(0, 256, (frames, 3, height, 48), generator=generator, dtype=torch.uint8)
        for frames, height in ((3, 32), (1, 40), (2, 32))
    ]
    shapes: list[tuple[int, ...]] = []
    model.register_forward_pre_hook(lambda _module, call: shapes.append((len(call[0]), *call[0][0].shape[-2:])))
    found = find_in_videos(model, videos, 32, 5, 0.0, torch.float32)
    assert shapes == [(4, 32, 48), (1, 32, 48), (1, 40, 48)]
    for frames, objects in zip(videos, found, strict=True):
        assert len(objects) == len(frames)
        for image, one in zip(frames, objects, strict=True):
            alone = find_objects(model, image[None], 5, 0.0, torch.float32)[0]
            torch.testing.assert_close(one.box_N4, alone.box_N4, atol=1e-3, rtol=1e-4)
            torch.testing.assert_close(one.x_ND, alone.x_ND, atol=1e-4, rtol=1e-4)
            assert one.x_ND.shape[1] == 64
            assert (one.score_N.diff() <= 0).all()


@pytest.mark.parametrize("arch", ["retinanet_resnet50_fpn", "ssdlite320_mobilenet_v3_large"])
def test_one_stage_detectors_have_features_too(arch: str):
    size = 320 if arch.startswith("ssd") else 64
    model = random_detector(arch, 3, size, seed=1)
    image = torch.randint(0, 256, (1, 3, 64, 80), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    objects = find_objects(model, image, 6, 0.0, torch.float32)[0]
    assert len(objects.box_N4) == 6
    assert objects.x_ND.shape == (6, 672 if arch.startswith("ssd") else 256)
    assert objects.x_ND.isfinite().all()
    assert math.isclose(float(objects.score_N.max()), float(objects.score_N[0]))


def test_no_objects_have_no_features_but_a_width():
    model = random_detector(SMALL, 3, 32, seed=1)
    objects = find_objects(model, torch.zeros(2, 3, 32, 32, dtype=torch.uint8), 5, 1.0, torch.float32)
    assert [one.x_ND.shape for one in objects] == [(0, 64), (0, 64)]
    assert isinstance(model.get_submodule("roi_heads.box_roi_pool"), MultiScaleRoIAlign)
