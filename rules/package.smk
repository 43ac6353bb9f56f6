"""
The code of this call: the package `pipeline` that is imported here is the one that jobs run, and that they record.

Included before anything of the package is imported, from wherever this workflow is: this folder, another one (`-s`), a
module, a repository or an address.
"""

import os
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path

from snakemake.sourcecache import LocalSourceFile

RULES = workflow.current_basedir  # the folder of this file, or its address
FOLDER = Path(os.path.abspath(RULES.path)).parent if isinstance(RULES, LocalSourceFile) else None

# `python -m snakemake` looks into the folder that it was called from before all others, and jobs do not.
if FOLDER is not None and sys.path[0] in ("", str(workflow.workdir_init)) and "pipeline" not in sys.modules:
    sys.path.insert(0, str(FOLDER))

# A file or package of this name may come first: the user's own pipeline.py, django-pipeline, another checkout. It is
# looked for and not imported, because to import it may do anything.
found = find_spec("pipeline")
found = Path(found.origin).resolve() if found is not None and found.origin else None
if FOLDER is not None and found != (FOLDER / "pipeline/__init__.py").resolve():
    raise WorkflowError(
        f"the jobs of {FOLDER}/Snakefile run the package {FOLDER}/pipeline, but Python finds "
        f"{found or 'none'} in its place: take away what else is called `pipeline` (an installed package such as "
        "django-pipeline, a folder of PYTHONPATH, another module's checkout), or call the Snakefile that belongs to it"
    )
if FOLDER is None and (found is None or not (found.parent / "workflow/own_code.py").is_file()):
    raise WorkflowError(
        f"a Snakefile from {RULES.get_path_or_uri(secret_free=True)} brings rules and no package, and Python finds "
        f"{found or 'none'} as `pipeline`: install the package of that version (pip install git+<the repository>@<the "
        "tag>), or clone the repository and name its Snakefile"
    )

# For commands of profiles, which are run in the working folder.
os.environ.update(CLIPGRAPH_FOLDER=str(FOLDER or Path.cwd()))

# The configuration of this workflow, and the one in the working folder where that is another one: what it says counts.
CONFIG = (
    FOLDER / "config.yaml" if FOLDER is not None else Path(workflow.sourcecache.get_path(RULES.join("../config.yaml")))
)
CONFIGS = [str(CONFIG)]
if FOLDER == Path.cwd():
    CONFIGS = ["config.yaml"]
elif workflow.modifier.is_main_snakefile() and Path("config.yaml").is_file():
    CONFIGS.append("config.yaml")

# Where a module's prefix, if this is one, puts what the workflow makes.
moved = workflow.modifier.path_modifier.replace_prefix


def brought(path):
    """Path of a file that the user brings: a module's prefix moves what the workflow makes, and not this."""
    return path if moved(path) == path else str(Path(path).absolute())


def with_checkpoints(command):
    """A shell command that names `checkpoints/`, which a module's prefix moves, too; elsewhere it is as it was."""
    folder = shlex.quote(moved("checkpoints/")).replace("{", "{{").replace("}", "}}")
    return command.replace(" checkpoints/", f" {folder}")
