"""The pages tell the truth: their links lead somewhere, and the commands, paths and snippets on them work."""

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from test_project import ROOT, STAGES
from test_rooms import FLOORS, PACKAGE
from toys.project_sources import copy_sources

from pipeline.__main__ import COMMANDS
from pipeline.artifact import create, write_json
from pipeline.config import validate
from pipeline.models.clip4clip import load_pretrained, save_clip4clip
from pipeline.schemas import FRAMES, GRAPHS
from pipeline.workflow.paths import ARTIFACTS, identify

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
OF_TODAY = [page for page in PAGES if page.name != "CHANGELOG.md"]  # that one tells of what there was, too
OWN = {"configs/mine.yaml", "configs/top2.yaml"}  # files that a page tells its reader to write
MOST_LINES = 170  # of the README: read in two minutes
MOST_BYTES = 200_000  # of a picture
# Calls that need what a reader brings (videos of MSVD, a cluster, a run that was killed), and those that a suite of its
# own makes.
NOT_TRIED = ("configs/msvd.yaml", "--workflow-profile", "verify", "--unlock", "--touch", "--lint")


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(path: Path, language: str) -> list[tuple[int, str]]:
    """Code blocks of a page that are in a language, each with the number of its first line."""
    text = path.read_text(encoding="utf-8")
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [(text[: match.start(2)].count("\n") + 1, match[2]) for match in found if match[1] == language]


def without_blocks(path: Path) -> str:
    return re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(path: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", without_blocks(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def code(path: Path) -> str:
    """What a page shows as code: blocks that are no program or settings, and code within sentences."""
    inline = re.findall(r"`([^`]+)`", without_blocks(path))
    return "\n".join([*(text for _, text in blocks(path, "")), *(" ".join(text.split()) for text in inline)])


def makefile_targets() -> set[str]:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return {*re.findall(r"^([\w-]+):", text, re.MULTILINE), ".venv/.installed"}


def fits_an_artifact(target: str) -> bool:
    """Whether a path is that of an artifact, of its store, or of a folder above it; names may stand in braces."""
    path = re.sub(r"\{split\}", "test", re.sub(r"\{shard\}", "000", target.rstrip("./")))
    path = re.sub(r"\{(\w+)\}", r"\1", path.replace("{metric}", "clip_score"))
    return bool(identify(path) or identify(f"{path}/zarr.json") or any(is_above(path, of) for of in ARTIFACTS.values()))


def is_above(folder: str, pattern: str) -> bool:
    """Whether a folder may hold artifacts of a pattern."""
    pattern = re.sub(r"\{trial\}", "{experiment}/seeds/{seed}", pattern) if "/seeds/" in folder else pattern
    parts, expected = folder.split("/"), pattern.split("/")[:-1]
    expressions = [re.sub(r"\\\{\w+\\\}", r"[\\w-]+", re.escape(part)) for part in expected]
    return len(parts) <= len(expected) and all(map(re.fullmatch, expressions, parts))


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_no_link_is_dead(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", without_blocks(path)):
        if re.match(r"https?://", target):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), f"{named(path)}: {target}"
        assert not anchor or anchor in anchors(there), f"{named(path)}: {target}"


def test_the_readme_leads_to_every_page():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    linked = {(ROOT / target).resolve() for target in re.findall(r"\]\(([\w./-]+\.md)\)", readme)}
    beyond = {ROOT / "docs/glossary.md", *(ROOT / "docs/decisions").glob("[0-9]*.md")}  # others do
    assert set(PAGES) - linked - beyond == {ROOT / "README.md"}


def test_the_index_of_decisions_is_whole():
    pages = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))
    index = (ROOT / "docs/decisions/README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| \[\d+\]\(([^)]+)\)", index, re.MULTILINE) == [page.name for page in pages]


@pytest.mark.parametrize("path", OF_TODAY, ids=named)
def test_every_command_on_a_page_exists(path):
    text = code(path)
    for name in re.findall(r"python -m pipeline ([a-z]\w*)", text):
        assert name in {*STAGES, *COMMANDS}, f"{named(path)}: python -m pipeline {name}"
    for module in set(re.findall(r"python -m ([\w.]+)", text)) - {"pip", "pipeline"}:
        assert importlib.util.find_spec(module), f"{named(path)}: python -m {module}"
    for target in re.findall(r"^make ([\w./-]+)", text, re.MULTILINE):
        assert target in makefile_targets(), f"{named(path)}: make {target}"


@pytest.mark.parametrize("path", OF_TODAY, ids=named)
def test_every_file_on_a_page_exists(path):
    text = code(path)
    files = set(re.findall(r"\b(?:configs|profiles|pipeline|rules|tests|benchmarks|envs)/[\w./-]*[\w/](?![\w<])", text))
    for file in files - OWN:
        assert (ROOT / file).exists(), f"{named(path)}: {file}"
    for target in re.findall(r"(?<![\w/])results/[\w./{}-]+", text):
        assert fits_an_artifact(target), f"{named(path)}: {target}"


def test_the_table_of_stages_is_whole():
    table = (ROOT / "docs/stages-and-artifacts.md").read_text(encoding="utf-8").split("\n## ")[1]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", table, re.MULTILINE)
    assert sorted(stage for stage, _ in rows) == STAGES
    for stage, places in rows:
        for place in re.findall(r"`([\w./{}-]+/[\w./{}-]*)`", places):
            assert fits_an_artifact(f"results/{place}"), f"{stage}: {place}"


def test_the_rooms_are_on_their_floors():
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d*) ?\| (`.*?) \|", page, re.MULTILINE)
    floors = []
    for number, rooms in rows:
        if number:
            floors.append([])
        floors[-1] += [name.removesuffix("/").removesuffix(".py") for name in re.findall(r"`([\w/.]+)`", rooms)]
    there = {path.stem for path in PACKAGE.iterdir()}
    assert floors == [[room for room in floor.split() if room in there] for floor in FLOORS]


def merged(below, above):
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return below | {key: merged(below.get(key), value) for key, value in above.items()}


@pytest.mark.parametrize("path", [page for page in PAGES if blocks(page, "yaml")], ids=named)
def test_settings_on_a_page_are_valid(path):
    """Each block laid over config.yaml and the blocks before it, as an overlay would be."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    for _, text in blocks(path, "yaml"):
        config = merged(config, yaml.safe_load(text))
        vocabulary = {"mine": {"like": "shapes", "dataset": "mine"}}  # the README's
        if "mine" in config["datasets"]:
            config = merged(config, {"vocabularies": vocabulary})
        validate(config)


def test_the_readme_is_short_and_its_pictures_are_small():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)
    assert pictures == [f"docs/pictures/{name}.png" for name in ("graph", "report", "words")]
    for picture in pictures:
        assert (ROOT / picture).stat().st_size <= MOST_BYTES


def tried_commands() -> list[str]:
    """Calls on the pages that name targets, overlays or resources, and those for help."""
    lines = [line.partition("  #")[0].strip() for page in OF_TODAY for line in code(page).splitlines()]
    called = [line for line in lines if re.match(r"(\w+=\S+ )?snakemake( |$)|python -m pipeline( \w+)? --help$", line)]
    naming = {line for line in called if re.search(r"--configfile|--resources|--help|results/|check_data", line)}
    return sorted(line for line in naming if not any(word in line for word in NOT_TRIED))


def test_there_are_commands_to_try():
    commands = tried_commands()
    assert "snakemake --cores 8 --resources gpu=2" in commands
    assert "python -m pipeline build_grid_nodes --help" in commands


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the sources, with what the README tells its reader to write and to bring."""
    root = tmp_path_factory.mktemp("project")
    copy_sources(root)
    shutil.copytree(ROOT / "configs", root / "configs")
    for overlay, word in (("top2", "top_k"), ("mine", "kind: folder")):
        [text] = (text for _, text in blocks(ROOT / "README.md", "yaml") if word in text)
        (root / f"configs/{overlay}.yaml").write_text(text)
    (root / "data/mine").mkdir(parents=True)
    for number in range(8):  # planning looks at names and sizes alone
        (root / f"data/mine/{number}.mp4").write_bytes(b"video")
    for number in range(8):
        video = root / f"data/my_folder/{('run', 'jump')[number % 2]}/{number}.mp4"
        video.parent.mkdir(parents=True, exist_ok=True)
        video.write_bytes(b"video")
    (root / "data/mine.csv").write_text("video,caption\n" + "".join(f"{number},a cat\n" for number in range(8)))
    return root


@pytest.mark.slow
@pytest.mark.parametrize("command", tried_commands())
def test_a_command_on_a_page_is_accepted(project, command):
    """Snakemake plans it, and the command line explains itself."""
    words = [
        {"python": [sys.executable], "snakemake": [sys.executable, "-m", "snakemake", "-n"]}.get(word, [word])
        for word in shlex.split(command)
    ]
    call = ["env", *(word for several in words for word in several)]
    done = subprocess.run(call, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


GRAPH_ROWS = {
    "x": np.ones((3, 128)),
    "node_frame": np.array([0, 0, 1]),
    "box": np.array([[0, 0, 0.5, 1], [0.5, 0, 1, 1], [0, 0, 1, 1]]),
    "source": np.array([0, 0, 1, 1, 2, 0, 1]),
    "target": np.array([0, 1, 0, 1, 2, 2, 2]),
    "kind": np.array([0, 0, 0, 0, 0, 1, 1]),
    "weight": np.array([1, 1, 1, 1, 1, 0.75, 0.25]),
    "motion": np.zeros((2, 1024)),
}
FRAME_ROWS = {
    "pixels": np.zeros((2 * 4 * 6, 3), np.uint8),
    "number": np.array([0, 2]),
    "time": np.array([0.0, 0.2]),
    "size": np.array([[4, 6]]),
    "num_frames": np.array([4]),
    "fps": np.array([10.0]),
}


@pytest.fixture
def small_results(tmp_path, monkeypatch):
    """Artifacts of the kinds and at the places that the pages read, in the working folder."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "config.yaml", tmp_path)
    data = tmp_path / "results/datasets/shapes"
    for shard, ids in (("000", ["test-1", "test-2"]), ("001", ["test-3"])):
        for place, schema, rows in (
            (data / f"graphs/grid/{shard}.zarr", GRAPHS, GRAPH_ROWS),
            (data / f"frames/action/{shard}.zarr", FRAMES, FRAME_ROWS),
        ):
            place.parent.mkdir(parents=True, exist_ok=True)
            with create(place, schema, ids=ids, stage=schema.stage, settings={}, inputs={}) as writer:
                for video_id in ids:
                    writer.append(video_id, **rows)
    experiment = tmp_path / "results/experiments/grid/test"
    experiment.mkdir(parents=True)
    write_json(experiment / "scores.json", {"metrics": {"CIDEr": 4.5}})
    write_json(experiment / "captions.json", {"captions": {"test-1": "a dot moves"}})
    arch = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))["encoders"]["clip"]["arch"]
    weights = tmp_path / "results/encoders/clip/weights.safetensors"
    weights.parent.mkdir(parents=True)
    save_clip4clip(load_pretrained("random", arch, 1)[0], weights, "random")


def run_blocks(page: Path) -> dict:
    """Run a page's Python, block by block; one that wants xarray or TensorStore only where that is installed."""
    names: dict = {}
    for line, text in blocks(page, "python"):
        wanted = [name for name in ("xarray", "tensorstore") if f"import {name}" in text]
        if any(importlib.util.find_spec(name) is None for name in wanted):
            continue
        exec(compile("\n" * (line - 1) + text, named(page), "exec"), names)
    return names


@pytest.mark.usefixtures("small_results")
def test_artifacts_are_read_as_the_page_says(capsys):
    names = run_blocks(ROOT / "docs/reading-artifacts.md")
    printed = capsys.readouterr().out
    assert "2 videos; 0 left out; 0 suspect" in printed
    assert "(3, 128) (2, 1024)" in printed
    assert "(2, 4, 6, 3)" in printed
    assert "4.5\na dot moves" in printed
    assert sorted(names["motion"]) == ["test-1", "test-2", "test-3"]
    assert names["root"].attrs["schema"] == "graphs"
    assert "over all targets" not in printed  # that is the weight of temporal graphs
    assert "How alike the two nodes of neighbouring frames are; 1 within a frame. 1 ('edge',)" in printed
    assert "['test-1' 'test-2']" in printed


def test_cast_has_the_counts_that_its_page_says():
    names = run_blocks(ROOT / "docs/cast.md")
    assert "45,205,038 | 217,228,590" in (ROOT / "docs/cast.md").read_text(encoding="utf-8")
    assert sum(parameter.numel() for parameter in names["model"].parameters()) == 217_228_590


@pytest.mark.slow
@pytest.mark.usefixtures("small_results")
def test_the_published_names_do_what_the_page_says(capsys):
    run_blocks(ROOT / "docs/python-api.md")
    printed = capsys.readouterr().out
    assert "['one.mp4'] {'two.mp4': 'the file is empty'} [2.5]" in printed
    assert "torch.Size([6, 128]) torch.Size([2, 14]) torch.Size([4, 1024])" in printed
    assert "torch.Size([6, 64])" in printed  # the graph encoder
    assert "torch.Size([1, 1024, 1, 1, 1])" in printed  # I3D
    assert "torch.Size([2, 128]) torch.Size([2, 128])" in printed  # images and texts
    assert "[[0.731 0.269]\n [0.    0.   ]]" in printed
    assert all(f"'{metric}'" in printed for metric in ("Bleu_4", "METEOR", "ROUGE_L", "CIDEr"))
