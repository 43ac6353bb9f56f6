"""The configurations in configs/ fit on config.yaml, and hold the published numbers."""

from pathlib import Path

import pytest
import torch

from pipeline.captioning.lstm_captioner import LstmCaptioner
from pipeline.config.overlays import read_config
from pipeline.models.i3d import FEATURE_DIM
from pipeline.models.map_alignment import require_small
from pipeline.recognition.cast_body import CastBody
from pipeline.recognition.cast_part import CastPart
from pipeline.recognition.cast_recognizer import options_of
from pipeline.recognition.recognizer import build_recognizer, map_shapes
from pipeline.recognition.towers.spatial import SpatialTower
from pipeline.recognition.towers.temporal import TemporalTower
from pipeline.report.benchmark_splits import over_splits
from pipeline.workflow.splits import decoded_as

ROOT = Path(__file__).parents[2]


def merged(name):
    """An overlay on config.yaml."""
    return read_config([ROOT / "config.yaml", ROOT / f"configs/{name}.yaml"])


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "configs").glob("*.yaml")))
def test_every_overlay_is_valid(name):
    config = merged(name)
    assert set(config.report.experiments) <= set(config.experiments)


@pytest.mark.parametrize(
    ("name", "epochs", "batch_size", "captions"), [("msvd", 30, 64, 40.6), ("msrvtt", 25, 128, 20)]
)
def test_published_numbers(name, epochs, batch_size, captions):
    config = merged(name)
    assert config.datasets[name].kind == name
    sampling = config.samplings["paper"]
    assert (sampling.fps, sampling.max_frames, sampling.window) == (1.0, 20, 16)
    clip = config.encoders[f"clip_{name}"]
    assert (clip.finetune.dataset, clip.finetune.frames, clip.finetune.batch_size) == (name, 12, 128)
    assert clip.finetune.epochs == round(5 * captions)
    for experiment in config.report.experiments:
        settings = config.captioners[config.experiments[experiment].captioner]
        training = settings.training
        assert training.epochs == pytest.approx(epochs * captions, rel=0.01)
        assert (training.batch_size, training.captions_per_video) == (batch_size, 1)
        assert training.validate_every == pytest.approx(captions, abs=0.5)
        assert settings.model.visual_heads_right_to_left == 128
        assert config.experiments[experiment].dataset == name
        assert config.vocabularies[config.experiments[experiment].vocabulary].min_count == 3


@pytest.mark.parametrize(
    ("overlay", "recognizer", "classes", "parameters"),
    [
        ("multi_sync_mnist", "plain", 56, 2_790_904),
        ("multi_sync_mnist", "dyreg", 56, 2_790_904 + 290_088),
        ("something_something_v2", "tsm", 174, 23_864_558),
        ("something_something_v2", "dyreg", 174, 23_864_558 + 1_141_640 + 1_836_040 + 1_859_592),
    ],
)
def test_recipes_build_networks_of_the_published_sizes(overlay, recognizer, classes, parameters):
    """2.790 and 3.081 million; 23.9 and 28.7 million (Duta et al.)."""
    with torch.device("meta"):
        model = build_recognizer(merged(overlay).recognizers[recognizer], {"class": classes})
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


def test_published_recipes_are_those_of_the_papers():
    rstg = merged("sync_mnist").recognizers["rstg_published"].training
    assert (rstg.lr, rstg.loss, rstg.schedule, rstg.weight_decay, rstg.batch_norm) == (
        1e-6,
        "sum",
        "constant",
        0,
        "frozen",
    )
    i3d = merged("something_something_v1").recognizers["i3d_rstg_maps_published"]
    assert (i3d.training.lr, i3d.training.loss, i3d.training.epochs, i3d.dropout) == (1e-4, "sum", 100, 0.3)
    assert (i3d.views.temporal, i3d.views.spatial, i3d.views.size, i3d.frames.number) == (2, 11, 256, 32)
    dyreg = merged("something_something_v2").recognizers["dyreg_published"]
    training = dyreg.training
    assert (training.lr, training.steps, training.epochs, training.batch_size) == (1e-3, [20, 30, 40], 60, 10)
    assert (training.multipliers, training.weight_decay, dyreg.augmentation.flip) == ("tsm", 5e-4, "none")
    assert (dyreg.views.temporal, dyreg.views.spatial, dyreg.views.size, dyreg.frames.number) == (2, 3, 256, 16)


@pytest.mark.parametrize(
    ("overlay", "epochs", "batch_size", "drop_path", "mixup", "flip", "views", "heads", "trained"),
    [
        ("cast_epic_kitchens", 50, 384, 0.2, 0.9, "swap_labels", 2, {"noun": 300, "verb": 97}, 44_784_781),
        ("cast_something_something_v2", 50, 384, 0.3, 0.9, "none", 2, {"class": 174}, 45_205_038),
        ("cast_kinetics400", 70, 576, 0.2, 0.5, "swap_labels", 5, {"class": 400}, 45_378_832),
        ("cast_ucf101", 30, 384, 0.2, 0.5, "swap_labels", 5, {"class": 101}, 45_148_901),
    ],
)
def test_recipes_of_cast_are_those_of_the_paper(
    overlay, epochs, batch_size, drop_path, mixup, flip, views, heads, trained
):
    """Lee, Lee and Choi (NeurIPS 2023), Table 4 and released code; TSTL's command for UCF101."""
    config = merged(overlay)
    cast = config.recognizers["cast"]
    training, augmentation = cast.training, cast.augmentation
    assert (training.epochs, training.batch_size, cast.drop_path) == (epochs, batch_size, drop_path)
    assert training.lr == pytest.approx(1e-3 * batch_size / 256)
    assert training.least_lr == pytest.approx(1e-6 * batch_size / 256)
    assert training.warmup * epochs == pytest.approx(5, abs=0.01)
    assert (training.multipliers, training.layer_decay, training.weight_decay) == ("layers", 0.75, 0.05)
    assert (training.label_smoothing, training.clip_norm, training.optimizer) == (0.1, None, "adamw")
    assert (augmentation.mixup.alpha, augmentation.mixup.share) == (0.8, mixup)
    assert (augmentation.rand_augment.operations, augmentation.rand_augment.magnitude) == (4, 7)
    assert (augmentation.rand_augment.deviation, augmentation.rand_augment.interpolation) == (0.5, "bicubic")
    assert augmentation.flip == flip
    assert (cast.views.temporal, cast.views.spatial, cast.views.short_side, cast.views.size) == (views, 3, 224, 224)
    assert (cast.frames.sampling, cast.frames.stride) == (("dense", 4) if views == 5 else ("segments", None))
    arch = config.encoders[cast.temporal].arch
    assert (cast.frames.number, augmentation.size) == (arch.frames, arch.image_size)
    assert (config.encoders[cast.spatial].arch, config.encoders[cast.spatial].finetune) == ("ViT-B-16", None)
    with torch.device("meta"):
        towers = SpatialTower(224, 16, 768, 12, 12), TemporalTower(224, 16, 16, 2, 768, 12, 12)
        part = CastPart(CastBody(*towers), heads, options_of(cast))
    assert sum(parameter.numel() for parameter in part.parameters()) == trained


def test_the_splits_of_ucf101_share_their_clips():
    config = merged("cast_ucf101")
    names = ["ucf101_1", "ucf101_2", "ucf101_3"]
    assert [config.datasets[name].split for name in names] == [1, 2, 3]
    assert {decoded_as(config.model_dump(mode="json"), name) for name in names} == {"ucf101_1"}
    scored = {name: {"test": [{"metrics": {"top1": 0.5}}]} for name in config.report.experiments}
    (row,) = over_splits(scored, config.model_dump(mode="json"))
    assert row["splits"] == [1, 2, 3]


def test_the_published_lstm_captioner():
    """Maps of 2048 channels in (10, 7, 7) cells, 512 and 256 wide, Adam at 1e-3, 64 videos, words that come 4 times."""
    config = merged("msrvtt_lstm")
    experiment = config.experiments["lstm"]
    captioner, maps = config.captioners[experiment.captioner], config.maps[experiment.maps]
    model, training = captioner.model, captioner.training
    assert (model.projection, model.embedding, model.hidden, model.attention) == (2048, 256, 512, "none")
    assert (training.optimizer, training.lr, training.batch_size, training.epochs) == ("adam", 1e-3, 64, 300)
    assert (training.schedule, training.noise, training.captions_per_video) == ("none", 0.01, 1)
    assert (training.label_smoothing, training.clip_norm, captioner.decoding.max_words) == (0.0, None, 20)
    assert config.vocabularies[experiment.vocabulary].min_count == 4
    recognizer = config.recognizers[config.experiments[config.encoders[maps.encoder].experiment].recognizer]
    channels, *cells = map_shapes(recognizer)["final"][2:]
    assert (channels, cells) == (2048, [7, 7])
    require_small(maps.align_size, channels, maps.bits)
    require_small(config.maps["i3d"].align_size, FEATURE_DIM, config.maps["i3d"].bits)
    assert maps.align_size == config.maps["i3d"].align_size == (10, 7, 7)
    with torch.device("meta"):
        built = LstmCaptioner(model, 11_045, channels)
    assert sum(parameter.numel() for parameter in built.parameters()) == 14_796_069
