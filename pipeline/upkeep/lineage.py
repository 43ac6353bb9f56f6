"""Whether an artifact still fits what it was made from, down to the videos and the weights.

An artifact records the digests of its inputs and not their paths. An input is looked for where the workflow would have
made it: the names that the two paths share are given, any other may be any. So what is compared needs no configuration;
whether settings or code have changed since is Snakemake's to say (`snakemake -n`).
"""

import glob
import hashlib
import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import safe_open

from pipeline.artifact import file_digest
from pipeline.artifact.checking import provenance
from pipeline.upkeep.inventory import Found, Inventory
from pipeline.workflow.paths import ARTIFACTS

KINDS = {"spatial": "spatial_graphs", "temporal": "temporal_graphs", "encoder_weights": "weights"}  # of inputs
FILE_ORIGIN = re.compile(r"file (?P<name>.+) sha256 (?P<sha256>[0-9a-f]{64})$")


class Changed(Exception):  # noqa: N818
    """An input is another one than it was: what was made of it is stale.

    Args:
        reason: In words.
        inputs: The files of which it is one, if it is an artifact.
    """

    def __init__(self, reason: str, inputs: Sequence[Path] = ()) -> None:
        super().__init__(reason)
        self.inputs = inputs


class Gone(Exception):  # noqa: N818
    """An input is not there any more: what was made of it is an orphan."""


class Lineage:
    """Compares artifacts with their inputs; every input's digest is computed once.

    Args:
        inventory: What there is.
    """

    def __init__(self, inventory: Inventory) -> None:
        self.results = inventory.results
        self.project = inventory.project
        self.digests: dict[Path, str | None] = {}

    def check(self, found: Found) -> list[Path]:
        """The inputs that an artifact was made from, as they are now.

        Raises:
            Changed: if one is another one now.
            Gone: if one is not there.
        """
        if found.kind == "made":
            self._check_videos(found.place.parent, "", read(found)["videos"], "file")
        if found.kind == "videos":
            table = read(found)
            self._check_list(found, table["videos"])
            brought = [video for video in table["videos"] if "sha256" not in video]  # their list answers for the others
            self._check_videos(self.project / table["root"], table["root"], brought, "path")
        if found.kind == "weights":
            self._check_origin(found)
        return [self._input(*recorded) for recorded in recorded_inputs(found)]

    def _input(self, name: str, digest: str, names: Mapping[str, str]) -> Path:
        """The file of an input that has the digest which was recorded."""
        kind = KINDS.get(name, name)
        if kind not in ARTIFACTS:
            raise Gone(f"its input {name} is nothing that the workflow makes now")
        pattern = re.sub(r"\{(\w+)\}", lambda word: glob.escape(names.get(word[1], "")) or "*", ARTIFACTS[kind])
        candidates = self._existing(pattern)
        if not candidates:
            raise Gone(f"its input {name} ({pattern}) is not there any more")
        for path in candidates:
            if self.digest(path) == digest:
                return path
        now = f"none of {len(candidates)} is it now"
        if len(candidates) == 1:
            now = f"{self.digest(candidates[0])} now"
            if candidates[0].name != "zarr.json":  # no checksum of its own would tell
                now += f" (if nobody made it again it is damaged: snakemake --force {shlex.quote(pattern)})"
        raise Changed(f"its input {name} ({pattern}) was {digest}, {now}", candidates)

    def _existing(self, pattern: str) -> list[Path]:
        """Files of a pattern; those that links lead out to are no artifacts."""
        found = sorted(self.results.glob(pattern.partition("/")[2]))
        return [path for path in found if path.resolve().is_relative_to(self.results)]

    def digest(self, path: Path) -> str | None:
        """Digest of an input; None for a store that is too damaged to tell."""
        if path not in self.digests:
            try:
                self.digests[path] = file_digest(path)
            except (OSError, ValueError, LookupError, TypeError):
                self.digests[path] = None
        return self.digests[path]

    def _check_videos(self, root: Path, shown: str, videos: list[dict[str, Any]], key: str) -> None:
        """Compare video files with a table: their sizes, and in the list of generated ones their digests."""
        for video in videos:
            path = root / video[key]
            if not path.is_file():
                raise Gone(f"video {video['id']} ({Path(shown, video[key])}) is not there any more")
            size = path.stat().st_size
            if size != video["size"]:
                raise Changed(f"video {video['id']} ({Path(shown, video[key])}) had {video['size']} bytes, {size} now")
            if "sha256" in video and sha256_of(path) != video["sha256"]:
                raise Changed(f"video {video['id']} ({Path(shown, video[key])}) holds other bytes than it did")

    def _check_list(self, found: Found, videos: list[dict[str, Any]]) -> None:
        """Compare the table of generated videos with the list that it was made from."""
        recorded = {video["id"]: video["sha256"] for video in videos if "sha256" in video}
        if not recorded:
            return
        target = ARTIFACTS["made"].format(**found.names)
        made = self.results / target.partition("/")[2]
        if not made.is_file():
            raise Gone(f"its input made ({target}) is not there any more")
        try:
            listed = {video["id"]: video["sha256"] for video in json.loads(made.read_text(encoding="utf-8"))["videos"]}
        except (ValueError, LookupError, TypeError):
            return  # damaged, which is said of it itself
        if listed != recorded:
            raise Changed(f"its input made ({target}) lists other videos now")

    def _check_origin(self, found: Found) -> None:
        """Compare imported weights with the file that they came from, where one can tell which that is."""
        with safe_open(found.place, framework="np") as file:
            origin = FILE_ORIGIN.search((file.metadata() or {}).get("origin", ""))
        if origin is None:
            return  # random, or an open_clip tag
        named = {path for path in self._named_weights(found.names["encoder"]) if path.name == origin["name"]}
        there = [path for path in sorted(named) if path.is_file()]
        if named and not there:
            raise Gone(f"the file it was imported from ({min(named)}) is not there any more")
        if there and origin["sha256"] not in map(sha256_of, there):
            raise Changed(f"the file it was imported from ({there[0]}) holds other bytes than it did")

    def _named_weights(self, encoder: str) -> Iterator[Path]:
        """Files that the settings of finished experiments, or the cache of weights by URL, give an encoder."""
        for path in self.results.glob("experiments/*/settings.json"):
            try:
                weights = json.loads(path.read_text(encoding="utf-8"))["encoders"][encoder]["weights"]
            except (OSError, ValueError, LookupError, TypeError):
                continue  # damaged, which is said of it itself, or of an experiment without this encoder
            if isinstance(weights, str):
                yield self.project / weights
            else:
                yield from self.project.glob(f"weights/{weights['sha256'][:16]}/*")


def recorded_inputs(found: Found) -> list[tuple[str, str, dict[str, str]]]:
    """Name, digest and known path names of each input whose digest an artifact holds."""
    if found.is_store:
        return [(name, digest, found.names) for name, digest in sorted(provenance(found.place)["inputs"].items())]
    if found.kind == "generated":
        return [("model", read(found)["model"], found.names)]
    if found.kind == "predicted":
        content = read(found)
        return [("model", content["model"], {"trial": content["experiment"]})]  # the trial of its first seed
    if found.kind == "embedding":
        with safe_open(found.place, framework="np") as file:
            metadata = file.metadata() or {}
        return [(name, metadata[name], found.names) for name in ("triplets", "weights") if name in metadata]
    return []


def read(found: Found) -> dict[str, Any]:
    """Content of a JSON artifact."""
    return dict(json.loads(found.place.read_text(encoding="utf-8")))


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
