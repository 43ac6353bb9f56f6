"""Give a recognizer the weights that its settings name, before it is trained.

The weights of an experiment are its backbone's alone: neither its modules nor its heads are taken over. Those of a
published file are loaded strictly: no tensor is made up, and none is passed over. What no tensor tells (geometry,
pixels, order of colours and of classes) is compared with the settings.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import yaml
from torch import Tensor, nn

from pipeline.config import BackboneSettings, ConvolutionalSettings, ResNetSettings, SimpleConvSettings
from pipeline.config.backbones import OfExperiment
from pipeline.errors import PipelineError
from pipeline.recognition.backbones.frame_resnet import FrameResNet
from pipeline.recognition.backbones.places import INSIDE
from pipeline.recognition.checkpoint_layouts import Checkpoint, of_state
from pipeline.recognition.dyreg import DyReg
from pipeline.recognition.labels import require_alphabetical
from pipeline.recognition.model_file import read_recognizer
from pipeline.recognition.recognizer import Recognizer
from pipeline.weights.array_pickle import is_array_pickle, read_arrays
from pipeline.weights.loading import load_strictly, read_state
from pipeline.weights.origin import RANDOM, from_file

log = logging.getLogger(__name__)

NOT_COMPARED = {"weights", "seed", "head", "channels"}
EXAMPLE = "TSM_somethingv2_RGB_resnet50_shift8_blockres_avg_segment8_e45.pth"
CLIPS = ("8x8", "32x2", "32x4")  # others say nothing of the network
CLIP = re.compile(rf"(?<!\d)({'|'.join(CLIPS)})(?!\d)")

Classes = Mapping[str, Sequence[str]]


def load_backbone(
    recognizer: Recognizer, path: Path | None, settings: ConvolutionalSettings, classes: Classes | None = None
) -> str:
    """Load the weights that the settings of a backbone name.

    Args:
        recognizer: Its backbone gets the weights; its heads do where the settings say so, and its DyReg modules where
            the file has some. Everything else stays as it was drawn.
        path: The file: that of `weights: FILE` or of its URL, or the model of the experiment that `weights` names;
            None for `weights: random`.
        settings: Of the recognizer.
        classes: Names of the classes of each head, in the order of its logits; needed for `head: weights`.

    Returns:
        Where the weights come from, in the words of `pipeline.weights.origin`.

    Raises:
        PipelineError: if the file holds another network, or classes in another number or order; the message says what
            differs.
    """
    weights = settings.backbone.weights
    if weights == RANDOM:
        return RANDOM
    if path is None:
        raise PipelineError(f"backbone: weights: {weights} is no file: name one with its folder or suffix, or random")
    if isinstance(weights, OfExperiment):
        return _of_experiment(recognizer, path, settings.backbone, weights.experiment)
    if isinstance(settings.backbone, SimpleConvSettings):
        raise PipelineError(
            f"backbone: weights: {path}: nobody has published a simple_conv: name an experiment, or random"
        )
    training = recognizer.training
    state, said = _read(path)
    checkpoint = of_state(state)
    if isinstance(checkpoint, str):
        raise PipelineError(
            f"{path} is {checkpoint}: expected weights of kind {settings.backbone.kind}, such as {EXAMPLE}"
        )
    whose = f"{path}, of {checkpoint.layout},"
    _check_network(checkpoint, settings.backbone, recognizer.backbone, whose)
    if isinstance(settings.backbone, ResNetSettings):
        _check_clip(settings.backbone, path, said, whose, checkpoint.channels)
    if settings.backbone.head == "weights":
        _load_head(recognizer, checkpoint, classes or {}, whose)
    _load_modules(recognizer, checkpoint, whose)
    own = recognizer.backbone.state_dict()
    load_strictly(
        recognizer.backbone,
        _fitted(checkpoint, settings.backbone, own),
        refusal=f"{whose} is not backbone: kind: {settings.backbone.kind} of these settings",
        matched=f"{whose} fits",
        depth=1,
        level=logging.INFO,
        left_out={}
        if settings.backbone.head == "weights"
        else {f"head.{part}": "drawn anew" for part in checkpoint.head},
    )
    recognizer.train(training)
    return from_file(path)


def _of_experiment(recognizer: Recognizer, path: Path, settings: BackboneSettings, experiment: str) -> str:
    trained = read_recognizer(path)
    own, other = (which.model_dump(exclude=NOT_COMPARED) for which in (settings, trained.settings.backbone))
    different = [
        f"{key}: {other.get(key)}, not {own.get(key)}" for key in {**own, **other} if own.get(key) != other.get(key)
    ]
    if different:
        raise PipelineError(
            f"backbone: weights: experiment {experiment} has another backbone ({', '.join(different)}; {path}): name "
            "an experiment with the same one"
        )
    recognizer.backbone.load_state_dict(trained.model.backbone.state_dict())
    return trained.origin


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a file, and what it says of itself."""
    if not (path.is_file() and is_array_pickle(path)):
        return read_state(path, EXAMPLE)
    try:
        return read_arrays(path), {}
    except Exception as error:  # damaged pickles make the unpickler raise errors of many kinds
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise PipelineError(f"{path} is a pickle of arrays that cannot be read ({reason}): fetch it again") from error


def _check_network(checkpoint: Checkpoint, settings: BackboneSettings, backbone: nn.Module, whose: str) -> None:
    """Compare kind, geometry, pixels and shifts."""
    if settings.kind not in checkpoint.kinds:
        raise PipelineError(
            f"{whose} is for backbone: kind: {' or '.join(checkpoint.kinds)}, not {settings.kind}: name another file"
        )
    if not isinstance(settings, ResNetSettings):
        return
    if settings.geometry not in checkpoint.geometries:
        raise PipelineError(
            f"{whose} has another geometry than the settings: write geometry: {' or '.join(checkpoint.geometries)}, not"
            f" {settings.geometry}"
        )
    if checkpoint.pixels not in (None, settings.pixels):
        raise PipelineError(f"{whose} takes pixels: {checkpoint.pixels}, not {settings.pixels}: write that")
    if checkpoint.shifts is not None and isinstance(backbone, FrameResNet):
        own = {
            f"layer{stage + 1}.{number}"
            for stage in range(len(backbone.blocks))
            for number, block in enumerate(backbone.get_submodule(f"layer{stage + 1}").children())
            if getattr(block, "share", 0)
        }
        if own != checkpoint.shifts:
            raise PipelineError(
                f"{whose} has another geometry: it shifts channels in {len(checkpoint.shifts)} blocks, and the "
                f"settings (shift_share: {settings.shift_share}, depth: {settings.depth}) in {len(own)}"
            )


def _check_clip(settings: ResNetSettings, path: Path, said: Mapping[str, str], whose: str, channels: str) -> None:
    """Compare what a file's own settings, its name or its number of classes say of clips and colours."""
    found = CLIP.search(path.name)
    clip = found[1] if found else None
    if "cfg" in said:
        data = _settings_of(said["cfg"], path).get("DATA", {})
        channels = "bgr" if data.get("REVERSE_INPUT_CHANNEL", False) else "rgb"
        if "NUM_FRAMES" in data and "SAMPLING_RATE" in data:
            clip = f"{data['NUM_FRAMES']}x{data['SAMPLING_RATE']}"
    if settings.clip is not None and clip in CLIPS and clip != settings.clip:
        raise PipelineError(f"{whose} has another geometry: it is for clip: {clip}, not {settings.clip}")
    if channels != settings.channels:
        raise PipelineError(
            f"{whose} takes colours in the order {channels.upper()}: write channels: {channels}, not "
            f"{settings.channels}"
        )


def _settings_of(text: str, path: Path) -> dict[str, dict[str, object]]:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise PipelineError(f"{path}: its own settings (cfg) are no YAML: take them out of the file") from error
    return {key: value for key, value in found.items() if isinstance(value, dict)} if isinstance(found, dict) else {}


def _load_head(recognizer: Recognizer, checkpoint: Checkpoint, classes: Classes, whose: str) -> None:
    """Give the head the file's, if it has the same classes in the same order: published ones are alphabetical."""
    advice = "write head: drawn, which learns one anew"
    if len(recognizer.heads) != 1 or set(checkpoint.head) != {"weight", "bias"}:
        raise PipelineError(f"{whose} has no head for {', '.join(recognizer.heads)}: {advice}")
    ((name, head),) = recognizer.heads.items()
    found = {part: list(tensor.shape) for part, tensor in checkpoint.head.items()}
    wanted = {part: list(tensor.shape) for part, tensor in head.state_dict().items()}
    if found["weight"][:1] != wanted["weight"][:1]:
        raise PipelineError(f"{whose} has {found['weight'][0]} classes, not {wanted['weight'][0]}: {advice}")
    require_alphabetical(classes.get(name, []), whose, advice)
    if found != wanted:
        raise PipelineError(f"{whose} has a head of {found['weight']}, not {wanted['weight']}: {advice}")
    head.load_state_dict(checkpoint.head)


def _load_modules(recognizer: Recognizer, checkpoint: Checkpoint, whose: str) -> None:
    """Give DyReg modules those of the file, which stand inside blocks."""
    for block, tensors in checkpoint.graphs.items():
        place = block + INSIDE
        graph = recognizer.graph(place) if place in recognizer.places else None
        if not isinstance(graph, DyReg):
            raise PipelineError(f"{whose} has a dyreg module inside {block}, and modules has none there: add it")
        try:
            graph.load_published(tensors)
        except PipelineError as error:
            raise PipelineError(f"{whose} at {block}: {error}") from error


def _fitted(checkpoint: Checkpoint, settings: BackboneSettings, own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of the backbone, inflated along time, and of RGB, where they are not."""
    state = dict(checkpoint.backbone)
    if isinstance(settings, ResNetSettings) and settings.stages < 4:
        state = {name: tensor for name, tensor in state.items() if not name.startswith("layer4.")}
    if settings.kind in ("c2d", "i3d", "nonlocal") and state["conv1.weight"].ndim == 4:
        for name, tensor in state.items():
            if tensor.ndim == 4 and name in own:
                steps = own[name].shape[2]
                state[name] = tensor[:, :, None].expand(-1, -1, steps, -1, -1) / steps
        # Photographs have taught no attention between places: its blocks stay as they are drawn, the identity.
        state |= {name: tensor for name, tensor in own.items() if name.startswith("nonlocals.")}
    if isinstance(settings, ResNetSettings) and settings.channels == "bgr":
        state["conv1.weight"] = torch.flip(state["conv1.weight"], (1,))
    return state
