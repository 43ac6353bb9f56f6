"""Schemas of small stores for the tests of how artifacts are written, read and checked."""

from pipeline.schemas import ArraySpec, Schema

# Rows of any number, and a number a video.
THINGS = Schema(
    name="things",
    version=1,
    stage="build_vocabulary",
    arrays={"x": ArraySpec("f4", ("row", "column")), "fps": ArraySpec("f4", ("video",))},
)
# Two arrays along one ragged dimension besides.
NODE_THINGS = Schema(
    name="things",
    version=2,
    stage="build_vocabulary",
    arrays={
        "x": ArraySpec("f2", ("node", "feature")),
        "node_frame": ArraySpec("i2", ("node",)),
        "fps": ArraySpec("f4", ("video",)),
    },
)
