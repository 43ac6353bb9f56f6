"""Weights of the temporal expert: from every published form of VideoMAE, and from and to the encoder's own artifact.

Loading is strict: every tensor of a file is used, or stands in `LEFT_OUT` with the reason why it is not.
"""

import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from pipeline.config import VideoMaeArch
from pipeline.errors import PipelineError
from pipeline.recognition.published import Rename, published_name
from pipeline.recognition.towers.cast_layout import expert_of_cast, is_cast
from pipeline.recognition.towers.temporal import TemporalTower
from pipeline.weights.loading import described, load_strictly, read_state
from pipeline.weights.origin import RANDOM, from_file
from pipeline.weights.saving import save_weights

KIND = "videomae"
EXAMPLE = "VideoMAE's checkpoint.pth"
# What files hold besides the encoder, under the names that remain when prefixes are taken off, and why it is not used.
LEFT_OUT = (
    (r"(decoder|encoder_to_decoder)\..+|mask_token", "the decoder, which masking alone needs"),
    (r"(norm|layernorm)\.(weight|bias)", "the last norm, which is begun anew"),
    (r"fc_norm\.(weight|bias)", "the norm of the vector, which is begun anew"),
    (r"(head|classifier)\.(weight|bias)", "the layer of other classes"),
)
# The names of transformers, and ours, which are VideoMAE's. Queries, keys and values are put together after that.
OF_TRANSFORMERS: tuple[Rename, ...] = (
    (r"embeddings\.patch_embeddings\.projection\.(\w+)", r"patch_embed.proj.\1"),
    (r"encoder\.layer\.(\d+)\.layernorm_before\.(\w+)", r"blocks.\1.norm1.\2"),
    (r"encoder\.layer\.(\d+)\.layernorm_after\.(\w+)", r"blocks.\1.norm2.\2"),
    (r"encoder\.layer\.(\d+)\.attention\.attention\.(?:q_bias|query\.bias)", r"blocks.\1.attn.q_bias"),
    (r"encoder\.layer\.(\d+)\.attention\.attention\.(?:v_bias|value\.bias)", r"blocks.\1.attn.v_bias"),
    (r"encoder\.layer\.(\d+)\.attention\.attention\.((?:query|key|value)\.weight)", r"blocks.\1.attn.\2"),
    (r"encoder\.layer\.(\d+)\.attention\.output\.dense\.(\w+)", r"blocks.\1.attn.proj.\2"),
    (r"encoder\.layer\.(\d+)\.intermediate\.dense\.(\w+)", r"blocks.\1.mlp.fc1.\2"),
    (r"encoder\.layer\.(\d+)\.output\.dense\.(\w+)", r"blocks.\1.mlp.fc2.\2"),
)

log = logging.getLogger(__name__)


def build_tower(arch: VideoMaeArch) -> TemporalTower:
    """Build a tower of these sizes, whose weights are still to be given."""
    return TemporalTower(**arch.model_dump())


def draw_tower(arch: VideoMaeArch, seed: int) -> TemporalTower:
    """Build a tower with weights drawn from a seed, as VideoMAE begins."""
    log.warning("weights: random: the VideoMAE encoder starts UNTRAINED (seed %d)", seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tower = build_tower(arch)
        tower.apply(draw_layer)
    return tower


def start_tower(weights: str, arch: VideoMaeArch, seed: int) -> tuple[TemporalTower, str]:
    """Return an encoder with the weights that a config names, and where these come from.

    Args:
        weights: A file, or `random`.
        arch: Its sizes.
        seed: Seed of random weights.

    Raises:
        PipelineError: if the file cannot be used.
    """
    if weights == RANDOM:
        return draw_tower(arch, seed), RANDOM
    return load_temporal(Path(weights), arch, logging.INFO), from_file(Path(weights))


def draw_layer(module: nn.Module) -> None:
    """Draw a linear layer's weights uniformly (Glorot and Bengio 2010), and begin with a bias of 0."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def temporal_state(state: Mapping[str, Tensor], path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Take the encoder out of a checkpoint, under the names of `TemporalTower`.

    Args:
        state: The tensors as VideoMAE's pre-training writes them (below `encoder.`), as its fine-tuning does (without
            a prefix, or below `backbone.`), or as transformers names them (perhaps below `videomae.`); or a published
            checkpoint of CAST.
        path: The file, for messages.

    Returns:
        The encoder's tensors and whatever is unknown; and the names of the others, with the reason why they are not
        used.

    Raises:
        PipelineError: if all biases of queries, or all of values, are 0 or are not there.
    """
    own, left_out = expert_of_cast(state, "temporal") if is_cast(state) else _encoder_of(state, path)
    for part, what in (("q_bias", "queries"), ("v_bias", "values")):
        if not any(tensor.any() for name, tensor in own.items() if name.endswith(f".attn.{part}")):
            raise PipelineError(
                f"{path}: all biases of {what} ({part}) are 0 or missing, which no trained VideoMAE has: some releases "
                "of transformers lose them when they load a file: take the file as it was published"
            )
    return own, left_out


def _encoder_of(state: Mapping[str, Tensor], path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """What `temporal_state` returns, of a checkpoint that holds one encoder."""
    is_transformers = any(".attention.attention." in name for name in state)
    bare = {_bare(name, is_transformers): tensor for name, tensor in state.items()}
    if len(bare) < len(state):
        raise PipelineError(f"{path} holds tensors that differ in a prefix alone, such as two encoders: expected one")
    left_out = {name: why for name in bare for pattern, why in LEFT_OUT if re.fullmatch(pattern, name)}
    return _joined({name: tensor for name, tensor in bare.items() if name not in left_out}), left_out


def _bare(name: str, is_transformers: bool) -> str:
    """The name of a tensor in `TemporalTower`; another tensor's without the prefixes of the encoder."""
    if is_transformers:
        return published_name(name.removeprefix("videomae."), OF_TRANSFORMERS)
    return re.sub(r"^(?:backbone|encoder)\.", "", name)


def _joined(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Put the weights of queries, keys and values of each block into one matrix, where they are three."""
    joined = dict(state)
    for name in [name for name in state if name.endswith(".attn.query.weight")]:
        parts = [name.replace(".query.", f".{part}.") for part in ("query", "key", "value")]
        if all(part in joined for part in parts):
            joined[name.replace(".query.", ".qkv.")] = torch.cat([joined.pop(part) for part in parts])
    return joined


def load_temporal(path: Path, arch: VideoMaeArch, level: int = logging.DEBUG) -> TemporalTower:
    """Load a published file of VideoMAE, or the artifact of another encoder, strictly and in float32.

    Args:
        path: A file of what `temporal_state` takes: a pickle (alone, or under `model` or `module`), or safetensors.
        arch: What the file must be. Published files do not say how many frames, how large images and how many heads
            they were trained with.
        level: Logging level of the table of what was matched.

    Raises:
        PipelineError: if the file cannot be read, has other sizes, or has lost its biases.
    """
    state, metadata = read_state(path, EXAMPLE)
    if metadata.get("kind") == KIND and _arch(metadata, path) != arch:
        found = _told(_arch(metadata, path))
        raise PipelineError(f"{path} has other sizes. Found {found}. Expected {_told(arch)}")
    own, left_out = temporal_state(state, path)
    return _fill(own, arch, described(path, state, metadata), level, left_out)


def read_temporal(path: Path) -> TemporalTower:
    """Read an encoder of kind videomae that this workflow has imported or pre-trained.

    Args:
        path: Its `weights.safetensors`.

    Raises:
        PipelineError: if the file is missing, of another kind, or damaged.
    """
    state, metadata = read_state(path, EXAMPLE)
    if metadata.get("kind") != KIND:
        raise PipelineError(
            f"{path} is no encoder of kind {KIND} but {metadata.get('kind', 'a file of another origin')}: name an "
            f"encoder of kind {KIND}, whose weights import_weights or pretrain_videomae brings into this form"
        )
    return _fill(state, _arch(metadata, path), str(path), logging.DEBUG, {})


def save_temporal(tower: TemporalTower, path: Path, arch: VideoMaeArch, origin: str) -> None:
    """Write `weights.safetensors`, which `read_temporal` reads; it is renamed into place when complete."""
    save_weights(tower.state_dict(), path, temporal_metadata(arch, origin))


def temporal_metadata(arch: VideoMaeArch, origin: str) -> dict[str, str]:
    """The metadata of an encoder's file: its kind, its sizes, and where its weights come from."""
    return {"kind": KIND, "arch": json.dumps(arch.model_dump(), sort_keys=True), "origin": origin}


def _arch(metadata: Mapping[str, str], path: Path) -> VideoMaeArch:
    """The sizes that an encoder's artifact says it has."""
    try:
        return VideoMaeArch.model_validate_json(metadata.get("arch", ""))
    except ValidationError:
        raise PipelineError(f"{path} does not say its sizes (arch in its metadata): run the stage again") from None


def _fill(
    state: Mapping[str, Tensor], arch: VideoMaeArch, path: str, level: int, left_out: Mapping[str, str]
) -> TemporalTower:
    """Build a tower on the meta device and give it the tensors."""
    with torch.device("meta"):
        tower = build_tower(arch)
    load_strictly(
        tower,
        state,
        refusal=f"{path} has other sizes. Found {describe(state)}. Expected {describe(tower.state_dict())}",
        matched=f"{path}: VideoMAE; {describe(state)}",
        depth=2,
        level=level,
        left_out=left_out,
    )
    return tower


def describe(state: Mapping[str, Tensor]) -> str:
    """The sizes of an encoder, read off the shapes of its tensors, or that it is none."""
    kernel = state.get("patch_embed.proj.weight")
    if kernel is None or kernel.ndim != 5:
        return "no VideoMAE (it has no patch_embed.proj.weight of a convolution in space and time)"
    width, _, tubelet, patch, _ = kernel.shape
    layers = len({name.split(".")[1] for name in state if name.startswith("blocks.")})
    return f"tubelets of {tubelet} frames and {patch} pixels, width {width}, layers {layers}"


def _told(arch: VideoMaeArch) -> str:
    return ", ".join(f"{name} {value}" for name, value in arch.model_dump().items())
