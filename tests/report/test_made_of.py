"""How the results were made: seconds from benchmark files, digests over shards, the commit, changed settings."""

import subprocess
from types import SimpleNamespace

from pipeline.report.dag import Stage
from pipeline.report.made import (
    benchmarks_of,
    changed_settings,
    commit_of,
    default_settings,
    describe_stages,
    digests_of,
    notes_of,
    size_of,
)


def store(name, digest, stage="decode_frames", num_bytes=1_500_000):
    return SimpleNamespace(
        dataset="d", name=name, stage=stage, artifact=SimpleNamespace(digest=digest), num_bytes=num_bytes
    )


def test_stages_have_seconds_bytes_and_digests(tmp_path):
    for place, told in {"000": "1.5\t0:00:02\t812.5", "001": "2.25\t0:00:02\t40.0", "002": "0.25\t0:00:00\tNA"}.items():
        (tmp_path / "decode_frames/d").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"decode_frames/d/{place}.tsv").write_text(f"s\th:m:s\tmax_rss\n{told}\n")
    (tmp_path / "decode_frames/d/000.log").write_text("9 s")
    rows = describe_stages({"decode_frames": Stage(2, []), "other": Stage(1, [])}, tmp_path, [store("f", "aa")])
    assert rows == [
        {
            "name": "decode_frames",
            "jobs": 2,
            "seconds": 4.0,
            "memory": 812.5,
            "size": "1.5 MB",
            "digests": {"d/f": "aa"},
        },
        {"name": "other", "jobs": 1, "seconds": None, "memory": None, "size": "", "digests": {}},
    ]
    assert notes_of(rows) == {"decode_frames": ", 4 s, 1.5 MB", "other": ""}
    assert benchmarks_of(tmp_path / "nowhere", "s") == []


def test_sizes_are_told_in_the_unit_that_suits_them():
    sizes = [size_of(number) for number in (0, 7, 1500, 2_340_000, 5_600_000_000)]
    assert sizes == ["", "7 B", "1.5 kB", "2.3 MB", "5.6 GB"]


def test_shards_have_one_digest_that_knows_their_order():
    one, other = ([store("f", of) for of in digests] for digests in (["aa", "bb"], ["bb", "aa"]))
    assert digests_of(one).keys() == {"d/f"}
    assert digests_of(one) != digests_of(other)


def test_the_commit_says_whether_files_differ(tmp_path):
    assert commit_of(tmp_path) is None
    who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    (tmp_path / "a").write_text("1")
    for call in (("init", "-q"), ("add", "a"), (*who, "commit", "-qm", "x")):
        subprocess.run(["git", "-C", str(tmp_path), *call], check=True)
    commit = commit_of(tmp_path)
    assert len(commit) == 40
    (tmp_path / "a").write_text("2")
    assert commit_of(tmp_path) == f"{commit} with changes"


def test_settings_that_differ_from_the_defaults():
    defaults = {"graphs": {"grid": {"top_k": 1, "same": True}}, "gone": {"x": 1}, "predictions": {}}
    config = {"graphs": {"grid": {"top_k": 2, "same": True}, "new": {"top_k": [1, 2]}}, "predictions": {}}
    assert changed_settings(config, defaults) == [
        ("gone.x", "1", "-"),
        ("graphs.grid.top_k", "1", "2"),
        ("graphs.new.top_k", "-", "[1, 2]"),
    ]


def test_the_defaults_are_those_of_the_code(tmp_path):
    assert default_settings(tmp_path / "config.yaml") is None
    assert changed_settings(default_settings(), default_settings()) == []
