import hashlib
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch.testing import assert_close
from toys.clip import COLOURS
from toys.clip import FINETUNE_ARCH as ARCH
from toys.clip import finetune_settings as settings
from toys.clip import write_colours as write_data

from pipeline.config import Clip4ClipSettings, WeightsUrl
from pipeline.errors import PipelineError
from pipeline.finetuning import retrieval, retrieval_training
from pipeline.finetuning.retrieval import (
    epoch_batches,
    make_optimizer,
    pool_frames,
    random_crops,
    rate_factor,
    retrieval_scores,
    sum_of_recalls,
    symmetric_loss,
    whole_frames,
)
from pipeline.finetuning.retrieval_training import check_shares, index_tokens, own_part, training_dtype
from pipeline.jobs import training_run
from pipeline.jobs.rank_group import Ranks
from pipeline.models.clip4clip import load_clip4clip, load_pretrained, save_clip4clip, tokenize
from pipeline.stages.finetune_clip4clip import check_train_ids, run, starting_towers
from pipeline.weights.fetching import cached_path

ROOT = Path(__file__).parents[2]


def finetune(folder: Path, encoder: Clip4ClipSettings, name: str = "out") -> dict:
    run(
        frames=[folder / "0.zarr" / "zarr.json", folder / "1.zarr" / "zarr.json"],
        captions=folder / "captions.json",
        checkpoints=folder / name / "checkpoints",
        out=folder / name / "weights.safetensors",
        retrieval=folder / name / "retrieval.json",
        settings=encoder,
        threads=1,
    )
    return json.loads((folder / name / "retrieval.json").read_text())


def test_it_learns_colours_from_the_training_split_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    splits = write_data(tmp_path, {"train": 16, "val": 4, "test": 4})
    looked_at = set()
    read_video = retrieval.VideoFrames._read
    monkeypatch.setattr(
        retrieval.VideoFrames, "_read", lambda self, video_id: looked_at.add(video_id) or read_video(self, video_id)
    )
    scores = finetune(tmp_path, settings(epochs=30, batch_size=8, lr=4e-3))
    assert set(scores["train_ids"]) == set(splits["train"])
    assert looked_at == {*splits["train"], *splits["val"]}
    assert scores["num_videos"] == {"train": 16, "val": 4}
    assert scores["best"]["text_to_video"]["R@1"] == 1.0
    assert scores["epochs"][-1]["loss"] < scores["epochs"][0]["loss"]
    kept = scores["epochs"][scores["kept_epoch"] - 1]
    assert kept["val"] == scores["best"]
    assert sum_of_recalls(kept["val"]) == max(sum_of_recalls(epoch["val"]) for epoch in scores["epochs"])


def test_what_is_saved_can_be_loaded_and_says_where_it_is_from(tmp_path: Path) -> None:
    write_data(tmp_path, {"train": 8, "val": 4, "test": 0})
    finetune(tmp_path, settings())
    module = load_clip4clip(tmp_path / "out" / "weights.safetensors", ARCH)
    start, _ = load_pretrained("random", ARCH, 1)
    with safe_open(tmp_path / "out" / "weights.safetensors", framework="pt") as file:
        assert file.metadata()["origin"] == "fine-tuned on plain from random"
    changed = (module.token_embedding.weight != start.token_embedding.weight).any(dim=1)
    captions = [text for name in COLOURS for text in (f"a {name} thing", f"something {name}")]
    assert set(changed.nonzero().flatten().tolist()) <= set(tokenize(captions, 8).flatten().tolist())
    assert changed.sum() >= 5
    assert not torch.equal(module.visual.conv1.weight, start.visual.conv1.weight)


def test_it_starts_from_weights_by_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file is in the cache; another digest is another file, which nobody serves here."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    towers, _ = load_pretrained("random", ARCH, 9)
    save_clip4clip(towers, tmp_path / "towers.safetensors", "random")
    content = (tmp_path / "towers.safetensors").read_bytes()
    source = WeightsUrl(url="http://127.0.0.1:1/towers.safetensors", sha256=hashlib.sha256(content).hexdigest())
    cached_path(source).parent.mkdir(parents=True)
    cached_path(source).write_bytes(content)
    encoder = settings().model_copy(update={"weights": source})
    assert encoder.finetune is not None
    module, origin = starting_towers(encoder, encoder.finetune)
    assert torch.equal(module.visual.conv1.weight, towers.visual.conv1.weight)
    assert origin == f"file towers.safetensors sha256 {source.sha256}"
    assert "towers.safetensors: CLIP with quick_gelu" in capsys.readouterr().err
    other = encoder.model_copy(update={"weights": source.model_copy(update={"sha256": "0" * 64})})
    with pytest.raises(PipelineError, match="cannot be fetched"):
        starting_towers(other, encoder.finetune)


def test_equal_seeds_give_equal_files(tmp_path: Path) -> None:
    write_data(tmp_path, {"train": 8, "val": 4, "test": 0})
    files = []
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        finetune(tmp_path, settings(seed=seed), name)
        files.append((tmp_path / name / "weights.safetensors").read_bytes())
    assert files[0] == files[1]
    assert files[0] != files[2]


def test_a_checkpoint_after_every_step_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_data(tmp_path, {"train": 8, "val": 4, "test": 0})
    undisturbed = finetune(tmp_path, settings(), "undisturbed")
    saved = []
    monkeypatch.setattr(training_run, "SECONDS_BETWEEN", -1.0)
    monkeypatch.setattr(
        training_run, "write_checkpoint", lambda _, state: saved.append(len(state["ranks"][0]["numbers"]))
    )
    assert finetune(tmp_path, settings(), "saved") == undisturbed
    assert saved == [1, 2] * 3
    assert not list((tmp_path / "undisturbed").glob("checkpoints/**/*.ckpt"))


def test_two_ranks_train_what_one_process_does(tmp_path: Path) -> None:
    """The loss is that of the whole batch; seven videos a batch make shares of three and four."""
    write_data(tmp_path, {"train": 14, "val": 5, "test": 0})
    encoder = settings(batch_size=7)
    one, two = finetune(tmp_path, encoder, "one"), tmp_path / "two"
    arguments = [sys.executable, "-m", "pipeline.jobs.ranks", "2", "-m", "pipeline", "finetune_clip4clip"]
    arguments += ["--frames", tmp_path / "0.zarr", tmp_path / "1.zarr", "--captions", tmp_path / "captions.json"]
    arguments += ["--checkpoints", two / "checkpoints", "--out", two / "weights.safetensors"]
    arguments += ["--retrieval", two / "retrieval.json", "--threads", "1", "--settings", encoder.model_dump_json()]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*map(str, arguments)], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("finetune_clip4clip: epoch 1 of 3") == 1
    scores = json.loads((two / "retrieval.json").read_text())
    losses, others = ([epoch["loss"] for epoch in found["epochs"]] for found in (one, scores))
    assert losses[-1] < losses[0] - 0.01  # the learning shows far above the difference
    assert others == pytest.approx(losses, abs=1e-4)
    assert [epoch["val"] for epoch in scores["epochs"]] == [epoch["val"] for epoch in one["epochs"]]
    weights, other_weights = (load_file(folder / "weights.safetensors") for folder in (tmp_path / "one", two))
    for name, tensor in weights.items():
        assert_close(other_weights[name], tensor, atol=1e-3, rtol=1e-3, msg=lambda text, name=name: f"{name}: {text}")


def test_a_batch_without_a_video_for_each_rank_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_data(tmp_path, {"train": 3, "val": 0, "test": 0})
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(PipelineError, match=r"`batch_size: 8` make batches of 3, fewer than 4 processes; raise"):
        finetune(tmp_path, settings(batch_size=8))
    check_shares(num_videos=4, batch_size=8, num_ranks=4)


def test_shares_of_a_batch_make_up_its_loss() -> None:
    similarity = torch.randn(5, 5, generator=torch.Generator().manual_seed(1))
    shares = [own_part(5, Ranks(number, 3)) for number in range(3)]
    assert [list(range(5))[own] for own in shares] == [[0], [1, 2], [3, 4]]
    assert_close(sum(symmetric_loss(similarity, own) for own in shares), symmetric_loss(similarity))


def test_frames_that_do_not_fit_are_read_when_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_data(tmp_path, {"train": 8, "val": 4, "test": 0})
    in_memory = finetune(tmp_path, settings(), "memory")
    monkeypatch.setattr(retrieval, "BYTES_IN_MEMORY", 0)
    assert finetune(tmp_path, settings(), "artifact") == in_memory


def test_without_validation_videos_the_last_epoch_is_kept(tmp_path: Path) -> None:
    write_data(tmp_path, {"train": 8, "val": 0, "test": 0})
    scores = finetune(tmp_path, settings())
    assert scores["kept_epoch"] == 3
    assert scores["best"] is None


def test_a_single_validation_video_chooses_no_epoch(tmp_path: Path) -> None:
    """It is always found, so that all recalls are 1 from the first epoch on, whose weights were kept."""
    write_data(tmp_path, {"train": 8, "val": 1, "test": 0})
    scores = finetune(tmp_path, settings())
    assert [sum_of_recalls(epoch["val"]) for epoch in scores["epochs"]] == [6.0] * 3
    assert scores["kept_epoch"] == 3


def test_the_loss_chooses_where_recalls_are_equal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_data(tmp_path, {"train": 8, "val": 2, "test": 0})
    monkeypatch.setattr(retrieval_training, "sum_of_recalls", lambda _: 6.0)
    scores = finetune(tmp_path, settings(epochs=4, lr=4e-3))
    losses = [epoch["val_loss"] for epoch in scores["epochs"]]
    assert scores["kept_epoch"] == 1 + losses.index(min(losses)) > 1


def test_too_few_videos_are_an_error(tmp_path: Path) -> None:
    write_data(tmp_path, {"train": 1, "val": 0, "test": 2})
    with pytest.raises(PipelineError, match="1 captioned training videos of plain have frames"):
        finetune(tmp_path, settings())


def test_a_video_in_two_splits_is_an_error() -> None:
    splits = {"train": ["a", "b"], "val": ["c"], "test": ["b"]}
    with pytest.raises(PipelineError, match="such as b"):
        check_train_ids(["a", "b"], splits)
    with pytest.raises(PipelineError, match="such as c"):
        check_train_ids(["a", "c"], splits)
    check_train_ids(["a"], splits)


def test_tokens_are_renumbered_in_order() -> None:
    tokens, used = index_tokens({"train": {"a": ["red", "a red"]}, "val": {"b": ["blue"]}}, 5)
    assert used[0] == 0
    assert used[-2:].tolist() == [49406, 49407]
    assert tokens["train"]["a"].shape == (2, 5)
    assert torch.equal(used[tokens["val"]["b"]], tokenize(["blue"], 5))
    assert tokens["train"]["a"].argmax(dim=1).tolist() == [2, 3]


def test_a_batch_holds_a_video_once_and_one_of_its_captions() -> None:
    num_captions = {f"v{index}": index % 3 + 1 for index in range(11)}
    batches = list(epoch_batches(num_captions, 4, 1, 0))
    assert [len(batch) for batch in batches] == [4, 4]
    items = [item for batch in batches for item in batch]
    assert len({item.video_id for item in items}) == 8
    assert all(0 <= item.caption < num_captions[item.video_id] for item in items)
    assert list(epoch_batches(num_captions, 4, 1, 0)) == batches
    assert list(epoch_batches(num_captions, 4, 1, 1)) != batches
    assert [len(batch) for batch in epoch_batches(num_captions, 64, 1, 0)] == [11]
    drawn = {item.caption for epoch in range(30) for item in next(epoch_batches({"v": 3, "w": 1}, 2, 1, epoch))}
    assert drawn == {0, 1, 2}


def test_crops_are_squares_of_the_asked_area() -> None:
    ramp = torch.arange(60, dtype=torch.uint8).view(1, 1, 60, 1).expand(5, 40, 60, 3)
    crops = random_crops(ramp, 20, (0.25, 0.25), 3, np.random.default_rng(0))
    assert crops.shape == (3, 3, 20, 20)  # half of 40 pixels wide: the pixels themselves
    assert (crops[..., 1:] - crops[..., :-1] == 1).all()
    starts = {
        int(random_crops(ramp[:1], 20, (0.25, 0.25), 1, np.random.default_rng(s))[0, 0, 0, 0]) for s in range(300)
    }
    assert (min(starts), max(starts)) == (0, 40)
    whole = random_crops(ramp, 20, (1.0, 1.0), 9, np.random.default_rng(0))
    assert torch.equal(whole, whole_frames(ramp, 20))


def test_mean_pooling_uses_each_videos_own_frames() -> None:
    frames = torch.tensor([[3.0, 0.0], [0.0, 5.0], [0.0, 2.0], [-1.0, 0.0]])
    pooled = pool_frames(frames, torch.tensor([0, 0, 1, 2]), 3)
    half = math.sqrt(0.5)
    torch.testing.assert_close(pooled, torch.tensor([[half, half], [0.0, 1.0], [-1.0, 0.0]]))


def test_loss_is_the_mean_of_both_directions() -> None:
    similarity = torch.tensor([[2.0, 0.0], [1.0, 3.0]])
    rows = math.log(1 + math.exp(-2)) + math.log(1 + math.exp(-2))
    columns = math.log(1 + math.exp(-1)) + math.log(1 + math.exp(-3))
    assert float(symmetric_loss(similarity)) == pytest.approx((rows + columns) / 4)


def test_ranks() -> None:
    similarity = torch.tensor([[0.9, 0.1, 0.2], [0.3, 0.2, 0.1], [0.5, 0.6, 0.4], [0.1, 0.2, 0.3]])
    scores = retrieval_scores(similarity, torch.tensor([0, 0, 1, 2]))
    # Captions: 1, 1, 1, 1. Videos: 0 is best by 0.9 (rank 1), 1 by 0.6 (1), 2 by 0.3, after 0.4 (2).
    assert scores["text_to_video"] == {"R@1": 1.0, "R@5": 1.0, "R@10": 1.0, "median_rank": 1.0}
    assert scores["video_to_text"] == {"R@1": 0.666667, "R@5": 1.0, "R@10": 1.0, "median_rank": 1.0}


def test_a_collapsed_encoder_does_not_score() -> None:
    scores = retrieval_scores(torch.zeros(12, 12), torch.arange(12))
    for direction in scores.values():
        assert direction == {"R@1": 0.0, "R@5": 0.0, "R@10": 0.0, "median_rank": 12.0}


def test_rate_rises_and_falls() -> None:
    factors = [rate_factor(step, 100, 0.1) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[9] == factors[10] == 1.0
    assert factors[55] == pytest.approx(0.5)
    assert factors[99] < 0.001
    assert rate_factor(0, 5, 0.0) == 1.0


def test_towers_learn_at_their_own_rate_and_vectors_do_not_decay() -> None:
    module, _ = load_pretrained("random", ARCH, 1)
    groups = make_optimizer(module, 1e-4, 1e-3, 0.2).param_groups
    assert sum(len(group["params"]) for group in groups) == len(list(module.parameters()))
    by_id = {id(parameter): group for group in groups for parameter in group["params"]}
    for parameter, rate, decay in (
        (module.visual.conv1.weight, 1e-7, 0.2),
        (module.visual.ln_pre.weight, 1e-7, 0.0),
        (module.logit_scale, 1e-4, 0.0),
    ):
        assert by_id[id(parameter)]["lr"] == pytest.approx(rate)
        assert by_id[id(parameter)]["weight_decay"] == decay


def test_cpus_train_in_single_precision_unless_told() -> None:
    cpu = torch.device("cpu")
    assert training_dtype("auto", cpu) == torch.float32
    assert training_dtype("bf16", cpu) == torch.bfloat16
