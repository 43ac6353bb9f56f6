import shutil

import pytest

from pipeline import code_digest

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
    "artifact.py": "def create():\n    return 1\n",
    "stages/index_things.py": "from pipeline.datasets import folder, shapes\n",
    "datasets/__init__.py": "",
    "datasets/folder.py": "x = 1\n",
    "datasets/shapes.py": "from pipeline.datasets.shapes_captions import y\n",
    "datasets/shapes_captions.py": "y = 1\n",
    "stages/read_things.py": "from pipeline import readers\n",
    "readers.py": "from pipeline.datasets import annotated, folder, msvd, vatex\n",
    "datasets/annotated.py": "from pipeline.datasets import folder\n",
    "datasets/msvd.py": "from pipeline.datasets import annotated\n",
    "datasets/vatex.py": "from pipeline.datasets.annotated import z\n",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    monkeypatch.setattr(code_digest, "PACKAGE", tmp_path)
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
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


@pytest.mark.parametrize("name", ["models/unused.py", "artifact.py", "datasets/folder.py"])
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


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("datasets/msvd.py", {"msvd"}),
        ("datasets/vatex.py", {"vatex"}),
        ("datasets/annotated.py", {"msvd", "vatex"}),
        ("datasets/folder.py", {"msvd", "vatex", "folder"}),
        ("readers.py", set()),
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
    edit(package, "readers.py", "msvd, vatex", "msrvtt, msvd, vatex")
    assert {kind: code_digest.digest("read_things", kind) for kind in before} == before
    assert code_digest.digest("read_things", "msrvtt") not in before.values()


@pytest.mark.parametrize("stage", ["index_videos", "index_captions"])
def test_the_readers_of_the_package_count_for_their_own_kind_alone(tmp_path, monkeypatch, stage):
    shutil.copytree(code_digest.PACKAGE, tmp_path / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code_digest, "PACKAGE", tmp_path / "pipeline")
    kinds = ("shapes", "folder", "msvd", "msrvtt", "vatex", "coco_captions")
    before = {kind: code_digest.digest(stage, kind) for kind in kinds}
    for edited in ("msvd", "msrvtt", "vatex", "coco_captions"):
        with (tmp_path / f"pipeline/datasets/{edited}.py").open("a") as file:
            file.write("\nNEW = 1\n")
        after = {kind: code_digest.digest(stage, kind) for kind in kinds}
        assert {kind for kind in kinds if after[kind] != before[kind]} == {edited}
        before = after
