"""Three intervals of one file go through the whole line and are captioned as three files that hold them."""

import json

import pytest
from toys.cut_files import cut
from toys.tiny_project import Project
from toys.videos import write_block_video

PARTS = {"opening": (0.0, 0.8), "middle": (0.8, 2.1), "end": (2.1, None)}
KINDS = {"frames", "motion", "nodes", "spatial_graphs", "temporal_graphs", "pair_motion", "graphs", "knowledge"}


def write_parts(project: Project) -> None:
    """The data set `parts`, a table of intervals, and `cut`, the same clips as files; a prediction for each."""
    source = project.root / "long.mp4"
    write_block_video(source, seed=50, num_frames=40)
    rows = ["id,video,start,stop"]
    rows += [f"{name}.mp4,long.mp4,{start},{'' if stop is None else stop}" for name, (start, stop) in PARTS.items()]
    (project.root / "parts.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (project.root / "cut").mkdir()
    for name, (start, stop) in PARTS.items():
        cut(source, project.root / "cut" / f"{name}.mp4", start, stop)
    brought = {"kind": "folder", "shards": 2, "captions": None, "splits": {"train": 0.8, "val": 0.1, "test": 0.1}}
    project.configure(
        datasets={"parts": brought | {"videos": "parts.csv"}, "cut": brought | {"videos": "cut"}},
        predictions={name: {"experiment": "everything", "dataset": name} for name in ("parts", "cut")},
    )


@pytest.mark.long
def test_three_intervals_of_a_file_are_captioned_as_their_files_are(project: Project) -> None:
    write_parts(project)
    galleries = [f"results/predictions/{name}/index.html" for name in ("parts", "cut")]
    printed = project.run("check_data", *galleries)
    size = (project.root / "long.mp4").stat().st_size
    assert f"parts (folder): 3 videos, {size / 1e6:,.1f} MB" in printed
    found, expected = (
        json.loads((project.root / f"results/predictions/{name}/captions.json").read_text(encoding="utf-8"))
        for name in ("parts", "cut")
    )
    assert found["missing"] == expected["missing"] == {}
    assert sorted(found["videos"]) == sorted(f"{name}.mp4" for name in PARTS)
    for name, (start, stop) in PARTS.items():
        own = {"path": "long.mp4", "start": start} | ({} if stop is None else {"stop": stop})
        assert found["videos"][f"{name}.mp4"] == expected["videos"][f"{name}.mp4"] | own
    parts, alone = (project.root / "results/datasets" / name for name in ("parts", "cut"))
    stores = [store.relative_to(parts) for store in sorted(parts.glob("**/*.zarr/zarr.json"))]
    assert {store.parts[0] for store in stores} >= KINDS
    for store in stores:
        assert (parts / store).read_bytes() == (alone / store).read_bytes(), store
    gallery = (project.root / galleries[0]).read_text(encoding="utf-8")
    assert gallery.count("<video ") == 3
    assert "long.mp4, 0.8-2.1 s" in gallery

    assert project.jobs(*galleries) == set()
    project.edit("parts.csv", "middle.mp4,long.mp4,0.8,2.1", "middle.mp4,long.mp4,0.8,1.9")
    jobs = project.jobs(*galleries)
    indexed = {job for job in jobs if job.startswith(("index_videos", "decode_frames"))}
    assert len(indexed) == 2  # one shard's
    assert all(job.split()[1] == "parts" for job in indexed)
