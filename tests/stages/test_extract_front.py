import numpy as np
import pytest
import torch
from toys.experts import write_experts
from toys.small_cast import AUGMENTATION, CLIP_ARCH, MAE_ARCH, settings, train, write_all

from pipeline.artifact import read
from pipeline.artifact.clip_store import ClipStore
from pipeline.config import FrontSettings
from pipeline.errors import PipelineError
from pipeline.recognition import beginnings
from pipeline.recognition.batches import generator_of
from pipeline.recognition.cast_file import read_cast
from pipeline.recognition.cast_plan import CastOptions, needs_of_blocks
from pipeline.recognition.clip_source import FrameSource
from pipeline.recognition.front_settings import front_settings, streams_of_front
from pipeline.recognition.fronts import SEED, FrontSource, training_views
from pipeline.schemas import FRONTS
from pipeline.stages import extract_front

VIEWS = 2
STORED = {"augmentation": AUGMENTATION | {"mixup": None}, "first_block": 2, "stored_views": VIEWS}


def made_by(given):
    return FrontSettings.model_validate(front_settings(given.model_dump(mode="json")))


def extract(flags, given, folder):
    paths = []
    for shard, clips in enumerate(flags["--clips"]):
        paths.append(folder / f"front{shard}.zarr")
        one = {"clips": clips, "labels": flags["--labels"], "experts": flags["--experts"], "out": paths[-1]}
        extract_front.run(**one, settings=made_by(given), threads=1)
    return paths


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fronts")
    flags = write_all(folder, num_train=12, num_val=4, num_test=5)
    return folder, flags, extract(flags, settings(**STORED), folder)


class TakingTurns(FrameSource):
    """Frames in the views that are stored, computed in every epoch."""

    def training_clip(self, clip_id, _, epoch):
        view = epoch % VIEWS
        return super().training_clip(clip_id, generator_of(SEED, view, clip_id), view)


def test_a_training_clip_has_its_views_and_a_validation_clip_has_one(stored):
    """Of two steps in time: twice a class token and four places, and then twice four places: 18 tokens."""
    _, _, paths = stored
    found = {clip_id: store for store in (read(path, FRONTS) for path in paths) for clip_id in store.ids}
    assert set(found) == {f"train{n}" for n in range(12)} | {f"val{n}" for n in range(4)}
    rows = found["train3"].video("train3")
    assert rows["token"].shape == (VIEWS * 18, 24)
    assert rows["token"].dtype == np.float16
    assert len(rows["mirrored"]) == VIEWS
    assert found["val1"].video("val1")["token"].shape == (18, 24)
    mirrored = np.array([found[f"train{n}"].video(f"train{n}")["mirrored"] for n in range(12)])
    assert set(mirrored.ravel().tolist()) == {0, 1}


def test_what_is_stored_is_what_the_model_makes_of_its_frames(stored, tmp_path):
    folder, flags, paths = stored
    given = settings(**STORED)
    train(folder, flags | {"--fronts": paths}, given)
    model = read_cast(folder / "model.safetensors", flags["--experts"]).model
    frames = FrameSource(ClipStore(flags["--clips"]), given.frames, given.augmentation, given.views.short_side, 3)
    source = FrontSource(paths, VIEWS)
    for epoch in range(3):
        if epoch == 1:
            source.hold([])
        shown, kept = (
            training_views(frames, "train5", VIEWS)[epoch % VIEWS],
            source.training_clip("train5", None, epoch),
        )
        assert kept.is_mirrored == shown.is_mirrored
        with torch.no_grad():
            spatial, temporal = model.front(shown.x[None])
        expected = torch.cat([spatial.flatten(1, 2), temporal], 1)[0]
        assert torch.allclose(kept.x.float(), expected, atol=2e-3)
    with torch.no_grad():
        spatial, temporal = model.front(frames.validation_clip("val2")[None])
    expected = torch.cat([spatial.flatten(1, 2), temporal], 1)[0]
    assert torch.allclose(source.validation_clip("val2").float(), expected, atol=2e-3)


def test_a_training_over_stored_views_is_that_over_the_same_frames_to_rounding(stored, tmp_path, monkeypatch):
    _, flags, paths = stored
    recipe = {"epochs": 3, "optimizer": "sgd", "lr": 0.05}
    rows = train(tmp_path, flags | {"--fronts": paths}, settings(recipe, **STORED))
    one = read_cast(tmp_path / "model.safetensors", flags["--experts"]).model.part.state_dict()
    (tmp_path / "frames").mkdir()
    monkeypatch.setattr(beginnings, "FrameSource", TakingTurns)
    others = train(tmp_path / "frames", flags, settings(recipe, **STORED | {"stored_views": None}))
    other = read_cast(tmp_path / "frames/model.safetensors", flags["--experts"]).model.part.state_dict()
    for row, computed in zip(rows, others, strict=True):
        for column in ("train_loss", "val_loss"):
            assert float(row[column]) == pytest.approx(float(computed[column]), rel=2e-3)
    for name, tensor in one.items():
        assert torch.allclose(tensor, other[name], atol=2e-3), name


def test_it_goes_on_clip_by_clip(stored, tmp_path, monkeypatch):
    _, flags, paths = stored
    rows, done = extract_front.Front.rows, []

    def stop(self, shown):
        done.append(len(shown))
        if len(done) == 4:
            raise KeyboardInterrupt
        return rows(self, shown)

    monkeypatch.setattr(extract_front.Front, "rows", stop)
    with pytest.raises(KeyboardInterrupt):
        extract(flags, settings(**STORED), tmp_path)
    again = extract(flags, settings(**STORED), tmp_path)
    assert len(done) == 4 + 16 - 3
    for one, other in zip(again, paths, strict=True):
        assert (one / "zarr.json").read_bytes() == (other / "zarr.json").read_bytes()


@pytest.mark.parametrize(
    ("change", "tokens"),
    [({"fusion": "temporal", "exchange": "none"}, 8), ({"fusion": "spatial", "exchange": "none"}, 10)],
)
def test_a_stream_that_nothing_needs_is_not_stored(stored, tmp_path, change, tokens):
    _, flags, _ = stored
    given = settings({"epochs": 1}, **STORED | change)
    paths = extract(flags, given, tmp_path)
    assert read(paths[0], FRONTS).video("train0")["token"].shape == (VIEWS * tokens, 24)
    assert len(train(tmp_path, flags | {"--fronts": paths}, given)) == 1


@pytest.mark.parametrize(
    ("exchange", "fusion", "streams"),
    [
        ("both", "temporal", ("spatial", "temporal")),
        ("both", "added", ("spatial", "temporal")),
        ("none", "ensemble", ("spatial", "temporal")),
        ("t2s", "spatial", ("spatial", "temporal")),
        ("t2s", "temporal", ("temporal",)),
        ("s2t", "spatial", ("spatial",)),
        ("none", "temporal", ("temporal",)),
    ],
)
def test_streams_that_are_stored_are_those_of_a_network_however_many_blocks_follow(exchange, fusion, streams):
    assert streams_of_front(exchange, fusion) == streams
    for first_block in (1, 3, 4):
        options = CastOptions(True, exchange, "time", "space", True, 0.5, first_block, fusion, 0.1)
        assert needs_of_blocks(4, options)[first_block - 1].attend == streams


@pytest.mark.parametrize(
    "change",
    [
        {"fusion": "concatenated"},
        {"fusion": "temporal"},
        {"exchange": "t2s"},
        {"ratio": 1.0, "drop_path": 0.2, "adapters": False},
        {"augmentation": STORED["augmentation"] | {"flip": "keep_labels"}},
    ],
)
def test_what_does_not_change_the_tokens_stores_nothing_again(stored, tmp_path, change):
    _, flags, paths = stored
    given = settings({"epochs": 1}, **STORED | change)
    assert made_by(given) == made_by(settings(**STORED))
    assert len(train(tmp_path, flags | {"--fronts": paths}, given)) == 1


def test_numbers_beyond_half_precision_are_a_failed_clip(stored, tmp_path, monkeypatch):
    _, flags, _ = stored
    packed = extract_front.packed
    monkeypatch.setattr(extract_front, "packed", lambda *given: packed(*given) * 1e6)
    paths = extract(flags, settings(**STORED), tmp_path)
    assert read(paths[0], FRONTS).ids == []
    assert set(read(paths[0], FRONTS).failed.values()) == {
        "the experts gave numbers that are not finite or beyond half precision"
    }


def test_a_first_block_beyond_the_last_one(stored, tmp_path):
    _, flags, _ = stored
    with pytest.raises(PipelineError, match="first_block: 3 is beyond the 2 blocks of the experts"):
        extract(flags, settings(**STORED | {"first_block": 3}), tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stored_views": 4}, r"front0\.zarr was stored for a recognizer of another stored_views than this one"),
        ({"first_block": 1}, r"of another first_block than this one"),
        ({"exchange": "none", "fusion": "spatial"}, r"of another streams than this one"),
        ({}, r"of another temporal than this one, whose tokens are others: run extract_front again"),
    ],
    ids=["views", "blocks", "streams", "expert"],
)
def test_tokens_that_were_stored_for_another_recognizer_are_refused(stored, tmp_path, change, message):
    _, flags, paths = stored
    if not change:
        other = write_experts(tmp_path / "other", CLIP_ARCH, MAE_ARCH, seed=2)
        flags = flags | {"--experts": [flags["--experts"][0], other[1]]}
    with pytest.raises(PipelineError, match=message):
        train(tmp_path, flags | {"--fronts": paths}, settings(**STORED | change))
