"""The command `caption` on the finished tiny run: it finds what the workflow finds, without its configuration."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from toys.tiny_project import BAD, Project
from toys.videos import write_block_video

NAME = "my caf\u00e9 -- 1.mp4"


def caption(
    finished: Project, folder: Path, experiment: str, *videos: str | Path
) -> tuple[subprocess.CompletedProcess[str], dict]:
    """Call the command in `folder`, with the package of the tiny run, and read what it wrote."""
    temporary = folder / "temporary"
    temporary.mkdir()
    flags = ["--experiment", finished.root / "results/experiments" / experiment, "--out", "new/captions.json"]
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "caption", *videos, *flags],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(finished.root), "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert list(temporary.glob("clipgraph*")) == []  # torch leaves a folder of its own
    return done, json.loads((folder / "new/captions.json").read_text(encoding="utf-8"))


def test_files_and_a_folder(finished: Project, tmp_path: Path) -> None:
    write_block_video(tmp_path / NAME, seed=40)
    write_block_video(tmp_path / "in" / NAME, seed=41)
    write_block_video(tmp_path / "in" / "other.mp4", seed=42, num_frames=1)
    bad = finished.root / "videos" / BAD["truncated"]
    (tmp_path / "in" / "bad.mp4").write_bytes(bad.read_bytes())
    done, found = caption(finished, tmp_path, "grid", NAME, "in")
    names = [NAME, f"in/{NAME}", "in/other.mp4"]
    assert done.stdout.splitlines() == [f"{name}: {found['videos'][name]['caption']}" for name in names]
    assert sorted(found["videos"]) == sorted(names)
    assert found["missing"].keys() == {"in/bad.mp4"}
    assert done.stderr.count("left out: in/bad.mp4") == 1
    assert "caption_videos: 3 of 3" in done.stderr
    assert "3 of 4 videos captioned" in done.stderr
    assert "Warning" not in done.stderr
    gallery = (tmp_path / "new/captions.html").read_text(encoding="utf-8")
    assert gallery.count("<video ") == 3
    assert all(video["caption"] in gallery for video in found["videos"].values())
    assert str(tmp_path) not in gallery + json.dumps(found)


def test_a_prediction_of_the_workflow_is_the_same(finished: Project, tmp_path: Path) -> None:
    """Through objects, knowledge and motion of pairs; captions equal, scores but for the sums of other batches."""
    folder = finished.root / "results/predictions/unseen"
    expected = json.loads((folder / "captions.json").read_text(encoding="utf-8"))
    assert expected["experiment"] == "everything"
    _, found = caption(finished, tmp_path, "everything", finished.root / "unseen")
    assert found["missing"] == expected["missing"]
    assert {name: video["caption"] for name, video in found["videos"].items()} == {
        name: video["caption"] for name, video in expected["videos"].items()
    }
    for name, video in expected["videos"].items():
        assert video["path"] == name
        assert found["videos"][name]["score"] == pytest.approx(video["score"], abs=1e-3)
    gallery = (folder / "index.html").read_text(encoding="utf-8")
    assert gallery.count("<video ") == len(expected["videos"])
