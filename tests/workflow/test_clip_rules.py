"""Two rules make clips, and each makes those of its own data sets."""

import json
from pathlib import Path

import yaml
from toys.experts import CLIP_ARCH, MAE_ARCH, cast_settings
from toys.labelled_clips import settings
from toys.project_sources import copy_sources
from toys.sync_mnist import PUBLISHED, RAW
from toys.tiny_project import Project

DRAWN = {"weights": "random", "seed": 1, "precision": "fp32"}
EXPERTS = {
    "clip": {**DRAWN, "kind": "clip4clip", "arch": CLIP_ARCH, "finetune": None},
    "mae": {**DRAWN, "kind": "videomae", "arch": MAE_ARCH, "pretrain": None},
}


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


def test_the_splits_of_a_benchmark_share_one_decoding(tmp_path: Path) -> None:
    copy_sources(tmp_path)
    (tmp_path / "ucf").mkdir()
    for name in ("v_Run_g01_c01", "v_Run_g02_c01"):
        (tmp_path / f"ucf/{name}.avi").write_bytes(b"video")
    first = {"kind": "ucf101", "shards": 1, "videos": "ucf", "annotations": "lists", "split": 1, "val": 0.1}
    datasets = {f"ucf_{n}": first | {"split": n, "decoded_as": None if n == 1 else "ucf_1"} for n in (1, 2, 3)}
    recognizer = json.loads(settings().model_dump_json())
    entry = {"kind": "recognition", "clipping": "raw", "recognizer": "first", "part": None, "seeds": [1]}
    config = {
        "datasets": datasets,
        "clippings": {"raw": RAW.model_dump(mode="json")},
        "recognizers": {"first": recognizer},
        "experiments": {f"on_{n}": entry | {"dataset": f"ucf_{n}"} for n in (1, 2, 3)},
        "report": {"experiments": [f"on_{n}" for n in (1, 2, 3)]},
    }
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    project = Project(tmp_path)
    jobs = project.jobs()
    of_videos = {job for job in jobs if job.split()[0] in ("index_videos", "decode_clips")}
    assert of_videos == {"index_videos ucf_1 000", "decode_clips ucf_1 raw 000"}
    assert {f"index_labels ucf_{n}" for n in (1, 2, 3)} <= jobs
    assert {f"train_recognizer on_{n}" for n in (1, 2, 3)} <= jobs
    command = project.run("--dry-run", "--printshellcmds", "results/experiments/on_3/model.safetensors")
    assert "--clips results/datasets/ucf_1/clips/raw/000.zarr/zarr.json" in " ".join(command.split())

    cast = cast_settings(first_block=2, stored_views=2).model_dump(mode="json")
    project.configure(encoders=EXPERTS, recognizers={"cast": cast}, experiments={"on_3": {"recognizer": "cast"}})
    jobs = project.jobs("results/datasets/ucf_3/fronts/raw/cast/000.zarr/zarr.json")
    of_videos = {job for job in jobs if job.split()[0] in ("index_videos", "decode_clips")}
    assert of_videos == {"index_videos ucf_1 000", "decode_clips ucf_1 raw 000"}

    project.configure(datasets={"ucf_3": {"videos": "other", "shards": 2}, "ucf_2": {"decoded_as": "ucf_3"}})
    done = project.snakemake("--dry-run")
    assert "`datasets.ucf_3.decoded_as: ucf_1`: it must have the same `videos` and `shards`" in done.stdout
    assert "`datasets.ucf_2.decoded_as: ucf_3`: it has no decoded clips of its own: name ucf_1" in done.stdout


def test_files_that_scores_alone_are_made_by_do_not_make_labels_again(tmp_path: Path) -> None:
    """Rare classes and unseen participants of EPIC-Kitchens: what is trained on the labels stays as it is."""
    copy_sources(tmp_path)
    (tmp_path / "epic").mkdir()
    (tmp_path / "epic/P01_01.MP4").write_bytes(b"video")
    table = "narration_id,video_id,start_timestamp,stop_timestamp,start_frame,stop_frame,verb_class,noun_class\n"
    for split in ("train", "test"):
        row = f"P01_01_{split},P01_01,00:00:00.00,00:00:01.00,1,60,0,0\n"
        (tmp_path / f"{split}.csv").write_text(table + row, encoding="utf-8")
    for name in ("verbs.csv", "nouns.csv", "rare.csv", "people.csv"):
        (tmp_path / name).touch()
    files = {"train": "train.csv", "val": 0.5, "test": "test.csv", "challenge": None}
    dataset = {"kind": "epic_kitchens", "shards": 1, "videos": "epic", "annotations": files, "frames": None}
    dataset |= {"classes": {"verb": "verbs.csv", "noun": "nouns.csv"}, "tail": None, "unseen": None}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump({"datasets": {"kitchen": dataset}}), encoding="utf-8")
    project = Project(tmp_path)

    def command() -> str:
        printed = project.run("--dry-run", "--printshellcmds", "results/datasets/kitchen/labels.json")
        (found,) = [part for part in printed.split("python -m pipeline ") if part.startswith("index_labels")]
        return found.split("--out")[0]

    before = command()
    files = {"verb": "rare.csv", "noun": "rare.csv"}
    project.configure(datasets={"kitchen": {"tail": files, "unseen": {"val": None, "test": "people.csv"}}})
    assert command() == before
    project.configure(datasets={"kitchen": {"annotations": {"val": 0.25}}})
    assert command() != before


def test_outputs_of_a_challenge_are_planned_where_the_data_set_has_one(tmp_path: Path) -> None:
    """Its clips have no labels: they are recognized and exported, and no other rule takes them for a split."""
    copy_sources(tmp_path)
    (tmp_path / "epic").mkdir()
    (tmp_path / "epic/P01_01.MP4").write_bytes(b"video")
    table = "narration_id,video_id,start_timestamp,stop_timestamp,start_frame,stop_frame,verb_class,noun_class\n"
    for split in ("train", "test", "open"):
        row = f"P01_01_{split},P01_01,00:00:00.00,00:00:01.00,1,60,0,0\n"
        (tmp_path / f"{split}.csv").write_text(table + row, encoding="utf-8")
    for name in ("verbs.csv", "nouns.csv"):
        (tmp_path / name).touch()
    files = {"train": "train.csv", "val": 0.5, "test": "test.csv", "challenge": "open.csv"}
    dataset = {"kind": "epic_kitchens", "shards": 1, "videos": "epic", "annotations": files, "frames": None}
    dataset |= {"classes": {"verb": "verbs.csv", "noun": "nouns.csv"}, "tail": None, "unseen": None}
    entry = {"kind": "recognition", "dataset": "kitchen", "clipping": "raw", "recognizer": "small", "part": None}
    config = {
        "datasets": {"kitchen": dataset},
        "clippings": {"raw": RAW.model_dump(mode="json")},
        "recognizers": {"small": json.loads(settings().model_dump_json())},
        "experiments": {"cook": entry | {"seeds": [1]}},
    }
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    project = Project(tmp_path)
    export = "results/experiments/cook/challenge/epic.pkl"
    assert {"score_epic cook challenge", "recognize_videos cook challenge"} <= project.jobs(export)
    done = project.snakemake("--dry-run", "results/experiments/cook/challenge/scores.json")
    assert done.returncode != 0
    assert "MissingRuleException" in done.stdout
    project.configure(datasets={"kitchen": {"annotations": {"challenge": None}}})
    done = project.snakemake("--dry-run", export)
    assert done.returncode != 0
    assert "data set kitchen has no split challenge: its settings say so" in done.stdout
