"""Copies of the project's sources, for tests that run its workflow."""

import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]
COPIED = ("Snakefile", "config.yaml", "rules", "pipeline", "profiles", "envs")


def copy_sources(root: Path) -> None:
    """Copy what the workflow consists of."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / name, root / name)
