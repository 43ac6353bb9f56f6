"""What a store goes through: full disks, damage, other processes. What it holds is tested in test_artifact.py."""

import errno
import fcntl
import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from toys.stores import THINGS

from pipeline.artifact import read, write_json
from pipeline.artifact.writing import Writer
from pipeline.errors import PipelineError

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
IDS = [f"v{number:02}" for number in range(12)]


def start(path: Path) -> Writer:
    """As `create` does, but for the versions of what happens to be imported."""
    made = {"stage": "build_vocabulary", "settings": {"a": 1}, "code": "0", "inputs": {}, "versions": {}}
    return Writer(path, THINGS, IDS, made)


def commit(writer: Writer, how_many: int | None = None) -> None:
    for video_id in writer.remaining[:how_many]:
        number = IDS.index(video_id)
        if number == 3:
            writer.fail(video_id, "the file is empty")
        else:
            rng = np.random.default_rng(number)
            writer.append(video_id, x=rng.normal(size=(100 + number, 50)), fps=np.array([0.5 * number]))


def write(path: Path) -> None:
    with start(path) as writer:
        commit(writer)


def interrupt(path: Path, after: int) -> None:
    """Stop after some videos."""
    with pytest.raises(KeyboardInterrupt), start(path) as writer:
        commit(writer, after)
        raise KeyboardInterrupt


def partial(store: Path, name: str) -> Path:
    """A file of the partial folder."""
    return store.with_name(f".{store.name}.partial") / name


def script(code: str, *arguments: object) -> list[str]:
    """Python that has this module as `t`."""
    head = "import resource, sys, time; from pathlib import Path; import test_writing as t\n"
    return [sys.executable, "-c", head + code, *map(str, arguments)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    """The root of an undisturbed store."""
    path = tmp_path_factory.mktemp("whole") / "a.zarr"
    write(path)
    return (path / "zarr.json").read_bytes()


def test_nothing_is_left_beside_the_store(tmp_path):
    interrupt(tmp_path / "a.zarr", 5)
    write(tmp_path / "a.zarr")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zarr"]


@pytest.mark.parametrize("blocked", ["x.rows", "journal.jsonl"])
def test_a_full_disk_is_one_line_and_the_next_call_goes_on(tmp_path, monkeypatch, whole, blocked):
    """Half of what is to be written fits."""
    store = tmp_path / "a.zarr"
    write_whole = os.write

    def write_half(file, content):
        if os.path.samestat(os.fstat(file), partial(store, blocked).stat()) and os.fstat(file).st_size > 400:
            write_whole(file, bytes(content)[: len(content) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_whole(file, content)

    with monkeypatch.context() as patch, pytest.raises(PipelineError) as caught:
        patch.setattr(os, "write", write_half)
        write(store)
    wanted = "" if blocked == "journal.jsonl" else "20.2 kB wanted, "
    told = rf"the disk is full: {wanted}[\d.]+ [GM]B free: make room and call again"
    found = re.fullmatch(rf"{store}: {told} \((\d) of 12 videos stay committed\)", str(caught.value))
    assert found
    with start(store) as writer:
        assert len(writer.done) + len(writer.failed) == int(found[1]) > 0
        commit(writer)
    assert (store / "zarr.json").read_bytes() == whole


FULL = """
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), -1))
try:
    t.write(Path(sys.argv[1]))
except t.PipelineError as error:
    print(error)
    sys.exit(2)
"""


@pytest.mark.parametrize(("done_before", "limit", "kept"), [(0, 100_000, 5), (12, 20_000, 12)])
def test_what_the_system_refuses_for_real(tmp_path, whole, done_before, limit, kept):
    """A limit on the size of files, met by the rows of the sixth video; and by the store, when all are committed."""
    store = tmp_path / "a.zarr"
    interrupt(store, done_before)
    done = subprocess.run(script(FULL, store, limit), check=False, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert "larger than this file system or `ulimit -f` allows" in done.stdout
    assert f"{kept} of 12 videos stay committed" in done.stdout
    assert done.stdout.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [".a.zarr.partial"]  # what did not fit gave its room back
    write(store)
    assert (store / "zarr.json").read_bytes() == whole


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_any_flipped_bit_of_the_journal_is_found(tmp_path, whole, capsys):
    store = tmp_path / "a.zarr"
    rng = np.random.default_rng(0)
    for _ in range(25):
        interrupt(store, 8)
        journal = partial(store, "journal.jsonl")
        place = int(rng.integers(journal.stat().st_size - 1))
        before = journal.read_bytes()[:place].count(b"\n")
        flip(journal, place)
        capsys.readouterr()
        with pytest.raises(KeyboardInterrupt), start(store) as writer:
            assert len(writer.done) + len(writer.failed) == before
            assert f"is damaged after {before} videos: the others are made again" in capsys.readouterr().err
            raise KeyboardInterrupt
    write(store)
    assert (store / "zarr.json").read_bytes() == whole


def garbage(journal: Path) -> None:
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:4], b"\xff\x00 [[[ garbage\n", *lines[4:]]))


def twice(journal: Path) -> None:
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:4], lines[1], *lines[4:]]))


def wrong_rows(journal: Path) -> None:
    flip(journal.with_name("x.rows"), 4 * 50 * (100 + 101 + 102) + 5)


def short_rows(journal: Path) -> None:
    os.truncate(journal.with_name("x.rows"), 4 * 50 * (100 + 101 + 102) + 7)


@pytest.mark.parametrize("damage", [garbage, twice, wrong_rows, short_rows])
def test_what_is_damaged_is_made_again(tmp_path, whole, damage, capsys):
    store = tmp_path / "a.zarr"
    interrupt(store, 8)
    damage(partial(store, "journal.jsonl"))
    with start(store) as writer:
        assert (writer.done, list(writer.failed)) == (IDS[:3], IDS[3:4])
        commit(writer)
    assert "is damaged after 4 videos" in capsys.readouterr().err
    assert (store / "zarr.json").read_bytes() == whole


def test_a_damaged_key_starts_afresh_and_says_so(tmp_path, whole, capsys):
    store = tmp_path / "a.zarr"
    interrupt(store, 8)
    partial(store, "run_key").write_bytes(b"\xff\xfe")
    with start(store) as writer:
        assert writer.remaining == IDS
        commit(writer)
    assert "starting afresh: what is unfinished of" in capsys.readouterr().err
    assert (store / "zarr.json").read_bytes() == whole


HOLD = """
with t.start(Path(sys.argv[1])) as writer:
    t.commit(writer, 2)
    print("holding", flush=True)
    time.sleep(60)
"""


def test_the_second_writer_of_a_store_waits(tmp_path, whole, capsys):
    """Until the first is gone, however it went."""
    store = tmp_path / "a.zarr"
    with subprocess.Popen(script(HOLD, store), env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout.readline() == "holding\n"
        threading.Timer(0.3, lambda: first.send_signal(signal.SIGKILL)).start()
        with start(store) as writer:
            assert first.poll() == -signal.SIGKILL
            assert writer.remaining == IDS[2:]
            commit(writer)
    assert "a.zarr is being written by another process: waiting until that ends\n" in capsys.readouterr().err
    assert (store / "zarr.json").read_bytes() == whole


def test_what_the_first_writer_finishes_the_second_one_takes(tmp_path, whole, capsys):
    store = tmp_path / "a.zarr"
    with start(store) as first:
        commit(first, 11)
        second = threading.Thread(target=lambda: write(store))
        second.start()
        time.sleep(0.2)
        commit(first)
    second.join()
    told = capsys.readouterr().err
    assert told.count("waiting until that ends") == told.count("was complete already") == 1
    assert (store / "zarr.json").read_bytes() == whole
    assert [path.name for path in tmp_path.iterdir()] == ["a.zarr"]


def test_a_file_system_that_cannot_lock_is_said_and_used(tmp_path, whole, monkeypatch, capsys):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    write(tmp_path / "a.zarr")
    assert "this file system cannot lock: see to it that no second call writes" in capsys.readouterr().err
    assert (tmp_path / "a.zarr" / "zarr.json").read_bytes() == whole


def test_times_of_files_do_not_matter(tmp_path, whole):
    store = tmp_path / "a.zarr"
    interrupt(store, 8)
    folder = partial(store, "")
    for path in (folder, *folder.iterdir()):
        os.utime(path, (4e9, 4e9))
    with start(store) as writer:
        assert len(writer.remaining) == 4
        commit(writer)
    assert (store / "zarr.json").read_bytes() == whole


def test_a_full_disk_leaves_an_old_json_file(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(PipelineError, match=r"a\.json: the file is larger than .* MB free|GB free"):
            write_json(path, {"a": "long" * 1000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert json.loads(path.read_text()) == {"a": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_suspects_are_kept_by_a_killed_job_and_part_of_the_digest(tmp_path, capsys):
    def commit_suspect(path, stop_after):
        with Writer(path, THINGS, IDS[:4], {"stage": "build_vocabulary", "inputs": {}}) as writer:
            for video_id in writer.remaining:
                if IDS.index(video_id) == stop_after:
                    raise KeyboardInterrupt
                why = "1 decoded frames are damaged" if video_id in (IDS[0], IDS[3]) else None
                writer.append(video_id, why, x=np.zeros((2, 3)), fps=np.zeros(1))

    commit_suspect(tmp_path / "whole.zarr", None)
    with pytest.raises(KeyboardInterrupt):
        commit_suspect(tmp_path / "killed.zarr", 2)
    assert f"suspect: {IDS[0]}: 1 decoded frames are damaged" in capsys.readouterr().err
    commit_suspect(tmp_path / "killed.zarr", None)
    whole = (tmp_path / "whole.zarr/zarr.json").read_bytes()
    assert (tmp_path / "killed.zarr/zarr.json").read_bytes() == whole
    found = read(tmp_path / "killed.zarr", THINGS)
    assert found.suspect == {IDS[0]: "1 decoded frames are damaged", IDS[3]: "1 decoded frames are damaged"}


def test_a_store_without_suspects_does_not_speak_of_them(tmp_path):
    write(tmp_path / "a.zarr")
    assert b"suspect" not in (tmp_path / "a.zarr/zarr.json").read_bytes()
    assert read(tmp_path / "a.zarr", THINGS).suspect == {}
