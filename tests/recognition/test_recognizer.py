"""Backbones with modules in them: the identity at the beginning, counts, places and shapes."""

import pytest
import torch
from toys.recognizers import DYREG, RSTG, SIMPLE, TSM, VIDEO, recognizer_settings

from pipeline.errors import PipelineError
from pipeline.recognition.backbones.frame_resnet import FrameResNet, shifted
from pipeline.recognition.recognizer import Recognizer, build_recognizer, map_shapes


def frames(colours: int, size: int = 64, steps: int = 3) -> torch.Tensor:
    draw = torch.Generator().manual_seed(5)
    return torch.randint(0, 256, (2, steps, colours, size, size), generator=draw, dtype=torch.uint8)


def eager(settings: object, heads: dict[str, int] | None = None) -> Recognizer:
    torch.manual_seed(3)
    return build_recognizer(settings, heads or {"class": 5}).eval()  # type: ignore[arg-type]


def logits_of(plain: Recognizer, with_modules: Recognizer, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    with_modules.heads.load_state_dict(plain.heads.state_dict())  # drawn after the modules
    with torch.no_grad():
        return plain(x)["class"], with_modules(x)["class"]


@pytest.mark.parametrize("backbone", [SIMPLE, TSM, {**TSM, "depth": 50}], ids=["simple", "basic", "bottleneck"])
def test_modules_are_the_identity_at_the_beginning_wherever_they_stand(backbone: dict) -> None:
    blocks = [{**RSTG, "at": "res3"}, {**DYREG, "at": "layer2.1", "inside": True}, {**RSTG, "at": "layer3.0"}]
    modules = [{**RSTG, "at": "conv2"}, {**DYREG, "at": "conv1"}] if backbone is SIMPLE else blocks
    x = frames(backbone["colours"])
    plain = eager(recognizer_settings(backbone))
    for final in ({**RSTG, "at": "final"}, {**DYREG, "at": "final", "generator": "lite"}):
        changed = eager(recognizer_settings(backbone, *modules, final))
        assert len(changed.places) == len(modules) + 1
        one, other = logits_of(plain, changed, x)
        assert torch.equal(one, other)
    for name, tensor in changed.graphs.named_parameters():  # the gains that were zero
        if name.endswith(("residual_norm.weight", "residual.scale")):
            torch.nn.init.ones_(tensor)
    assert not torch.equal(*logits_of(plain, changed, x))


def test_the_network_of_multi_sync_mnist_has_the_published_number_of_parameters() -> None:
    backbone = {**TSM, "stages": 3, "colours": 1, "shift_share": 0.0}
    module = {**DYREG, "at": "layer2.1", "node_dim": 32, "offset_dim": 32}
    counts = []
    for modules in ([], [module]):
        with torch.device("meta"):
            made = build_recognizer(recognizer_settings(backbone, *modules, size=128, frames=10), {"class": 56})
        counts.append(sum(tensor.numel() for tensor in made.parameters()))
    assert counts == [2_790_904, 2_790_904 + 290_088]


def test_modules_of_resnet50_have_the_published_number_of_parameters() -> None:
    at = ["layer2.2", "layer3.4", "layer4.1"]
    modules = [{**DYREG, "at": place, "inside": True, "offset_dim": 128, "node_dim": min(128 * 2**number, 256)}
               for number, place in enumerate(at)]  # fmt: skip
    with torch.device("meta"):
        made = build_recognizer(recognizer_settings({**TSM, "depth": 50}, *modules, size=224, frames=2), {"class": 9})
    counts = [sum(tensor.numel() for tensor in made.graph(f"{place} inside").parameters()) for place in at]
    assert counts == [1_141_640, 1_836_040, 1_859_592]


@pytest.mark.parametrize(("module", "message"), [
    ({**RSTG, "at": "layer3.9"}, r"at: layer3\.9 of rstg.*no such place.*layer3\.0 to layer3\.1.*final, res2"),
    ({**RSTG, "at": "final", "inside": True}, r"at: final of rstg is no block: write inside: false"),
    ({**DYREG, "at": "layer4.1"}, r"at: layer4\.1 of dyreg: a map of 2 x 2"),
])  # fmt: skip
def test_a_module_that_cannot_stand_there_is_refused(module: dict, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        build_recognizer(recognizer_settings(TSM, module), {"class": 5})


def test_two_modules_at_one_place_are_refused() -> None:
    with pytest.raises(PipelineError, match=r"two of them are at layer2\.0"):
        build_recognizer(recognizer_settings(TSM, {**RSTG, "at": "res3"}, {**RSTG, "at": "layer2.0"}), {"class": 5})


def test_frames_that_are_too_small_are_refused() -> None:
    with pytest.raises(PipelineError, match="augmentation: size: 3 frames of 16 pixels are too small"):
        build_recognizer(recognizer_settings(SIMPLE, size=16), {"class": 5})


def test_maps_have_the_sizes_of_the_paper() -> None:
    shapes = map_shapes(recognizer_settings({**SIMPLE, "filters": 512}, frames=10))
    assert shapes["final"] == (1, 10, 512, 6, 6)
    shapes = map_shapes(recognizer_settings({**TSM, "depth": 50}, size=224, frames=1))
    assert [shapes[f"layer{stage}.1"][2:] for stage in (1, 2, 3, 4)] == [
        (256, 56, 56), (512, 28, 28), (1024, 14, 14), (2048, 7, 7)
    ]  # fmt: skip
    assert shapes["layer3.4 inside"] == (1, 1, 256, 14, 14)


def test_each_head_has_its_logits_and_other_sizes_and_lengths_are_taken() -> None:
    modules = [{**RSTG, "at": "final"}, {**DYREG, "at": "conv2"}]
    made = eager(recognizer_settings(SIMPLE, *modules, size=40), {"verb": 97, "noun": 300})
    with torch.no_grad():
        for size, steps in ((40, 3), (64, 5)):
            logits = made(frames(1, size, steps))
            assert {name: tuple(value.shape) for name, value in logits.items()} == {"verb": (2, 97), "noun": (2, 300)}
            assert made.features(frames(1, size, steps)).shape == (2, steps, 8)


def test_a_vector_alone_is_what_the_heads_see() -> None:
    made = eager(recognizer_settings(SIMPLE, {**RSTG, "at": "final", "residual": False}))
    assert made.features(frames(1)).shape == (2, 1, 8)


def test_regions_are_shares_of_the_frame_and_weights_of_a_node_sum_to_one() -> None:
    modules = [
        {**RSTG, "at": "final", "heads": 4},
        {**DYREG, "at": "conv1"},
        {**DYREG, "at": "conv2", "stages": "time"},
    ]
    with torch.no_grad():
        seen = eager(recognizer_settings(SIMPLE, *modules)).regions(frames(1))
    boxes, weights = seen["final"]
    assert boxes.shape == (2, 3, 14, 4)
    torch.testing.assert_close(boxes[1, 2, [5, 13]], torch.tensor([[2 / 3, 1 / 3, 1, 2 / 3], [0, 0, 1, 1]]))
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3, 14))
    boxes, weights = seen["conv1"]  # 31 places, half a side of 31 / 6 + 2
    torch.testing.assert_close(
        boxes[0, 1, 4], torch.tensor([0.5, 0.5, 0.5, 0.5]) + torch.tensor([-1, -1, 1, 1]) * (1 / 6 + 2 / 31)
    )
    assert weights.shape == (2, 3, 9, 9)
    assert seen["conv2"][1] is None


def test_shifted_channels_show_the_frames_before_and_after() -> None:
    x = torch.arange(1.0, 7.0).view(6, 1, 1, 1).expand(6, 8, 1, 1)  # two clips of three frames
    channels = shifted(x, 3, 0.125)[:, :, 0, 0].T.tolist()
    assert channels[0] == [2, 3, 0, 5, 6, 0]
    assert channels[1] == [0, 1, 2, 0, 4, 5]
    assert channels[2:] == [[1, 2, 3, 4, 5, 6]] * 6


def test_frames_of_their_own_know_nothing_of_time() -> None:
    x = frames(3)
    reversed_x = x.flip(1)
    with torch.no_grad():
        still, moving = (eager(recognizer_settings({**TSM, "shift_share": share})) for share in (0.0, 0.125))
        torch.testing.assert_close(still.features(x).flip(1), still.features(reversed_x))
        assert not torch.allclose(moving.features(x).flip(1), moving.features(reversed_x))


def test_a_backbone_is_drawn_from_its_seed() -> None:
    torch.manual_seed(1)
    one = build_recognizer(recognizer_settings(SIMPLE), {"class": 2})
    other = build_recognizer(recognizer_settings(SIMPLE), {"class": 2})
    assert torch.equal(one.backbone.conv1.weight, other.backbone.conv1.weight)
    assert not torch.equal(one.heads["class"].weight, other.heads["class"].weight)


def test_networks_with_a_third_stage_of_23_blocks_shift_in_every_second_block() -> None:
    with torch.device("meta"):
        deep = FrameResNet(101, 4, 3, 0.125)
    assert [block.share > 0 for block in deep.layer3] == [number % 2 == 0 for number in range(23)]


@pytest.mark.skipif(not torch.cpu._is_avx512_bf16_supported(), reason="oneDNN has no LSTM in bf16 for this CPU")
def test_modules_compute_in_bfloat16_what_they_compute_in_float32() -> None:
    modules = [{**RSTG, "at": "final"}, {**RSTG, "at": "conv2", "attention": "gat"}, {**DYREG, "at": "conv1"}]
    made = eager(recognizer_settings(SIMPLE, *modules))
    for name, tensor in made.graphs.named_parameters():
        if name.endswith(("residual_norm.weight", "residual.scale")):
            torch.nn.init.ones_(tensor)
    with torch.no_grad():
        exact = made.features(frames(1))
        with torch.autocast("cpu", torch.bfloat16):
            short = made.features(frames(1))
    assert float((short.float() - exact).abs().mean() / exact.abs().mean()) < 0.03


def test_a_simple_network_can_normalise_its_last_maps() -> None:
    model = build_recognizer(recognizer_settings({**SIMPLE, "norm_maps": True}), {"class": 3}).train()
    features_BTD = model.features(torch.randint(0, 256, (4, 3, 1, 64, 64), dtype=torch.uint8))
    assert torch.allclose(features_BTD.mean((0, 1)), torch.zeros(8), atol=1e-5)


def test_boxes_of_an_odd_number_of_frames_where_maps_have_half_of_them() -> None:
    module = {**DYREG, "at": "layer3.0", "regions": "boxes"}
    model = eager(recognizer_settings(VIDEO, module, size=48, frames=5))
    boxes = torch.tensor([0.2, 0.2, 0.6, 0.8]).expand(2, 5, 3, 4)
    with torch.no_grad():
        assert model(frames(3, 48, 5), boxes)["class"].shape == (2, 5)
