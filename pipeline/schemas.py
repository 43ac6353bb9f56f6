"""Every Zarr artifact of the workflow: its arrays, their types and dimensions, on one page.

Videos differ in length, so arrays are flat: all the videos of a shard one after another. The leading dimension says
what a row is; for each leading dimension `d` but "video" the store holds the bounds `{d}_ptr` (int64, one more than
there are videos): the rows of video i are `{d}_ptr[i]:{d}_ptr[i + 1]`, as in a CSR matrix and in PyTorch Geometric.

If the meaning, type or dimensions of an array change, `version` must be raised: reading then refuses older stores and
names the stage to run again.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class ArraySpec:
    """Type and dimensions of one array.

    Attributes:
        dtype: NumPy's code of the type, such as `f2`.
        dims: Names of the dimensions, the leading one first.
    """

    dtype: str
    dims: tuple[str, ...]


@dataclass(frozen=True)
class Schema:
    """One kind of Zarr artifact.

    Attributes:
        name: Name of the kind, as in the artifact's path.
        version: Number that is raised when the meaning, type or dimensions of an array change.
        stage: Name of the stage, and so of the rule, that makes it.
        arrays: The arrays by name, without the bounds, which follow from the leading dimensions.
    """

    name: str
    version: int
    stage: str
    arrays: dict[str, ArraySpec]

    def ragged(self) -> list[str]:
        """Leading dimensions that have bounds, in order of appearance."""
        return [dim for dim in dict.fromkeys(spec.dims[0] for spec in self.arrays.values()) if dim != "video"]


FRAMES = Schema(
    name="frames",
    version=1,
    stage="decode_frames",
    arrays={
        "pixels": ArraySpec("u1", ("pixel", "rgb")),  # frame after frame, each row-major
        "number": ArraySpec("i4", ("frame",)),  # number of the frame in the clip, from 0
        "time": ArraySpec("f4", ("frame",)),  # seconds: presentation time in the file, or since the interval's start
        "size": ArraySpec("i4", ("video", "hw")),  # height and width as stored
        "num_frames": ArraySpec("i4", ("video",)),  # frames of the whole clip
        "fps": ArraySpec("f4", ("video",)),  # mean frames per second of the clip
    },
)

MOTION = Schema(
    name="motion",
    version=1,
    stage="extract_i3d",
    arrays={
        "motion": ArraySpec("f2", ("frame", "motion_feature")),  # I3D of the frame's window
        "window_start": ArraySpec("i4", ("frame",)),  # first frame of that window
    },
)

APPEARANCE = Schema(
    name="appearance",
    version=1,
    stage="extract_clip",
    arrays={
        "x": ArraySpec("f2", ("frame", "feature")),  # CLIP4Clip embedding of the central square, not normalised
    },
)

NODES = Schema(
    name="nodes",
    version=2,
    stage="build_grid_nodes or build_object_nodes",
    arrays={
        "x": ArraySpec("f2", ("node", "feature")),  # CLIP4Clip embedding or detector features, not normalised
        "node_frame": ArraySpec("i2", ("node",)),  # the sampled frame (0, 1, ...) the node is in
        "box": ArraySpec("f2", ("node", "xyxy")),  # in [0, 1] of the whole frame
        "label": ArraySpec("i2", ("node",)),  # class that the detector saw; 0 for a cell of a grid
        "score": ArraySpec("f2", ("node",)),  # how sure the detector was; 1 for a cell of a grid
        "frame_time": ArraySpec("f4", ("frame",)),  # seconds; a frame may have no nodes
    },
)

SPATIAL_GRAPHS = Schema(
    name="spatial_graphs",
    version=1,
    stage="build_spatial_graphs",
    arrays={
        "source": ArraySpec("i2", ("edge",)),  # node numbers within the video
        "target": ArraySpec("i2", ("edge",)),
    },
)

TEMPORAL_GRAPHS = Schema(
    name="temporal_graphs",
    version=1,
    stage="build_temporal_graphs",
    arrays={
        "source": ArraySpec("i2", ("edge",)),  # a node of frame t - 1
        "target": ArraySpec("i2", ("edge",)),  # a node of frame t
        "weight": ArraySpec("f2", ("edge",)),  # softmax of the cosine of the two nodes, over all targets of a source
    },
)

GRAPHS = Schema(
    name="graphs",
    version=1,
    stage="convert_graphs",
    arrays={
        "x": ArraySpec("f2", ("node", "feature")),
        "node_frame": ArraySpec("i2", ("node",)),
        "box": ArraySpec("f2", ("node", "xyxy")),
        "source": ArraySpec("i2", ("edge",)),
        "target": ArraySpec("i2", ("edge",)),
        "kind": ArraySpec("u1", ("edge",)),  # 0 within a frame, 1 to the next frame
        "weight": ArraySpec("f2", ("edge",)),  # temporal weight; 1 within a frame
        "motion": ArraySpec("f2", ("frame", "motion_feature")),  # one row a frame, never one an edge
    },
)

PAIR_MOTION = Schema(
    name="pair_motion",
    version=1,
    stage="extract_union_motion",
    arrays={
        "motion": ArraySpec("f2", ("pair", "motion_feature")),  # I3D of the window, cut to the union of two boxes
        "box": ArraySpec("f2", ("pair", "xyxy")),  # that union, in [0, 1] of the whole frame; each once a frame
        "pair_frame": ArraySpec("i2", ("pair",)),  # the sampled frame it is of
        "edge_pair": ArraySpec("i4", ("edge",)),  # of each edge of the spatial graph, in its order: the pair's number
    },
)

KNOWLEDGE = Schema(
    name="knowledge",
    version=1,
    stage="link_knowledge",
    arrays={
        "x": ArraySpec("f2", ("row", "feature")),  # entities, the likeliest first, then relations
        "is_relation": ArraySpec("u1", ("row",)),  # 0 for an entity, 1 for a relation
        "word": ArraySpec("i4", ("row",)),  # number of the entity or relation in the embedding's list
        "similarity": ArraySpec("f2", ("row",)),  # cosine of the video and the entity; 0 for a relation
    },
)

# By name, in the order in which the workflow makes them: the report lists them in it.
SCHEMAS = {
    schema.name: schema
    for schema in (
        FRAMES,
        MOTION,
        APPEARANCE,
        NODES,
        SPATIAL_GRAPHS,
        PAIR_MOTION,
        TEMPORAL_GRAPHS,
        GRAPHS,
        KNOWLEDGE,
    )
}
