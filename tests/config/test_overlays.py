from pathlib import Path

import pytest

from pipeline.config.overlays import read_config
from pipeline.errors import PipelineError

CONFIG = Path(__file__).parents[2] / "config.yaml"


def laid_over(folder, *texts):
    """config.yaml with overlays of these texts."""
    overlays = []
    for number, text in enumerate(texts):
        overlays.append(folder / f"overlay {number}.yaml")
        overlays[-1].write_text(text)
    return read_config([CONFIG, *overlays])


def test_mappings_join_and_anything_else_replaces(tmp_path):
    default = read_config([CONFIG])
    laid = laid_over(tmp_path, "datasets: {shapes: {seed: 11}}", "report: {experiments: [grid]}", "datasets: {}")
    assert laid.datasets["shapes"].seed == 11
    assert laid.datasets["shapes"].shards == default.datasets["shapes"].shards
    assert laid.report.experiments == ["grid"]


def test_an_empty_file_changes_nothing(tmp_path):
    assert laid_over(tmp_path, "") == read_config([CONFIG])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("datasets: {shapes", "overlay 0.yaml cannot be read as a configuration"),
        ("- a list", "overlay 0.yaml: expected sections of settings"),
        ("datasets: &a {shapes: *a}", "an alias of itself"),
        ("datasets: {shapes: {sed: 11}}", "did you mean `seed`"),
    ],
)
def test_mistakes_are_said_in_a_line(tmp_path, text, said):
    with pytest.raises(PipelineError) as caught:
        laid_over(tmp_path, text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
