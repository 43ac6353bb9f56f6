"""RSTG and DyReg written out frame by frame and pair by pair, from tensors under their published names."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

State = dict[str, Tensor]


def linear(state: State, name: str, x: Tensor) -> Tensor:
    return x @ state[f"{name}.weight"].flatten(1).T + state[f"{name}.bias"]


def norm(x: Tensor, gain: Tensor, offset: Tensor, eps: float) -> Tensor:
    """Over all of a tensor; gain and offset belong to its last axis."""
    return (x - x.mean()) / torch.sqrt(x.var(correction=0) + eps) * gain + offset


def recurrent(kind: str, state: State, name: str, nodes_TND: Tensor) -> Tensor:
    cell = getattr(torch.nn, kind)(nodes_TND.shape[-1], state[f"{name}.weight_hh_l0"].shape[1])
    at = f"{name}."
    cell.load_state_dict({key.removeprefix(at): value for key, value in state.items() if key.startswith(at)})
    return torch.stack([cell(nodes_TND[:, [n]])[0][:, 0] for n in range(nodes_TND.shape[1])], 1)


def pairs(count: int, of: Callable[[int, int], Tensor]) -> Tensor:
    """What each receiver i gets from each sender j, [N, N, ..]."""
    return torch.stack([torch.stack([of(i, j) for j in range(count)]) for i in range(count)])


def rstg_nodes(
    state: State, x_TCHW: Tensor, kernels: Tensor, edges: Tensor, positions: Tensor, o: dict[str, Any]
) -> Tensor:
    """Nodes of one clip after the last recurrence and the projection back, [T, N, C]."""
    nodes = torch.einsum("nyx,tcyx->tnc", kernels, x_TCHW)
    if "proj.weight" in state:
        nodes = linear(state, "proj", nodes)
    if o["batch_norm"]:
        deviation = torch.sqrt(state["bn.running_var"] + 1e-3)
        nodes = (nodes - state["bn.running_mean"]) / deviation * state["bn.weight"] + state["bn.bias"]
    if o["layer_norm"]:
        nodes = norm(nodes, state["pre_ln.weight"], state["pre_ln.bias"], 1e-12)
    for _ in range(3):
        nodes = recurrent("LSTM", state, "lstm_int", nodes)
        nodes = torch.stack([rstg_space(state, frame, edges, positions, o) for frame in nodes])
    nodes = recurrent("LSTM", state, "lstm_ext", nodes)
    return linear(state, "back", nodes) if "back.weight" in state else nodes


def rstg_space(state: State, v: Tensor, edges: Tensor, positions: Tensor, o: dict[str, Any]) -> Tensor:
    seen = torch.cat([v, positions], 1) if o["positions"] else v
    messages = pairs(
        len(v), lambda i, j: linear(state, "send2", linear(state, "send1", torch.cat([seen[j], seen[i]])).relu()).relu()
    )
    if o["layer_norm"]:
        messages = norm(messages, state["send_ln.weight"], state["send_ln.bias"], 1e-12)
    if o["num_heads"] > 1:
        g = torch.cat([rstg_head(state, f"heads.{head}.", v, messages, edges) for head in range(o["num_heads"])], 1)
    else:
        weights = gat_weights(state, v, edges) if o["attention"] == "gat" else dot_weights(state, "", v, edges)
        sums = torch.stack([weights[i] @ messages[i] for i in range(len(v))]) + state["att.bias"]
        if o["layer_norm"] and o["attention"] == "gat":
            sums = norm(sums, state["att_ln.weight"], state["att_ln.bias"], 1e-12)
        g = sums.relu()
    names = ["scale1"] * 9 + ["scale2"] * 4 + ["scale3"] if o["scalewise"] else ["all"] * 14
    anew = [
        linear(state, f"update.{name}.2", linear(state, f"update.{name}.1", torch.cat([v[i], g[i]])).relu()).relu()
        for i, name in enumerate(names)
    ]
    v = torch.stack(anew)
    return norm(v, state["update_ln.weight"], state["update_ln.bias"], 1e-12) if o["layer_norm"] else v


def rstg_head(state: State, at: str, v: Tensor, messages: Tensor, edges: Tensor) -> Tensor:
    weights, told = dot_weights(state, at, v, edges), linear(state, f"{at}message", messages)
    sums = torch.stack([weights[i] @ told[i] for i in range(len(v))])
    return (sums + state[f"{at}att.bias"]).relu()


def dot_weights(state: State, at: str, v: Tensor, edges: Tensor) -> Tensor:
    q, k = linear(state, f"{at}att_q", v), linear(state, f"{at}att_k", v)
    return torch.softmax(pairs(len(v), lambda i, j: edges[i, j] * (q[i] @ k[j])), 1)


def gat_weights(state: State, v: Tensor, edges: Tensor) -> Tensor:
    one, two = linear(state, "att_1", v)[:, 0], linear(state, "att_2", v)[:, 0]
    logits = pairs(len(v), lambda i, j: edges[i, j] * one[i] + edges[i, j] * two[j])
    return torch.softmax(F.leaky_relu(logits, 0.2) + edges, 1)


def dyreg_graph(state: State, nodes: Tensor) -> Tensor:
    """Nodes of one clip [T, N, C] after DyReg's graph."""
    at = "dynamic_graph.rstg"

    def normed(x: Tensor, name: str) -> Tensor:
        return norm(x, state[f"{at}.norm_dict.{name}.scale"], state[f"{at}.norm_dict.{name}.bias"], 1e-5)

    def space(v: Tensor) -> Tensor:
        messages = pairs(len(v), lambda i, j: linear(state, f"{at}.send_mlp.0", v[i] + v[j]).relu())
        messages = normed(messages, "send_message_norm")
        weights = torch.softmax(linear(state, f"{at}.att_q", v) @ linear(state, f"{at}.att_k", v).T, 1)
        g = torch.stack([weights[i] @ messages[i] for i in range(len(v))])
        return normed(v + (g + state[f"{at}.att_bias"].flatten()).relu(), "update_norm")

    nodes = torch.stack([normed(frame, "before_graph_norm") for frame in nodes])
    for _ in range(3):
        nodes = recurrent("GRU", state, f"{at}.internal_lstm", nodes)
        nodes = torch.stack([space(frame) for frame in nodes])
    return recurrent("GRU", state, f"{at}.external_lstm", nodes)


def tent(centre: list[float], half: list[float], height: int, width: int) -> Tensor:
    rows = torch.tensor([max(0, half[0] - abs(y - centre[0])) for y in range(height)])
    columns = torch.tensor([max(0, half[1] - abs(x - centre[1])) for x in range(width)])
    kernel = rows[:, None] * columns
    return kernel / kernel.sum()
