"""A disk that is full or read-only for a while."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Faults, seeded
from .project import Project, stores_of, targets_of
from .strikes import Missed, Strike, all_committed, draw_moment, is_alive, wait_for, wait_for_job

IS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not IS_ROOT, reason="mounts a file system: run `make test-faults` as root")


@pytest.fixture
def mounts() -> Iterator[list[Path]]:
    """Where file systems were mounted; they go when the test ends."""
    mounted: list[Path] = []
    yield mounted
    for place in mounted:
        subprocess.run(["umount", "--lazy", place], check=True)


def mount(*options: str) -> bool:
    return subprocess.run(["mount", *options], check=False, capture_output=True).returncode == 0


def move_to_small_disk(project: Project, mounts: list[Path]) -> None:
    """Let the results be a file system of their own, with room enough."""
    aside = project.root / "aside"
    project.results.rename(aside)
    project.results.mkdir()
    assert mount("-t", "tmpfs", "-o", "size=512m", "tmpfs", str(project.results))
    mounts.append(project.results)
    shutil.copytree(aside, project.results, copy_function=shutil.copy2, dirs_exist_ok=True)
    shutil.rmtree(aside)


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def logs_of(project: Project, stage: str) -> str:
    return "".join(path.read_text(encoding="utf-8") for path in (project.root / "logs" / stage).rglob("*.log"))


@needs_root
@seeded(("decode_frames", 41), ("extract_i3d", 43))
def test_disk_full(faults: Faults, mounts: list[Path], what: str) -> None:
    project = faults.copy()
    move_to_small_disk(project, mounts)
    share = faults.rng.uniform(0.1, 0.9)
    needed = sum(size_of((project.root / target).parent) for target in targets_of(what))
    targets = project.remove(what)
    used = shutil.disk_usage(project.results).used
    assert mount("-o", f"remount,size={(used + int(share * needed)) // 1024}k", str(project.results))
    call = project.start(*targets)
    assert call.finish() != 0
    told = logs_of(project, what)
    assert "the disk is full" in told
    assert "Traceback" not in told
    strike = Strike(f"{what}, room for {share:.0%}", time.monotonic_ns(), all_committed(project, [what]))
    assert mount("-o", "remount,size=512m", str(project.results))
    project.run(*targets)
    faults.check(strike, stores_of(what))


@needs_root
@seeded(("build_grid_nodes", 44))
def test_read_only_disk(faults: Faults, mounts: list[Path], what: str) -> None:
    """It becomes read-only while a job starts: with a file open for writing, the kernel would not let it."""

    def attempt() -> Strike:
        for place in mounts:
            subprocess.run(["umount", "--lazy", place], check=True)
        mounts.clear()
        project = faults.copy()
        move_to_small_disk(project, mounts)
        shard, delay = faults.rng.choice(["000", "001"]), faults.rng.uniform(0, 0.5)
        call = project.start(*project.remove(what), cores=1)
        wait_for_job(project, call, what, shard)
        time.sleep(delay)
        while not mount("-o", "remount,ro", str(project.results)):
            if not call.is_running():
                raise Missed
        code = call.finish()
        finished = all_committed(project, [what])
        assert mount("-o", "remount,rw", str(project.results))
        told = logs_of(project, what)
        met_snakemake = "Read-only file system" in call.output()  # between two jobs it writes there itself
        if code == 0 or (met_snakemake and "read-only" not in told):
            raise Missed
        assert "the file system is read-only" in told, call.output()
        assert "Traceback" not in told
        return Strike(f"{shard}, {delay * 1000:.0f} ms after its start", time.monotonic_ns(), finished)

    strike = faults.strike(attempt)
    faults.project.run(*targets_of(what))
    faults.check(strike, stores_of(what))


@seeded(("decode_frames", 45))
def test_read_only_folders(faults: Faults, what: str) -> None:
    """All folders of the results lose the right to be written to, while a job is at work in them."""

    def attempt() -> Strike:
        # root may write anywhere, unless it gives that up
        project = faults.copy("-dac_override,-dac_read_search" if IS_ROOT else "")
        moment = draw_moment(faults.rng, what)
        call = project.start(*project.remove(what))
        process = wait_for(project, call, moment)
        folders = [path for path in (project.results, *project.results.rglob("*")) if path.is_dir()]
        for folder in folders:
            folder.chmod(0o555)
        struck = is_alive(process)
        code = call.finish()
        finished = all_committed(project, [what])
        for folder in folders:
            folder.chmod(0o755)
        if code == 0 or not struck:
            raise Missed
        told = logs_of(project, what)
        assert "there is no permission to write" in told
        assert "Traceback" not in told
        return Strike(str(moment), time.monotonic_ns(), finished)

    strike = faults.strike(attempt)
    faults.project.run(*targets_of(what))
    faults.check(strike, stores_of(what))
