"""The stage with small maps: what it stores, twice the same, interrupted, and of inputs that do not fit."""

import json
import signal

import numpy as np
import pytest
import torch
from toys.killed_stages import files_in, kill_in_video
from toys.maps import CHANNELS, MODEL, SIZE, lstm, write_map_toys

from pipeline.artifact import read, write_json
from pipeline.captioning.lstm_file import describe_lstm
from pipeline.captioning.random_twin import random_twins
from pipeline.captioning.removal import random_of
from pipeline.captioning.word_maps import METHODS, word_maps
from pipeline.config import RelevanceSettings
from pipeline.errors import PipelineError
from pipeline.schemas import RELEVANCE
from pipeline.stages import explain_maps
from pipeline.vocabulary import SPECIAL, Vocabulary
from pipeline.weights.saving import save_weights

GRAD_CAM = RelevanceSettings(method="grad_cam", videos=None, seed=1)
CAPTIONS = {"video-12": "a dog runs", "video-13": "the cat is running home"}
TOKENS = {"video-12": [4, 7, 11], "video-13": [12, 6, 9, 10, 8]}


@pytest.fixture
def files(tmp_path):
    """Maps, captions that were generated, and the captioner."""
    toys = write_map_toys(tmp_path)
    model = lstm(13, sharpen=9.0)
    words = tuple(json.loads(toys.vocabulary.read_text())["words"])
    save_weights(
        model.state_dict(), tmp_path / "model.safetensors", describe_lstm(MODEL, Vocabulary(words, 5), CHANNELS)
    )
    write_json(tmp_path / "told.json", {"captions": CAPTIONS, "tokenizer": "bare"})
    return {"maps": [toys.maps], "captions": tmp_path / "told.json", "model": tmp_path / "model.safetensors"}


def explain(files, out, **changes):
    explain_maps.run(**{**files, "out": out, "settings": GRAD_CAM, "threads": 1, **changes})
    return read(out, RELEVANCE)


def test_words_regions_and_relevance_of_every_caption(tmp_path, files):
    store = explain(files, tmp_path / "r.zarr")
    assert store.ids == list(CAPTIONS)
    model = lstm(13, sharpen=9.0)
    maps = read(files["maps"][0], explain_maps.MAPS)
    for video_id, tokens in TOKENS.items():
        video, clip = store.video(video_id), maps.video(video_id)
        assert video["token"].tolist() == tokens
        assert video["shape"].tolist() == [list(SIZE)]
        assert video["time"].tolist() == np.repeat(clip["time"], 6).tolist()
        assert len(video["source"]) == len(video["target"]) == len(video["edge_relevance"]) == 0
        for name, of in (("relevance", model), ("twin", random_twins(model, 1)[-1])):
            expected = word_maps(of, torch.from_numpy(clip["map"]), tokens, "grad_cam", random_of(1, video_id))
            assert video[name].shape == (len(tokens) * 24,)
            np.testing.assert_allclose(video[name], expected.ravel(), rtol=1e-5, atol=1e-7)
        assert video["relevance"].max() > 0
        read_words = torch.tensor([[1, *tokens[:-1]]])
        with torch.no_grad():
            logits = model(model.encode(torch.from_numpy(clip["map"])[None].float()), read_words, torch.tensor([0]))[0]
        np.testing.assert_allclose(video["log_p"], logits.log_softmax(1)[range(len(tokens)), tokens], rtol=1e-4)
        assert video["deleted"].shape == video["inserted"].shape == (len(tokens), 11)
        np.testing.assert_allclose(video["deleted"][:, 0], video["log_p"], rtol=1e-5)
        np.testing.assert_allclose(video["inserted"][:, -1], video["log_p"], rtol=1e-5)
        for name in ("inserted", "deleted_at_random"):  # all cells are away at one end
            np.testing.assert_allclose(video["deleted"][:, -1], video[name][:, 0 if name == "inserted" else -1], 1e-5)
        assert video["randomised"].shape == (5,)


def test_regions_are_cells_of_the_part_of_the_frame_that_is_seen(tmp_path, files):
    """The maps of the toys are of 2 x 3 cells, and cover 0.1 to 0.9 of the width."""
    boxes = explain(files, tmp_path / "r.zarr").video("video-12")["box"].astype(float)
    first = [0.1, 0.0, 0.1 + 0.8 / 3, 0.5]
    assert boxes[0] == pytest.approx(first, abs=1e-3)
    assert boxes[5] == pytest.approx([0.1 + 1.6 / 3, 0.5, 0.9, 1.0], abs=1e-3)
    assert boxes[6] == pytest.approx(first, abs=1e-3)  # the next step begins with the same cell


@pytest.mark.parametrize("method", METHODS)
def test_every_method_twice_the_same(tmp_path, files, method):
    settings = GRAD_CAM.model_copy(update={"method": method})
    explain(files, tmp_path / "one.zarr", settings=settings)
    explain(files, tmp_path / "two.zarr", settings=settings)
    assert (tmp_path / "one.zarr/zarr.json").read_bytes() == (tmp_path / "two.zarr/zarr.json").read_bytes()


def test_a_run_that_stops_goes_on_with_the_next_video(tmp_path, files, monkeypatch):
    explain(files, tmp_path / "whole.zarr")
    made, begun = explain_maps.rows_of, []

    def stop(explained, video_id, *rest):
        if video_id == "video-13":
            raise KeyboardInterrupt
        return made(explained, video_id, *rest)

    monkeypatch.setattr(explain_maps, "rows_of", stop)
    with pytest.raises(KeyboardInterrupt):
        explain(files, tmp_path / "r.zarr")
    monkeypatch.setattr(explain_maps, "rows_of", lambda *given: begun.append(given[1]) or made(*given))
    explain(files, tmp_path / "r.zarr")
    assert begun == ["video-13"]
    assert (tmp_path / "r.zarr/zarr.json").read_bytes() == (tmp_path / "whole.zarr/zarr.json").read_bytes()


@pytest.mark.slow
def test_after_sigkill_it_goes_on_to_the_same_bytes(tmp_path, files, monkeypatch):
    explain(files, tmp_path / "whole.zarr")
    flags = {**files, "out": tmp_path / "r.zarr", "settings": GRAD_CAM, "threads": 1}
    assert kill_in_video("explain_maps", flags, 2) == -signal.SIGKILL
    assert not flags["out"].exists()
    made, begun = explain_maps.rows_of, []
    monkeypatch.setattr(explain_maps, "rows_of", lambda *given: begun.append(given[1]) or made(*given))
    explain(files, flags["out"])
    assert begun == ["video-13"]
    assert files_in(flags["out"]) == files_in(tmp_path / "whole.zarr")


def test_some_videos_are_drawn_and_a_caption_without_words_has_none(tmp_path, files):
    one = explain(files, tmp_path / "one.zarr", settings=GRAD_CAM.model_copy(update={"videos": 1}))
    assert len(one.ids) == 1
    write_json(files["captions"], {"captions": CAPTIONS | {"video-13": ""}, "tokenizer": "bare"})
    video = explain(files, tmp_path / "r.zarr").video("video-13")
    assert len(video["token"]) == len(video["relevance"]) == len(video["randomised"]) == 0
    assert len(video["time"]) == 24


def test_captions_of_another_captioner_and_maps_that_do_not_fit_are_one_line(tmp_path, files):
    with pytest.raises(PipelineError, match="reads maps of 5 channels, these have 6") as raised:
        explain(files | {"model": of_five_channels(tmp_path)}, tmp_path / "r.zarr")
    assert "\n" not in str(raised.value)
    write_json(files["captions"], {"captions": {"video-12": "a wolf"}, "tokenizer": "bare"})
    with pytest.raises(PipelineError, match="video video-12: the captioner does not know the word 'wolf'"):
        explain(files, tmp_path / "r.zarr")


def of_five_channels(folder):
    """A captioner of maps that the toys do not have."""
    said = {word for caption in CAPTIONS.values() for word in caption.split()}
    words = Vocabulary((*SPECIAL, *sorted(said)), 5)
    model = explain_maps.LstmCaptioner(MODEL, len(words), 5)
    save_weights(model.state_dict(), folder / "other.safetensors", describe_lstm(MODEL, words, 5))
    return folder / "other.safetensors"
