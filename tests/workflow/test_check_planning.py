"""Somebody who asks what a data set holds waits for nothing else, and is told there what is wrong with it."""

import json
from pathlib import Path

import pytest
import yaml
from toys.project_sources import copy_sources
from toys.tiny_project import Project


@pytest.fixture
def fresh(tmp_path: Path) -> Project:
    """A copy of the project in which nothing was made, with MSVD of three clips, two of which are there."""
    copy_sources(tmp_path)
    (tmp_path / "clips").mkdir()
    for number in (1, 2):
        (tmp_path / "clips" / f"vid{number}.avi").write_bytes(b"x")
    (tmp_path / "captions.json").write_text(json.dumps({f"vid{number}": ["a dog"] for number in (1, 2, 1201)}))
    msvd = {
        "kind": "msvd",
        "shards": 1,
        "videos": "clips",
        "mapping": None,
        "captions": "captions.json",
        "splits": "position",
    }
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump({"datasets": {"msvd": msvd}}))
    return Project(tmp_path)


def test_no_video_is_generated_for_who_asks_what_is_there(fresh: Project) -> None:
    printed = fresh.run("check_data", "--quiet", "all")
    assert "msvd (msvd): 2 videos" in printed
    assert "captions, but no file: 1 video: vid1201" in printed
    assert "shapes (shapes): 2,880 videos, made when they are needed (train 2,400, val 120, test 360; " in printed
    assert not (fresh.root / "results/datasets/shapes").exists()


def test_a_mistake_is_told_where_it_was_asked(fresh: Project) -> None:
    (fresh.root / "captions.json").write_text('{"vid1": "a dog"}')
    done = fresh.snakemake("check_data", "--quiet", "all")
    assert done.returncode != 0
    assert "index_captions: captions.json: vid1: expected a list of captions" in done.stdout
