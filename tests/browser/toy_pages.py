"""A report and a gallery as the stages write them, out of toy artifacts and a few real clips."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from toys.graph_rows import write_graphs
from toys.report import FRAME_ROWS, encode, make_store
from toys.turned_videos import MATRICES, filmed

from pipeline.artifact import create, write_json
from pipeline.config import ReportSettings
from pipeline.report.dag import Stage
from pipeline.schemas import FRAMES, RELEVANCE
from pipeline.scoring.statistics import COLUMNS, Statistics
from pipeline.stages import write_gallery as gallery_stage
from pipeline.stages import write_report as report_stage

NASTY = '<img src="http://example.org/x.png" onerror="alert(1)"><script>alert(2)</script>'
COLOURS, SHAPES, WAYS = ("red", "green", "blue"), ("circle", "square"), ("left", "right", "up", "down")
BAD, SUSPECT, UNSAFE = "v003", "v004", "v005"
EXPLAINED = ("v000", "v001")
CAPTION = "a red circle moves left"  # of the first video
SHARES = [tenth / 10 for tenth in range(11)]
VOCABULARY = ["<pad>", "<bos>", "<eos>", "<unk>", "a", "moves", *COLOURS, *SHAPES, *WAYS]


def caption_of(number: int) -> str:
    """The caption of a video: colour, shape and way by its number."""
    return f"a {COLOURS[number % 3]} {SHAPES[number % 2]} moves {WAYS[number % 4]}"


def write_report(folder: Path, num_videos: int, num_clips: int | None = None) -> Path:
    """Write the report of experiments `grid` and `other` on so many test videos.

    The videos are `v000`, `v001` and so on, with CIDEr 0.00, 0.01 and so on by `grid` and half of that by `other`,
    which captions all of them alike. One video was left out, one is suspect, and one has markup as its caption.

    Args:
        folder: Where all of it goes.
        num_videos: How many there are.
        num_clips: How many of them the settings let the page play; all where this is not given.

    Returns:
        The page.
    """
    results = folder / "results"
    ids = [f"v{number:03d}" for number in range(num_videos)]
    for name in ("a.mp4", "b.webm"):
        encode(folder / name, width=160, height=96, seconds=2)
    table = [{"id": i, "path": ("a.mp4", "b.webm")[n % 2], "size": 1} for n, i in enumerate(ids)]
    write_json(results / "datasets/toys/videos/000.json", {"root": str(folder), "videos": table})
    references = {i: [caption_of(n), f"the {SHAPES[n % 2]} goes"] for n, i in enumerate(ids)} | {"t": ["a red circle"]}
    splits = {"train": ["t"], "val": ids[:20], "test": ids}
    write_json(results / "datasets/toys/captions.json", {"captions": references, "splits": splits})
    suspect = {SUSPECT: "2 frames of 20 did not decode"}
    frames = results / "datasets/toys/frames/action/000.zarr"
    make_store(frames, FRAMES, ids, {BAD: "the file is empty (0 bytes)"}, FRAME_ROWS, suspect)
    captioned = {i: caption_of(n) for n, i in enumerate(ids) if i != BAD}
    write_experiment(results, "grid", captioned | {UNSAFE: NASTY}, 0.01)
    write_experiment(results, "other", dict.fromkeys(captioned, "a blue square moves up"), 0.005)
    words = VOCABULARY[4:]
    write_json(
        results / "vocabularies/toys.json", {"words": VOCABULARY, "max_words": 12, "counts": dict.fromkeys(words, 1)}
    )
    write_explanation(results, "grid_words", cells_of_words())
    write_explanation(results, "again", nodes_of_words())
    paths = [
        path for path in results.rglob("*") if path.suffix in (".json", ".csv") and ".zarr" not in str(path.parent)
    ]
    paths += results.rglob("*.zarr/zarr.json")
    listed = folder / "artifacts.txt"
    listed.write_text("".join(f"{path}\n" for path in sorted(paths)), encoding="utf-8")
    out = results / "report/index.html"
    report_stage.run(
        artifacts=listed,
        config=json.dumps(CONFIG),
        settings=ReportSettings(**CONFIG["report"] | {"videos": num_videos if num_clips is None else num_clips}),
        stages={"decode_frames": Stage(1, []), "extract_i3d": Stage(1, ["decode_frames"])},
        logs=folder / "logs",
        out=out,
    )
    return out


EXPERIMENT = {"kind": "captioning", "dataset": "toys", "vocabulary": "toys", "seeds": [1]}
EXPLANATION = {"experiment": "grid", "split": "test", "method": "occlusion", "videos": 2, "overlays": 0, "seed": 1}
CONFIG: dict[str, Any] = {
    "datasets": {"toys": {"kind": "folder"}},
    "encoders": {},
    "experiments": {"grid": EXPERIMENT, "other": EXPERIMENT},
    "explanations": {"grid_words": EXPLANATION, "again": EXPLANATION | {"method": "integrated_gradients"}},
    "report": {
        "experiments": ["grid", "other"],
        "videos": 0,
        "resamples": 50,
        "akg": False,
        "clip_scores": None,
        "published": [],
        "explanations": ["grid_words", "again"],
    },
}


def write_experiment(results: Path, name: str, captions: dict[str, str], step: float) -> None:
    """Write captions, scores and curves of an experiment, whose videos have CIDEr 0, `step`, 2 `step` and so on."""
    folder = results / "experiments" / name
    for split, ids in {"test": list(captions), "val": list(captions)[:19]}.items():
        rows = np.ones((len(ids), len(COLUMNS)))
        rows[:, COLUMNS.index("CIDEr")] = [step * int(i[1:]) for i in ids]
        statistics = Statistics(tuple(ids), rows)
        own = {i: captions[i] for i in ids}
        write_json(folder / split / "captions.json", {"captions": own, "missing": []})
        of_each = {i: step * int(i[1:]) for i in ids}
        counts = {"num_videos": len(ids) + 1, "num_covered": len(ids), "num_distinct": len(set(own.values()))}
        scores = {"split": split, "metrics": statistics.scores(), "statistics": statistics.to_json(), **counts}
        more = {"novel_share": 0.25, "mean_words": 5.0, "cider_by_video": of_each, "notes": [], "missing": []}
        write_json(folder / split / "scores.json", scores | more)
    rows_of_curve = [f"{epoch},{3 / epoch:.3f},{3.1 / epoch:.3f},{epoch / 10}," for epoch in range(1, 5)]
    table = ["epoch,train_loss,val_loss,val_cider,kept_by", *rows_of_curve]
    (folder / "curves.csv").write_text("".join(f"{row}\n" for row in table))


def cells_of_words() -> dict[str, np.ndarray]:
    """Of word w, cell w of 2 steps of 2 x 2 cells speaks for it alone."""
    relevance = np.zeros((5, 8), np.float32)
    relevance[np.arange(5), np.arange(5)] = 1
    quarters = [[x, y, x + 0.5, y + 0.5] for y in (0, 0.5) for x in (0, 0.5)]
    time, shape = np.repeat([0.5, 1.5], 4), np.array([[2, 2, 2]], np.int32)
    return {"relevance": relevance, "time": time, "box": np.array(2 * quarters, np.float16), "shape": shape}


def nodes_of_words() -> dict[str, np.ndarray]:
    """Of each word, one node of the whole frame speaks for it, and half as much one of the upper left quarter."""
    box = np.array([[0, 0, 0.5, 0.5], [0, 0, 1, 1]], np.float16)
    relevance = np.tile(np.array([0.5, 1], np.float32), (5, 1))
    return {"relevance": relevance, "time": np.full(2, 0.5), "box": box, "shape": np.zeros((1, 3), np.int32)}


def write_explanation(results: Path, name: str, regions: dict[str, np.ndarray]) -> None:
    """Write the relevance of regions of two captions' words; the twin has that of the words in opposite order."""
    folder = results / "explanations" / name
    store = folder / "relevance.zarr"
    relevance = regions["relevance"]
    words = len(relevance)
    removed = np.tile(-np.array(SHARES, np.float32), (words, 1))
    with create(store, RELEVANCE, ids=EXPLAINED, stage="generate_captions", settings={}, inputs={}) as writer:
        for video_id in EXPLAINED:
            writer.append(
                video_id,
                token=np.array([VOCABULARY.index(word) for word in caption_of(int(video_id[1:])).split()], np.int32),
                log_p=np.full(words, -0.5, np.float32),
                relevance=relevance.reshape(-1),
                twin=relevance[::-1].reshape(-1),
                time=regions["time"].astype(np.float32),
                box=regions["box"],
                shape=regions["shape"],
                source=np.zeros(0, np.int16),
                target=np.zeros(0, np.int16),
                edge_relevance=np.zeros(0, np.float32),
                deleted=removed,
                inserted=removed[:, ::-1],
                deleted_at_random=0.5 * removed,
                randomised=np.zeros(0, np.float32),
            )
    curves = {"deleted": [-s for s in SHARES], "inserted": [s - 1 for s in SHARES]}
    curves |= {"shares": SHARES, "deleted_at_random": [-s / 2 for s in SHARES]}
    told = {"explanation": name, "experiment": "grid", "method": "occlusion", "num_videos": 2, "curves": curves}
    told |= {"areas": {"deleted": -0.5, "inserted": -0.5, "deleted_at_random": -0.25}, "layers": []}
    placed = {"num_videos": 2, "mean_share": 0.375, "num_of_two": 1, "more_on_own": 1.0}
    told["mass"] = {"trained": placed, "twin": placed | {"num_of_two": 0, "more_on_own": None}}
    write_json(
        folder / "faithfulness.json", told | {"beats_random_at_20_percent": 1.0, "rank_correlation_with_twin": 0.1}
    )


def write_gallery(folder: Path) -> Path:
    """Write the gallery of `a.mp4`, an AVI, and a phone's video that is stored on its side; one file has no caption.

    The clips stand beside two test clips: the AVI is unlike the training clips.

    Returns:
        The page.
    """
    for name in ("a.mp4", "b.avi"):
        encode(folder / name, seconds=2)
    filmed(folder / "phone.mp4", MATRICES["a quarter"])
    files = ("a.mp4", "b.avi", "phone.mp4")
    write_json(
        folder / "videos.json", {"root": str(folder), "videos": [{"id": i, "path": i, "size": 1} for i in files]}
    )
    told = {
        i: {"caption": caption_of(n), "score": -1.0 - n, "right_to_left": "", "path": i} for n, i in enumerate(files)
    }
    told["a.mp4"] |= {"caption": NASTY, "samples": ["a dog"]}
    missing = {"text.mp4": "not a video file"}
    write_json(folder / "captions.json", {"experiment": "grid", "videos": told, "missing": missing})
    splits = {"train": ["t"], "val": [], "test": ["t1", "t2"]}
    write_json(folder / "references.json", {"captions": {}, "splits": splits})
    write_json(folder / "tested.json", {"captions": {"t1": "a", "t2": "b"}, "scores": {"t1": -1.5, "t2": -0.5}})
    directions = {"t": (1, 0), "t1": (1, 0.1), "t2": (1, 0.2), "a.mp4": (1, 0), "b.avi": (0, 1), "phone.mp4": (1, 0.15)}
    gallery_stage.run(
        captions=folder / "captions.json",
        videos=[folder / "videos.json"],
        graphs=[write_graphs(folder / "own.zarr", {i: directions[i] for i in files})],
        tested=[folder / "tested.json"],
        trained_graphs=[write_graphs(folder / "known.zarr", {i: directions[i] for i in ("t", "t1", "t2")})],
        references=[folder / "references.json"],
        out=folder / "index.html",
    )
    return folder / "index.html"
