"""Check whether an artifact still fits what it was made from, down to the videos and the imported weights.

An artifact records the digest of each input and the input's path below the results, so the comparison needs no
configuration. Whether settings or code have changed since, Snakemake says (`snakemake -n`).
"""

import hashlib
import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors import safe_open

from pipeline.artifact import file_digest
from pipeline.artifact.checking import provenance
from pipeline.upkeep.inventory import Found, Inventory
from pipeline.video.frame_files import FrameFiles
from pipeline.video.frame_folder import frame_sizes
from pipeline.weights.origin import imported_file
from pipeline.workflow.paths import ARTIFACTS, identify
from pipeline.workflow.splits import file_of
from pipeline.workflow.trials import experiment_of

OF_BEFORE = "does not say where its inputs are: an earlier version of the workflow made it"


class Changed(Exception):  # noqa: N818
    """An input is not what it was, so the artifact made from it is stale.

    Args:
        reason: What has changed, in words.
        input_file: File of the input, if it is an artifact.
    """

    def __init__(self, reason: str, input_file: Path | None = None) -> None:
        super().__init__(reason)
        self.input_file = input_file


class Gone(Exception):  # noqa: N818
    """An input is not there any more, so the artifact made from it is orphaned."""


class Lineage:
    """Compares artifacts with their inputs; every input's digest is computed once.

    Args:
        inventory: All artifacts, with the folders of the results and the project.
    """

    def __init__(self, inventory: Inventory) -> None:
        self.results = inventory.results
        self.project = inventory.project
        # of all experiments, even if the inventory is of a part of the results
        self.settings = [
            path for path in sorted(self.results.glob("experiments/*/settings.json")) if not path.is_symlink()
        ]
        self.digests: dict[Path, str | None] = {}

    def check(self, found: Found) -> list[Path]:
        """Compare an artifact with what it was made from, and return the files of its recorded inputs.

        Raises:
            Changed: if an input is not what it was, or if the artifact does not say where its inputs are.
            Gone: if an input is not there any more.
        """
        if found.kind == "made":
            filed = [video for video in read(found)["videos"] if "file" in video]  # clips may be drawn without a file
            self._check_videos(found.place.parent, "", filed, "file")
        if found.kind == "videos":
            table = read(found)
            self._check_list(found, table["videos"])
            brought = [video for video in table["videos"] if "sha256" not in video]  # their list checks the others
            self._check_videos(self.project / table["root"], table["root"], brought, "path")
        if found.kind == "weights":
            self._check_origin(found)
        if found.kind == "generated":
            self._check_imported(found)
        return [self._input(name, recorded) for name, recorded in sorted(recorded_inputs(found).items())]

    def _input(self, name: str, recorded: Any) -> Path:
        """Find the file of an input and check that it has the recorded digest; raises as `check`."""
        if isinstance(recorded, str):
            raise Changed(OF_BEFORE)
        digest, target = recorded["digest"], f"results/{recorded['path']}"
        if identify(target) is None:
            raise Gone(f"its input {name} ({recorded['path']}) is nothing that the workflow makes now")
        file = self.results / target.partition("/")[2]
        if not file.is_file() or not file.resolve().is_relative_to(self.results):  # a link leads to no artifact
            raise Gone(f"its input {name} ({target}) is not there any more")
        now = self.digest(file)
        if now != digest:
            reason = f"its input {name} ({target}) was {digest}, {now} now"
            if file.name != "zarr.json":  # only a store has checksums, which tell damage from a change
                reason += f" (if nobody made it again it is damaged: snakemake --force {shlex.quote(target)})"
            raise Changed(reason, file)
        return file

    def digest(self, path: Path) -> str | None:
        """Digest of an input; None if it cannot be read, or is a store that is too damaged to say it."""
        if path not in self.digests:
            try:
                self.digests[path] = file_digest(path)
            except (OSError, ValueError, LookupError, TypeError):
                self.digests[path] = None
        return self.digests[path]

    def _check_videos(self, root: Path, shown: str, videos: list[dict[str, Any]], key: str) -> None:
        """Compare video files with what a table says of them: the size, and the SHA-256 if there is one.

        Args:
            root: Folder of the files.
            shown: The folder as messages name it.
            videos: Entries of the table.
            key: Key of an entry that gives the path below the folder.
        """
        for video in videos:
            path = root / video[key]
            if not (path.is_dir() if "pattern" in video else path.is_file()):
                raise Gone(f"video {video['id']} ({Path(shown, video[key])}) is not there any more")
            frames = FrameFiles(video["pattern"]) if "pattern" in video else None
            size = path.stat().st_size if frames is None else sum(frame_sizes(path, frames).values())
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
            return  # the list is damaged, which is a finding of its own
        if listed != recorded:
            raise Changed(f"its input made ({target}) lists other videos now")

    def _check_origin(self, found: Found) -> None:
        """Compare imported weights with the file that they came from, if it can be told which that is."""
        with safe_open(found.place, framework="np") as file:
            imported = imported_file((file.metadata() or {}).get("origin", ""))
        if imported is None:
            return  # drawn at random, or from an open_clip tag
        name, sha256 = imported
        named = {path for path in self._named_weights(found.names["encoder"]) if path.name == name}
        there = [path for path in sorted(named) if path.is_file()]
        if named and not there:
            raise Gone(f"the file it was imported from ({min(named)}) is not there any more")
        if there and sha256 not in map(sha256_of, there):
            raise Changed(f"the file it was imported from ({there[0]}) holds other bytes than it did")

    def _check_imported(self, found: Found) -> None:
        """Compare captions of another system with the file that they came from, if settings name it."""
        imported = read(found).get("imported")
        settings = self.results / "experiments" / experiment_of(found.names["trial"]) / "settings.json"
        if imported is None or settings not in self.settings:
            return
        try:
            named = json.loads(settings.read_text(encoding="utf-8"))["experiment"]["captions"]
        except (OSError, ValueError, LookupError, TypeError):
            return  # the settings are damaged, which is a finding of its own
        path = self.project / (file_of(named, found.names["split"]) or "")
        if not path.is_file():
            raise Gone(f"the file it was imported from ({path.name}) is not there any more")
        if self.digest(path) != imported["digest"]:
            raise Changed(f"the file it was imported from ({path.name}) holds other bytes than it did")

    def _named_weights(self, encoder: str) -> Iterator[Path]:
        """Files that an encoder's weights may come from: those that experiments' settings name, or cached downloads."""
        for path in self.settings:
            try:
                weights = json.loads(path.read_text(encoding="utf-8"))["encoders"][encoder]["weights"]
            except (OSError, ValueError, LookupError, TypeError):
                continue  # an experiment without this encoder; or damaged, which is a finding of its own
            if isinstance(weights, str):
                yield self.project / weights
            else:
                yield from self.project.glob(f"weights/{weights['sha256'][:16]}/*")


def recorded_inputs(found: Found) -> dict[str, Any]:
    """What an artifact recorded of each input, by name: `digest` and `path`; empty for kinds that record no inputs.

    Raises:
        Changed: if an earlier version of the workflow made it, which recorded none.
        DamagedError: if it is a store that does not say how it was made.
    """
    if found.is_store:
        return dict(provenance(found.place)["inputs"])
    if found.kind in ("generated", "predicted"):
        content = read(found)
        if "inputs" not in content:
            raise Changed(OF_BEFORE)
        return dict(content["inputs"])
    if found.kind == "embedding":
        with safe_open(found.place, framework="np") as file:
            metadata = file.metadata() or {}
        if "inputs" not in metadata:
            raise Changed(OF_BEFORE)
        return dict(json.loads(metadata["inputs"]))
    return {}


def read(found: Found) -> dict[str, Any]:
    """Content of a JSON artifact, which is not checked here."""
    return dict(json.loads(found.place.read_text(encoding="utf-8")))


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
