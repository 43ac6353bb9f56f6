"""Two rules make clips, and each makes those of its own data sets."""

from pathlib import Path

import yaml
from toys.project_sources import copy_sources
from toys.sync_mnist import PUBLISHED, RAW
from toys.tiny_project import Project


def test_digits_are_drawn_and_videos_are_decoded(tmp_path: Path) -> None:
    copy_sources(tmp_path)
    files = {split: {"images": f"{split}-images", "labels": f"{split}-labels"} for split in ("train", "test")}
    for split in files.values():
        for name in split.values():
            (tmp_path / name).touch()
    datasets = {"drawn": PUBLISHED, "real": PUBLISHED | {"glyphs": files}}
    clippings = {"raw": RAW.model_dump(mode="json")}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump({"datasets": datasets, "clippings": clippings}))
    project = Project(tmp_path)
    clips = [f"results/datasets/{name}/clips/raw/000.zarr/zarr.json" for name in ("drawn", "real", "shapes")]
    assert project.jobs(*clips) == {
        *(f"make_sync_mnist {name} 000" for name in ("drawn", "real")),
        *(f"draw_sync_mnist {name} raw 000" for name in ("drawn", "real")),
        "make_shapes shapes 000",
        "index_videos shapes 000",
        "decode_clips shapes raw 000",
    }
    printed = project.run("check_data", "--quiet", "all")
    assert (
        "drawn (sync_mnist): 12 videos, made when they are needed (train 6, val 2, test 4; a label a video)" in printed
    )
