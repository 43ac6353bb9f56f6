"""What the code never does, over its syntax trees: read pickles freely, run text, load objects, unpack archives."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*(ROOT / "pipeline").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")])
SMK = [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]
FORBIDDEN = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "pickle.load", "pickle.loads", "yaml.load",
    "yaml.full_load", "yaml.unsafe_load", "torch.jit.load", "pandas.read_pickle", "joblib.load", "shelve.open",
    "marshal.loads", "marshal.load", "subprocess.getoutput", "subprocess.getstatusoutput",
    "shutil.unpack_archive", "tarfile.open", "zipfile.ZipFile", "pooch.Untar", "pooch.Unzip", "pooch.Decompress",
}  # fmt: skip
# The modules that may name them: each admits plain data and what it lists.
PICKLES = {
    ROOT / "pipeline/datasets/plain_pickle.py",
    ROOT / "pipeline/jobs/worker_messages.py",
    ROOT / "pipeline/recognition/epic_export.py",  # writes one, of arrays alone, and reads none
    ROOT / "pipeline/weights/archive.py",
}

# The command line compiles the `run` of our own stages, a file of the package, to read its signature without torch.
OWN_SOURCE = {
    ROOT / "pipeline/__main__.py": ["compile", "exec"],
    # PyTorch's archives are zip files, of which single records are read into memory, and none is unpacked.
    ROOT / "pipeline/weights/archive.py": ["zipfile.ZipFile"] * 3,
}


def calls(tree):
    """Every call with the name of what is called, as it is written."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            yield ast.unparse(node.func), node


def imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def is_true(call, name):
    """Whether a call has a keyword that is written as True."""
    return any(
        key.arg == name and isinstance(key.value, ast.Constant) and key.value.value is True for key in call.keywords
    )


def dangers(name, call):
    """What is wrong with a call."""
    if name in FORBIDDEN:
        yield name
    if name.endswith("torch.load") and not is_true(call, "weights_only"):
        yield "torch.load without weights_only=True"
    if name.split(".")[-1] == "load_from_checkpoint":
        yield "a checkpoint read with all that it pickles"
    if is_true(call, "allow_pickle") or is_true(call, "shell"):
        yield f"{name} with allow_pickle or shell"
    if name.split(".")[-1] in ("extractall", "unpack_archive", "Untar", "Unzip"):
        yield "an archive is unpacked"
    if name == "trainer.fit" and not is_true(call, "weights_only"):
        yield "a training continued from all that its checkpoint pickles"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_module_runs_no_text_and_reads_no_pickle_freely(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = sorted(danger for name, call in calls(tree) for danger in dangers(name, call))
    assert found == OWN_SOURCE.get(path, [])
    strangers = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "tarfile", "zipfile"}
    if path not in PICKLES:
        assert strangers & set(imports(tree)) == set()


def test_the_test_finds_what_it_is_for():
    bad = """
torch.load(path)
torch.load(path, weights_only=False)
numpy.load(path, allow_pickle=True)
subprocess.run("ls", shell=True)
eval("1")
yaml.load(text)
archive.extractall()
trainer.fit(task, ckpt_path=last)
"""
    for line in bad.strip().splitlines():
        assert [danger for name, call in calls(ast.parse(line)) for danger in dangers(name, call)], line
    good = "torch.load(path, weights_only=True)\nmodel.eval()\nyaml.safe_load(text)"
    assert [danger for name, call in calls(ast.parse(good)) for danger in dangers(name, call)] == []


@pytest.mark.parametrize("path", SMK, ids=lambda path: path.name)
def test_rules_run_no_text(path):
    text = path.read_text(encoding="utf-8")
    for word in ("eval(", "exec(", "pickle", "yaml.load", "os.system", "subprocess", "\n    run:", "\n    script:"):
        assert word not in text
