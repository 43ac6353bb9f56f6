"""The version of this package, whether it is installed or only lies beside the Snakefile.

In an environment that conda made for a job the package is not installed, and another checkout may be instead of it.
"""

import tomllib
from functools import cache
from importlib import metadata

from pipeline.workflow.code_digest import PACKAGE

NAME = "clipgraph"


def version(name: str) -> str:
    """Version of an installed package; of this one, what its own pyproject.toml says, if that lies beside it.

    Raises:
        PackageNotFoundError: if the package is not installed.
    """
    return _of_checkout() or metadata.version(NAME) if name == NAME else metadata.version(name)


@cache
def _of_checkout() -> str | None:
    file = PACKAGE.parent / "pyproject.toml"
    if not file.is_file():
        return None
    project = tomllib.loads(file.read_text(encoding="utf-8")).get("project", {})
    return str(project["version"]) if project.get("name") == NAME else None
