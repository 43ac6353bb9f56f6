"""The graph of stages as an SVG picture: what was made from what, and how many artifacts each stage made."""

from collections.abc import Mapping
from xml.sax.saxutils import escape

# Row from the top, column from the left. Stages that made nothing are left out, and so are rows that become empty.
PLACES = {
    "make_shapes": (0, 2.5),
    "index_videos": (1, 2.5),
    "index_captions": (2, 0.5),
    "decode_frames": (2, 2.5),
    "import_weights": (2, 4.0),
    "extract_triplets": (3, 0.0),
    "check_dataset": (3, 1.0),
    "finetune_clip4clip": (3, 2.0),
    "finetune_detector": (3, 3.0),
    "extract_i3d": (3, 4.0),
    "embed_knowledge": (4, 0.0),
    "extract_clip": (4, 1.0),
    "build_grid_nodes": (4, 2.0),
    "build_object_nodes": (4, 3.0),
    "link_knowledge": (5, 1.0),
    "build_spatial_graphs": (5, 2.0),
    "build_temporal_graphs": (5, 3.0),
    "extract_union_motion": (6, 1.5),
    "build_vocabulary": (7, 0.0),
    "convert_graphs": (7, 2.5),
    "train_captioner": (8, 2.5),
    "describe_experiment": (8, 4.0),
    "caption_videos": (9, 1.0),
    "generate_captions": (9, 2.5),
    "write_gallery": (10, 1.0),
    "score_captions": (10, 2.5),
    "score_akg": (10, 3.5),
    "write_report": (11, 2.5),
}
READS = {
    "index_videos": ("make_shapes",),
    "index_captions": ("index_videos",),
    "check_dataset": ("index_captions",),
    "decode_frames": ("index_videos",),
    "finetune_clip4clip": ("decode_frames", "index_captions"),
    "extract_i3d": ("decode_frames", "import_weights"),
    "build_grid_nodes": ("decode_frames", "finetune_clip4clip", "import_weights"),
    "finetune_detector": ("make_shapes", "decode_frames", "index_captions"),
    "build_object_nodes": ("decode_frames", "finetune_detector", "finetune_clip4clip", "import_weights"),
    "build_spatial_graphs": ("build_grid_nodes", "build_object_nodes"),
    "build_temporal_graphs": ("build_grid_nodes", "build_object_nodes"),
    "convert_graphs": ("build_grid_nodes", "build_spatial_graphs", "build_temporal_graphs", "extract_i3d"),
    "extract_union_motion": ("build_spatial_graphs", "import_weights"),
    "extract_triplets": ("index_captions",),
    "embed_knowledge": ("extract_triplets", "finetune_clip4clip", "import_weights"),
    "extract_clip": ("decode_frames", "finetune_clip4clip", "import_weights"),
    "link_knowledge": ("extract_clip", "embed_knowledge", "extract_triplets"),
    "build_vocabulary": ("index_captions",),
    "train_captioner": (
        "convert_graphs",
        "extract_union_motion",
        "link_knowledge",
        "build_vocabulary",
        "index_captions",
    ),
    "generate_captions": (
        "train_captioner",
        "convert_graphs",
        "extract_union_motion",
        "link_knowledge",
        "build_vocabulary",
    ),
    "caption_videos": ("train_captioner", "convert_graphs"),
    "write_gallery": ("caption_videos",),
    "score_captions": ("generate_captions", "index_captions"),
    "score_akg": ("generate_captions", "index_captions", "build_vocabulary"),
    "write_report": ("score_captions", "score_akg", "generate_captions", "train_captioner"),
}
BOX, PITCH, MARGIN = (158, 40), (176, 66), 8  # pixels: width and height


def arrows(counts: Mapping[str, int], nodes_use_imported: bool) -> list[tuple[str, str]]:
    """Which stage feeds which, without the arrows that a longer way already tells.

    Args:
        counts: Artifacts made by each stage.
        nodes_use_imported: Whether the nodes' encoder is imported and not fine-tuned.
    """
    reads: dict[str, set[str]] = {}
    for stage, sources in READS.items():
        if counts.get(stage):
            reads[stage] = {source for source in sources if counts.get(source)}
    if not nodes_use_imported:
        for stage in ("build_grid_nodes", "build_object_nodes", "extract_clip", "embed_knowledge"):
            reads.get(stage, set()).discard("import_weights")

    def above(stage: str) -> set[str]:
        direct = reads.get(stage, set())
        return direct.union(*(above(source) for source in direct))

    return [
        (source, stage)
        for stage, sources in reads.items()
        for source in sorted(sources)
        if not any(source in above(other) for other in sources)
    ]


def draw_dag(counts: Mapping[str, int], nodes_use_imported: bool = False) -> str:
    """Draw the stages that made something, with arrows from what they read.

    Args:
        counts: Artifacts made by each stage.
        nodes_use_imported: Whether the nodes' encoder is imported and not fine-tuned.

    Returns:
        An `svg` element; its colours come from the page's classes `stage`, `count` and `arrow`.
    """
    present = [stage for stage in PLACES if counts.get(stage)]
    rows = {row: i for i, row in enumerate(sorted({PLACES[stage][0] for stage in present}))}
    corner = {
        stage: (MARGIN + PLACES[stage][1] * PITCH[0], MARGIN + rows[PLACES[stage][0]] * PITCH[1]) for stage in present
    }
    width = MARGIN * 2 + 4 * PITCH[0] + BOX[0]
    height = MARGIN * 2 + (len(rows) - 1) * PITCH[1] + BOX[1]
    pairs = arrows(counts, nodes_use_imported)
    told = "; ".join(f"{stage} ({counts[stage]})" for stage in present)
    parts = [
        f'<svg class="dag" viewBox="0 0 {width} {height}" role="img" aria-labelledby="dag-title dag-desc">',
        '<title id="dag-title">Stages of the workflow</title>',
        f'<desc id="dag-desc">Stages with the number of artifacts each made: {escape(told)}</desc>',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" class="tip"/></marker></defs>',
    ]
    parts += [f'<path class="arrow" d="{_line(corner[a], corner[b])}" marker-end="url(#tip)"/>' for a, b in pairs]
    for stage in present:
        x, y = corner[stage]
        count = f"{counts[stage]} artifact{'s' if counts[stage] > 1 else ''}"
        middle = x + BOX[0] / 2
        parts.append(
            f'<rect class="stage" x="{x:g}" y="{y:g}" width="{BOX[0]}" height="{BOX[1]}" rx="7"/>'
            f'<text class="name" x="{middle:g}" y="{y + 17:g}">{escape(stage)}</text>'
            f'<text class="count" x="{middle:g}" y="{y + 32:g}">{count}</text>'
        )
    return "\n".join([*parts, "</svg>"])


def _line(source: tuple[float, float], target: tuple[float, float]) -> str:
    """A curve from box to box; a long one runs down its own column and enters from the side."""
    x0, y0 = source[0] + BOX[0] / 2, source[1] + BOX[1]
    x1, y1 = target[0] + BOX[0] / 2, target[1]
    if y1 - y0 > 2 * PITCH[1] and x0 != x1:
        side = target[0] if x0 < x1 else target[0] + BOX[0]
        y1 += BOX[1] / 2
        turn = 12 if x0 < x1 else -12
        return f"M{x0:g} {y0:g} V{y1 - 12:g} Q{x0:g} {y1:g} {x0 + turn:g} {y1:g} H{side:g}"
    bend = (y1 - y0) / 2
    return f"M{x0:g} {y0:g} C{x0:g} {y0 + bend:g} {x1:g} {y1 - bend:g} {x1:g} {y1:g}"
