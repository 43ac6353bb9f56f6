"""Measure the speed of the stages side by side with peers and limits: `python -m benchmarks [NAME ...]`.

Each benchmark runs in a process of its own. The table goes to stdout, and with `--json FILE` the same figures with the
machine go to a file. A goal that is missed does not fail the program; a benchmark that breaks does.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measuring import Row, describe, machine, table

NAMES = (
    "training_step",
    "beside_other_work",
    "retrieval_step",
    "decoding",
    "clips",
    "encoders",
    "graph_stages",
    "graph_encoder",
    "beam_search",
    "recognition_modules",
    "cast_network",
    "cast_front",
    "scoring",
)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"benchmarks (default: {' '.join(NAMES)})")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each way (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="file for the same figures")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.names) - set(NAMES):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}: expected some of {', '.join(NAMES)}")
    of, rows, broken = machine(), list[Row](), list[str]()
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen.names or NAMES:
            print(f"{name} ...", file=sys.stderr, flush=True)
            file = Path(folder) / f"{name}.json"
            command = [sys.executable, "-m", f"benchmarks.{name}", "--rounds", str(chosen.rounds), "--json", str(file)]
            if subprocess.run(command, stdout=sys.stderr, check=False).returncode:
                broken.append(name)
            else:
                rows += [Row(**row) for row in json.loads(file.read_text())]
    print(f"{describe(of)}; medians of {chosen.rounds} rounds\n\n{table(rows)}")
    if chosen.json:
        found = {"machine": of, "rounds": chosen.rounds, "rows": [row._asdict() for row in rows]}
        chosen.json.write_text(json.dumps(found, indent=1) + "\n")
    if broken:
        print(f"broke, and is not in the table: {', '.join(broken)}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
