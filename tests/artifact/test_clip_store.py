import pickle
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

from pipeline.artifact import create
from pipeline.artifact.clip_store import ClipStore
from pipeline.errors import ArtifactError
from pipeline.schemas import CLIPS
from pipeline.video.clip_encoding import EncodedFrames

SIZE = (24, 32)


def frames_of(number, num_frames, colours=3):
    """Frames that all differ, and stay what they are in JPEG: each of one colour."""
    levels = np.random.default_rng(number).integers(0, 256, (num_frames, 1, 1, 1), dtype=np.uint8)
    return np.broadcast_to(levels, (num_frames, *SIZE, colours)).copy()


def rows_of(frames, quality):
    encoded = EncodedFrames(len(frames), frames.shape[1:], quality)
    for row, frame in enumerate(frames):
        encoded.keep(row, frame)
    return encoded.arrays(np.arange(len(frames)) / 4)


def write(path, clips, failed=(), **changed):
    """A store of clips: for each id its frames and the quality, None for pixels as they are."""
    with create(path, CLIPS, ids=[*clips, *failed], stage="decode_clips", settings={}, inputs={}) as writer:
        for clip_id, (frames, quality) in clips.items():
            writer.append(clip_id, **(rows_of(frames, quality) | changed))
        for clip_id in failed:
            writer.fail(clip_id, "cut off")
    return path


@pytest.fixture
def clips():
    return {
        "a": (frames_of(1, 5), 90),
        "b": (frames_of(2, 7, colours=1), 90),
        "c": (frames_of(3, 4), None),
        "d": (frames_of(4, 1, colours=1), None),
    }


@pytest.fixture
def stores(tmp_path, clips):
    names = list(clips)
    first = write(tmp_path / "000.zarr", {name: clips[name] for name in names[:2]}, ["x"])
    return [first, write(tmp_path / "001.zarr", {name: clips[name] for name in names[2:]})]


@pytest.mark.parametrize("held", [False, True])
def test_any_frames_in_any_order_are_those_that_were_written(stores, clips, held):
    store = ClipStore(stores)
    assert store.hold(10**6 if held else 0) is held
    assert store.ids == ["a", "b", "c", "d"]
    assert store.failed == {"x": "cut off"}
    for clip_id, (frames, _) in clips.items():
        assert store.num_frames(clip_id) == len(frames)
        assert store.size(clip_id) == SIZE
        assert store.times(clip_id).tolist() == [number / 4 for number in range(len(frames))]
        everything = store.read(clip_id, range(len(frames)))
        assert np.abs(everything.astype(int) - frames).max() <= 2  # what JPEG loses of one colour
        numbers = np.random.default_rng(0).integers(0, len(frames), 9)
        assert np.array_equal(store.read(clip_id, numbers), everything[numbers])


def test_pixels_are_exact(stores, clips):
    assert np.array_equal(ClipStore(stores).read("c", [3, 0, 3]), clips["c"][0][[3, 0, 3]])


def test_what_is_too_large_is_not_held(stores):
    store = ClipStore(stores)
    assert not store.hold(store.num_bytes() - 1)
    assert store.hold(store.num_bytes())


def test_few_frames_of_a_long_clip_read_few_chunks(tmp_path, monkeypatch):
    noise = np.random.default_rng(0).integers(0, 256, (100, 64, 128, 3), dtype=np.uint8)  # 24 kB a frame
    store = ClipStore([write(tmp_path / "000.zarr", {"long": (noise, None)})])
    store.num_frames("long")
    reader = store._shards[0]._chunks["byte"]
    decoded = []
    monkeypatch.setattr(
        reader, "_decode", lambda number, decode=reader._decode: decoded.append(number) or decode(number)
    )
    assert np.array_equal(store.read("long", [90, 5, 6]), noise[[90, 5, 6]])
    assert len(decoded) == len(set(decoded)) <= 4


@pytest.mark.parametrize("numbers", [[], [5], [-1]])
def test_frames_that_a_clip_does_not_have(stores, numbers):
    with pytest.raises(IndexError, match="of clip a, which has 5"):
        ClipStore(stores).read("a", numbers)


def test_clips_that_are_not_there(stores):
    store = ClipStore(stores)
    with pytest.raises(ArtifactError, match="clip x was left out: cut off"):
        store.read("x", [0])
    with pytest.raises(ArtifactError, match="clip y is missing, expected every shard"):
        store.num_frames("y")
    with pytest.raises(ArtifactError, match="clip a is also in"):
        ClipStore([stores[0], stores[0]])


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"size": np.array([[24, 33]])}, r"a JPEG of shape \(24, 32, 3\), expected \(24, 33, 3\)"),
        ({"codec": np.array([7])}, "codec 7 is unknown"),
        ({"codec": np.array([0])}, "cannot reshape"),
        ({"frame_end": np.array([9, 9])}, "do not rise to its"),
        ({"byte": np.zeros(9, np.uint8), "frame_end": np.array([4, 9])}, "a frame is no whole JPEG"),
    ],
)
def test_a_store_that_lies_is_told_of(tmp_path, changed, told):
    path = write(tmp_path / "000.zarr", {"a": (frames_of(1, 2), 90)}, **changed)
    with pytest.raises(ArtifactError, match=f"the frames of clip a are not what its stage writes .*{told}"):
        ClipStore([path]).read("a", [1])


def test_a_jpeg_that_breaks_off(tmp_path):
    rows = rows_of(np.random.default_rng(0).integers(0, 256, (1, *SIZE, 3), dtype=np.uint8), 90)
    cut = rows["byte"][: len(rows["byte"]) // 2]
    path = write(tmp_path / "000.zarr", {"a": (frames_of(1, 1), 90)}, byte=cut, frame_end=np.array([len(cut)]))
    with pytest.raises(ArtifactError, match=r"a frame is no whole JPEG \(.*truncated"):
        ClipStore([path]).read("a", [0])


def test_threads_read_what_one_reads(stores, clips):
    store = ClipStore(stores)
    wanted = [(clip_id, number) for clip_id, (frames, _) in clips.items() for number in range(len(frames))] * 5
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda one: store.read(one[0], [one[1]])[0, 0, 0, 0], wanted))
    assert found == [store.read(clip_id, [number])[0, 0, 0, 0] for clip_id, number in wanted]


def first_pixel(store, clip_id):
    return int(store.read(clip_id, [0])[0, 0, 0, 0])


def test_copies_read_the_same(stores, clips):
    copy = pickle.loads(pickle.dumps(ClipStore(stores)))
    assert first_pixel(copy, "c") == clips["c"][0][0, 0, 0, 0]


def test_a_fork_reads_while_a_thread_of_its_parent_was_reading(stores, clips):
    store = ClipStore(stores)
    context = get_context("fork")
    found = context.Queue()
    with store._shards[1]._chunks["byte"]._lock:
        process = context.Process(target=lambda: found.put(first_pixel(store, "c")))
        process.start()
    assert found.get(timeout=60) == clips["c"][0][0, 0, 0, 0]
    process.join()
