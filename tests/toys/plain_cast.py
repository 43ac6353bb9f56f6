"""CAST written plainly and apart from ours, from the names and shapes of its published tensors.

Tokens are sequence first, as in the authors' description; attention is a softmax by hand. Lee, Lee and Choi, NeurIPS
2023, section 3 and appendix A; the constants are those of their code.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

State = Mapping[str, Tensor]


def plain_cast(state: State, x: Tensor, heads: int) -> dict[str, Tensor]:
    """Both vectors and the logits of one head or of noun and verb; `x` is `[B, 3, F, H, W]`."""
    clips, steps = len(x), x.shape[2] // 2
    frames = x[:, :, 1::2].permute(0, 2, 1, 3, 4).reshape(clips * steps, *x.shape[1:2], *x.shape[3:])
    patches = F.conv2d(frames, state["clip_conv1.weight"], stride=state["clip_conv1.weight"].shape[-1])
    patches = patches.flatten(2).transpose(1, 2)
    first = state["clip_class_embedding"].repeat(clips * steps, 1, 1)
    s = torch.cat([first, patches], 1) + state["clip_positional_embedding"]
    s = norm(s, state, "clip_ln_pre", 1e-5).transpose(0, 1)  # tokens of a frame, frames
    kernel = state["patch_embed.proj.weight"]
    t = F.conv3d(x, kernel, state["patch_embed.proj.bias"], stride=kernel.shape[2:]).flatten(2).transpose(1, 2)
    t = t + table(t.shape[1], t.shape[2])
    depth = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("blocks."))
    for number in range(depth):
        own = {name.split(".", 2)[2]: v for name, v in state.items() if name.startswith(f"blocks.{number}.")}
        s, t = block(own, s, t, heads, clips)
    spatial = norm(s[0].view(clips, steps, -1).mean(1), state, "clip_ln_post", 1e-5)
    temporal = norm(t.mean(1), state, "vmae_fc_norm", 1e-6)
    found = {"spatial": spatial, "temporal": temporal}
    if "head.weight" in state:
        z = adapter(spatial, state, "noun_last_Adapter") + adapter(temporal, state, "verb_last_Adapter")
        return found | {"class": linear(z, state, "head")}
    return found | {"noun": linear(spatial, state, "head_noun"), "verb": linear(temporal, state, "head_verb")}


def block(own: State, s: Tensor, t: Tensor, heads: int, clips: int) -> tuple[Tensor, Tensor]:
    z = norm(s, own, "clip_ln_1", 1e-5).transpose(0, 1)
    qkv = z @ own["clip_attn.in_proj_weight"].T + own["clip_attn.in_proj_bias"]
    u = linear(softmax_attention(*qkv.chunk(3, -1), heads), own, "clip_attn.out_proj").transpose(0, 1)
    s = s + u + adapter(u, own, "S_Adapter")
    bias = torch.cat([own["attn.q_bias"], 0 * own["attn.q_bias"], own["attn.v_bias"]])
    qkv = norm(t, own, "norm1", 1e-6) @ own["attn.qkv.weight"].T + bias
    u = linear(softmax_attention(*qkv.chunk(3, -1), heads), own, "attn.proj")
    t = t + u + adapter(u, own, "T_Adapter")
    heard_s, heard_t = exchange(own, s, t, heads, clips)
    s, t = s + heard_s, t + heard_t
    z = norm(s, own, "clip_ln_2", 1e-5)
    inner = linear(z, own, "clip_mlp.c_fc")
    s = (
        s
        + linear(inner * torch.sigmoid(1.702 * inner), own, "clip_mlp.c_proj")
        + 0.5 * adapter(z, own, "S_MLP_Adapter")
    )
    z = norm(t, own, "norm2", 1e-6)
    t = t + linear(F.gelu(linear(z, own, "mlp.fc1")), own, "mlp.fc2") + 0.5 * adapter(z, own, "T_MLP_Adapter")
    return s, t


def exchange(own: State, s: Tensor, t: Tensor, heads: int, clips: int) -> tuple[Tensor, Tensor]:
    s = norm(linear(s, own, "cross_s_down"), own, "ln_s_cross", 1e-6)
    t = norm(linear(t, own, "cross_t_down"), own, "ln_t_cross", 1e-6)
    places, width = len(s) - 1, s.shape[2]
    steps = t.shape[1] // places
    patches = s[1:].view(places, clips, steps, width).permute(1, 2, 0, 3)  # clips, steps, places
    tubes = t.view(clips, steps, places, width)
    heard_s, heard_t = torch.zeros_like(patches), torch.zeros_like(tubes)
    for clip in range(clips):
        for place in range(places):
            q = patches[clip, :, place] + own["t2s_cross.clip_time_pos"]
            kv = tubes[clip, :, place] + own["t2s_cross.vmae_time_pos"]
            heard_s[clip, :, place] = cross(own, "t2s_cross", "t2s", q, kv, heads)
        for step in range(steps):
            q = tubes[clip, step] + own["s2t_cross.vmae_space_pos"]
            kv = patches[clip, step] + own["s2t_cross.clip_space_pos"]
            heard_t[clip, step] = cross(own, "s2t_cross", "s2t", q, kv, heads)
    back = torch.cat([s[:1], heard_s.permute(2, 0, 1, 3).reshape(places, clips * steps, width)])
    return (
        linear(F.gelu(back), own, "cross_s_up"),
        linear(F.gelu(heard_t.view(clips, steps * places, width)), own, "cross_t_up"),
    )


def cross(own: State, module: str, prefix: str, asking: Tensor, told: Tensor, heads: int) -> Tensor:
    q = asking @ own[f"{module}.{prefix}_q.weight"].T + own[f"{module}.{prefix}_q_bias"]
    k, v = (told @ own[f"{module}.{prefix}_kv.weight"].T + own[f"{module}.{prefix}_kv_bias"]).chunk(2, -1)
    return linear(softmax_attention(q[None], k[None], v[None], heads)[0], own, f"{module}.t2s_proj")


def softmax_attention(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    parts = []
    for one_q, one_k, one_v in zip(q.chunk(heads, -1), k.chunk(heads, -1), v.chunk(heads, -1), strict=True):
        scores = one_q @ one_k.transpose(1, 2) / math.sqrt(one_q.shape[-1])
        parts.append(scores.softmax(-1) @ one_v)
    return torch.cat(parts, -1)


def adapter(x: Tensor, own: State, name: str) -> Tensor:
    return linear(F.gelu(linear(x, own, f"{name}.D_fc1")), own, f"{name}.D_fc2")


def linear(x: Tensor, own: State, name: str) -> Tensor:
    return x @ own[f"{name}.weight"].T + own[f"{name}.bias"]


def norm(x: Tensor, own: State, name: str, eps: float) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], own[f"{name}.weight"], own[f"{name}.bias"], eps)


def table(tokens: int, width: int) -> Tensor:
    rows = [
        [(math.cos if j % 2 else math.sin)(place / 10000 ** (2 * (j // 2) / width)) for j in range(width)]
        for place in range(tokens)
    ]
    return torch.tensor(rows)
