import json
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.knowledge.openie import read_openie
from pipeline.knowledge.triplets import Triplet


def read(path: Path, text: str) -> list[Triplet]:
    path.write_text(text, encoding="utf-8")
    return list(read_openie(path, 2))


def test_lines_of_corenlp(tmp_path: Path) -> None:
    text = "1.0\ta man\tplays\tthe guitar\n\n0.87\tA dog\tis chasing\ta black cat\n1.0\tit\tis\ta dog\n"
    assert read(tmp_path / "openie.tsv", text) == [("man", "plays", "guitar"), ("dog", "chasing", "black cat")]


def test_lines_of_akg_have_the_tail_before_the_relation(tmp_path: Path) -> None:
    [triplet] = read(tmp_path / "openie.txt", "man &guitar &play\n")
    assert triplet == Triplet(head="man", relation="play", tail="guitar")


# As CoreNLP's server answers with annotators tokenize, pos, lemma, depparse, natlog, openie.
DOCUMENT = {
    "sentences": [
        {
            "index": 0,
            "openie": [
                {
                    "subject": "Two old men",
                    "subjectSpan": [0, 3],
                    "relation": "are sitting on",
                    "relationSpan": [3, 6],
                    "object": "red benches",
                    "objectSpan": [6, 8],
                }
            ],
            "tokens": [
                {"index": index + 1, "word": word, "lemma": lemma, "pos": pos}
                for index, (word, lemma, pos) in enumerate(
                    [
                        ("Two", "two", "CD"),
                        ("old", "old", "JJ"),
                        ("men", "man", "NNS"),
                        ("are", "be", "VBP"),
                        ("sitting", "sit", "VBG"),
                        ("on", "on", "IN"),
                        ("red", "red", "JJ"),
                        ("benches", "bench", "NNS"),
                        (".", ".", "."),
                    ]
                )
            ],
        }
    ]
}


@pytest.mark.parametrize(
    "text",
    [json.dumps(DOCUMENT), json.dumps([DOCUMENT], indent=1), f"{json.dumps(DOCUMENT)}\n\n"],
    ids=["document", "list", "line"],
)
def test_json_gives_nouns_and_verbs_by_their_lemmas(tmp_path: Path, text: str) -> None:
    assert read(tmp_path / "openie.json", text) == [("man", "sit on", "bench")]


def test_json_lines(tmp_path: Path) -> None:
    text = f"{json.dumps(DOCUMENT)}\n{json.dumps(DOCUMENT)}\n"
    assert read(tmp_path / "openie.jsonl", text) == [("man", "sit on", "bench")] * 2


def test_json_without_tokens_is_taken_as_it_stands(tmp_path: Path) -> None:
    [sentence] = DOCUMENT["sentences"]
    text = json.dumps({"sentences": [{"openie": sentence["openie"]}]})
    assert read(tmp_path / "openie.json", text) == [("old men", "sitting on", "red benches")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1.0\ta man\tplays\n", "line 1: expected `confidence TAB"),
        ("man &guitar &play\nwhatever\n", "line 2: expected"),
        ('{"sentences": [{"tokens": []}]}', "is not CoreNLP's JSON"),
        ("[1]", "is not CoreNLP's JSON"),
        ('{"sentences": [', "is not CoreNLP's JSON"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        read(tmp_path / "openie", text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"nowhere\.txt cannot be read"):
        list(read_openie(tmp_path / "nowhere.txt", 2))
