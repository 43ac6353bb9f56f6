"""Weights in the workflow: named by URL they are a parameter of the job and no file; artifacts keep their digest."""

import hashlib
import json
import shutil
from pathlib import Path

import torch
from toys.tiny_project import Project

from pipeline.artifact import file_digest
from pipeline.models.i3d import InceptionI3d, randomise


def test_a_url_is_fetched_by_the_job_or_found_where_it_says(project: Project, tmp_path: Path) -> None:
    model = InceptionI3d()
    randomise(model, seed=5)
    torch.save(model.state_dict(), tmp_path / "i3d.pt")
    digest = hashlib.sha256((tmp_path / "i3d.pt").read_bytes()).hexdigest()
    source = {"url": "http://127.0.0.1:1/i3d.pt", "sha256": digest}  # where nobody answers
    project.configure(encoders={"i3d": {"weights": source}})
    done = project.snakemake("results/encoders/i3d/weights.safetensors")
    assert done.returncode != 0
    assert "error: import_weights: weights: http://127.0.0.1:1/i3d.pt cannot be fetched (" in done.stdout
    assert "Traceback" not in done.stdout

    # by hand, at the path that the message names, in the folder that was made for it
    path = project.root / "weights" / digest[:16] / "i3d.pt"
    assert str(path.relative_to(project.root)) in done.stdout
    shutil.copy2(tmp_path / "i3d.pt", path)
    project.run("results/encoders/i3d/weights.safetensors")
    log = (project.root / "logs/import_weights/i3d.log").read_text(encoding="utf-8")
    assert f"weights of i3d: file i3d.pt sha256 {digest}" in log
    assert "Mixed_5c" in log


def test_what_an_encoder_made_keeps_the_digest_of_its_weights(finished: Project) -> None:
    known = {file_digest(path) for path in finished.root.glob("results/encoders/*/weights.safetensors")}
    seen = set()
    for kind in ("motion", "pair_motion", "nodes", "appearance"):
        for store in finished.root.glob(f"results/datasets/*/{kind}/**/*.zarr"):
            provenance = json.loads((store / "provenance" / "zarr.json").read_text(encoding="utf-8"))["attributes"]
            assert known & {recorded["digest"] for recorded in provenance["inputs"].values()}, store
            seen.add(kind)
    assert {"motion", "nodes"} <= seen
