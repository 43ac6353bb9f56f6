"""Weights of the spatial expert: from every published form of CLIP, and from the encoder's own artifact.

Loading is strict: every tensor of a file is used, or stands in `LEFT_OUT` with the reason why it is not.
"""

import json
import logging
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.config import TowerArch
from pipeline.errors import PipelineError
from pipeline.recognition.published import Rename, published_name
from pipeline.recognition.towers.cast_layout import expert_of_cast, is_cast
from pipeline.recognition.towers.spatial import NORM_EPS, SpatialTower
from pipeline.weights.loading import described, load_strictly, read_state, some
from pipeline.weights.origin import from_file

KIND = "clip4clip"
TOWER = "clip_tower"  # the image tower by itself
EXAMPLE = "OpenAI's ViT-B-16.pt"
HEAD_WIDTH = 64  # of all of OpenAI's and most of open_clip's vision transformers
# What files hold besides the image tower, and why it is not used.
LEFT_OUT = (
    (r"proj|visual_projection\.weight", "the projection, which nothing needs here"),
    (r"logit_(scale|bias)", "for similarities with captions"),
    (r"(text_model|text)\..+|token_embedding\.weight|text_projection(\.weight)?", "of the text tower"),
    (r"text tower: .+", "of the text tower"),
    (r"input_resolution|context_length|vocab_size", "sizes, no parameters"),
    (r"embeddings\.position_ids", "numbers from 0, no parameters"),
)
OF_CLIP: tuple[Rename, ...] = (
    (r"transformer\.resblocks\.(\d+)\.attn\.in_proj_(weight|bias)", r"blocks.\1.attn.in_proj.\2"),
    (r"transformer\.resblocks\.(.+)", r"blocks.\1"),
)
# The names of transformers, and ours. Queries, keys and values are put together after that.
OF_TRANSFORMERS: tuple[Rename, ...] = (
    (r"embeddings\.class_embedding", "class_embedding"),
    (r"embeddings\.patch_embedding\.weight", "conv1.weight"),
    (r"embeddings\.position_embedding\.weight", "positional_embedding"),
    (r"pre_layrnorm\.(\w+)", r"ln_pre.\1"),
    (r"post_layernorm\.(\w+)", r"ln_post.\1"),
    (r"encoder\.layers\.(\d+)\.layer_norm([12])\.(\w+)", r"blocks.\1.ln_\2.\3"),
    (r"encoder\.layers\.(\d+)\.self_attn\.out_proj\.(\w+)", r"blocks.\1.attn.out_proj.\2"),
    (r"encoder\.layers\.(\d+)\.self_attn\.([qkv]_proj\.\w+)", r"blocks.\1.attn.\2"),
    (r"encoder\.layers\.(\d+)\.mlp\.fc1\.(\w+)", r"blocks.\1.mlp.c_fc.\2"),
    (r"encoder\.layers\.(\d+)\.mlp\.fc2\.(\w+)", r"blocks.\1.mlp.c_proj.\2"),
)
# Names of CLIP's text tower that those of an image tower alone have, too.
AMBIGUOUS = ("transformer.", "positional_embedding", "ln_final.", "attn_mask")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SpatialExpert:
    """The image tower of a file of CLIP.

    Attributes:
        tower: Without its last norm, in evaluation mode.
        norm: Weights and biases of that norm.
        origin: Where they come from, in the words of `pipeline.weights.origin`.
    """

    tower: SpatialTower
    norm: dict[str, Tensor]
    origin: str


def read_spatial(
    path: Path, heads: int | None = None, activation: str | None = None, level: int = logging.DEBUG
) -> SpatialExpert:
    """Read the image tower of an encoder, or of a published file of CLIP, strictly, in float32.

    Args:
        path: The `weights.safetensors` of an encoder of kind clip4clip or clip_tower, which says the following two
            itself; or a file of what `spatial_state` takes: a TorchScript archive, a pickle, or safetensors.
        heads: Heads of a published file; None for one for 64 numbers of the width, as OpenAI's have.
        activation: `quick_gelu` or `gelu`; None if the file shows it: see `pipeline.models.clip_activation`.
        level: Logging level of the table of what was matched.

    Raises:
        PipelineError: if the file cannot be read, is no CLIP with a vision transformer, has tensors that are missing or
            unknown, or leaves its activation open.
    """
    from pipeline.models.clip_activation import activation_of  # slow to import: open_clip

    state, metadata = read_state(path, EXAMPLE)
    kind = metadata.get("kind", KIND)
    if kind not in (KIND, TOWER):
        raise PipelineError(
            f"{path} is no encoder of kind {KIND} or {TOWER} but {kind}: name one of these kinds as spatial"
        )
    own, left_out = spatial_state(state, path)
    if "arch" in metadata:
        arch = json.loads(metadata["arch"])
        heads = int(arch["heads"]) if kind == TOWER else _heads(arch)
    chosen = activation_of({"activation": activation}, state, metadata, path)
    tower, norm = _fill(own, heads, chosen, described(path, state, metadata), level, left_out)
    return SpatialExpert(tower, norm, metadata.get("origin") or from_file(path))


def load_spatial(path: Path, arch: TowerArch, level: int = logging.INFO) -> SpatialExpert:
    """Load the image tower of a published file of CLIP, or of CAST; see `read_spatial`.

    Args:
        path: The file.
        arch: What it must be.
        level: Logging level of the table of what was matched.

    Raises:
        PipelineError: as `read_spatial` says, or if it has other sizes.
    """
    found = read_spatial(path, arch.heads, arch.activation, level)
    own = sizes_of(found.tower)
    wanted = arch.model_dump()
    differ = [f"{name} {own[name]}, not {value}" for name, value in wanted.items() if own[name] != value]
    if differ:
        raise PipelineError(f"{path} has an image tower of {', '.join(differ)}: write its own sizes into `arch`")
    return found


def sizes_of(tower: SpatialTower) -> dict[str, int | str]:
    """The sizes of a tower and its activation, by the names of `TowerArch`."""
    kept = ("image_size", "patch_size", "width", "heads", "activation")
    return {**{name: getattr(tower, name) for name in kept}, "layers": tower.depth}


def tower_state(expert: SpatialExpert) -> dict[str, Tensor]:
    """The tensors of the file of an encoder of kind clip_tower, which `read_spatial` reads."""
    return expert.tower.state_dict() | {f"ln_post.{name}": tensor for name, tensor in expert.norm.items()}


def tower_metadata(expert: SpatialExpert) -> dict[str, str]:
    """The metadata of that file: its kind, sizes and activation, and where its weights come from."""
    sizes = sizes_of(expert.tower)
    arch = {"arch": json.dumps(sizes, sort_keys=True), "activation": expert.tower.activation}
    return {"kind": TOWER, **arch, "origin": expert.origin}


def spatial_state(state: Mapping[str, Tensor], path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Take the image tower out of a checkpoint of CLIP, under the names of `SpatialTower`, and `ln_post.`.

    Args:
        state: The tensors as OpenAI and open_clip write them (below `visual.`, or the image tower alone), as CLIP4Clip
            does (all below `clip.`), or as transformers names them (a CLIPModel, or a CLIPVisionModel alone); or a
            published checkpoint of CAST.
        path: The file, for messages.

    Returns:
        The tower's tensors and whatever is unknown; and the names of the others, with the reason why they are not used.

    Raises:
        PipelineError: if the image tower is a ResNet.
    """
    if is_cast(state):
        return expert_of_cast(state, "spatial")
    left_out: dict[str, str] = {}
    if any(name.startswith("clip.") for name in state):
        from pipeline.models.clip4clip import clip_state  # slow to import: open_clip

        state, left_out = clip_state(state, str(path))
    if any(name.removeprefix("visual.").startswith(("attnpool.", "layer1.")) for name in state):
        raise PipelineError(
            f"{path} has a ResNet as its image tower, which has no tokens to exchange: name an encoder with a vision "
            "transformer as spatial, such as ViT-B-16"
        )
    bare = {_bare(name, state): tensor for name, tensor in state.items()}
    if len(bare) < len(state):
        raise PipelineError(f"{path} holds tensors that differ in a prefix alone, such as two towers: expected one")
    left_out |= {name: why for name in bare for pattern, why in LEFT_OUT if re.fullmatch(pattern, name)}
    return _joined({name: tensor for name, tensor in bare.items() if name not in left_out}), left_out


def _bare(name: str, state: Mapping[str, Tensor]) -> str:
    """The name of a tensor in `SpatialTower`; that of another one is marked where the tower has its like."""
    if any(other.endswith("embeddings.class_embedding") for other in state):
        return published_name(name.removeprefix("vision_model."), OF_TRANSFORMERS)
    if "visual.class_embedding" in state and name.startswith(AMBIGUOUS):
        return f"text tower: {name}"
    return published_name(name.removeprefix("visual."), OF_CLIP)


def _joined(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Put the weights and biases of queries, keys and values of each block together, where they are three."""
    joined = dict(state)
    for name in [name for name in state if ".attn.q_proj." in name]:
        parts = [name.replace(".q_proj.", f".{part}_proj.") for part in "qkv"]
        if all(part in joined for part in parts):
            joined[name.replace(".q_proj.", ".in_proj.")] = torch.cat([joined.pop(part) for part in parts])
    return joined


def _heads(arch: str | dict[str, Any]) -> int:
    """Heads of the image tower that an encoder's artifact was built by."""
    from pipeline.models.clip4clip import tower_sizes  # slow to import: open_clip

    vision = tower_sizes(arch)["vision_cfg"]
    return int(vision["width"] // vision.get("head_width", HEAD_WIDTH))


def _fill(
    state: Mapping[str, Tensor],
    heads: int | None,
    activation: str,
    path: str,
    level: int,
    left_out: Mapping[str, str],
) -> tuple[SpatialTower, dict[str, Tensor]]:
    """Build a tower of the sizes that the tensors show on the meta device, and give it the tensors."""
    kernel, places = state.get("conv1.weight"), state.get("positional_embedding")
    if kernel is None or places is None or kernel.ndim != 4 or places.ndim != 2:
        known = some(sorted(state)) or "none"
        raise PipelineError(f"{path} holds no image tower of CLIP that is a vision transformer; its tensors: {known}")
    width, _, patch, _ = kernel.shape
    if heads is None and width % HEAD_WIDTH:
        raise PipelineError(f"{path} does not say how many heads its width of {width} is divided among: give heads")
    image_size = math.isqrt(len(places) - 1) * patch
    layers = len({name.split(".")[1] for name in state if name.startswith("blocks.")})
    with torch.device("meta"):
        tower = SpatialTower(image_size, patch, width, heads or width // HEAD_WIDTH, layers, activation)
        both = nn.ModuleDict({"tower": tower, "ln_post": nn.LayerNorm(width, eps=NORM_EPS)})
    found = f"patch {patch}, image {image_size}, width {width}, layers {layers}"
    load_strictly(
        both,
        {name if name.startswith("ln_post.") else f"tower.{name}": tensor for name, tensor in state.items()},
        refusal=f"{path} is no image tower of CLIP of {found}",
        matched=f"{path}: CLIP's image tower with {activation}; {found}",
        depth=3,
        level=level,
        left_out=left_out,
    )
    return tower, {name: tensor.detach() for name, tensor in both["ln_post"].state_dict().items()}
