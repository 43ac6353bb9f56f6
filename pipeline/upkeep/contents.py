"""Check whether one artifact is whole, of whatever kind: a Zarr store, JSON, weights, a table or a page."""

from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError, safe_open

from pipeline.artifact.checking import check_store
from pipeline.artifact.json_files import check_json
from pipeline.errors import DamagedError, OutdatedError, PipelineError
from pipeline.schemas import SCHEMAS
from pipeline.upkeep.inventory import Found

# For each kind of JSON artifact, the stage that makes it and the keys that its top level must have.
JSON = {
    "made": ("make_shapes or make_sync_mnist", ["videos"]),
    "truth": ("make_shapes or make_sync_mnist", ["videos"]),
    "videos": ("index_videos", ["root", "videos"]),
    "captions": ("index_captions", ["captions", "splits"]),
    "labels": ("index_labels", ["heads", "labels", "splits"]),
    "vocabulary": ("build_vocabulary", ["words"]),
    "generated": ("generate_captions", ["captions"]),
    "predicted": ("caption_videos", ["experiment", "videos"]),
    "settings": ("describe_experiment", ["name", "experiment"]),
    "region_scores": ("extract_regions", ["places", "statistics"]),
