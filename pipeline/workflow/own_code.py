"""The shell lines by which jobs run the package that the Snakefile imported, whose digests it records.

Without them `python -m pipeline` in a job would be whatever Python finds: a `pipeline.py` of the user's in the working
folder, another checkout that is installed, or nothing.
"""

import shlex
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.workflow.code_digest import PACKAGE


def environment_lines(package: Path = PACKAGE) -> str:
    """Shell commands that put the folder of a package before all others, and the working folder nowhere.

    What the user has in PYTHONPATH stays behind it. Braces are doubled, because Snakemake formats the text.

    Args:
        package: The folder of the package.

    Raises:
        PipelineError: The path has a colon, which PYTHONPATH cannot hold.
    """
    folder = str(package.parent)
    if ":" in folder:
        raise PipelineError(f"{folder}: jobs find their code by PYTHONPATH, where a colon ends a path: rename it")
    path = shlex.quote(folder).replace("{", "{{").replace("}", "}}")
    return f"export PYTHONSAFEPATH=1 PYTHONPATH={path}${{{{PYTHONPATH:+:$PYTHONPATH}}}}; "
