"""RSTG against a network written out pair by pair, and what it is at the beginning."""

import pytest
import torch
from torch.nn import functional as F
from toys.plain_graphs import State, rstg_nodes

from pipeline.errors import PipelineError
from pipeline.recognition.grids import grid_edges, grid_positions
from pipeline.recognition.region_pool import area_covers, area_kernels
from pipeline.recognition.rstg import Rstg

DEFAULTS = {
    "attention": "dot", "num_heads": 1, "layer_norm": True, "batch_norm": False, "scalewise": True, "positions": False,
    "residual": True,
}  # fmt: skip
FORMS = {
    "something-something": {},
    "sync_mnist": {
        "attention": "gat", "layer_norm": False, "batch_norm": True, "scalewise": False, "positions": True,
        "residual": False,
    },
    "gat with norms": {"attention": "gat", "positions": True},
    "heads": {"num_heads": 4, "scalewise": False},
}  # fmt: skip


def published_state(channels: int, dim: int, o: dict) -> State:
    """Random tensors under the published names."""
    draw = torch.Generator().manual_seed(3)
    state: State = {}

    def put(name: str, *shape: int, around: float = 0.0) -> None:
        state[name] = around + 0.3 * torch.randn(*shape, generator=draw)

    def linear(name: str, into: int, out: int) -> None:
        put(f"{name}.weight", out, into)
        put(f"{name}.bias", out)

    def norm(name: str) -> None:
        put(f"{name}.weight", dim, around=1.0)
        put(f"{name}.bias", dim)

    if channels != dim:
        linear("proj", channels, dim)
        linear("back", dim, channels)
    if o["batch_norm"]:
        norm("bn")
        put("bn.running_mean", dim)
        state["bn.running_var"] = torch.rand(dim, generator=draw) + 0.5
    for name in ("lstm_int", "lstm_ext"):
        for part in ("ih", "hh"):
            put(f"{name}.weight_{part}_l0", 4 * dim, dim)
            put(f"{name}.bias_{part}_l0", 4 * dim)
    linear("send1", 2 * (dim + 36 * o["positions"]), dim)
    linear("send2", dim, dim)
    if o["num_heads"] > 1:
        part = dim // o["num_heads"]
        for head in range(o["num_heads"]):
            for name in ("message", "att_q", "att_k"):
                linear(f"heads.{head}.{name}", dim, part)
            put(f"heads.{head}.att.bias", part)
    else:
        put("att.bias", dim)
        for name in ("att_1", "att_2") if o["attention"] == "gat" else ("att_q", "att_k"):
            linear(name, dim, 1 if o["attention"] == "gat" else dim)
    for name in ("scale1", "scale2", "scale3") if o["scalewise"] else ("all",):
        linear(f"update.{name}.1", 2 * dim, dim)
        linear(f"update.{name}.2", dim, dim)
    if o["layer_norm"]:
        for name in ("pre_ln", "send_ln", "update_ln", *(["att_ln"] if o["attention"] == "gat" else [])):
            norm(name)
    if o["residual"]:
        put("res_ln.bias", channels)
        put("res_scale", channels)
    return state


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("channels", [8, 12])
def test_nodes_vector_and_map_equal_those_written_out_pair_by_pair(form: str, channels: int) -> None:
    o = DEFAULTS | FORMS[form]
    x = torch.randn(2, 2, channels, 7, 6)
    module = Rstg(channels, 7, 6, 8, **o)
    state = published_state(channels, 8, o)
    module.load_published(state)
    with torch.no_grad():
        nodes, vector, found = module.nodes(x), module.vector(x), module.map(x)
        edges, positions = grid_edges(), grid_positions()
        plain = torch.stack([rstg_nodes(state, clip, area_kernels(7, 6), edges, positions, o) for clip in x])
    torch.testing.assert_close(nodes, plain, atol=1e-5, rtol=1e-5)
    plain_vector = plain.mean(1).sum(1)
    plain_map = torch.einsum("btnc,nyx->btcyx", plain, area_covers(7, 6))
    if o["residual"]:
        scale, offset = state["res_scale"], state["res_ln.bias"]
        plain_vector = x.mean((1, 3, 4)) + scale * (F.layer_norm(plain_vector, (channels,), eps=1e-12) + offset)
        normed = F.layer_norm(plain_map, plain_map.shape[1:], eps=1e-12)
        plain_map = x + scale[:, None, None] * (normed + offset[:, None, None])
    torch.testing.assert_close(vector, plain_vector, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found, plain_map, atol=1e-5, rtol=1e-5)


def test_a_residual_module_begins_as_the_identity_at_any_size() -> None:
    module = Rstg(12, 7, 7, 8)
    for size in (7, 9):
        x = torch.randn(2, 3, 12, size, size)
        assert torch.equal(module(x), x)
        assert torch.equal(module.vector(x), x.mean((1, 3, 4)))


def test_a_checkpoint_of_other_tensors_is_refused_by_name() -> None:
    state = published_state(12, 8, DEFAULTS)
    del state["send2.bias"]
    state["res_scale"] = torch.zeros(8)
    state["gate.weight"] = torch.zeros(8)
    with pytest.raises(
        PipelineError, match=r"res_scale is \[8\], not \[12\].*missing: send2.bias.*unknown: gate.weight"
    ):
        Rstg(12, 7, 7, 8).load_published(state)


@pytest.mark.parametrize(("stages", "parts"), [
    ("all", {"internal", "external", "messages", "update"}),
    ("one", {"external", "messages", "update"}),
    ("space", {"messages", "update"}),
    ("time", {"internal", "external"}),
    ("homogeneous", {"messages", "update"}),
])  # fmt: skip
def test_an_ablation_has_the_weights_it_uses_alone(stages: str, parts: set[str]) -> None:
    module = Rstg(8, 6, 6, 8, stages=stages, residual=False)
    assert {name for name, _ in module.graph.named_children()} == parts
    module.vector(torch.randn(1, 2, 8, 6, 6)).sum().backward()
    assert all(tensor.grad is not None for tensor in module.parameters())


@pytest.mark.parametrize("form", FORMS)
def test_homogeneous_messages_come_from_the_same_node_in_other_frames_too(form: str) -> None:
    o = DEFAULTS | FORMS[form] | {"num_heads": 1}
    module = Rstg(8, 6, 6, 8, **o, num_rounds=1, stages="homogeneous")
    messages, nodes = module.graph.messages, torch.randn(1, 3, 14, 8)
    with torch.no_grad():
        found = messages(nodes[0], module.graph._beside(nodes))
        placed = torch.cat([nodes[0], grid_positions().expand(3, -1, -1)], -1) if o["positions"] else nodes[0]
        for step, node in ((0, 3), (1, 13), (2, 0)):
            around = placed[max(step - 1, 0), node], placed[min(step + 1, 2), node]
            every = [[*placed[step], placed[max(step - 1, 0), i], placed[min(step + 1, 2), i]] for i in range(14)]
            plain = torch.stack(
                [
                    torch.stack([messages.second(messages.first(torch.cat([sender, placed[step, i]])).relu()).relu()
                                 for sender in every[i]])
                    for i in range(14)
                ]
            )  # fmt: skip
            assert torch.equal(every[node][-2], around[0])
            if messages.norm is not None:
                plain = messages.norm(plain[None])[0]
            attention = messages.attentions[0]
            senders = torch.stack(every[node])[:, :8]
            linked = torch.cat([grid_edges()[node], torch.ones(2)])
            if o["attention"] == "dot":
                logits = attention.key(senders) @ attention.query(nodes[0, step, node]) * linked
            else:
                sums = attention.receiver(nodes[0, step, node]) + attention.sender(senders)[:, 0]
                logits = F.leaky_relu(sums * linked, 0.2) + linked
            told = torch.softmax(logits, 0) @ plain[node] + messages.bias
            if messages.sum_norm is None:
                torch.testing.assert_close(found[step, node], told.relu(), atol=1e-5, rtol=1e-5)


def test_a_homogeneous_graph_hears_one_step_further_in_each_round() -> None:
    o = DEFAULTS | {"layer_norm": False}
    module = Rstg(8, 6, 6, 8, **o, num_rounds=2, stages="homogeneous")
    x = torch.randn(1, 6, 8, 6, 6)
    changed = x.clone()
    changed[:, 0] += 1
    with torch.no_grad():
        differs = (module.nodes(x) != module.nodes(changed)).flatten(2).any(-1)
    assert differs[0].tolist() == [True, True, True, False, False, False]


def test_heads_that_do_not_fit_are_refused() -> None:
    with pytest.raises(PipelineError, match="one head"):
        Rstg(8, 6, 6, 8, attention="gat", num_heads=2)
    with pytest.raises(PipelineError, match="3 do not divide node_dim: 8"):
        Rstg(8, 6, 6, 8, num_heads=3)
