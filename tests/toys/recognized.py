"""Results of recognizers that have learned nothing: real stores, scores and regions at the paths of the workflow."""

import json
from pathlib import Path
from typing import Any

import torch

from pipeline.config import ConvolutionalSettings, ViewSettings
from pipeline.recognition.model_file import describe
from pipeline.recognition.recognizer import build_recognizer
from pipeline.stages import extract_regions, recognize_videos, score_recognizer
from pipeline.weights.saving import save_weights
from toys.labelled_clips import CLASSES, VIEWS, settings, write_clips
from toys.recognizers import DYREG, RSTG

MODULES: dict[str, list[dict[str, Any]]] = {
    "plain": [],
    "silent": [{**RSTG, "at": "conv1", "stages": "time"}],
    "regions": [{**DYREG, "at": "conv2"}, {**RSTG, "at": "conv1"}],
}
SPLITS = ("val", "test")


def recognizer(name: str) -> ConvolutionalSettings:
    """Settings of one of the recognizers of `MODULES`."""
    return settings(modules=MODULES[name])


def write_results(root: Path) -> tuple[Path, dict[str, Any]]:
    """Write the results of two experiments, `plain` with two seeds; return their folder and the configuration."""
    results = root / "results"
    dataset = results / "datasets/leaning"
    flags = write_clips(dataset / "clips/all", num_test=13)
    (dataset / "clips/all/labels.json").rename(dataset / "labels.json")
    trials = {"plain": 1, "plain/seeds/2": 2, "regions": 1}
    for trial, seed in trials.items():
        of = recognizer(trial.partition("/")[0])
        torch.manual_seed(seed)
        folder = results / "experiments" / trial
        folder.mkdir(parents=True)
        model = build_recognizer(of, {"class": len(CLASSES)})
        save_weights(model.state_dict(), folder / "model.safetensors", describe(of, {"class": CLASSES}, "random"))
        rows = ("epoch,step,train_loss,train_top1,val_loss,val_top1,lr,kept_by", "1,5,1.1,0.3,1.2,0.4,0.1,val_loss")
        (folder / "curves.csv").write_text("".join(f"{row}\n" for row in rows))
        for split in SPLITS:
            write_split(folder, split, flags["--clips"], dataset / "labels.json", bool(of.modules))
    config = {
        "datasets": {"leaning": {"kind": "folder"}},
        "recognizers": {name: recognizer(name).model_dump(mode="json") for name in MODULES},
        "experiments": {
            name: {"kind": "recognition", "dataset": "leaning", "clipping": "all", "recognizer": name, "seeds": seeds}
            for name, seeds in {"plain": [1, 2], "regions": [1]}.items()
        },
    }
    return results, config


def write_split(folder: Path, split: str, clips: list[Path], labels: Path, with_regions: bool) -> None:
    """Run the stages after training for one trial and split."""
    own = folder / split
    own.mkdir()
    views = ViewSettings.model_validate_json(json.dumps(VIEWS))
    model = folder / "model.safetensors"
    common = {"clips": clips, "labels": labels, "model": model, "split": split, "settings": views, "threads": 1}
    recognize_videos.run(**common, features=[], experts=[], groups=[], part=None, out=own / "logits.zarr")
    score_recognizer.run(
        logits=own / "logits.zarr",
        labels=labels,
        groups=[],
        part=None,
        split=split,
        out=own / "scores.json",
        per_video=own / "per_video.csv",
        per_class=own / "per_class.csv",
    )
    if with_regions and split == "test":
        extract_regions.run(
            **common, out=own / "regions.zarr", scores=own / "region_scores.json", truth=[], kind="folder", shown=4
        )


def artifacts_of(results: Path) -> list[Path]:
    """The artifacts that the report takes."""
    kinds = ("scores.json", "per_video.csv", "per_class.csv", "curves.csv", "region_scores.json", "labels.json")
    files = [path for kind in kinds for path in sorted(results.rglob(kind))]
    stores = [*sorted(results.rglob("clips/all/*.zarr")), *sorted(results.rglob("regions.zarr"))]
    return [*files, *(store / "zarr.json" for store in stores)]
