"""Join nodes, motion, spatial and temporal edges into one graph a video.

The graphs are the action graphs of "Action Knowledge for Video Captioning with Graph Neural Networks" (Hendria et al.,
2023, section 3.2), stored in factors: one motion vector a frame and one weight an edge. `pipeline.models.action_graph`
reads them as PyTorch Geometric data.

Shapes: N nodes, F frames, E edges, A edges within frames, B edges to the next frame, D node features, M motion
features.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.artifact import create, read
from pipeline.artifact.each_video import Rows, each_video, missing
from pipeline.errors import VideoError
from pipeline.schemas import GRAPHS, MOTION, NODES, SPATIAL_GRAPHS, TEMPORAL_GRAPHS

Read = Mapping[str, NDArray[Any]]


def run(nodes: Path, motion: Path, spatial: Path, temporal: Path, out: Path) -> None:
    """Make the graph of every video of a shard that all the inputs hold.

    Args:
        nodes: The shard's `nodes` artifact.
        motion: The shard's `motion` artifact.
        spatial: The shard's `spatial_graphs` artifact, made from the same nodes.
        temporal: The shard's `temporal_graphs` artifact, made from the same nodes.
        out: The `graphs` artifact to make.
    """
    paths = {"nodes": nodes, "motion": motion, "spatial": spatial, "temporal": temporal}
    schemas = {"nodes": NODES, "motion": MOTION, "spatial": SPATIAL_GRAPHS, "temporal": TEMPORAL_GRAPHS}
    found = {name: read(path, schemas[name]) for name, path in paths.items()}
    reasons = missing(found.values())
    ids = list(dict.fromkeys([*found["nodes"].ids, *found["motion"].ids, *sorted(reasons)]))
    with create(out, GRAPHS, ids=ids, stage="convert_graphs", settings={}, inputs=paths) as writer:
        each_video(writer, reasons, lambda video_id: join(**{name: of.video(video_id) for name, of in found.items()}))


def join(nodes: Read, motion: Read, spatial: Read, temporal: Read) -> Rows:
    """Join the rows of one video's parts to the rows of its graph.

    Args:
        nodes: `x` `[N, D]`, `node_frame` `[N]`, `box` `[N, 4]`, `frame_time` `[F]`.
        motion: `motion` `[F, M]`.
        spatial: `source` and `target` `[A]` of the edges within frames.
        temporal: `source`, `target` and `weight` `[B]` of the edges to the next frame.

    Returns:
        The video's rows of the arrays of GRAPHS.

    Raises:
        VideoError: if nodes and motion have different numbers of frames, or if an edge does not fit the nodes.
    """
    num_frames, num_windows = len(nodes["frame_time"]), len(motion["motion"])
    if num_frames != num_windows:
        raise VideoError(
            f"nodes have {num_frames} frames, motion has {num_windows}, expected equally many: "
            "run extract_i3d and the nodes again from the same frames"
        )
    frame_N = nodes["node_frame"].astype(np.int64)
    for name, edges, step in (("spatial_graphs", spatial, 0), ("temporal_graphs", temporal, 1)):
        source_E, target_E = edges["source"], edges["target"]
        largest = max(source_E.max(initial=-1), target_E.max(initial=-1))
        if largest >= len(frame_N) or np.any(frame_N[target_E] - frame_N[source_E] != step):
            raise VideoError(f"{name} do not fit the {len(frame_N)} nodes: run build_{name} again from these nodes")
    return {
        "x": nodes["x"],
        "node_frame": nodes["node_frame"],
        "box": nodes["box"],
        "motion": motion["motion"],
        **join_edges(spatial, temporal),
    }


def join_edges(spatial: Read, temporal: Read) -> Rows:
    """Make one list of the edges within frames (kind 0, weight 1) and of those to the next frame (kind 1).

    Args:
        spatial: `source` and `target` `[A]` of the edges within frames.
        temporal: `source`, `target` and `weight` `[B]` of the edges to the next frame.

    Returns:
        `source`, `target`, `kind` and `weight` `[A + B]`, the edges within frames first.
    """
    num_spatial, num_temporal = len(spatial["source"]), len(temporal["source"])
    return {
        "source": np.concatenate([spatial["source"], temporal["source"]]),
        "target": np.concatenate([spatial["target"], temporal["target"]]),
        "kind": np.repeat(np.array([0, 1], np.uint8), [num_spatial, num_temporal]),
        "weight": np.concatenate([np.ones(num_spatial), temporal["weight"]]),
    }
