"""The console command: the same as `python -m pipeline`, and a line where another package of that name comes first."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def clipgraph(folder: Path, *paths: Path, arguments: tuple[str, ...] = ("verify", "--help")) -> tuple[int, str, str]:
    """Call what the installed script calls, from a folder, with folders of modules before all others."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        module, _, function = tomllib.load(file)["project"]["scripts"]["clipgraph"].partition(":")
    program = f"import sys; sys.argv[0] = 'clipgraph'; from {module} import {function}; sys.exit({function}())"
    env = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths)), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


def test_it_does_what_the_package_does(tmp_path: Path) -> None:
    (tmp_path / "pipeline.py").write_text("raise SystemExit('the user\\'s file ran')")
    code, said, _ = clipgraph(tmp_path, ROOT)
    same = subprocess.run(
        [sys.executable, "-m", "pipeline", "verify", "--help"], capture_output=True, text=True, cwd=ROOT
    )
    assert (code, said) == (0, same.stdout)
    code, _, error = clipgraph(tmp_path, ROOT, arguments=("build_vocabulary", "--settings", "{}"))
    assert code == 2
    assert error.startswith("error: build_vocabulary: ")


def test_another_package_is_refused_in_one_line(tmp_path: Path) -> None:
    """As django-pipeline's, whose import asks for its settings."""
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "__init__.py").write_text("raise RuntimeError('settings are not configured')")
    code, said, error = clipgraph(tmp_path, tmp_path, ROOT)
    assert (code, said) == (2, "")
    assert error.count("\n") == 1
    assert error.startswith(f"error: clipgraph runs the package {ROOT}/pipeline, but Python finds {tmp_path}/pipeline/")
