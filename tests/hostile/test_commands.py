"""Names that a shell would run: quoted in every rule, and tried in two of them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipeline.config import validate
from pipeline.errors import PipelineError
from pipeline.workflow.paths import ARTIFACTS

ROOT = Path(__file__).parents[2]
RULES = {
    f"{file.stem} {text.partition(':')[0]}": text
    for file in [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]
    for text in re.split(r"^rule ", file.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
}
# Without quotes: numbers that a setting or Snakemake gives, words that the configuration's shape allows.
NUMBERS = {"threads", "resources.gpu", "params.shards", "params.time_limit", "params.seed", "params.window"}
WORDS = {"params.kind", "params.artifacts"}  # the second is quoted word by word (`as_words`)
NASTY = [
    "a b; touch pwned",
    "$(touch pwned)",
    "`touch pwned`",
    "a'b",
    'a"b',
    "a\nb",
    "../a",
    "/a",
    "-rf",
    "",
    "a\\b",
    "a*",
]


def shell_of(rule):
    return rule.partition("\n    shell:")[2]


@pytest.mark.parametrize("rule", RULES)
def test_whatever_a_rule_fills_in_is_quoted_or_safe(rule):
    found = re.findall(r"(?<!\{)\{([a-z_.]+)(:q)?\}", shell_of(RULES[rule]))
    assert found or rule == "Snakefile all", "a rule without a command"
    free = {name for name, quoted in found if not quoted}
    assert {name for name in free if not name.startswith("wildcards.")} <= NUMBERS | WORDS
    assert not re.search(r"\{[a-z_.]+![a-z]", shell_of(RULES[rule]))


def test_every_wildcard_is_bound_to_names_of_the_configuration():
    snakefile = (ROOT / "Snakefile").read_text(encoding="utf-8")
    bound = set(
        re.findall(r"^    (\w+)=", snakefile.partition("wildcard_constraints:")[2].partition("\n\n\n")[0], re.M)
    )
    used = {name for text in RULES.values() for name in re.findall(r"\{wildcards\.(\w+)\}", text)}
    used |= {name for path in ARTIFACTS.values() for name in re.findall(r"\{(\w+)\}", path)}
    assert used <= bound


@pytest.mark.parametrize("name", NASTY)
@pytest.mark.parametrize(
    "section", ["datasets", "encoders", "experiments", "predictions", "knowledge", "graphs", "maps", "explanations"]
)
def test_names_that_stand_in_paths_and_commands_are_words(section, name):
    raw = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    of_none = {
        "predictions": {"experiment": "grid", "dataset": "shapes"},
        "maps": {"sampling": "action", "encoder": "i3d", "align_size": [4, 2, 2], "bits": 10},
        "explanations": {
            "experiment": "grid",
            "split": "test",
            "method": "occlusion",
            "videos": 1,
            "overlays": 1,
            "seed": 1,
        },
    }
    entry = next(iter(raw[section].values()), of_none.get(section))
    raw[section] = {**raw[section], name: entry}
    with pytest.raises(PipelineError, match=r"a name may hold letters|a key|control character") as raised:
        validate(raw)
    assert "\n" not in str(raised.value)


@pytest.mark.slow
def test_a_folder_and_a_caption_file_with_commands_in_their_names(tmp_path, make_video):
    """Real rules of a real call: what stands in the names is not run, and the videos are listed."""
    for name in ("Snakefile", "config.yaml"):
        shutil.copy2(ROOT / name, tmp_path / name)
    for name in ("rules", "pipeline", "envs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    nasty = "a b; touch pwned $(touch pwned2) `touch pwned3` 'q' \"r\" & > pwned4"
    folder = tmp_path / nasty
    folder.mkdir()
    for name in ("$(touch pwned5); 1.mp4", "| touch pwned6 '2'.mp4", "-rf.mp4"):
        make_video(folder / name, 3)
    lines = [
        "video,caption,split",
        '"$(touch pwned5); 1.mp4",$(touch pwned7) runs,train',
        '"-rf.mp4",; touch pwned8,test',
    ]
    (tmp_path / f"{nasty}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    home = {"kind": "folder", "shards": 1, "videos": nasty, "captions": f"{nasty}.csv"}
    overlay = {"datasets": {"home": home | {"splits": {"train": 0.8, "val": 0.1, "test": 0.1}}}}
    (tmp_path / "overlay.yaml").write_text(yaml.safe_dump(overlay), encoding="utf-8")
    targets = ["results/datasets/home/captions.json", "results/datasets/home/check.txt"]
    options = ["--cores", "1", "--configfile", "overlay.yaml"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *targets, *options],
        cwd=tmp_path,
        env=os.environ | {"PATH": path, "PYTHONPATH": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert not list(tmp_path.rglob("pwned?"))
    assert not list(tmp_path.rglob("pwned"))
    captions = (tmp_path / targets[0]).read_text(encoding="utf-8")
    assert "$(touch pwned7) runs" in captions
    assert "3" in (tmp_path / targets[1]).read_text(encoding="utf-8")
