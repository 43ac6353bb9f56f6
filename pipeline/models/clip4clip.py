"""CLIP4Clip's two towers: CLIP with the parameter names of the OpenAI release, built from open_clip.

CLIP4Clip (Luo et al. 2021, "CLIP4Clip: An Empirical Study of CLIP for End to End Video Clip Retrieval", section 3) adds
nothing to CLIP (Radford et al. 2021) for its mean-pooling head, so its checkpoints are CLIP's state dict below `clip.`.
Loading is strict: every parameter must be there with its shape, and what may be there besides is listed by name.

Shapes: B images or captions, L tokens, M width of the text tower, D embedding, C channels, H height, W width.
"""

import functools
import json
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.model import CLIP
from open_clip.modified_resnet import ModifiedResNet
from pydantic import BaseModel
from torch import Tensor
from torch.nn import functional as F

from pipeline.errors import PipelineError
from pipeline.models.clip_activation import OPENAI_SIZES, Arch, activation_of, activation_of_random
from pipeline.models.clip_resnet import embed_images
from pipeline.weights.loading import described, load_strictly, read_state, some
from pipeline.weights.origin import RANDOM, from_file, from_tag
from pipeline.weights.saving import save_weights

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
VOCABULARY = 49408
# CLIP4Clip's other similarity heads (its section 3.3: sequential and tight). Mean pooling needs none of them.
OTHER_HEADS = ("transformerClip.", "frame_position_embeddings.", "lstm_visual.", "cross.", "similarity_dense.")
EXAMPLE = "CLIP4Clip's pytorch_model.bin"

log = logging.getLogger(__name__)


class Clip4Clip(CLIP):  # type: ignore[misc]
    """CLIP whose text tower also takes fewer tokens than its context length.

    Attributes:
        arch: open_clip name, or mapping of sizes, that the towers were built from.
        activation: "quick_gelu" (OpenAI, CLIP4Clip) or "gelu".
    """

    def __init__(self, arch: Arch, activation: str = "quick_gelu") -> None:
        sizes = arch.model_dump() if isinstance(arch, BaseModel) else arch
        super().__init__(**tower_sizes(sizes), quick_gelu=activation == "quick_gelu")
        self.arch = sizes
        self.activation = activation

    @property
    def image_size(self) -> int:
        """Side in pixels of the square images that the image tower takes."""
        size = self.visual.image_size
        return int(size if isinstance(size, int) else size[0])

    def encode_image(self, images_BCHW: Tensor) -> Tensor:
        """Embed images: the class token after the last layer norm, projected (Radford et al. 2021, section 2.4).

        Args:
            images_BCHW: images in float, from `normalise`, with H = W = `image_size`.

        Returns:
            Embeddings [B, D], not L2-normalised.
        """
        if isinstance(self.visual, ModifiedResNet):
            return embed_images(self.visual, images_BCHW)
        features_BD: Tensor = self.visual(images_BCHW)
        return features_BD

    def encode_text(self, tokens_BL: Tensor) -> Tensor:
        """Embed captions: the end-of-text token (the highest id) after the last layer norm, projected.

        Args:
            tokens_BL: ids from `tokenize`, L at most the context length.

        Returns:
            Embeddings [B, D], not L2-normalised.
        """
        num_rows, num_tokens = tokens_BL.shape
        place_L = torch.arange(num_tokens, device=tokens_BL.device)
        end_B = tokens_BL.argmax(dim=-1)
        x_BLM = self.token_embedding(tokens_BL) + self.positional_embedding[:num_tokens]
        *blocks, last = self.transformer.resblocks
        mask_LL = torch.full((num_tokens, num_tokens), -math.inf, device=x_BLM.device).triu(1)
        for block in blocks:
            x_BLM = block(x_BLM, attn_mask=mask_LL)
        # Of the last block only the end token's row is of use.
        row_B = torch.arange(num_rows, device=tokens_BL.device)
        key_BLM = last.ln_1(x_BLM)
        answer_B1M, _ = last.attn(
            key_BLM[row_B, end_B, None], key_BLM, key_BLM, key_padding_mask=place_L > end_B[:, None], need_weights=False
        )
        end_BM = x_BLM[row_B, end_B] + last.ls_1(answer_B1M[:, 0])
        end_BM = end_BM + last.ls_2(last.mlp(last.ln_2(end_BM)))
        text_BD: Tensor = self.ln_final(end_BM) @ self.text_projection
        return text_BD


def tower_sizes(arch: str | Mapping[str, Any]) -> dict[str, Any]:
    """Return open_clip's `embed_dim`, `vision_cfg` and `text_cfg` of an architecture.

    Args:
        arch: open_clip name of a plain CLIP with vision transformer, or the sizes as in `config.yaml`.

    Raises:
        PipelineError: open_clip does not know the name, or it is another kind of model.
    """
    if not isinstance(arch, str):
        vision, text = dict(arch["vision"]), dict(arch["text"])
        # A ResNet has attention only in its last pooling, whose width is 32 times that of its stem.
        width = vision["width"] * (1 if isinstance(vision["layers"], int) else 32)
        vision["head_width"] = width // vision.pop("heads")
        return {"embed_dim": arch["embed_dim"], "vision_cfg": vision, "text_cfg": text}
    config = open_clip.get_model_config(arch)
    if config is None:
        raise PipelineError(f"arch {arch!r} is not an open_clip architecture; write for example ViT-B-16 or ViT-B-32")
    towers = {key: config[key] for key in ("embed_dim", "vision_cfg", "text_cfg")}
    plain = {"image_size", "layers", "width", "patch_size", "head_width", "mlp_ratio"}
    if not plain.issuperset(towers["vision_cfg"]) or not isinstance(towers["vision_cfg"]["layers"], int):
        raise PipelineError(
            f"arch {arch!r} is not a plain CLIP vision transformer; CLIP4Clip uses ViT-B-16 or ViT-B-32"
        )
    if not {"context_length", "vocab_size", "width", "heads", "layers"}.issuperset(towers["text_cfg"]):
        raise PipelineError(f"arch {arch!r} has a text tower other than CLIP's; CLIP4Clip uses ViT-B-16 or ViT-B-32")
    return towers


def load_clip4clip(path: Path | str, arch: Arch, level: int = logging.DEBUG) -> Clip4Clip:
    """Load a file of CLIP, strictly, in float32.

    Args:
        path: a CLIP4Clip `pytorch_model.bin`, OpenAI's TorchScript archive, a file of open_clip, or a
            `weights.safetensors` saved by `save_clip4clip`.
        arch: what the file must be: open_clip name or mapping of sizes.
        level: logging level of the table of what was matched.

    Returns:
        The module in eval mode. Its activation is the one that the file names, or that `arch` names, or QuickGELU for
        what OpenAI or CLIP4Clip wrote.

    Raises:
        PipelineError: the file cannot be read, holds another architecture, or leaves its activation open.
    """
    path = Path(path)
    state, metadata = read_state(path, EXAMPLE)
    return _fill(arch, activation_of(arch, state, metadata, path), state, described(path, state, metadata), level)


def load_pretrained(weights: str, arch: Arch, seed: int, level: int = logging.DEBUG) -> tuple[Clip4Clip, str]:
    """Return towers with the weights a config names, and where these came from.

    Args:
        weights: a file, an open_clip tag such as "openai", or "random".
        arch: open_clip name or mapping of sizes.
        seed: seed of the parameters, for "random".
        level: logging level of the table of what was matched.

    Returns:
        The module in eval mode, and the origin of its weights (see `pipeline.weights.origin`).

    Raises:
        PipelineError: no such file or tag, no network, or another architecture.
    """
    if weights == "random":
        log.warning("weights: random: the CLIP4Clip encoder starts UNTRAINED (seed %d)", seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return Clip4Clip(arch, activation_of_random(arch)).eval(), RANDOM
    if Path(weights).is_file() or (Path(weights).is_dir() and "/" in weights):
        return load_clip4clip(weights, arch, level), from_file(Path(weights))
    if Path(weights).suffix or "/" in weights:
        raise PipelineError(f"weights: there is no file {weights}; name a file, an open_clip tag or random")
    return _load_tag(weights, arch, level), from_tag(str(arch), weights)


def save_clip4clip(module: Clip4Clip, path: Path, origin: str) -> None:
    """Write `weights.safetensors` with the metadata of `clip_metadata`; it is renamed into place when complete."""
    save_weights(module.state_dict(), path, clip_metadata(module, origin))


def clip_metadata(module: Clip4Clip, origin: str) -> dict[str, str]:
    """Return the metadata of a saved file; `load_clip4clip` reads `activation` from it."""
    arch = json.dumps(module.arch, sort_keys=True)
    return {"kind": "clip4clip", "arch": arch, "activation": module.activation, "origin": origin}


def clip_state(state: Mapping[str, Tensor], path: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Take CLIP's part of a checkpoint, under CLIP's own names.

    Args:
        state: tensors as in the file, with `clip.` before CLIP's names (CLIP4Clip) or without (OpenAI, and our own).
        path: the file, for messages.

    Returns:
        CLIP's tensors; and the names of the others, with the reason why they are not needed.

    Raises:
        PipelineError: the checkpoint has keys that are neither CLIP's nor of a known head of CLIP4Clip.
    """
    prefix = "clip." if any(key.startswith("clip.") for key in state) else ""
    own = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    others = [key for key in state if not key.startswith(prefix)]
    foreign = [key for key in others if not key.startswith(OTHER_HEADS)]
    if foreign:
        raise PipelineError(f"{path} is not a CLIP4Clip checkpoint: unknown keys {some(foreign)}")
    left_out = dict.fromkeys(others, "for another similarity than mean pooling")
    left_out |= dict.fromkeys(own.keys() & set(OPENAI_SIZES), "sizes, no parameters")
    return {key: value for key, value in own.items() if key not in OPENAI_SIZES}, left_out


def describe(state: Mapping[str, Tensor]) -> str:
    """Name the architecture of a CLIP state dict, read off the shapes of its parameters, or say that it is none."""
    try:
        image = _describe_resnet(state) if "visual.attnpool.c_proj.weight" in state else _describe_vit(state)
        vocabulary, text_width = state["token_embedding.weight"].shape
        context = state["positional_embedding"].shape[0]
        embed = state["text_projection"].shape[1]
    except KeyError as error:
        return f"no CLIP that is known here (it has no {error.args[0]})"
    layers = _num_layers(state, "transformer")
    text = f"width {text_width}, layers {layers}, context {context}, vocabulary {vocabulary}"
    return f"image tower: {image}; text tower: {text}; embedding {embed}"


def _describe_vit(state: Mapping[str, Tensor]) -> str:
    width, _, patch, _ = state["visual.conv1.weight"].shape
    side = math.isqrt(state["visual.positional_embedding"].shape[0] - 1) * patch
    return f"patch {patch}, image {side}, width {width}, layers {_num_layers(state, 'visual.transformer')}"


def _describe_resnet(state: Mapping[str, Tensor]) -> str:
    width = 2 * state["visual.conv1.weight"].shape[0]  # the stem's first convolution has half the width
    side = math.isqrt(state["visual.attnpool.positional_embedding"].shape[0] - 1) * 32
    blocks = {tuple(key.split(".")[1:3]) for key in state if key.startswith("visual.layer")}
    layers = [sum(block[0] == f"layer{stage}" for block in blocks) for stage in (1, 2, 3, 4)]
    return f"ResNet, image {side}, width {width}, layers {layers}"


def tokenize(texts: Sequence[str], context_length: int) -> Tensor:
    """Turn captions into ids [B, context_length] of CLIP's byte pairs; longer ones are cut, shorter padded with 0."""
    tokens: Tensor = _tokenizer()(list(texts), context_length=context_length)
    return tokens


def normalise(images_u1: Tensor) -> Tensor:
    """Turn bytes [..., 3, H, W] into the float32 images that CLIP takes (its mean and deviation by channel)."""
    mean = torch.tensor(MEAN, device=images_u1.device).view(3, 1, 1)
    std = torch.tensor(STD, device=images_u1.device).view(3, 1, 1)
    return images_u1.float().div_(255).sub_(mean).div_(std)  # in place: fresh memory takes longer than the arithmetic


def square_of_shorter_side(images_u1: Tensor, size: int) -> Tensor:
    """Resize the shorter side to `size` (bicubic with antialiasing) and cut the square in the centre, as CLIP does.

    Args:
        images_u1: bytes [B, 3, H, W] on the CPU, any strides, H and W at least 1.
        size: side in pixels.

    Returns:
        Bytes [B, 3, size, size].
    """
    height, width = images_u1.shape[-2:]
    short = min(height, width)
    new_height, new_width = size * height // short, size * width // short
    resized = resize(images_u1, new_height, new_width)
    top, left = round((new_height - size) / 2), round((new_width - size) / 2)
    return resized[..., top : top + size, left : left + size]


def resize(images_u1: Tensor, height: int, width: int) -> Tensor:
    """Resize bytes [B, 3, H, W] on the CPU, of any strides, to [B, 3, height, width]: bicubic with antialiasing."""
    return F.interpolate(images_u1, (height, width), mode="bicubic", antialias=True)


@functools.cache
def _tokenizer() -> Any:
    return open_clip.SimpleTokenizer()


def _load_tag(tag: str, arch: Arch, level: int) -> Clip4Clip:
    if not isinstance(arch, str):
        raise PipelineError(f"weights: {tag} is read as an open_clip tag, and a tag needs arch to be an open_clip name")
    source = open_clip.get_pretrained_cfg(arch, tag)
    if not source:
        known = ", ".join(open_clip.list_pretrained_tags_by_model(arch))
        raise PipelineError(f"weights: open_clip has no {tag!r} for {arch}; it has {known or 'none'}")
    if source.get("mean", MEAN) != MEAN or source.get("std", STD) != STD:
        raise PipelineError(f"weights: {tag} of {arch} was trained on images normalised otherwise than CLIP's")
    try:
        path = Path(open_clip.download_pretrained(source))
    except (OSError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise PipelineError(
            f"weights: {tag} of {arch} could not be downloaded ({reason}); fetch it where there is a network "
            "and name the file, or write random"
        ) from error
    quick = source.get("quick_gelu", False) or arch.endswith("-quickgelu")
    return _fill(arch, "quick_gelu" if quick else "gelu", read_state(path, EXAMPLE)[0], str(path), level)


def _fill(arch: Arch, activation: str, state: Mapping[str, Tensor], path: str, level: int) -> Clip4Clip:
    """Build the towers on the meta device and give them the file's tensors.

    Raises:
        PipelineError: the file holds another architecture; the message says how the two differ.
    """
    own, left_out = clip_state(state, path)
    with torch.device("meta"):
        module = Clip4Clip(arch, activation)
    expected = describe(module.state_dict())
    load_strictly(
        module,
        own,
        refusal=f"{path} holds another architecture. Found {describe(own)}. Expected {expected}",
        matched=f"{path}: CLIP with {activation}; {describe(own)}",
        depth=2,
        level=level,
        left_out=left_out,
    )
    module.attn_mask = torch.full((module.context_length, module.context_length), -math.inf).triu(1)
    return module


def _num_layers(state: Mapping[str, Tensor], prefix: str) -> int:
    return len({key.split(".resblocks.")[1].split(".")[0] for key in state if key.startswith(f"{prefix}.resblocks.")})
