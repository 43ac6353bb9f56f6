"""Heads on the features that a trained recognizer has stored, and the file of such a probe.

A linear probe sees the mean of the features over time. An attentive one sees a mean that it weighs itself, by a query
that is learned for each head (Bardes et al., "Revisiting Feature Prediction for Learning Visual Representations from
Video", 2024). Features are normalised over the batch first, without gains, so that one learning rate fits those of any
network (He et al., "Masked Autoencoders Are Scalable Vision Learners", 2022).

Shapes: B clips, T steps in time, D features, K classes.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from pipeline.config import ProbeSettings, ProbeTrainingSettings, RecognizerTrainingSettings
from pipeline.errors import PipelineError
from pipeline.models.clip_random import drop

KIND = "probe"


class Attention(nn.Module):
    """A mean over time that a learned query weighs.

    Args:
        width: D.
        heads: Heads of the attention, which divide D.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.empty(1, 1, width))
        nn.init.normal_(self.query, 0.0, 0.02)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Give one vector a clip, `[B, D]`."""
        y_B1D, _ = self.attention(self.query.expand(len(x_BTD), -1, -1), x_BTD, x_BTD, need_weights=False)
        y_BD: Tensor = y_B1D[:, 0]
        return y_BD


class Probe(nn.Module):
    """A head, or several, on features.

    Args:
        settings: Which kind of heads.
        width: D.
        heads: Number of classes of each head.

    Raises:
        PipelineError: if the heads of the attention do not divide the features.
    """

    def __init__(self, settings: ProbeSettings, width: int, heads: Mapping[str, int]) -> None:
        super().__init__()
        if settings.head == "attentive" and width % settings.heads:
            raise PipelineError(
                f"recognizer: heads: {settings.heads} do not divide {width} features: write another number"
            )
        self.dropout = settings.dropout
        self.norm = nn.BatchNorm1d(width, affine=False)
        is_attentive = settings.head == "attentive"
        self.attentions = nn.ModuleDict({name: Attention(width, settings.heads) for name in heads if is_attentive})
        self.heads = nn.ModuleDict({name: nn.Linear(width, classes) for name, classes in heads.items()})

    def forward(self, x_BTD: Tensor, seeds: Tensor | None = None) -> dict[str, Tensor]:
        """Give the logits of each head, `[B, K]`.

        Args:
            x_BTD: Features.
            seeds: A number of each clip `[B]`, from which dropout is drawn in training; without them nothing is
                dropped.
        """
        x_BTD = self.norm(x_BTD.transpose(1, 2)).transpose(1, 2)
        found = {}
        for name, head in self.heads.items():
            y_BD = self.attentions[name](x_BTD) if name in self.attentions else x_BTD.mean(1)
            found[name] = head(y_BD if seeds is None or not self.training else drop(y_BD, self.dropout, seeds))
        return found


def training_of_probe(settings: ProbeTrainingSettings) -> RecognizerTrainingSettings:
    """What else a training takes: AdamW, a rate that falls to 0 as a cosine, the mean loss, single precision."""
    return RecognizerTrainingSettings(
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        accumulate=1,
        optimizer="adamw",
        lr=settings.lr,
        momentum=0.0,
        weight_decay=settings.weight_decay,
        multipliers="none",
        layer_decay=None,
        schedule="cosine",
        steps=[],
        warmup=0.0,
        least_lr=0.0,
        clip_norm=None,
        loss="mean",
        label_smoothing=0.0,
        batch_norm="train",
        per_class=settings.per_class,
        epoch_clips=None,
        balanced=None,
        triplet=None,
        validate_every=1,
        patience=settings.patience,
        train_backbone=True,
        kick_start=None,
        precision="fp32",
    )


class TrainedProbe(NamedTuple):
    """A probe of a file, in evaluation mode on the CPU, and the names of the classes of each head."""

    model: Probe
    heads: dict[str, list[str]]


def describe_probe(settings: ProbeSettings, heads: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Describe a probe as metadata of its safetensors file."""
    description = {
        "kind": KIND,
        "settings": settings.model_dump(mode="json"),
        "heads": {name: list(classes) for name, classes in heads.items()},
    }
    return {"description": json.dumps(description)}


def read_probe(path: Path) -> TrainedProbe:
    """Build the trained probe of a file.

    Raises:
        PipelineError: The file is missing, damaged or no probe, or another version wrote it.
    """
    again = f"run train_recognizer again (snakemake {path})"
    try:
        with safe_open(path, "pt") as file:
            description = json.loads((file.metadata() or {}).get("description", "{}"))
        state = load_file(path)
    except (OSError, SafetensorError, ValueError, RecursionError) as error:
        raise PipelineError(f"{path} is no readable model ({error}): {again}") from error
    if not isinstance(description, dict) or description.get("kind") != KIND:
        raise PipelineError(f"{path} holds no {KIND}: {again}")
    try:
        settings = ProbeSettings.model_validate_json(json.dumps(description["settings"]))
        heads = {str(name): [str(label) for label in labels] for name, labels in description["heads"].items()}
        model = Probe(settings, len(state["norm.running_mean"]), {name: len(labels) for name, labels in heads.items()})
        model.load_state_dict(state)
    except (KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise PipelineError(f"{path} was trained by another version of the probe ({error}): {again}") from error
    return TrainedProbe(model.eval(), heads)
