"""Read thousands of damaged or altered videos: `make fuzz`, or `python -m fuzz` with tests/ on the path.

It ends with 1 if a file did what none may do; such files are kept in the folder that --keep names.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from fuzz.campaign import run, table


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz")
    parser.add_argument("--files", type=int, default=3000)
    parser.add_argument("--first", type=int, default=0, help="number of the first file: a file by itself is --files 1")
    parser.add_argument("--seed", default="0")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path, default=None, help="folder for files that did what none may do")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        numbers = range(chosen.first, chosen.first + chosen.files)
        results = run(numbers, chosen.seed, chosen.workers, Path(folder), chosen.keep)
    print(table(results))
    return 1 if any(result.broken for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
