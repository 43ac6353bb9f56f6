"""Write what each word of a caption was said for, so that the page draws it over the frames: a script for each video.

Shapes: W words of a caption, R regions (cells of maps, or nodes), E edges.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.artifact import Artifact, read, read_json
from pipeline.artifact.vocabulary_file import read_vocabulary
from pipeline.report.artifacts import ByKind
from pipeline.report.folder import file_name, write_script
from pipeline.schemas import RELEVANCE

ARRAYS = ("token", "log_p", "relevance", "twin", "time", "box", "shape", "source", "target", "edge_relevance")
FAITHFULNESS = ("experiment", "method", "num_videos", "curves", "areas", "beats_random_at_20_percent")
FULL = 127  # what the largest relevance of a word becomes


def write_maps(found: ByKind, config: Mapping[str, Any], names: Sequence[str], folder: Path) -> dict[str, Any]:
    """Write the maps of every explained video.

    Args:
        found: The artifacts by kind.
        config: The whole configuration.
        names: The explanations that the page shows.
        folder: Folder of the page.

    Returns:
        Data set to video to the address of its script below the folder. The script holds by explanation what
        `describe_maps` returns.
    """
    stores = {file.names["explanation"]: file.path for file in found["relevance"]}
    vocabularies = {file.names["vocabulary"]: file.path for file in found["vocabulary"]}
    told: dict[tuple[str, str], dict[str, Any]] = {}
    for name in names:
        entry = config["explanations"][name]
        experiment = config["experiments"][entry["experiment"]]
        words = read_vocabulary(vocabularies[experiment["vocabulary"]]).words
        artifact = read(stores[name], RELEVANCE)
        for video_id in artifact.ids:
            maps = describe_maps(artifact, video_id, words)
            maps |= {"experiment": entry["experiment"], "method": entry["method"]}
            told.setdefault((experiment["dataset"], video_id), {})[name] = maps
    addresses: dict[str, dict[str, str]] = {}
    for (dataset, video_id), content in told.items():
        address = f"maps/{dataset}/{file_name(video_id)}.js"
        write_script(folder / address, address, content)
        addresses.setdefault(dataset, {})[video_id] = address
    return addresses


def describe_maps(artifact: Artifact, video_id: str, vocabulary: Sequence[str]) -> dict[str, Any]:
    """Describe the relevance of the regions of a video for each word of its caption.

    Args:
        artifact: A store of the schema RELEVANCE.
        video_id: A video of it.
        vocabulary: The words by token.

    Returns:
        `words`, `log_p` (rounded), `grid` (steps, rows and columns; None for nodes), `time` (of each step of a grid, or
        of each node), `box` (of the cells of a step, or of each node), `edges` (pairs of nodes), and for each word
        `relevance`, `twin` and `edge_relevance` (see `packed`).
    """
    own = artifact.video(video_id, ARRAYS)
    num_words, num_regions = len(own["token"]), len(own["time"])
    steps, rows, columns = (int(size) for size in own["shape"].reshape(-1))
    grid = (steps, rows, columns) if steps * rows * columns else None
    cells = rows * columns if grid else num_regions
    edges = np.stack([own["source"], own["target"]], axis=1)
    return {
        "words": [vocabulary[token] for token in own["token"]],
        "log_p": [round(float(value), 3) for value in own["log_p"]],
        "grid": grid,
        "time": [round(float(value), 3) for value in own["time"][:: cells if grid else 1]],
        "box": np.round(own["box"][:cells].astype(np.float64), 3).tolist(),
        "edges": edges.tolist(),
        "relevance": packed(own["relevance"].reshape(num_words, num_regions)),
        "twin": packed(own["twin"].reshape(num_words, num_regions)),
        "edge_relevance": packed(own["edge_relevance"].reshape(num_words, len(edges))),
    }


def packed(relevance_WR: NDArray[np.floating]) -> list[str]:
    """Pack the relevance of each word: base64 of signed bytes, of which the word's largest is 127 or -127."""
    x_WR = relevance_WR.astype(np.float64)
    most_W1 = np.abs(x_WR).max(axis=1, keepdims=True, initial=0.0)
    bytes_WR = np.rint(FULL * x_WR / np.where(most_W1 > 0, most_W1, 1.0)).astype(np.int8)
    return [b64encode(row.tobytes()).decode() for row in bytes_WR]


def describe_faithfulness(found: ByKind, names: Sequence[str]) -> dict[str, Any]:
    """Read the figures of faithfulness of the explanations that the page shows, by their names in this order."""
    paths = {file.names["explanation"]: file.path for file in found["faithfulness"]}
    return {name: read_json(paths[name], FAITHFULNESS, "score_relevance") for name in names if name in paths}
