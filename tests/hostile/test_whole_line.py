"""Every rule in a real call of Snakemake, with commands of the shell wherever a configuration may hold any text.

The stages are stand-ins that write down their arguments and make what is not there: a shell that ran a part of a name
would leave a file `pwned`, and arguments that it split or changed would not be whole.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from toys.captioner import DECODING
from toys.experts import CLIP_ARCH, MAE_ARCH, cast_settings
from toys.maps import MODEL, TRAINING

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests/workflow/tiny.yaml"
NASTY = "a b; touch pwned $(touch pwned2) `touch pwned3` 'q' \"r\" & > pwned4 | touch pwned5 \\ * ~ !x # $HOME %s {} {"
STAND_IN = """#!/bin/sh
printf '%s\\0' "$@" >>arguments
for argument in "$@"; do
    case $argument in
    results/*) test -e "$argument" || { mkdir -p "${argument%/*}"; echo "{}" >"$argument"; } ;;
    esac
done
"""


EPIC = """\
narration_id,video_id,start_timestamp,stop_timestamp,start_frame,stop_frame
P01_01_0,P01_01,00:00:00,00:00:01,1,50
"""
ENDS = ("csv", "txt", "json", "pt", "tsv")  # of files of one's own


def texts(argument):
    """An argument; or if it is JSON, as settings are, all texts in it."""
    try:
        waiting, found = [json.loads(argument)], []
    except ValueError:
        return [argument]
    while waiting:
        value = waiting.pop()
        waiting += value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
        found += [value] if isinstance(value, str) else []
    return found


def overlay():
    """The tiny configuration with files of one's own in every place that takes one, all called by commands."""
    raw = yaml.safe_load(TINY.read_text(encoding="utf-8"))
    raw["datasets"]["home"] |= {"videos": NASTY, "captions": f"{NASTY}.csv"}
    raw["datasets"]["unseen"] |= {"videos": f"{NASTY}/list.txt"}
    clips = {"kind": "msvd", "shards": 1, "videos": NASTY, "splits": "position"}
    raw["datasets"]["clips"] = clips | {"mapping": f"{NASTY}.txt", "captions": [f"{NASTY}.json"]}
    raw["encoders"]["i3d"] |= {"weights": f"weights/{NASTY}.pt"}
    raw["encoders"]["objects"] |= {"weights": f"{NASTY}.pt", "finetune": None, "arch": NASTY}
    triplets = {"source": "openie", "openie_file": f"./{NASTY}.tsv", "spacy_model": NASTY}
    raw["knowledge"]["captions"]["triplets"] |= triplets
    add_recognition(raw)
    add_tstl(raw)
    add_external(raw)
    add_maps(raw)
    return raw


def add_external(raw):
    """Captions of another system in files of one's own, and an encoder that judges all captions."""
    own = {"kind": "external", "dataset": "home", "form": "lines", "tokenizer": "ptb", "adaptation": "zero-shot"}
    own |= {"optimises_cider": False, "captions": {"val": f"{NASTY}.json", "test": f"{NASTY}.json"}}
    own |= {"ids": {"val": f"{NASTY}.txt", "test": f"{NASTY}.txt"}}  # a path for all splits has their name for its *
    own |= dict.fromkeys(("system", "trained_on", "prompt", "source"), NASTY)
    raw["experiments"]["external"] = own
    raw["encoders"]["judge"] = {"like": "clip", "finetune": None}
    raw["report"]["experiments"] += ["external"]
    raw["report"]["clip_scores"] = {"encoder": "judge", "sampling": "action", "metric": "clip_score"}


def add_maps(raw):
    """LSTM captioners of maps, by I3D, by a recognizer and by a cast one; and an explanation of the first."""
    raw["captioners"]["lstm"] = {
        "kind": "lstm", "model": MODEL.model_dump(mode="json"), "training": TRAINING.model_dump(mode="json"),
        "decoding": DECODING.model_dump(mode="json"),
    }  # fmt: skip
    raw["encoders"]["seen"] = {"kind": "recognizer", "experiment": "whole"}
    one = {"sampling": "action", "align_size": [4, 2, 2], "bits": 10}
    experiment = {"kind": "map_captioning", "dataset": "home", "captioner": "lstm", "vocabulary": "home", "seeds": [1]}
    raw["maps"] = {f"of_{encoder}": one | {"encoder": encoder} for encoder in ("i3d", "seen", "vectors")}
    own = {f"said_{name}": experiment | {"maps": name} for name in raw["maps"]}
    raw["experiments"] |= own
    raw["report"]["experiments"] += own
    why = {"experiment": "said_of_i3d", "split": "test", "method": "grad_cam", "videos": 1, "overlays": 1, "seed": 1}
    raw["explanations"] = {"why": why}
    raw["predictions"]["of_maps"] = {"experiment": "said_of_i3d", "dataset": "unseen"}
    raw["report"]["explanations"] = ["why"]


def add_tstl(raw):
    """A selector and an expert of groups of one's own, over the experts of the other recognizer."""
    raw["recognizers"]["part"] = cast_settings(spatial="expert").model_dump(mode="json")
    raw["groups"] = {"own": {"kind": "file", "file": f"{NASTY}.json"}}
    one = {"kind": "recognition", "dataset": "home", "clipping": "every_frame", "recognizer": "part", "seeds": [1]}
    own = {"selector": one | {"part": {"groups": "own", "group": None}}}
    own |= {"expert": one | {"part": {"groups": "own", "group": 0}}}
    tstl = {"kind": "routing", "dataset": "home", "clipping": "every_frame", "seeds": [1]}
    raw["experiments"] |= own | {"tstl": tstl | {"selector": "selector", "experts": ["expert"]}}
    raw["report"]["experiments"] += ["tstl"]


def add_recognition(raw):
    """Recognizers of one's own files, of generated digits, and of stored features."""
    raw["datasets"]["home"] |= {"labels": f"{NASTY}.csv"}
    raw["datasets"]["kitchen"] = {
        "kind": "epic_kitchens", "shards": 1, "videos": "kitchen", "frames": None,
        "annotations": {"train": f"{NASTY}.csv", "val": f"{NASTY}.csv", "test": f"{NASTY}.csv",
                        "challenge": f"{NASTY}.csv"},
        "classes": {"verb": f"{NASTY}.csv", "noun": f"{NASTY}.csv"},
        "tail": {"verb": f"{NASTY}.csv", "noun": f"{NASTY}.csv"},
        "unseen": {"val": None, "test": f"{NASTY}.csv"},
    }  # fmt: skip
    masked = {
        "dataset": "home",
        "clipping": "every_frame",
        "decoder": {"width": 8, "heads": 1, "layers": 1},
        "masked": 0.7,
        "targets": "pixels",
        "stride": 1,
        "epochs": 1,
        "batch_size": 2,
        "accumulate": 1,
        "lr": 0.001,
        "betas": [0.9, 0.95],
        "weight_decay": 0.0,
        "warmup": 0.0,
        "crop": "whole",
        "flip": False,
        "seed": 1,
    }
    raw["encoders"]["masked"] = {
        "kind": "videomae", "weights": f"{NASTY}.pt", "seed": 1, "precision": "fp32", "pretrain": masked,
        "arch": {
            "image_size": 24, "patch_size": 8, "frames": 4, "tubelet": 2, "width": 8, "heads": 1, "layers": 1,
            "positions": "order",
        },
    }  # fmt: skip
    real = {"images": f"{NASTY}.pt", "labels": f"{NASTY}.txt"}
    raw["datasets"]["digits"] = {
        "kind": "sync_mnist", "shards": 1, "seed": 1, "clips": {"train": 2, "val": 1, "test": 1}, "digits": 3,
        "classes": 3, "synchronous": "pair", "repeated_classes": False, "none_share": 0.25, "inclusive_upper": True,
        "canvas": 100, "size": 64, "frames": 2, "max_step": 10, "glyphs": {"train": real, "test": real},
    }  # fmt: skip
    rstg = {
        "kind": "rstg", "at": "layer1.1", "inside": False, "node_dim": 8, "rounds": 1, "stages": "all",
        "attention": "dot", "heads": 1, "scalewise": True, "positions": False, "layer_norm": True, "batch_norm": False,
        "residual": True,
    }  # fmt: skip
    training = {"epochs": 1, "batch_size": 2, "lr": 0.1, "weight_decay": 0.0, "per_class": None, "patience": None}
    raw["recognizers"] = {
        "whole": {"like": "small_tsm", "backbone": {"weights": f"weights/{NASTY}.pt"}, "modules": [rstg]},
        "head": {
            "kind": "probe", "features": "whole", "head": "linear", "heads": 1, "dropout": 0.0, "training": training
        },
    }  # fmt: skip
    raw["encoders"] |= {
        "expert": {
            "kind": "clip4clip", "weights": f"weights/{NASTY}.pt", "seed": 1, "arch": CLIP_ARCH, "finetune": None,
            "precision": "fp32",
        },
        "mae": {
            "kind": "videomae", "weights": f"weights/{NASTY}.pt", "seed": 1, "arch": MAE_ARCH, "pretrain": None,
            "precision": "fp32",
        },
    }  # fmt: skip
    cast = cast_settings(spatial="expert", first_block=2, stored_views=2)
    raw["recognizers"]["cast"] = cast.model_dump(mode="json")
    whole = {"kind": "recognition", "dataset": "home", "clipping": "every_frame", "recognizer": "whole", "part": None}
    whole |= {"seeds": [1]}
    own = {"whole": whole, "head": whole | {"recognizer": "head"}, "drawn": whole | {"dataset": "digits"}}
    own["cast"] = whole | {"recognizer": "cast"}
    own["cooked"] = whole | {"dataset": "kitchen"}
    raw["encoders"]["vectors"] = {"kind": "cast", "experiment": "cast"}
    raw["graphs"]["acted"] = {"like": "grid", "motion": "vectors"}
    own["acted"] = {"like": "grid", "graph": "acted"}
    raw["experiments"] |= own
    raw["report"]["experiments"] += own


def write_files(folder):
    for name in ("rules", "pipeline", "envs", "profiles"):
        (folder / name).symlink_to(ROOT / name)
    for name in ("Snakefile", "config.yaml"):
        shutil.copy2(ROOT / name, folder / name)
    (folder / NASTY).mkdir()
    (folder / NASTY / f"{NASTY}.mp4").write_bytes(b"video")
    (folder / NASTY / "list.txt").write_text(f"{NASTY}.mp4\n", encoding="utf-8")
    (folder / "weights").mkdir()
    for name in (f"weights/{NASTY}.pt", *(f"{NASTY}.{end}" for end in ENDS)):
        (folder / name).write_text("", encoding="utf-8")
    (folder / f"{NASTY}.csv").write_text(EPIC, encoding="utf-8")
    (folder / "kitchen").mkdir()
    (folder / "kitchen/P01_01.mp4").write_bytes(b"video")
    (folder / "overlay.yaml").write_text(yaml.safe_dump(overlay()), encoding="utf-8")
    (folder / "bin").mkdir()
    for name in ("python", "torchrun"):
        (folder / "bin" / name).write_text(STAND_IN, encoding="utf-8")
        (folder / "bin" / name).chmod(0o755)


def snakemake(folder, *targets):
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    own = {"PATH": path, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(folder), "CUDA_VISIBLE_DEVICES": ""}
    options = ["--cores", "8", "--resources", "gpu=8", "--configfile", "overlay.yaml", "--quiet"]
    return subprocess.run(
        [sys.executable, "-m", "snakemake", *targets, *options],
        cwd=folder,
        env=os.environ | own,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_no_rule_runs_a_part_of_a_name(tmp_path):
    write_files(tmp_path)
    done = snakemake(tmp_path, "all", "check_data", "results/encoders/masked/weights.safetensors")
    assert done.returncode == 0, done.stdout[-3000:]
    assert not [path for path in tmp_path.rglob("pwned*") if path.name != NASTY]
    arguments = (tmp_path / "arguments").read_text(encoding="utf-8").split("\0")
    stages = {path.stem for path in (ROOT / "pipeline/stages").glob("[a-z]*.py")}
    # The detector has weights, the report asks for no AKG scores, and what is explained are words of an LSTM.
    not_here = {"explain_graphs", "finetune_detector", "score_akg"}
    assert stages - set(arguments) == not_here
    whole = {NASTY, f"{NASTY}/list.txt", f"weights/{NASTY}.pt", *(f"{NASTY}.{end}" for end in ENDS)}
    told = {text.removeprefix("./") for argument in arguments for text in texts(argument)}
    assert {text for text in told if "pwned" in text} == whole
