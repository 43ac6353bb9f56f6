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
