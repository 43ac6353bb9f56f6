"""Make damaged videos one by one, let workers read them, and judge what became of each."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fuzz.bases import make_bases
from fuzz.damage import damaged
from fuzz.examination import examine
from pipeline.errors import VideoError
from pipeline.jobs.workers import decode_ahead

MAX_BYTES = 1_000_000_000  # of a worker, at its highest
MAX_SECONDS = 20.0  # of a processor, because other work may share the machine
TIME_LIMIT = 120.0  # of the wall, for what hangs


@dataclass(frozen=True)
class Result:
    """What became of a file.

    Attributes:
        number: Its number; with the seed it makes the same file again.
        made: Of what, and how.
        outcome: ok, suspect, left out, by chance, crashed, or hung.
        reason: What was recorded; None where nothing was.
        seconds: Of a processor that reading took.
        bytes: Of memory at the highest; 0 of one that crashed.
        broken: Why this may not be; None if it may.
    """

    number: int
    made: str
    outcome: str
    reason: str | None
    seconds: float
    bytes: int
    broken: str | None


def run(numbers: Iterable[int], seed: str, num_workers: int, folder: Path, keep: Path | None = None) -> list[Result]:
    """Make the files of these numbers and read them.

    Args:
        numbers: Numbers of the files.
        seed: With a number, what chance is drawn from.
        num_workers: Files read at a time, each in a process of its own.
        folder: For the files; each is removed after it was read.
        keep: Where files go that did what none may do.
    """
    bases = make_bases(folder / "bases")
    numbers, made = list(numbers), {}

    def files() -> Iterator[str]:
        for number in numbers:
            name, done, content = damaged(bases, f"{seed} {number}")
            made[number] = (f"{name}: {done}", folder / f"{number}_{name}")
            made[number][1].write_bytes(content)
            yield str(made[number][1])

    results = []
    with decode_ahead(examine, files(), num_workers, TIME_LIMIT) as examined:
        for number, found in zip(numbers, examined, strict=True):
            how, path = made.pop(number)
            result = judge(number, how, found)
            results.append(result)
            if result.broken:
                print(f"{number} {how}: {result.outcome}: {result.broken}: {result.reason}", flush=True)
                if keep is not None:
                    keep.mkdir(parents=True, exist_ok=True)
                    path.rename(keep / path.name)
            path.unlink(missing_ok=True)
            if len(results) % 250 == 0:
                print(f"{len(results)} of {len(numbers)}", flush=True)
    return results


def judge(number: int, made: str, found: dict | VideoError) -> Result:
    """Say whether what became of a file may be."""
    if isinstance(found, VideoError):  # the worker died of it, or took too long
        reason = str(found)
        hung = "it hangs" if "took longer" in reason else None
        return Result(number, made, "hung" if hung else "crashed", reason, TIME_LIMIT if hung else 0.0, 0, hung)
    broken = found["wrong"]
    if "stumbled" in (found["reason"] or ""):
        broken = "an error that nobody foresaw"
    if found["bytes"] > MAX_BYTES:
        broken = f"{found['bytes'] / 1e6:.0f} MB"
    if found["seconds"] > MAX_SECONDS:
        broken = f"{found['seconds']:.0f} s"
    return Result(number, made, found["outcome"], found["reason"], found["seconds"], found["bytes"], broken)


def table(results: list[Result]) -> str:
    """Count the outcomes, and name the largest, the slowest and what may not be."""
    outcomes = Counter(result.outcome for result in results)
    largest, slowest = (max(results, key=key) for key in (lambda r: r.bytes, lambda r: r.seconds))
    lines = [f"{len(results):,} files: " + ", ".join(f"{n:,} {what}" for what, n in sorted(outcomes.items()))]
    lines.append(f"most memory: {largest.bytes / 1e6:.0f} MB (file {largest.number}, {largest.made})")
    lines.append(f"slowest: {slowest.seconds:.1f} s (file {slowest.number}, {slowest.made})")
    crashed = Counter(result.reason for result in results if result.outcome == "crashed")
    lines += [f"crashed, and recorded: {number}: {reason}" for reason, number in crashed.most_common()]
    lines.append(f"what may not be: {sum(result.broken is not None for result in results)}")
    return "\n".join(lines)
