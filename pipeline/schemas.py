"""Every Zarr artifact of the workflow: its arrays, their types, dimensions, meanings and units, on one page.

Videos differ in length, so arrays are flat: all the videos of a shard one after another. The leading dimension says
what a row is; for each leading dimension `d` but "video" the store holds the bounds `{d}_ptr` (int64, one more than
there are videos): the rows of video i are `{d}_ptr[i]:{d}_ptr[i + 1]`, as in a CSR matrix and in PyTorch Geometric.
Each store also holds the ids as the array `video`, a coordinate by which xarray selects.

If the meaning, type or dimensions of an array change, `version` must be raised: reading then refuses older stores and
names the stage to run again. Sentences and units are attributes of the arrays in the stores: they are for who reads
them elsewhere, and belong to no digest.
"""

from dataclasses import dataclass

VIDEO = "video"  # the leading dimension of arrays with one row a video, and the array of their ids


@dataclass(frozen=True)
class ArraySpec:
    """Type, dimensions and meaning of one array.

    Attributes:
        dtype: NumPy's code of the type, such as `f2`.
        dims: Names of the dimensions, the leading one first.
        says: A sentence that says what the numbers are.
        unit: Their unit as UDUNITS writes it; `1` for what has none, such as numbers of frames and shares.
    """

    dtype: str
    dims: tuple[str, ...]
    says: str = ""
    unit: str = "1"


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
        return [dim for dim in dict.fromkeys(spec.dims[0] for spec in self.arrays.values()) if dim != VIDEO]

    def stored(self) -> dict[str, ArraySpec]:
        """All arrays of numbers in a store by name: those of the schema and their bounds."""
        return self.arrays | {f"{dim}_ptr": bounds_of(dim) for dim in self.ragged()}


def bounds_of(dim: str) -> ArraySpec:
    """The bounds of the videos along a leading dimension."""
    says = f"Bounds of the videos along {dim}: video i has the rows from {dim}_ptr[i] up to, without, {dim}_ptr[i + 1]."
    return ArraySpec("i8", ("video_bound",), says)


BOX = "Left, top, right and bottom, as shares (0 to 1) of the whole frame's width and height."
SOURCE = "Where the edge begins: the number of a node within the video, from 0."
TARGET = "Where the edge ends: the number of a node within the video, from 0."
TIME = "When the frame is shown: its presentation time in the file, or, of an interval, the time since its start."
UNION = "The smallest box around the two nodes of the pair, each box once a frame"

FRAMES = Schema(
    name="frames",
    version=1,
    stage="decode_frames",
    arrays={
        "pixels": ArraySpec("u1", ("pixel", "rgb"), "Red, green and blue, frame after frame, each row after row."),
        "number": ArraySpec("i4", ("frame",), "Number of the frame in the clip, from 0."),
        "time": ArraySpec("f4", ("frame",), TIME, "s"),
        "size": ArraySpec("i4", (VIDEO, "hw"), "Height and width of the stored frames.", "pixel"),
        "num_frames": ArraySpec("i4", (VIDEO,), "How many frames the whole clip has."),
        "fps": ArraySpec("f4", (VIDEO,), "Mean rate of the frames of the clip.", "s-1"),
    },
)

MOTION = Schema(
    name="motion",
    version=1,
    stage="extract_i3d",
    arrays={
        "motion": ArraySpec(
            "f2", ("frame", "motion_feature"), "I3D features of the window of frames around the frame."
        ),
        "window_start": ArraySpec("i4", ("frame",), "Number in the clip of the first frame of that window, from 0."),
    },
)

APPEARANCE = Schema(
    name="appearance",
    version=1,
    stage="extract_clip",
    arrays={
        "x": ArraySpec(
            "f2", ("frame", "feature"), "CLIP4Clip embedding of the frame's central square, not normalised."
        ),
    },
)

NODES = Schema(
    name="nodes",
    version=2,
    stage="build_grid_nodes or build_object_nodes",
    arrays={
        "x": ArraySpec(
            "f2", ("node", "feature"), "CLIP4Clip embedding, or features of the detector, of the box; not normalised."
        ),
        "node_frame": ArraySpec("i2", ("node",), "Which of the video's sampled frames the node is in, from 0."),
        "box": ArraySpec("f2", ("node", "xyxy"), BOX),
        "label": ArraySpec("i2", ("node",), "Class that the detector saw; 0 for a cell of a grid."),
        "score": ArraySpec("f2", ("node",), "How sure the detector was, from 0 to 1; 1 for a cell of a grid."),
        "frame_time": ArraySpec("f4", ("frame",), f"{TIME} A frame may have no nodes.", "s"),
    },
)

SPATIAL_GRAPHS = Schema(
    name="spatial_graphs",
    version=1,
    stage="build_spatial_graphs",
    arrays={
        "source": ArraySpec("i2", ("edge",), SOURCE),
        "target": ArraySpec("i2", ("edge",), TARGET),
    },
)

TEMPORAL_GRAPHS = Schema(
    name="temporal_graphs",
    version=1,
    stage="build_temporal_graphs",
    arrays={
        "source": ArraySpec("i2", ("edge",), f"{SOURCE} It is in the frame before."),
        "target": ArraySpec("i2", ("edge",), f"{TARGET} It is in the frame after."),
        "weight": ArraySpec(
            "f2", ("edge",), "How alike the two nodes are: the softmax of their cosine over all targets of a source."
        ),
    },
)

GRAPHS = Schema(
    name="graphs",
    version=1,
    stage="convert_graphs",
    arrays={
        "x": ArraySpec("f2", ("node", "feature"), "Appearance of the node: features as in its nodes, not normalised."),
        "node_frame": ArraySpec("i2", ("node",), "Which of the video's sampled frames the node is in, from 0."),
        "box": ArraySpec("f2", ("node", "xyxy"), BOX),
        "source": ArraySpec("i2", ("edge",), SOURCE),
        "target": ArraySpec("i2", ("edge",), TARGET),
        "kind": ArraySpec("u1", ("edge",), "0 for an edge within a frame, 1 for one to the next frame."),
        "weight": ArraySpec("f2", ("edge",), "How alike the two nodes of neighbouring frames are; 1 within a frame."),
        "motion": ArraySpec(
            "f2", ("frame", "motion_feature"), "I3D features around the frame: one row a frame, for all its edges."
        ),
    },
)

PAIR_MOTION = Schema(
    name="pair_motion",
    version=1,
    stage="extract_union_motion",
    arrays={
        "motion": ArraySpec(
            "f2", ("pair", "motion_feature"), "I3D features of the window around the frame, cut to the pair's box."
        ),
        "box": ArraySpec("f2", ("pair", "xyxy"), f"{UNION}. {BOX}"),
        "pair_frame": ArraySpec("i2", ("pair",), "Which of the video's sampled frames the pair is in, from 0."),
        "edge_pair": ArraySpec(
            "i4", ("edge",), "For each edge of the spatial graph, in its order, the pair's number within the video."
        ),
    },
)

MAPS = Schema(
    name="maps",
    version=1,
    stage="extract_maps",
    arrays={
        "map": ArraySpec(
            "f2",
            ("step", "row", "column", "channel"),
            "What the encoder makes of the windows of the clip before it pools, resized to one size for all clips.",
        ),
        "time": ArraySpec("f4", ("step",), "When the middle of the step is shown.", "s"),
        "seen": ArraySpec("f4", (VIDEO, "xyxy"), f"The part of the frame that the maps cover. {BOX}"),
    },
)

KNOWLEDGE = Schema(
    name="knowledge",
    version=1,
    stage="link_knowledge",
    arrays={
        "x": ArraySpec(
            "f2", ("row", "feature"), "Embeddings of the entities, the likeliest first, and then of the relations."
        ),
        "is_relation": ArraySpec("u1", ("row",), "0 for an entity, 1 for a relation."),
        "word": ArraySpec("i4", ("row",), "Number of the entity or relation in the list of the embedding, from 0."),
        "similarity": ArraySpec("f2", ("row",), "Cosine of the video and the entity; 0 for a relation."),
    },
)

CLIPS = Schema(
    name="clips",
    version=1,
    stage="decode_clips or draw_sync_mnist",
    arrays={
        "byte": ArraySpec(
            "u1", ("byte",), "The clip's frames one after another, each as its codec says, so that each is read alone."
        ),
        "frame_end": ArraySpec("i8", ("frame",), "Where the frame's bytes end, counted from the clip's first byte."),
        "time": ArraySpec("f4", ("frame",), TIME, "s"),
        "size": ArraySpec("i4", (VIDEO, "hw"), "Height and width of the stored frames.", "pixel"),
        "colours": ArraySpec("u1", (VIDEO,), "3 for red, green and blue; 1 for grey."),
        "codec": ArraySpec(
            "u1", (VIDEO,), "0: pixels, row after row, their colours together; 1: each frame is a JPEG."
        ),
    },
)

LOGITS = Schema(
    name="logits",
    version=1,
    stage="recognize_videos",
    arrays={
        "logits": ArraySpec(
            "f4",
            ("view", "class"),
            "Logits of a view of the clip for the classes of all heads, one head after another.",
        ),
        "temporal": ArraySpec("i2", ("view",), "Number of the view's sample of frames, from 0."),
        "spatial": ArraySpec("i2", ("view",), "Number of the view's square of these frames, from 0."),
    },
)

ROUTES = Schema(
    name="routes",
    version=1,
    stage="route_clips",
    arrays={
        "selector": ArraySpec("f4", ("view", "group"), "Logits of a view of the clip for the groups of classes."),
        "experts": ArraySpec(
            "f4", ("view", "group", "class"), "Logits of the view for all classes, by the expert of each group."
        ),
        "temporal": ArraySpec("i2", ("view",), "Number of the view's sample of frames, from 0."),
        "spatial": ArraySpec("i2", ("view",), "Number of the view's square of these frames, from 0."),
    },
)

FEATURES = Schema(
    name="features",
    version=1,
    stage="extract_features",
    arrays={
        "x": ArraySpec("f2", ("step", "feature"), "What the heads of the recognizer see in each step of time."),
    },
)

FRONTS = Schema(
    name="fronts",
    version=1,
    stage="extract_front",
    arrays={
        "token": ArraySpec(
            "f2",
            ("token", "feature"),
            "What the experts of a cast recognizer make of the clip before `first_block`, view after view. Of a view: "
            "the spatial tokens of each step of time (class token, then places row by row), then the temporal ones.",
        ),
        "mirrored": ArraySpec("u1", ("view",), "1: left and right were swapped in this view; 0: they were not."),
    },
)

REGIONS = Schema(
    name="regions",
    version=1,
    stage="extract_regions",
    arrays={
        "box": ArraySpec(
            "f4",
            ("node", "xyxy"),
            "Left, top, right and bottom of the node's region, as shares of the whole frame; it may reach beyond.",
        ),
        "place": ArraySpec("u1", ("node",), "Number of the graph module that the node is of, from 0."),
        "step": ArraySpec("i2", ("node",), "Number of the step in time of the module's maps, from 0."),
        "frame": ArraySpec("i4", ("node",), "Number of the clip's stored frame that the step begins with, from 0."),
        "time": ArraySpec("f4", ("node",), "When this frame is shown.", "s"),
        "target": ArraySpec("i4", ("pair",), "The node that listens, by its row within the clip."),
        "source": ArraySpec("i4", ("pair",), "The node of the same step that it listens to, by its row."),
        "weight": ArraySpec("f4", ("pair",), "How much it listens: attention in the last round, mean over its heads."),
    },
)

RELEVANT = "How much the region speaks for the word: 0 if not at all, less than 0 if against it. Word after word, all"
REMOVED = "Natural logarithm of the word's probability once"
RELEVANCE = Schema(
    name="relevance",
    version=1,
    stage="explain_maps or explain_graphs",
    arrays={
        "token": ArraySpec("i4", ("word",), "Number of the caption's word in the captioner's vocabulary."),
        "log_p": ArraySpec(
            "f4", ("word",), "Natural logarithm of the word's probability, given the clip and the words before it."
        ),
        "relevance": ArraySpec("f4", ("word_region",), f"{RELEVANT} regions."),
        "twin": ArraySpec("f4", ("word_region",), "The same by a captioner whose weights are random."),
        "time": ArraySpec("f4", ("region",), "When the middle of the region's step, or its frame, is shown.", "s"),
        "box": ArraySpec("f2", ("region", "xyxy"), BOX),
        "shape": ArraySpec(
            "i4", (VIDEO, "grid"), "Steps, rows and columns of the regions, in this order; 0 where they are no grid."
        ),
        "source": ArraySpec("i2", ("edge",), SOURCE),
        "target": ArraySpec("i2", ("edge",), TARGET),
        "edge_relevance": ArraySpec("f4", ("word_edge",), f"{RELEVANT.replace('region', 'edge')} edges."),
        "deleted": ArraySpec(
            "f4", ("word", "share"), f"{REMOVED} the most relevant 0, 10, 20 .. 100 % of the regions are removed."
        ),
        "inserted": ArraySpec(
            "f4", ("word", "share"), f"{REMOVED} all regions but the most relevant 0, 10 .. 100 % are removed."
        ),
        "deleted_at_random": ArraySpec(
            "f4",
            ("word", "share"),
            f"{REMOVED} 0, 10 .. 100 % of the regions are removed at random: a mean over draws.",
        ),
        "randomised": ArraySpec(
            "f4",
            ("layer",),
            "Rank correlation of the relevance with that of a captioner whose layers down to this one are random: a "
            "mean over words. From the last layer to the first; no rows where none are told.",
        ),
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
        MAPS,
        KNOWLEDGE,
        CLIPS,
        FRONTS,
        FEATURES,
        LOGITS,
        ROUTES,
        REGIONS,
        RELEVANCE,
    )
}
