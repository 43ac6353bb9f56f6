"""A finished captioning experiment in small, and its report page."""

import json

import numpy as np
from safetensors.numpy import save_file

from pipeline.artifact import write_json
from pipeline.report.dag import Stage
from pipeline.schemas import FRAMES, MOTION
from pipeline.scoring.statistics import COLUMNS, METRICS, Statistics
from pipeline.stages import write_report
from toys.report import FRAME_ROWS, MOTION_ROWS, encode, make_store, report_of

NASTY = '<script>alert("x")</script> & a "dog"\'s hat'
CONFIG = {
    "datasets": {"tiny": {"kind": "folder"}},
    "encoders": {"i3d": {"kind": "i3d"}, "clip": {"kind": "clip4clip"}},
    "experiments": {"one": {"kind": "captioning", "dataset": "tiny", "vocabulary": "tiny", "seeds": [1]}},
    "report": {"experiments": ["one"], "videos": 3},
}
ARTIFACTS = [
    *(f"experiments/one/{split}/{name}.json" for split in ("test", "val") for name in ("scores", "captions")),
    "experiments/one/curves.csv",
    "datasets/tiny/captions.json",
    "datasets/tiny/videos/000.json",
    "datasets/tiny/motion/s/i3d/000.zarr/zarr.json",
    "datasets/tiny/frames/s/000.zarr/zarr.json",
    "encoders/i3d/weights.safetensors",
    "encoders/clip/weights.safetensors",
    "encoders/clip/retrieval.json",
]


def write_experiment(tmp_path):
    """Write a finished experiment in small: real clips, stores, JSON and CSV at the workflow's paths.

    Returns the folder of its results.
    """
    for name in ("a.mp4", "b.webm", "c.avi"):
        encode(tmp_path / name)
    (tmp_path / "gone.mp4").write_bytes(b"")
    dataset = tmp_path / "results/datasets/tiny"
    files = {"a": "a.mp4", "b": "b.webm", "c": "c.avi", "bad": "gone.mp4"}
    table = [{"id": i, "path": path, "size": 1} for i, path in files.items()]
    write_json(dataset / "videos/000.json", {"root": str(tmp_path), "videos": table})
    references = {"t": ["a dog"], "a": [NASTY, "second"], "b": ["a cat"], "c": ["a hat"], "bad": ["gone"]}
    write_json(
        dataset / "captions.json",
        {"captions": references, "splits": {"train": ["t"], "val": ["a"], "test": ["a", "b", "c", "bad"]}},
    )
    make_store(dataset / "frames/s/000.zarr", FRAMES, list(files), {"bad": f"empty file {NASTY}"}, FRAME_ROWS)
    make_store(dataset / "motion/s/i3d/000.zarr", MOTION, ["a", "b", "c"], {}, MOTION_ROWS)
    experiment = tmp_path / "results/experiments/one"
    metrics = dict.fromkeys(METRICS, 0.5) | {"CIDEr": 2.345}
    for split, covered in {"test": {"a": NASTY, "b": "a cat", "c": ""}, "val": {"a": "a dog"}}.items():
        write_json(experiment / split / "captions.json", {"captions": covered, "missing": []})
        scores = {"split": split, "metrics": metrics, "num_videos": 4, "num_covered": len(covered), "num_distinct": 3}
        statistics = Statistics(tuple(covered), np.ones((len(covered), len(COLUMNS))))
        scores["statistics"] = statistics.to_json()
        more = {"novel_share": 0.25, "mean_words": 4.0, "cider_by_video": {"a": 1.25}, "notes": [], "missing": []}
        write_json(experiment / split / "scores.json", scores | more)
    rows = ("epoch,train_loss,val_loss,val_cider,kept_by", "1,3.5,3.6,,", "2,2.5,2.7,1.5,val_loss")
    (experiment / "curves.csv").write_text("".join(f"{row}\n" for row in rows))
    encoders = tmp_path / "results/encoders"
    for name, origin in {"i3d": "random", "clip": "fine-tuned on tiny from random"}.items():
        (encoders / name).mkdir(parents=True)
        metadata = {"kind": CONFIG["encoders"][name]["kind"], "origin": origin}
        save_file({"w": np.zeros(1)}, encoders / name / "weights.safetensors", metadata=metadata)
    recalls = {"R@1": 0.125, "R@5": 0.5, "R@10": 1.0, "median_rank": 3.5}
    write_json(encoders / "clip/retrieval.json", {"best": {"text_to_video": recalls, "video_to_text": recalls}})
    log = tmp_path / "logs/decode_frames/tiny/s/000.tsv"
    log.parent.mkdir(parents=True)
    log.write_text("s\th:m:s\n12.4\t0:00:12\n")
    return tmp_path / "results"


def listed(results, paths):
    """The list that the rule writes: a path a line."""
    path = results.parent / "artifacts.txt"
    path.write_text("".join(f"{path}\n" for path in paths), encoding="utf-8")
    return path


def write_page(results, num_videos=3):
    out = results / "report/index.html"
    write_report.run(
        artifacts=listed(results, [results / path for path in ARTIFACTS]),
        config=json.dumps(CONFIG),
        settings=report_of(["one"], videos=num_videos, resamples=50),
        stages={"decode_frames": Stage(1, []), "extract_i3d": Stage(1, ["decode_frames"])},
        logs=results.parent / "logs",
        out=out,
    )
    return out.read_text(encoding="utf-8")
