"""The configurations in configs/ fit on config.yaml, and hold the published numbers."""

from pathlib import Path

import pytest
import torch

from pipeline.config.overlays import read_config
from pipeline.recognition.recognizer import build_recognizer

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
