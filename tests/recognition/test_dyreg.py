"""DyReg against a network written out frame by frame, its counts, and what it is at the beginning."""

import math

import pytest
import torch
from torch.nn import functional as F
from toys.plain_graphs import State, dyreg_graph, linear, norm, recurrent, tent

from pipeline.errors import PipelineError
from pipeline.recognition.dyreg import RENAMES, DyReg
from pipeline.recognition.published import published_name


def published_state(module: DyReg) -> State:
    """Random tensors under the published names, in the published shapes."""
    draw = torch.Generator().manual_seed(3)
    state: State = {}
    for name, tensor in module.state_dict().items():
        published = published_name(name, RENAMES)
        assert published != name, name
        shape: tuple[int, ...] = tuple(tensor.shape)
        if published.endswith(("scale", "norm.bias")) or "norm_" in published or "_norm" in published:
            shape = shape if "rstg" in published or "offset" in published else (1, *shape, 1, 1)
        if published.endswith("att_bias"):
            shape = (1, 1, 1, *shape)
        value = 0.3 * torch.randn(tensor.numel(), generator=draw)
        state[published] = (value + (1.0 if published.endswith("scale") else 0.0)).view(shape)
    return state


def map_norm(state: State, name: str, x: torch.Tensor) -> torch.Tensor:
    normed = norm(x.movedim(0, -1), state[f"{name}.scale"].flatten(), state[f"{name}.bias"].flatten(), 1e-5)
    return normed.movedim(-1, 0)


def plain_states(state: State, frame: torch.Tensor, num_nodes: int) -> torch.Tensor:
    """The big generator of one frame [C, 14, 14], strides as for 14."""
    at = "dynamic_graph.fishnet"

    def conv(name: str, x: torch.Tensor, **options: int) -> torch.Tensor:
        return F.conv2d(x[None], state[f"{name}.weight"], state[f"{name}.bias"], **options)[0]

    x = map_norm(state, f"{at}.norm_dict.norm1", conv(f"{at}.conv1", frame).relu())
    a = map_norm(state, f"{at}.norm_dict.tail_norm_0", conv(f"{at}.tail_conv.0", x, stride=2).relu())
    x = map_norm(state, f"{at}.norm_dict.tail_norm_1", conv(f"{at}.tail_conv.1", a, padding=1).relu())
    up = f"{at}.body_trans_conv.0"
    x = F.conv_transpose2d(x[None], state[f"{up}.weight"], state[f"{up}.bias"], padding=1)[0].relu()
    x = map_norm(state, f"{at}.norm_dict.body_trans_norm_0", x) + a
    x = map_norm(state, f"{at}.norm_dict.head_norm_0", conv(f"{at}.head_conv.0", x, padding=1).relu())
    return conv("dynamic_graph.global_conv.0", x).view(num_nodes, -1)


def plain_regions(state: State, x_TCHW: torch.Tensor, anchors: list[tuple[float, float]]) -> tuple[list, list]:
    height, width = x_TCHW.shape[-2:]
    z = torch.stack([plain_states(state, frame, 9) for frame in x_TCHW])
    for name, step in (("offset_ln_feats_coords", True), ("offset_ln_lstm", False)):
        at = f"dynamic_graph.norm_dict.{name}"
        z = torch.stack([norm(frame, state[f"{at}.scale"], state[f"{at}.bias"], 1e-5) for frame in z])
        z = recurrent("GRU", state, "dynamic_graph.offset_lstm", z) if step else z
    o = state["dynamic_graph.offset_alpha"] * linear(state, "dynamic_graph.offset_pred", z)
    centres, halves = [], []
    for frame in o.tolist():
        halves.append([[math.exp(a) * (height / 6 + 1) + 1, math.exp(b) * (width / 6 + 1) + 1] for a, b, _, _ in frame])
        centres.append(
            [
                [
                    min(max(size / 2 * (1 + math.tanh(shift + math.atanh(2 * c / size - 1))), 0), size - 1)
                    for size, shift, c in ((height, down, y), (width, right, x))
                ]
                for (_, _, down, right), (y, x) in zip(frame, anchors, strict=True)
            ]
        )
    return centres, halves


@pytest.mark.parametrize("anchors", ["centre", "grid"])
@pytest.mark.parametrize("channels", [8, 12])
def test_regions_and_branch_equal_those_written_out_frame_by_frame(anchors: str, channels: int) -> None:
    torch.manual_seed(1)
    module = DyReg(channels, 14, 14, 8, offset_dim=6, anchors=anchors)
    state = published_state(module)
    module.load_published(state)
    x = torch.randn(1, 2, channels, 14, 14)
    places = [7.0] * 3 if anchors == "centre" else [14 * (place + 0.5) / 3 for place in range(3)]
    starts = [(y, x) for y in places for x in places]
    with torch.no_grad():
        centre, half = module.regions(x)
        branch = module.branch(x)
        for number, clip in enumerate(x):
            if channels != 8:
                projected = F.conv2d(
                    clip,
                    state["dynamic_graph.project_i3d_linear.weight"],
                    state["dynamic_graph.project_i3d_linear.bias"],
                )
                name = "dynamic_graph.norm_dict.dynamic_graph_projection"
                clip = torch.stack([map_norm(state, name, frame) for frame in projected])
            centres, halves = plain_regions(state, clip, starts)
            torch.testing.assert_close(centre[number], torch.tensor(centres), atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(half[number], torch.tensor(halves), atol=1e-4, rtol=1e-4)
            kernels = torch.stack(
                [
                    torch.stack([tent(c, s, 14, 14) for c, s in zip(*frame, strict=True)])
                    for frame in zip(centres, halves, strict=True)
                ]
            )
            nodes = torch.einsum("tnyx,tcyx->tnc", kernels, clip)
            nodes = dyreg_graph(state, nodes + linear(state, "dynamic_graph.kernel_projection1", kernels.flatten(2)))
            plain = torch.einsum("tnc,tnyx->tcyx", nodes, kernels)
            if channels != 8:
                back = "dynamic_graph.project_back_i3d_linear"
                plain = F.conv2d(plain, state[f"{back}.weight"], state[f"{back}.bias"])
            torch.testing.assert_close(branch[number], plain, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("place", "count"), [
    ((128, 28, 28, 128, 128), 1_141_640),  # layer2.2 of TSM-R50
    ((256, 14, 14, 256, 128), 1_836_040),  # layer3.4
    ((512, 7, 7, 256, 128), 1_859_592),  # layer4.1
    ((128, 16, 16, 32, 32), 290_088),  # MultiSyncMNIST
])  # fmt: skip
def test_modules_have_the_published_number_of_parameters(place: tuple[int, ...], count: int) -> None:
    with torch.device("meta"):
        assert sum(tensor.numel() for tensor in DyReg(*place).parameters()) == count


@pytest.mark.parametrize("generator", ["big", "lite"])
def test_it_begins_as_the_identity_with_regions_at_their_anchors(generator: str) -> None:
    module = DyReg(12, 14, 7, 8, offset_dim=6, anchors="grid", generator=generator)
    x = torch.randn(2, 3, 12, 14, 7)
    assert torch.equal(module(x), x)
    centre, half = module.regions(x)
    torch.testing.assert_close(centre[1, 2, 5], torch.tensor([14 * 1.5 / 3, 7 * 2.5 / 3]))
    assert half[0, 0, 0].tolist() == pytest.approx([14 / 6 + 2, 7 / 6 + 2])


@pytest.mark.parametrize("height", [4, 7, 8, 10, 11, 16, 20, 21, 22, 23, 28, 32, 50])
def test_maps_of_any_size_within_the_limits_are_taken(height: int) -> None:
    module = DyReg(4, height, max(4, height - 1), 4, offset_dim=2)
    x = torch.randn(1, 1, 4, height, max(4, height - 1))
    assert torch.equal(module(x), x)


def test_larger_maps_are_taken_at_test_time() -> None:
    module = DyReg(8, 14, 14, 8, offset_dim=6)
    module.load_published(published_state(module))
    x = torch.randn(1, 2, 8, 16, 16)
    centre, half = module.regions(x)
    assert module(x).shape == x.shape
    assert bool((centre <= 15).all())
    assert half.min() > 1


def test_a_map_that_is_too_large_is_refused() -> None:
    with pytest.raises(PipelineError, match=r"56 x 56.*4 to 50"):
        DyReg(64, 56, 56, 64)


def test_a_checkpoint_of_another_place_is_refused() -> None:
    state = published_state(DyReg(8, 14, 14, 8, offset_dim=6))
    with pytest.raises(PipelineError, match=r"this DyReg module: shapes: dynamic_graph\.global_conv\.0\.weight is"):
        DyReg(8, 7, 7, 8, offset_dim=6).load_published(state)


@pytest.mark.parametrize(("regions", "generator", "count"), [
    ("fixed", "big", 2_824),  # the paper's table, in thousands, of the network with 2,790,904 others
    ("dynamic", "lite", 2_833),
    ("boxes", "big", 2_824),
    ("dynamic", "big", 3_081),
])  # fmt: skip
def test_ablations_have_the_published_number_of_parameters(regions: str, generator: str, count: int) -> None:
    with torch.device("meta"):
        module = DyReg(128, 16, 16, 32, 32, generator=generator, regions=regions)
    assert round((2_790_904 + sum(tensor.numel() for tensor in module.parameters())) / 1000) == count


@pytest.mark.parametrize("regions", ["fixed", "static", "semantic", "position", "dynamic"])
def test_every_source_of_regions_begins_as_the_identity_and_learns_all_it_has(regions: str) -> None:
    module = DyReg(8, 8, 6, 4, offset_dim=4, anchors="grid", regions=regions)
    x = torch.randn(2, 3, 8, 8, 6)
    assert torch.equal(module(x), x)
    for name, tensor in module.named_parameters():
        if name.endswith(("residual_norm.weight", "offset_scale")):
            torch.nn.init.ones_(tensor)
    module(x).square().sum().backward()
    assert not [name for name, tensor in module.named_parameters() if tensor.grad is None or not tensor.grad.any()]


def test_fixed_regions_stay_and_static_ones_move_alike_in_all_videos() -> None:
    x = torch.randn(2, 3, 8, 9, 9)
    fixed, static = (DyReg(8, 9, 9, 8, anchors="grid", regions=kind) for kind in ("fixed", "static"))
    centre, half = fixed.regions(x)
    assert centre[0, 0, 5].tolist() == pytest.approx([4.5, 7.5])
    assert half[1, 2, 0].tolist() == pytest.approx([3.5, 3.5])
    torch.nn.init.constant_(static.proposals.offsets, 0.3)
    moved_centre, moved_half = static.regions(x)
    assert bool((moved_half > half).all())
    assert torch.equal(moved_centre[0], moved_centre[1])
    assert moved_centre[0, 0, 4, 0].item() > 4.5


def test_regions_of_positions_alone_keep_their_size() -> None:
    module = DyReg(8, 14, 14, 8, offset_dim=4, regions="position")
    torch.nn.init.ones_(module.proposals.offset_scale)
    centre, half = module.regions(torch.randn(1, 2, 8, 14, 14))
    torch.testing.assert_close(half, torch.full_like(half, 14 / 6 + 2))
    assert (centre - 7).abs().max().item() > 0.01


def test_semantic_regions_follow_content_wherever_it_is() -> None:
    module = DyReg(4, 8, 8, 4, regions="semantic")
    torch.nn.init.zeros_(module.proposals.mask.bias)
    torch.nn.init.zeros_(module.proposals.mask.weight)
    module.proposals.mask.weight.data[2, 0] = 50.0  # node 2 wants the first channel
    x = torch.zeros(1, 2, 4, 8, 8)
    x[0, 0, 0, 1, 6], x[0, 1, 0, 5, 2] = 1.0, 1.0
    kernels = module.proposals(x).kernels
    torch.testing.assert_close(kernels.sum((3, 4)), torch.ones(1, 2, 9))
    assert [int(kernels[0, step, 2].argmax()) for step in (0, 1)] == [1 * 8 + 6, 5 * 8 + 2]


def test_regions_of_boxes_lie_where_the_boxes_are() -> None:
    module = DyReg(4, 10, 10, 4, regions="boxes")
    x = torch.randn(1, 2, 4, 10, 10)
    boxes = torch.tensor([[0.2, 0.4, 0.6, 1.0], [0.98, 0.98, 1.0, 1.0]]).expand(1, 2, 2, 4)
    centre, half = module.regions(x, boxes)
    torch.testing.assert_close(centre[0, 0], torch.tensor([[7.0, 4.0], [9.0, 9.0]]))
    torch.testing.assert_close(half[0, 1], torch.tensor([[3.0, 2.0], [1.0, 1.0]]))
    assert torch.equal(module(x, boxes), x)
    with pytest.raises(PipelineError, match="wants the boxes of the objects in each frame"):
        module(x)
