"""Paths of many shards as a few words of a shell command."""

import subprocess

import pytest

from pipeline.workflow.shards import as_words, shard_names

STORE = "results/datasets/{}/graphs/grid/{}.zarr/zarr.json"


def expanded(words: str) -> list[str]:
    """What Bash makes of the words, as the rule of the report writes it into a list."""
    script = f"printf '%s\\n' {words}"
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        ([], ""),
        (["a/b.json", "a/b.json"], "a/b.json"),
        (["d/000.json"], "d/000.json"),
        (["d/001.json", "d/000.json", "d/002.json"], "d/{000..002}.json"),
        (["d/000.json", "d/001.json", "d/007.json"], "d/{000..001}.json d/007.json"),
        (["made/000/list.json", "made/001/list.json", "e/001.json"], "made/{000..001}/list.json e/001.json"),
        (["d/998.json", "d/999.json", "d/1000.json", "d/1001.json"], "d/{998..999}.json d/{1000..1001}.json"),
        (["my videos/$a.csv", "it's/000.json", "it's/001.json"], "'my videos/$a.csv' 'it'\"'\"'s/'{000..001}.json"),
    ],
)
def test_runs_of_shards_are_one_word_each(paths: list[str], words: str) -> None:
    assert as_words(paths) == words
    assert sorted(expanded(words)) == sorted(set(paths) or {""})


def test_five_thousand_shards_fit_into_a_line() -> None:
    """As arguments of a program they would take more bytes than Linux gives a command."""
    paths = [STORE.format(dataset, shard) for dataset in ("msvd", "shapes") for shard in shard_names(5000)]
    words = as_words(paths)
    assert len(words) < 300
    assert sorted(expanded(words)) == sorted(paths)
