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


LOG = """[main] INFO edu.stanford.nlp.pipeline.StanfordCoreNLP - Adding annotator tokenize
Processing from stdin. Enter one sentence per line.
[main] INFO edu.stanford.nlp.pipeline.StanfordCoreNLP - Adding annotator openie
"""
TRIPLET = {"subject": "a man", "relation": "plays", "object": "the guitar", "confidence": 1.0}
PROTOBUF = {
    "text": "Two old men are sitting.",
    "sentence": [
        {"token": [{"word": "Hm", "lemma": "hm", "pos": "UH"}], "sentenceIndex": 0},
        {
            "token": [
                {"word": "Men", "lemma": "man", "pos": "NNS"},
                {"word": "sat", "lemma": "sit", "pos": "VBD"},
                {"word": "on", "lemma": "on", "pos": "IN"},
                {"word": "red", "lemma": "red", "pos": "JJ"},
                {"word": "benches", "lemma": "bench", "pos": "NNS"},
            ],
            "openieTriple": [
                {
                    "subject": "Men",
                    "relation": "sat on",
                    "object": "red benches",
                    "confidence": 1.0,
                    "subjectTokens": [{"sentenceIndex": 1}],
                    "relationTokens": [{"sentenceIndex": 1, "tokenIndex": 1}, {"sentenceIndex": 1, "tokenIndex": 2}],
                    "objectTokens": [{"sentenceIndex": 1, "tokenIndex": 3}, {"sentenceIndex": 1, "tokenIndex": 4}],
                }
            ],
        },
    ],
}


@pytest.mark.parametrize("log", ["", "\ufeff", LOG], ids=["plain", "byte order mark", "log"])
@pytest.mark.parametrize(
    "text",
    [
        "1.0\ta man\tplays\tthe guitar\n",
        "man &guitar &plays\n",
        "0.93 (a man; plays; the guitar)\n",
        json.dumps({"sentences": [{"openie": [TRIPLET]}]}),
        json.dumps([TRIPLET], indent=1),
        json.dumps([[TRIPLET], []]),
        json.dumps(TRIPLET) + "\n",
    ],
    ids=["tabs", "akg", "scored", "document", "objects", "lists of objects", "object a line"],
)
def test_forms_of_other_systems_and_what_stands_before(tmp_path: Path, text: str, log: str) -> None:
    assert read(tmp_path / "openie", log + text) == [("man", "plays", "guitar")]


def test_json_of_protobuf(tmp_path: Path) -> None:
    assert read(tmp_path / "openie.json", json.dumps(PROTOBUF)) == [("man", "sit on", "bench")]
    assert read(tmp_path / "openie.json", json.dumps([PROTOBUF] * 2)) == [("man", "sit on", "bench")] * 2


def test_other_line_separators_are_a_part_of_a_text(tmp_path: Path) -> None:
    text = json.dumps([TRIPLET | {"object": "the\u2028guitar"}], ensure_ascii=False)
    assert read(tmp_path / "openie.json", text) == [("man", "plays", "guitar")]


def test_scored_triplets_stand_among_sentences(tmp_path: Path) -> None:
    text = """A man sings (loudly; on stage).
0.93 (A man; sings; )
.5: (A man; is singing on; L:a stage; T:today)

The woman says that a dog barks.
0.88 Context(The woman says,List([0, 14))):(a dog; barks at; the cat)
1.000: (woman; holds; a dog)
"""
    assert read(tmp_path / "openie.txt", text) == [
        ("man", "singing on", "stage"),
        ("dog", "barks at", "cat"),
        ("woman", "holds", "dog"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LOG, "line 2: expected `confidence TAB"),
        ("0.93 (a man; plays; the guitar)\n0.87 (a dog; runs\n", "line 2: expected"),
        (json.dumps({"sentence": [{"token": []}]}), "is not CoreNLP's JSON .*openieTriple"),
        (json.dumps([{"subject": "a man", "object": "x"}]), "is not CoreNLP's JSON .*relation"),
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
