"""What data sets hold is told before any video is decoded, and a published one is read again only where it changed."""

import json

from toys.tiny_project import Project
from toys.videos import write_block_video


def add_msvd(project: Project) -> None:
    """MSVD with three clips in the mapping, of which the third has no file."""
    for number in (1, 2):
        write_block_video(project.root / "clips" / f"-a b_{number}_9.avi", seed=number)
    lines = "".join(f"-a b_{number}_9 vid{number}\n" for number in (1, 2, 3))
    (project.root / "mapping.txt").write_text(lines, encoding="utf-8")
    for split, number in (("train", 1), ("val", 2), ("test", 3)):
        (project.root / f"{split}.txt").write_text(f"vid{number}", encoding="utf-8")
    rows = "".join(f"-a b,{number},9,English,{text}\n" for number in (1, 2, 3) for text in ("a dog", "a cat runs"))
    (project.root / "corpus.csv").write_text(f"VideoID,Start,End,Language,Description\n{rows}", encoding="utf-8")
    msvd = {
        "kind": "msvd",
        "shards": 1,
        "videos": "clips",
        "mapping": "mapping.txt",
        "captions": "corpus.csv",
        "splits": {split: f"{split}.txt" for split in ("train", "val", "test")},
    }
    (project.root / "clips" / "readme.txt").write_text("no video", encoding="utf-8")
    project.configure(datasets={"msvd": msvd})


def add_acts(project: Project) -> None:
    """A folder of two classes, with captions, too."""
    for name in ("jump/1", "jump/2", "run/3", "run/4"):
        write_block_video(project.root / "acts" / f"{name}.avi", seed=int(name[-1]))
    (project.root / "acts.csv").write_text("video,caption,split\n1,a dog jumps,train\n3,a dog runs,val\n")
    (project.root / "labels.csv").write_text("video,label\n1,up\n3,on\n")
    acts = {"kind": "folder", "shards": 1, "videos": "acts", "captions": "acts.csv", "labels": "folders"}
    project.configure(datasets={"acts": acts | {"splits": {"train": 0.5, "val": 0.5, "test": 0.0}}})


def test_what_is_there_and_what_is_read_again(project: Project) -> None:
    add_msvd(project)
    add_acts(project)
    jobs = project.jobs("check_data")
    assert {"index_videos msvd 000", "index_captions msvd", "check_dataset msvd", "check_dataset home"} <= jobs
    stages = {"index_videos", "index_captions", "index_labels", "check_dataset", "check_data"}
    assert {job.split()[0] for job in jobs} == stages
    assert {job for job in jobs if job.startswith("index_labels")} == {"index_labels acts"}
    frames = "results/datasets/msvd/frames/action/000.zarr/zarr.json"
    printed = project.run("check_data", frames)
    assert "msvd (msvd): 2 videos" in printed
    assert "captions, but no file: 1 video: vid3" in printed
    assert "passed over: 1 file is not called as videos are (1 .txt)" in printed
    assert "home (folder): 14 videos" in printed
    assert "shapes (shapes): 34 videos, made when they are needed" in printed
    check = json.loads((project.root / "results/datasets/msvd/check.json").read_text())
    acts = json.loads((project.root / "results/datasets/acts/check.json").read_text())
    assert (acts["captions"], acts["labels"]["labelled"], list(acts["labels"]["classes"]["class"])) == (
        2,
        4,
        ["jump", "run"],
    )
    assert (check["missing"], check["captions"], check["splits"]["test"]["annotated"]) == (["vid3"], 4, 1)
    assert project.jobs("check_data", frames) == {"check_data"}  # printed again, though nothing is left to do

    (project.root / "clips" / "late.part").write_bytes(b"half of a video")
    assert project.jobs("check_data", frames) == {"check_data", "check_dataset msvd"}
    (project.root / "clips" / "late.part").unlink()

    project.edit("corpus.csv", "-a b,1,9,English,a dog", "-a b,1,9,English,a dog sits")
    checked = "results/datasets/msvd/check.json"
    project.configure(datasets={"acts": {"labels": "labels.csv"}})
    relabelled = {"index_labels acts", "check_dataset acts"}
    again = {"index_captions msvd", "check_dataset msvd"} | relabelled
    assert project.jobs(frames, checked, "results/datasets/acts/check.json") == again
    project.edit("mapping.txt", "-a b_2_9 vid2", "-a b_2_9 vid4")
    assert {"index_videos msvd 000", "decode_frames msvd action 000"} <= project.jobs(frames, checked)


def test_mistakes_in_paths_and_ids_are_said_in_a_line(project: Project) -> None:
    add_msvd(project)
    project.edit("mapping.txt", "-a b_3_9 vid3", "../b_3_9 vid3")
    done = project.snakemake("--dry-run", "results/datasets/msvd/check.json")
    assert done.returncode != 0
    assert "datasets.msvd: mapping.txt:3: the id '../b_3_9' would leave the data folder" in done.stdout
    project.configure(datasets={"msvd": {"mapping": None, "captions": "nowhere.csv", "splits": "position"}})
    done = project.snakemake("--dry-run", "results/datasets/msvd/check.json")
    assert done.returncode != 0
    assert "nowhere.csv" in done.stdout
