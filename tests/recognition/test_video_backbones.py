"""Networks over space and time: their geometries, their non-local blocks, and torchvision's."""

import pytest
import torch
from pydantic import ValidationError
from toys.recognizers import DYREG, RSTG, TSM, VIDEO, recognizer_settings

from pipeline.errors import PipelineError
from pipeline.recognition.backbones.nonlocal_block import NonLocal
from pipeline.recognition.backbones.video_resnet import VideoResNet, inflated, nonlocal_after
from pipeline.recognition.recognizer import build_recognizer, map_shapes


@pytest.mark.parametrize(("kind", "geometry", "clip", "frames", "size", "expected"), [
    ("c2d", "rstg", "8x8", 32, 224, [(32, 256, 55, 55), (16, 512, 28, 28), (16, 1024, 14, 14), (16, 2048, 14, 14)]),
    ("i3d", "rstg", "8x8", 32, 256, [(32, 256, 63, 63), (16, 512, 32, 32), (16, 1024, 16, 16), (16, 2048, 16, 16)]),
    ("nonlocal", "video_nonlocal_net", "32x2", 32, 224,
     [(8, 256, 55, 55), (4, 512, 28, 28), (4, 1024, 14, 14), (4, 2048, 7, 7)]),
    ("i3d", "slowfast", "8x8", 8, 224, [(8, 256, 56, 56), (4, 512, 28, 28), (4, 1024, 14, 14), (4, 2048, 7, 7)]),
])  # fmt: skip
def test_maps_have_the_sizes_of_the_published_networks(
    kind: str, geometry: str, clip: str, frames: int, size: int, expected: list
) -> None:
    backbone = {**VIDEO, "kind": kind, "geometry": geometry, "clip": clip}
    shapes = map_shapes(recognizer_settings(backbone, size=size, frames=frames))
    assert [shapes[f"layer{stage}.2"][1:] for stage in (1, 2, 3, 4)] == expected
    assert shapes["final"][1:] == expected[-1]


def test_blocks_over_time_and_non_local_blocks_stand_where_the_papers_have_them() -> None:
    counts = {1: 3, 2: 4, 3: 6, 4: 3}
    assert [[int(inflated(stage, block)) for block in range(count)] for stage, count in counts.items()] == [
        [1, 1, 1], [1, 0, 1, 0], [1, 0, 1, 0, 1, 0], [0, 1, 0]
    ]  # fmt: skip
    after = [(stage, block) for stage, count in counts.items() for block in range(count)
             if nonlocal_after(50, stage, block)]  # fmt: skip
    assert after == [(2, 1), (2, 3), (3, 1), (3, 3), (3, 5)]
    assert [block for block in range(23) if nonlocal_after(101, 3, block)] == [6, 13, 20]


def test_the_published_number_of_parameters_is_reached() -> None:
    with torch.device("meta"):
        counts = {
            kind: sum(tensor.numel() for tensor in VideoResNet(kind, 50, "slowfast", halved=False).parameters()) / 1e6
            for kind in ("c2d", "i3d", "nonlocal")
        }
    head = 2048 * 400 / 1e6 + 400 / 1e6
    assert {kind: round(count + head, 2) for kind, count in counts.items()} == {
        "c2d": 24.33, "i3d": 28.04, "nonlocal": 35.4
    }  # fmt: skip


@pytest.mark.parametrize("backbone", [
    {**VIDEO, "kind": "nonlocal", "geometry": "video_nonlocal_net_affine", "clip": "32x4"},
    {"kind": "torchvision", "arch": "r3d_18", "weights": "random", "head": "drawn", "seed": 1},
], ids=["nonlocal", "r3d_18"])  # fmt: skip
def test_modules_are_the_identity_at_the_beginning(backbone: dict) -> None:
    x = torch.randint(0, 256, (1, 4, 3, 64, 64), dtype=torch.uint8)
    plain = build_recognizer(recognizer_settings(backbone, frames=4), {"class": 5}).eval()
    modules = [
        {**RSTG, "at": "res3"}, {**DYREG, "at": "layer2.0", "inside": True}, {**RSTG, "at": "layer3.0", "inside": True},
        {**RSTG, "at": "final"},
    ]  # fmt: skip
    changed = build_recognizer(recognizer_settings(backbone, *modules, frames=4), {"class": 5}).eval()
    changed.heads.load_state_dict(plain.heads.state_dict())
    with torch.no_grad():
        assert torch.equal(plain(x)["class"], changed(x)["class"])


@pytest.mark.parametrize("arch", ["s3d", "swin3d_t"])
def test_modules_at_the_end_of_networks_without_blocks_are_the_identity_at_the_beginning(arch: str) -> None:
    backbone = {"kind": "torchvision", "arch": arch, "weights": "random", "head": "drawn", "seed": 1}
    x = torch.randint(0, 256, (1, 16, 3, 64, 64), dtype=torch.uint8)
    made = [
        build_recognizer(recognizer_settings(backbone, *modules, frames=16), {"class": 5}).eval()
        for modules in ([], [{**RSTG, "at": "final"}], [{**DYREG, "at": "final", "generator": "lite"}])
    ]
    with torch.no_grad():
        features = [one.features(x) for one in made]
    assert all(torch.equal(one, features[0]) for one in features)


@pytest.mark.parametrize("group", [None, 4])
def test_a_non_local_block_lets_each_place_attend_to_all_of_its_group(group: int | None) -> None:
    torch.manual_seed(2)
    block = NonLocal(6, group).eval()
    torch.nn.init.normal_(block.bn.weight)
    x = torch.randn(2, 6, 8, 4, 2)
    parts = x.split(group or 8, 2)
    with torch.no_grad():
        found = block(x)
        for part, seen in zip(parts, found.split(group or 8, 2), strict=True):
            halved = torch.nn.functional.max_pool3d(part, (1, 2, 2))
            logits = torch.einsum("bcthw,bcsyx->bthwsyx", block.theta(part), block.phi(halved)) / 3**0.5
            weights = torch.softmax(logits.flatten(4), 4).view(logits.shape)
            plain = part + block.bn(block.out(torch.einsum("bthwsyx,bcsyx->bcthw", weights, block.g(halved))))
            torch.testing.assert_close(seen, plain, atol=1e-5, rtol=1e-5)


def test_a_non_local_block_begins_as_the_identity() -> None:
    x = torch.randn(1, 4, 2, 4, 4)
    assert torch.equal(NonLocal(4)(x), x)


def test_larger_frames_are_pooled_by_windows_of_the_size_of_training() -> None:
    made = build_recognizer(recognizer_settings(VIDEO, size=64, frames=2), {"class": 5}).eval()
    x = torch.randint(0, 256, (1, 2, 3, 96, 96), dtype=torch.uint8)
    with torch.no_grad():
        maps = made.backbone(made.pixels(x), {})[0, 0]  # 3 x 3 places, in training 2 x 2
        windows = [maps[:, top : top + 2, left : left + 2].mean((1, 2)) for top in (0, 1) for left in (0, 1)]
        torch.testing.assert_close(made.features(x)[0, 0], torch.stack(windows).mean(0))


@pytest.mark.parametrize("arch", ["mc3_18", "s3d", "swin3d_t"])
def test_features_are_those_of_torchvision(arch: str) -> None:
    backbone = {"kind": "torchvision", "arch": arch, "weights": "random", "head": "drawn", "seed": 1}
    made = build_recognizer(recognizer_settings(backbone, size=64, frames=16), {"class": 5}).eval()
    x = torch.randint(0, 256, (1, 16, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        features = made.features(x).mean(1)
        if arch == "s3d":  # its own pool wants seven places
            made.backbone.net.avgpool = torch.nn.AdaptiveAvgPool3d(1)
        whole = made.backbone.net(made.pixels(x).transpose(1, 2))
    torch.testing.assert_close(features.flatten(), whole.flatten(), atol=1e-5, rtol=1e-4)


def test_networks_without_such_blocks_say_so() -> None:
    backbone = {"kind": "torchvision", "arch": "s3d", "weights": "random", "head": "drawn", "seed": 1}
    with pytest.raises(PipelineError, match=r"at: layer3\.1 of rstg: this backbone has no such place; it has final$"):
        build_recognizer(recognizer_settings(backbone, {**RSTG, "at": "layer3.1"}, frames=16), {"class": 5})
    backbone["arch"] = "mvit_v2_s"
    with pytest.raises(PipelineError, match=r"mvit_v2_s takes 16 frames of 224 pixels, not \[3, 3, 64, 64\]"):
        build_recognizer(recognizer_settings(backbone), {"class": 5})
    settings = recognizer_settings(backbone, {**RSTG, "at": "final"}, size=224, frames=16)
    with torch.device("meta"), pytest.raises(PipelineError, match="at: final of rstg: the map there is a single place"):
        build_recognizer(settings, {"class": 5})


@pytest.mark.parametrize(("changes", "message"), [
    ({**TSM, "clip": "8x8"}, "kind tsm has geometry: torchvision and clip: null"),
    ({**VIDEO, "depth": 18}, "depth: 50 or 101"),
    ({**VIDEO, "shift_share": 0.1}, "kind i3d has shift_share: 0.0"),
    ({**VIDEO, "clip": "32x2"}, "geometry slowfast has no clip 32x2"),
    ({**TSM, "shift_share": 0.6}, "at most 0.5"),
])  # fmt: skip
def test_a_network_that_is_not_built_is_refused_by_its_settings(changes: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        recognizer_settings(changes)
