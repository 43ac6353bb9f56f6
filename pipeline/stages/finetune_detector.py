"""Train a detector on the boxes of generated videos.

The losses are Faster R-CNN's as torchvision computes them (Ren et al. 2015), the optimizer is AdamW, and the learning
rate goes through one cycle (Smith and Topin 2018). The generator knows every box, so nothing has to be labelled. The
training learns from training videos alone, validation videos are measured once at the end, test videos are not used.
The classes are the shapes.
"""

from pathlib import Path

import torch

from pipeline.artifact import file_digest, read, read_json, write_json
from pipeline.config import DetectorSettings
from pipeline.errors import PipelineError
from pipeline.finetuning.detection_examples import Truth, draw_examples
from pipeline.finetuning.detector_training import DetectorTraining, evaluate
from pipeline.jobs.rank_group import num_ranks
from pipeline.jobs.training_run import training_run
from pipeline.models.detector import detector_metadata, save_detector, starting_detector
from pipeline.schemas import FRAMES
from pipeline.training.loop import train
from pipeline.weights.fetching import locate_weights
from pipeline.weights.origin import after_training
from pipeline.workflow.code_digest import digest as code_digest


def run(
    *,
    frames: list[Path],
    truth: list[Path],
    captions: Path,
    checkpoints: Path,
    out: Path,
    detection: Path,
    settings: DetectorSettings,
    threads: int,
) -> None:
    """Train a detector on frames of the training split and measure it on those of the validation split.

    Args:
        frames: Sampled frames (FRAMES) of all shards.
        truth: truth.json of all shards, which holds the boxes.
        captions: The data set's captions.json, for its splits.
        checkpoints: Folder for checkpoints and TensorBoard logs; a killed run continues from there.
        out: Where `weights.safetensors` goes.
        detection: Where the losses and the average precision go (JSON).
        settings: Starting weights, architecture and training.
        threads: CPU threads of the training.

    Raises:
        PipelineError: There is nothing to train on, the weights cannot be used, a loss is not finite, the detector
            has `finetune: null`, or several processes were started.
    """
    torch.set_num_threads(threads)
    tuning = settings.finetune
    if tuning is None:
        raise PipelineError("this detector has `finetune: null`; import_weights brings its weights")
    if num_ranks() > 1:
        raise PipelineError(f"a detector is trained in one process, and this is one of {num_ranks()}; use one GPU")
    truths: dict[str, Truth] = {}
    for path in truth:
        truths |= read_json(path, ["videos"], "make_shapes")["videos"]
    artifacts = [read(path, FRAMES) for path in frames]
    source = {video_id: artifact for artifact in artifacts for video_id in artifact.ids if video_id in truths}
    splits = read_json(captions, ["splits"], "index_captions")["splits"]
    ids = {name: [video_id for video_id in splits[name] if video_id in source] for name in ("train", "val")}
    classes = sorted({one["shape"] for video_id in ids["train"] for one in truths[video_id]["objects"]})
    if not classes:
        raise PipelineError(f"{captions}: no training video of {tuning.dataset} has frames and boxes to learn from")
    weights = locate_weights(settings.weights)
    model, origin = starting_detector(weights, settings.arch, settings.size, len(classes) + 1, settings.seed)
    examples = draw_examples(source, truths, ids["train"], classes, tuning.frames, tuning.seed)
    provenance = {
        "settings": settings.model_dump(mode="json"),
        "origin": origin,
        "code": code_digest("finetune_detector"),
        "inputs": [file_digest(path) for path in (*frames, *truth, captions)],
    }
    with training_run(checkpoints, provenance, [out, detection]) as run:
        if run.is_finished:
            return
        epochs = train(DetectorTraining(model, examples, tuning, settings.precision), run).records
        scores = evaluate(model, source, truths, ids["val"], classes, settings)
        origin = after_training("trained", tuning.dataset, origin)
        categories = ["background", *classes]
        save_detector(model, out, detector_metadata(model, settings.arch, settings.size, categories, origin))
        num_frames = {"train": len(examples), "val": scores.pop("num_frames")}
        told = {"kind": "detection", "origin": origin, "classes": classes, "epochs": epochs, "num_frames": num_frames}
        write_json(detection, told | {"train_ids": ids["train"]} | scores)
