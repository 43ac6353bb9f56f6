"""CLIP as published, written plainly and apart from ours: its key list and its two towers as matrix operations.

Radford et al. 2021, section 2.4, and OpenAI's release of its weights: QuickGELU, pre-norm blocks, class token.
"""

import math

import torch
from torch import Tensor


def block_shapes(prefix: str, width: int) -> dict[str, tuple[int, ...]]:
    return {
        f"{prefix}.attn.in_proj_weight": (3 * width, width),
        f"{prefix}.attn.in_proj_bias": (3 * width,),
        f"{prefix}.attn.out_proj.weight": (width, width),
        f"{prefix}.attn.out_proj.bias": (width,),
        f"{prefix}.ln_1.weight": (width,),
        f"{prefix}.ln_1.bias": (width,),
        f"{prefix}.mlp.c_fc.weight": (4 * width, width),
        f"{prefix}.mlp.c_fc.bias": (4 * width,),
        f"{prefix}.mlp.c_proj.weight": (width, 4 * width),
        f"{prefix}.mlp.c_proj.bias": (width,),
        f"{prefix}.ln_2.weight": (width,),
        f"{prefix}.ln_2.bias": (width,),
    }


def checkpoint_shapes(
    patch: int, image: int, width: int, layers: int, text: int, text_layers: int, embed: int, context: int = 77
) -> dict[str, tuple[int, ...]]:
    """The keys of CLIP4Clip's pytorch_model.bin (mean pooling), written out from OpenAI's release."""
    shapes = {
        "visual.conv1.weight": (width, 3, patch, patch),
        "visual.class_embedding": (width,),
        "visual.positional_embedding": ((image // patch) ** 2 + 1, width),
        "visual.proj": (width, embed),
        "positional_embedding": (context, text),
        "text_projection": (text, embed),
        "token_embedding.weight": (49408, text),
        "logit_scale": (),
    }
    for norm, size in (("visual.ln_pre", width), ("visual.ln_post", width), ("ln_final", text)):
        shapes |= {f"{norm}.weight": (size,), f"{norm}.bias": (size,)}
    for layer in range(layers):
        shapes |= block_shapes(f"visual.transformer.resblocks.{layer}", width)
    for layer in range(text_layers):
        shapes |= block_shapes(f"transformer.resblocks.{layer}", text)
    return {f"clip.{key}": shape for key, shape in shapes.items()}


def attend(x_LD: Tensor, state: dict[str, Tensor], prefix: str, heads: int, causal: bool) -> Tensor:
    """Multi-head attention as published (Vaswani et al. 2017), head by head."""
    width = x_LD.shape[1] // heads
    mixed = x_LD @ state[f"{prefix}.attn.in_proj_weight"].T + state[f"{prefix}.attn.in_proj_bias"]
    query, key, value = mixed.chunk(3, dim=1)
    outputs = []
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        scores = query[:, part] @ key[:, part].T / math.sqrt(width)
        if causal:
            allowed = torch.tril(torch.ones_like(scores)).bool()
            scores = scores.masked_fill(~allowed, -math.inf)
        outputs.append(scores.softmax(dim=1) @ value[:, part])
    return torch.cat(outputs, 1) @ state[f"{prefix}.attn.out_proj.weight"].T + state[f"{prefix}.attn.out_proj.bias"]


def layer_norm(x: Tensor, state: dict[str, Tensor], prefix: str) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    scaled = centred / (centred.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt()
    return scaled * state[f"{prefix}.weight"] + state[f"{prefix}.bias"]


def blocks(x_LD: Tensor, state: dict[str, Tensor], prefix: str, heads: int, causal: bool) -> Tensor:
    names = [key for key in state if key.startswith(f"{prefix}.resblocks.") and key.endswith(".ln_1.bias")]
    for layer in range(len(names)):
        name = f"{prefix}.resblocks.{layer}"
        x_LD = x_LD + attend(layer_norm(x_LD, state, f"{name}.ln_1"), state, name, heads, causal)
        hidden = layer_norm(x_LD, state, f"{name}.ln_2") @ state[f"{name}.mlp.c_fc.weight"].T
        hidden = hidden + state[f"{name}.mlp.c_fc.bias"]
        hidden = hidden * torch.sigmoid(1.702 * hidden)  # QuickGELU
        x_LD = x_LD + hidden @ state[f"{name}.mlp.c_proj.weight"].T + state[f"{name}.mlp.c_proj.bias"]
    return x_LD


def plain_image(image_CHW: Tensor, state: dict[str, Tensor], heads: int) -> Tensor:
    """Vision transformer of CLIP for one image, patch by patch."""
    _, height, width = image_CHW.shape
    patch = state["visual.conv1.weight"].shape[-1]
    kernel = state["visual.conv1.weight"].flatten(1)
    tokens = [state["visual.class_embedding"]]
    for top in range(0, height, patch):
        tokens += [
            kernel @ image_CHW[:, top : top + patch, left : left + patch].reshape(-1) for left in range(0, width, patch)
        ]
    x_LD = torch.stack(tokens) + state["visual.positional_embedding"]
    x_LD = blocks(layer_norm(x_LD, state, "visual.ln_pre"), state, "visual.transformer", heads, causal=False)
    return layer_norm(x_LD[0], state, "visual.ln_post") @ state["visual.proj"]


def plain_text(tokens_L: Tensor, state: dict[str, Tensor], heads: int) -> Tensor:
    """CLIP's text transformer for one caption, read off at its end-of-text token."""
    x_LD = state["token_embedding.weight"][tokens_L] + state["positional_embedding"][: len(tokens_L)]
    x_LD = layer_norm(blocks(x_LD, state, "transformer", heads, causal=True), state, "ln_final")
    return x_LD[tokens_L.tolist().index(49407)] @ state["text_projection"]
