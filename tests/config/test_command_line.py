"""What `--config` gives is read as a file would be read: Snakemake makes texts of all that is in braces."""

import copy
from pathlib import Path

import pytest
import yaml
from snakemake.cli import parse_config
from snakemake.utils import update_config

from pipeline.config import validate
from pipeline.config.command_line import as_in_a_file
from pipeline.errors import PipelineError

RAW = yaml.safe_load((Path(__file__).parents[2] / "config.yaml").read_text())


def given(*entries: str) -> tuple[dict, dict]:
    """The configuration as Snakemake hands it over, and what it made of `--config`."""
    parsed = parse_config(entries)
    config = copy.deepcopy(RAW)
    update_config(config, parsed)
    return config, parsed


def test_numbers_in_braces_are_numbers():
    config, parsed = given("nodes={grid: {overlap: 0.25}}", "report={videos: 3, akg: true}")
    assert config["nodes"]["grid"]["overlap"] == "0.25"  # what Snakemake gives
    with pytest.raises(PipelineError, match=r"nodes\.grid\.overlap"):
        validate(config)
    settings = validate(as_in_a_file(config, parsed))
    assert settings.nodes["grid"].overlap == 0.25
    assert (settings.report.videos, settings.report.akg) == (3, True)


def test_lists_and_null_are_read_and_texts_stay():
    config, parsed = given("experiments={grid: {seeds: [1, 2], knowledge: null}}", "graphs={grid: {nodes: grid}}")
    settings = validate(as_in_a_file(config, parsed))
    assert settings.experiments["grid"].seeds == [1, 2]
    assert settings.experiments["grid"].knowledge is None
    assert settings.graphs["grid"].nodes == "grid"


def test_texts_of_files_stay_texts():
    config, parsed = given("nodes={grid: {overlap: 0.25}}")
    config["nodes"]["grid"]["cells"] = "3"  # in quotes in the user's file
    read = as_in_a_file(config, parsed)
    assert read["nodes"]["grid"]["cells"] == "3"
    with pytest.raises(PipelineError, match=r"nodes\.grid\.cells"):
        validate(read)
    assert config["nodes"]["grid"]["overlap"] == "0.25"  # what was given is not changed
