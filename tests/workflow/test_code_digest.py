import ast
import re
import shutil
from pathlib import Path

import pytest

from pipeline.workflow import code_digest

STAGE = """
from pipeline.models.thing import f
from pipeline.artifact import create

def run():
    return f(1)
"""
THING = '''"""Doc."""
from pipeline.models import other

def f(x):
    """Doc."""
    return other.g(x)
'''
FILES = {
    "stages/build_things.py": STAGE,
    "models/__init__.py": "",
    "models/thing.py": THING,
    "models/other.py": "def g(x):\n    return x + 1\n",
    "models/unused.py": "x = 1\n",
    "artifact/__init__.py": "def create():\n    return 1\n",
    "stages/index_things.py": "from pipeline.datasets.readers import read\n",
    "datasets/__init__.py": "",
    "datasets/folder.py": "x = 1\n",
    "datasets/shapes.py": "from pipeline.datasets.shapes_captions import y\n",
    "datasets/shapes_captions.py": "y = 1\n",
    "stages/read_things.py": "from pipeline.datasets import readers\n",
    "stages/label_things.py": "from pipeline.datasets import label_readers\n",
    "datasets/label_readers.py": "from pipeline.datasets import folder, folder_labels, shapes\n",
    "datasets/folder_labels.py": "a = 1\n",
    "datasets/readers.py": "from pipeline.datasets import annotated, folder, msvd, shapes, vatex\n",
    "datasets/annotated.py": "from pipeline.datasets import folder\n",
    "datasets/msvd.py": "from pipeline.datasets import annotated\n",
    "datasets/vatex.py": "from pipeline.datasets.annotated import z\n",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    monkeypatch.setattr(code_digest, "PACKAGE", tmp_path)
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
    return tmp_path


def edit(package, name, old, new):
    text = (package / name).read_text()
    assert old in text
    (package / name).write_text(text.replace(old, new))


def test_comments_docstrings_and_formatting_do_not_count(package):
    before = code_digest.digest("build_things")
    edit(package, "models/thing.py", '"""Doc."""', '"""Another."""')
    edit(package, "models/thing.py", "other.g(x)", "other.g( x )  # why")
    edit(package, "stages/build_things.py", "\ndef run", "\n\n# a comment\ndef run")
    assert code_digest.digest("build_things") == before


@pytest.mark.parametrize("name", ["stages/build_things.py", "models/thing.py", "models/other.py"])
def test_code_counts_however_far_it_is_imported(package, name):
    before = code_digest.digest("build_things")
    with (package / name).open("a") as file:
        file.write("z = 1\n")
    assert code_digest.digest("build_things") != before


@pytest.mark.parametrize("name", ["models/unused.py", "artifact/__init__.py", "datasets/folder.py"])
def test_code_that_computes_no_value_of_the_stage_does_not_count(package, name):
    before = code_digest.digest("build_things")
    with (package / name).open("a") as file:
        file.write("z = 1\n")
    assert code_digest.digest("build_things") == before


def test_readers_of_other_kinds_of_data_sets_do_not_count(package):
    before = {kind: code_digest.digest("index_things", kind) for kind in ("folder", "shapes")}
    edit(package, "datasets/folder.py", "x = 1", "x = 2")
    assert code_digest.digest("index_things", "shapes") == before["shapes"]
    assert code_digest.digest("index_things", "folder") != before["folder"]
    edit(package, "datasets/shapes_captions.py", "y = 1", "y = 2")
    assert code_digest.digest("index_things", "shapes") != before["shapes"]


def test_a_module_of_labels_belongs_to_its_kind(package):
    before = {kind: code_digest.digest("label_things", kind) for kind in ("folder", "shapes")}
    captions = code_digest.digest("index_things", "folder")
    edit(package, "datasets/folder_labels.py", "a = 1", "a = 2")
    assert code_digest.digest("label_things", "shapes") == before["shapes"]
    assert code_digest.digest("label_things", "folder") != before["folder"]
    assert code_digest.digest("index_things", "folder") == captions


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("datasets/msvd.py", {"msvd"}),
        ("datasets/vatex.py", {"vatex"}),
        ("datasets/annotated.py", {"msvd", "vatex"}),
        ("datasets/folder.py", {"msvd", "vatex", "folder"}),
        ("datasets/readers.py", set()),
    ],
)
def test_a_reader_counts_with_what_it_imports_for_its_own_kind_alone(package, name, changed):
    kinds = ("shapes", "folder", "msvd", "vatex")
    before = {kind: code_digest.digest("read_things", kind) for kind in kinds}
    with (package / name).open("a") as file:
        file.write("new = 1\n")
    assert {kind for kind in kinds if code_digest.digest("read_things", kind) != before[kind]} == changed


def test_a_new_kind_of_data_set_changes_no_digest(package):
    before = {kind: code_digest.digest("read_things", kind) for kind in ("shapes", "folder", "msvd")}
    (package / "datasets/msrvtt.py").write_text("from pipeline.datasets import annotated\n")
    edit(package, "datasets/readers.py", "msvd, shapes, vatex", "msrvtt, msvd, shapes, vatex")
    assert {kind: code_digest.digest("read_things", kind) for kind in before} == before
    assert code_digest.digest("read_things", "msrvtt") not in before.values()


@pytest.mark.parametrize("stage", ["index_videos", "index_captions"])
def test_the_readers_of_the_package_count_for_their_own_kind_alone(copy, stage):
    kinds = ("shapes", "folder", "msvd", "msrvtt", "vatex", "coco_captions")
    before = {kind: code_digest.digest(stage, kind) for kind in kinds}
    for edited in ("msvd", "msrvtt", "vatex", "coco_captions"):
        with (copy / f"datasets/{edited}.py").open("a") as file:
            file.write("\nNEW = 1\n")
        after = {kind: code_digest.digest(stage, kind) for kind in kinds}
        assert {kind for kind in kinds if after[kind] != before[kind]} == {edited}
        before = after


def test_the_order_of_imports_and_of_names_in_them_does_not_count(package):
    (package / "models/thing.py").write_text("import os\nfrom pipeline.models import other\n\ny = other.g(os.sep)\n")
    before = code_digest.digest("build_things")
    (package / "models/thing.py").write_text("from pipeline.models import other\nimport os\n\ny = other.g(os.sep)\n")
    assert code_digest.digest("build_things") == before


def test_the_name_that_is_imported_counts_and_so_does_its_name_here(package):
    (package / "models/thing.py").write_text("from pipeline.models.other import g\n\nf = g\n")
    digests = {code_digest.digest("build_things")}
    for line in (
        "from pipeline.models.other import h\n\nf = g\n",
        "from pipeline.models.other import g as h\n\nf = g\n",
    ):
        (package / "models/thing.py").write_text(line)
        digests.add(code_digest.digest("build_things"))
    assert len(digests) == 3


def test_a_module_may_move_without_a_change_of_any_digest(package):
    before = code_digest.digest("build_things")
    (package / "knowledge").mkdir()
    (package / "models/other.py").rename(package / "knowledge/other.py")
    edit(package, "models/thing.py", "from pipeline.models import other", "from pipeline.knowledge import other")
    assert code_digest.digest("build_things") == before


def test_modules_that_import_each_other_in_a_circle_have_no_digest(package):
    (package / "models/other.py").write_text("from pipeline.models.thing import f\n")
    with pytest.raises(RuntimeError, match=r"thing -> pipeline.models.other -> pipeline.models.thing"):
        code_digest.digest("build_things")


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of the package itself, to be changed."""
    shutil.copytree(code_digest.PACKAGE, tmp_path / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code_digest, "PACKAGE", tmp_path / "pipeline")
    return tmp_path / "pipeline"


def digests_of(package: Path) -> dict[str, str]:
    return {path.stem: code_digest.digest(path.stem) for path in package.glob("stages/[a-z]*.py")}


def move(package: Path, old: str, new: str) -> None:
    """Move a module and let all imports follow, also of its neighbours in `from package import a, b`."""
    (package / f"{new.replace('.', '/')}.py").parent.mkdir(exist_ok=True)
    (package / f"{old.replace('.', '/')}.py").rename(package / f"{new.replace('.', '/')}.py")
    old_room, old_name = f"pipeline.{old}".rsplit(".", 1)
    new_room, new_name = f"pipeline.{new}".rsplit(".", 1)
    for path in package.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.ImportFrom) or node.module is None:
                continue
            line = ast.get_source_segment(text, node)
            names = [alias for alias in node.names if alias.name == old_name]
            if node.module == old_room and names:
                rest = [ast.unparse(alias) for alias in node.names if alias.name != old_name]
                local = names[0].asname or old_name
                lines = [f"from {new_room} import {new_name} as {local}"]
                lines += [f"from {old_room} import {', '.join(rest)}"] if rest else []
                path.write_text(text.replace(line, "; ".join(lines)), encoding="utf-8")
            elif node.module == f"pipeline.{old}":
                path.write_text(re.sub(rf"from pipeline\.{re.escape(old)}\b", f"from pipeline.{new}", text))
            text = path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("models.attention", "layers.attention"),
        ("weights.loading", "models.strict_loading"),
        ("video.frame_sampling", "seeing.sampling_of_frames"),
        ("jobs.progress", "jobs.progress_lines"),
        ("datasets.sharding", "rooms.shard_of_a_video"),
    ],
)
def test_moving_a_module_of_the_package_changes_no_digest(copy, old, new):
    before = digests_of(copy)
    move(copy, old, new)
    assert not (copy / f"{old.replace('.', '/')}.py").exists()
    assert digests_of(copy) == before


def test_each_module_is_parsed_once_for_all_stages_and_kinds(copy, monkeypatch):
    parsed, parse = [], ast.parse
    monkeypatch.setattr(code_digest.ast, "parse", lambda source: parsed.append(source) or parse(source))
    code_digest._imports_and_rest.cache_clear()
    for kind in (None, "shapes", "folder"):
        for path in copy.glob("stages/[a-z]*.py"):
            code_digest.digest(path.stem, kind)
    texts = [text for text in parsed if text]  # two packages may both have an empty __init__.py
    assert (copy / "models/attention.py").read_text(encoding="utf-8") in texts
    assert len(texts) == len(set(texts))


def test_a_changed_constant_changes_exactly_the_stages_that_use_it(copy):
    before = digests_of(copy)
    edit(copy, "models/attention.py", "NORM_EPS = 1e-12", "NORM_EPS = 1e-6")
    after = digests_of(copy)
    assert {stage for stage in after if after[stage] != before[stage]} == {
        "caption_videos",
        "explain_maps",
        "generate_captions",
        "train_captioner",
        "train_lstm",
    }


def test_how_a_step_is_done_counts_for_every_training(copy):
    before = digests_of(copy)
    edit(copy, "training/loop.py", "optimizer.zero_grad()", "pass")
    after = digests_of(copy)
    assert {stage for stage in after if after[stage] != before[stage]} == {
        "finetune_clip4clip",
        "finetune_detector",
        "pretrain_videomae",
        "train_lstm",
        "train_captioner",
        "train_recognizer",
    }


def test_a_new_artifact_schema_or_setting_changes_no_digest(copy):
    before = digests_of(copy)
    for name in ("schemas.py", "errors.py", "artifact/writing.py", "config/graphs.py"):
        with (copy / name).open("a") as file:
            file.write("\nNEW = 1\n")
    assert digests_of(copy) == before
