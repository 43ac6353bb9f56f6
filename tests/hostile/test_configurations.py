"""Configurations that would run Python, fill memory or never end."""

import copy
import os
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.config import validate
from pipeline.config.plain import MAX_VALUES, require_no_template, require_plain
from pipeline.errors import PipelineError

ROOT = Path(__file__).parents[2]
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + below] * 10)}]\n" for below, name in zip("abcdefgh", "bcdefghi", strict=True)
)
BOMB_OF_MAPPINGS = "a: &a {x: 1}\n" + "".join(
    f"{name}: &{name} {{{', '.join(f'k{n}: *{below}' for n in range(10))}}}\n"
    for below, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def refused(raw):
    """What is said of a configuration, in a line."""
    with pytest.raises(PipelineError, match=r"^config: ") as raised:
        validate(raw)
    assert str(raised.value).isprintable()
    return str(raised.value)


@pytest.mark.parametrize("text", [BOMB, BOMB_OF_MAPPINGS])
def test_a_kilobyte_of_aliases_that_stands_for_a_billion_values(text):
    start = time.monotonic()
    assert f"more than {MAX_VALUES:,} values" in refused(CONFIG | {"datasets": {"x": yaml.safe_load(text)}})
    assert time.monotonic() - start < 5  # 0.1 s on an idle machine


@pytest.mark.parametrize("text", ["&a {x: *a}", "&a [*a]", "&a {shards: {videos: [*a]}}"])
def test_an_alias_of_itself(text):
    said = refused(CONFIG | {"datasets": {"x": yaml.safe_load(text)}})
    assert "deeper than 30 levels, or an alias of itself" in said or "more than" in said


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (date(2026, 1, 1), "a date is no plain value: put a text in quotes"),
        (len, "a builtin_function_or_method is no plain value"),
        (b"x", "a bytes is no plain value"),
        ({1: 2}, "a key must be a text, not int"),
        ({None: 2}, "a key must be a text, not NoneType"),
        ({"a\0": 2}, "holds a control character"),
        (float("nan"), "a number must be finite"),
        (float("inf"), "a number must be finite"),
        (10**40, "a whole number beyond 64 bits"),
        ("x" * 5000, "a text of 5,000 characters"),
        ("a\0b", "holds a control character"),
        ("\ud800", "holds a control character"),
        ("\x1b[2J", "holds a control character"),
        ("{dataset}.csv", "would take the name in braces for a wildcard"),
        ("a/{ shard,.*}.csv", "would take the name in braces for a wildcard"),
    ],
)
def test_values_that_are_not_plain(value, message):
    raw = copy.deepcopy(CONFIG)
    raw["samplings"][next(iter(raw["samplings"]))]["fps"] = value
    assert message in refused(raw)


@pytest.mark.parametrize("value", [[], {}, ["grid"], {"like": "grid"}, None, 5])
def test_references_that_are_no_names(value):
    raw = copy.deepcopy(CONFIG)
    raw["nodes"]["grid"]["like"] = value
    assert "`nodes.grid.like`: expected the name of another entry" in refused(raw)
    raw = copy.deepcopy(CONFIG)
    raw["report"]["experiments"] = [value]
    assert "`report.experiments.0`: Input should be a valid string" in refused(raw)


def test_a_chain_of_a_thousand_likes():
    raw = copy.deepcopy(CONFIG)
    raw["samplings"] |= {f"s{number}": {"like": f"s{number + 1}"} for number in range(1000)}
    assert "a chain of more than 50: write one of them out" in refused(raw)


@pytest.mark.parametrize("kind", ["../x", "weights/../../x", "\u202e"])
def test_archives_and_urls_without_a_hash(kind):
    raw = copy.deepcopy(CONFIG)
    raw["encoders"]["i3d"] = raw["encoders"]["i3d"] | {"weights": {"url": f"https://example.org/{kind}"}}
    said = refused(raw)
    assert "sha256" in said or "control character" in said


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/x", "https://", "javascript:x", "//x", "x y"])
def test_addresses_that_are_no_web_addresses(url):
    raw = copy.deepcopy(CONFIG)
    weights = {"url": url, "sha256": "0" * 64}
    raw["encoders"]["i3d"] = raw["encoders"]["i3d"] | {"weights": weights}
    assert "encoders.i3d" in refused(raw)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("__use_yte__: true\n__definitions__:\n  - import os\n", "`__use_yte__` would run the Python in it"),
        ("__use_yte__: false\n", "`__use_yte__` would run the Python in it"),
        ("a: !!python/object/apply:os.system [touch pwned]\n", "no plain YAML"),
        ("a: !!python/name:os.system\n", "no plain YAML"),
        ("a: !!python/module:os\n", "no plain YAML"),
        ("a: [\n", "no plain YAML"),
        ("[" * 5000, "no plain YAML"),
        ("a: " + "9" * 5000, "no plain YAML"),
    ],
)
def test_files_that_would_run_python(tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(PipelineError, match=rf"config: .*c\.yaml: {message}") as raised:
        require_no_template(tmp_path / "c.yaml")
    assert str(raised.value).isprintable()
    assert not (tmp_path / "pwned").exists()


def test_what_is_shipped_is_plain():
    for path in [ROOT / "config.yaml", *(ROOT / "configs").glob("*.yaml")]:
        require_no_template(path)
        require_plain(yaml.safe_load(path.read_text(encoding="utf-8")))


@pytest.mark.slow
def test_a_config_yaml_that_would_run_python_stops_the_workflow(tmp_path):
    for name in ("rules", "pipeline", "envs", "Snakefile"):
        (tmp_path / name).symlink_to(ROOT / name)
    text = (ROOT / "config.yaml").read_text(encoding="utf-8")
    program = "__use_yte__: true\n__definitions__:\n  - import os\n  - os.system('touch pwned')\n"
    (tmp_path / "config.yaml").write_text(program + text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--dry-run"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "`__use_yte__` would run the Python in it" in done.stdout
    assert "Traceback" not in done.stdout
    assert not (tmp_path / "pwned").exists()


def places(value, above=()):
    """Every place of a configuration."""
    yield above
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*above, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from places(inner, (*above, number))


PLACES = [place for place in places(CONFIG) if place]
WORDS = st.sampled_from(["", "grid", "shapes", "..", "null", "a\nb", "\ud800", "random", "1:1", "/", "x" * 300])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=20) | st.dates() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.integers() | st.none(), inner, max_size=4),
    max_leaves=8,
)


@given(
    st.lists(
        st.tuples(st.sampled_from(PLACES), st.sampled_from(["set", "drop", "rename", "like"]), VALUES),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=250, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
def test_fuzz_of_the_real_configuration(mutations):
    """A mutated config.yaml is valid, or refused in a line."""
    raw = copy.deepcopy(CONFIG)
    for place, what, value in mutations:
        entry = raw
        for key in place[:-1]:
            known = entry if isinstance(entry, dict) else range(len(entry)) if isinstance(entry, list) else ()
            entry = entry[key] if key in known else None
        if not isinstance(entry, dict):
            continue
        if what == "set":
            entry[place[-1]] = value
        elif what == "drop":
            entry.pop(place[-1], None)
        elif what == "rename" and isinstance(value, str | int | None):
            entry[value] = entry.pop(place[-1], None)
        elif what == "like" and isinstance(entry.get(place[-1]), dict):
            entry[place[-1]]["like"] = value
    said = "config: valid"
    try:
        validate(raw)
    except PipelineError as error:
        said = str(error)
    assert said.isprintable()
    assert said.startswith("config: ")
