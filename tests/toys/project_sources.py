"""Copies of the project's sources, for tests that run its workflow."""

import os
import shutil
import sys
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


def environment_of(root: Path, *commands: Path) -> dict[str, str]:
    """What a call of Snakemake in a copy sees: the package of the copy, and no profiles of the user.

    Args:
        root: The copy.
        commands: Folders of commands that come before this Python's.
    """
    path = os.pathsep.join([*map(str, commands), str(Path(sys.executable).parent), os.environ["PATH"]])
    return os.environ | {"PATH": path, "PYTHONPATH": str(root), "XDG_CONFIG_HOME": str(root)}
