"""The rooms of the package: each imports from rooms below, none in a circle."""

import ast
import shutil
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "pipeline"
# From the top down; rooms of one line do not import each other.
FLOORS = (
    "__main__",
    "commands",
    "stages",
    "captioning recognition finetuning",
    "report",
    "models knowledge datasets training upkeep",
    "artifact weights",
    "workflow",
    "config video",
    "jobs scoring",
    "schemas vocabulary",
    "errors",
)
MOST_FILES = 8  # in pipeline/ itself
MOST_LINES = 400


def modules(package: Path) -> dict[str, Path]:
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(name: str, path: Path, known: dict[str, Path]) -> set[str]:
    """The modules of the package that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {full if full in known else str(node.module) for full in names}
    return {module for module in found if module in known and module not in (name, "pipeline")}


def room(name: str) -> str:
    return name.split(".")[1]


def upwards(package: Path) -> list[str]:
    """Imports from a room above, or beside on the same floor, with the two files."""
    floor_of = {name: number for number, floor in enumerate(FLOORS) for name in floor.split()}
    known = modules(package)
    return [
        f"{known[name].relative_to(package)} imports {known[imported].relative_to(package)}"
        for name, path in known.items()
        if name != "pipeline"
        for imported in sorted(imports_of(name, path, known))
        if room(imported) != room(name) and floor_of[room(imported)] <= floor_of[room(name)]
    ]


def circles(package: Path) -> list[str]:
    """Each circle of imports, as the files along it."""
    known = modules(package)
    arrows = {name: imports_of(name, path, known) for name, path in known.items()}
    found, done = [], set()

    def visit(name: str, way: list[str]) -> None:
        if name in way:
            circle = [*way[way.index(name) :], name]
            found.append(" -> ".join(known[module].relative_to(package).as_posix() for module in circle))
        elif name not in done:
            for imported in sorted(arrows[name]):
                visit(imported, [*way, name])
            done.add(name)

    for name in arrows:
        visit(name, [])
    return found


def test_every_room_has_its_floor():
    named = set(" ".join(FLOORS).split())
    assert {room(name) for name in modules(PACKAGE) if name != "pipeline"} <= named


def test_no_room_imports_from_above():
    assert upwards(PACKAGE) == []


def test_no_modules_import_each_other_in_a_circle():
    assert circles(PACKAGE) == []


def sideways(package: Path) -> list[str]:
    """Imports of a stage by another stage, with the two files."""
    known = modules(package)
    stages = [name for name in known if name.startswith("pipeline.stages.")]
    return [
        f"{known[name].relative_to(package)} imports {known[imported].relative_to(package)}"
        for name in stages
        for imported in sorted(imports_of(name, known[name], known) & set(stages))
    ]


def test_no_stage_imports_another():
    assert sideways(PACKAGE) == []


def test_few_files_lie_in_the_package_itself_and_none_is_long():
    assert len(list(PACKAGE.glob("*.py"))) <= MOST_FILES
    lengths = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in PACKAGE.rglob("*.py")}
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}


@pytest.fixture
def copy(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "pipeline"


def test_an_import_from_above_is_found_with_both_files(copy):
    with (copy / "models/attention.py").open("a") as file:
        file.write("\ndef f():\n    from pipeline.captioning import captioner\n")
    assert upwards(copy) == ["models/attention.py imports captioning/captioner.py"]
    assert any(circle.endswith("models/attention.py -> captioning/captioner.py") for circle in circles(copy))


def test_a_circle_within_a_room_is_found(copy):
    with (copy / "errors.py").open("a") as file:
        file.write("\nfrom pipeline import schemas\n")
    with (copy / "schemas.py").open("a") as file:
        file.write("\nfrom pipeline.errors import PipelineError\n")
    assert circles(copy) == ["errors.py -> schemas.py -> errors.py"]
    assert upwards(copy) == ["errors.py imports schemas.py"]


def test_an_import_of_another_stage_is_found(copy):
    with (copy / "stages/extract_union_motion.py").open("a") as file:
        file.write("\nfrom pipeline.stages.extract_i3d import Plan\n")
    assert sideways(copy) == ["stages/extract_union_motion.py imports stages/extract_i3d.py"]
