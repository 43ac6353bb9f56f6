"""The console command `clipgraph`: the same as `python -m pipeline`, by the package beside this file and no other.

Other projects install a package called `pipeline`, too. Which one Python finds is looked up before it is imported.
"""

import runpy
import sys
from importlib.util import find_spec
from pathlib import Path

OWN = Path(__file__).resolve().parent / "pipeline" / "__init__.py"


def main() -> int:
    """Run a stage or a command of the arguments of this process.

    Returns:
        2, after one line, if Python finds another package; otherwise the command ends the process by itself.
    """
    spec = find_spec("pipeline")
    found = spec.origin if spec is not None and spec.origin is not None else None
    if found is None or Path(found).resolve() != OWN:
        print(
            f"error: clipgraph runs the package {OWN.parent}, but Python finds {found or 'none'} in its place: take "
            "away what else is called `pipeline` (an installed package as django-pipeline, a folder of PYTHONPATH)",
            file=sys.stderr,
        )
        return 2
    runpy.run_module("pipeline", run_name="__main__", alter_sys=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
