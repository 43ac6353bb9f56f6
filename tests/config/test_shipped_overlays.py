"""The configurations in configs/ fit on config.yaml, and hold the published numbers."""

from pathlib import Path

import pytest

from pipeline.config.overlays import read_config

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
