import contextlib
import io
import itertools

import numpy as np
import pytest
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider

from pipeline.config import datasets as datasets_settings
from pipeline.datasets.shapes.captions import (
    ACTION_PHRASES,
    COLOUR_WORDS,
    EVERYTHING,
    RELATION_PHRASES,
    SHAPE_WORDS,
    captions_of,
    draw_captions,
    read_caption,
    vocabulary,
)

PAIRS = list(itertools.product(COLOUR_WORDS, SHAPE_WORDS))


def test_captions_of_one_content():
    captions = captions_of("red", "star", "moves left")
    assert captions == pytest.approx(
        {
            "a red star moves to the left": 0.245,
            "a red star slides to the left": 0.105,
            "a red star is moving to the left": 0.245,
            "a red star is sliding to the left": 0.105,
            "the red star moves to the left": 0.105,
            "the red star slides to the left": 0.045,
            "there is a red star moving to the left": 0.105,
            "there is a red star sliding to the left": 0.045,
        }
    )


def test_relation_names_the_other_object_second():
    captions = captions_of("orange", "star", "grows", "left of", ("blue", "cross"))
    assert "there is an orange star growing larger and larger on the left of a blue cross" in captions
    assert "an orange star gets larger and larger left of a blue plus" in captions
    assert sum(captions.values()) == pytest.approx(1)


def test_every_caption_of_one_object_is_read_back():
    for (colour, shape), action in itertools.product(PAIRS, ACTION_PHRASES):
        for caption in captions_of(colour, shape, action):
            assert read_caption(caption) == {"colour": colour, "shape": shape, "action": action}, caption


def test_every_caption_of_two_objects_is_read_back():
    contents = itertools.product(ACTION_PHRASES, RELATION_PHRASES)
    for number, (action, relation) in enumerate(contents):
        (colour, shape), other = PAIRS[number % len(PAIRS)], PAIRS[(7 * number + 1) % len(PAIRS)]
        for caption in captions_of(colour, shape, action, relation, other):
            assert read_caption(caption) == {"colour": colour, "shape": shape, "action": action}, caption


def test_no_wording_stands_for_two_things():
    """With this, reading back the products above covers the whole grammar."""
    wordings = [
        (kind, name, phrase)
        for kind, names in EVERYTHING.items()
        for name, phrases in names.items()
        for phrase in phrases
    ]
    wordings += [("relations", name, phrase) for name, phrases in RELATION_PHRASES.items() for phrase in phrases]
    for (kind, name, phrase), (other_kind, other_name, other) in itertools.permutations(wordings, 2):
        if (kind, name) != (other_kind, other_name):
            assert f" {phrase} " not in f" {other} ", (phrase, other)


@pytest.mark.parametrize(
    ("caption", "reading"),
    [
        ("A Red BALL, slides to the left.", ("red", "circle", "moves left")),
        ("a blue square moving and stopping half-way", ("blue", "square", "stops half-way")),
        ("a red circle moves to the left past a blue square", ("red", "circle", "moves left")),
        ("a red circle moves to the", ("red", "circle", None)),
        ("moves up the screen", (None, None, "moves up")),
        ("a reddish circles", (None, None, None)),
        ("", (None, None, None)),
    ],
)
def test_reading_text_outside_the_grammar(caption, reading):
    assert tuple(read_caption(caption).values()) == reading


def test_reading_knows_only_the_vocabulary_it_is_given():
    words = vocabulary(["red"], ["star"], ["grows"])
    assert words == {
        "colours": {"red": ["red"]},
        "shapes": {"star": ["star"]},
        "actions": {
            "grows": [
                "grows larger and larger",
                "growing larger and larger",
                "gets larger and larger",
                "getting larger and larger",
            ]
        },
    }
    assert read_caption("a blue star moves to the left", words) == {"colour": None, "shape": "star", "action": None}


def test_drawn_captions_differ_and_the_usual_ones_come_most():
    captions = captions_of("red", "circle", "grows")
    drawn = [draw_captions(captions, 5, np.random.default_rng(seed)) for seed in range(50)]
    assert all(len(set(five)) == 5 and set(five) <= set(captions) for five in drawn)
    usual = sum("a red circle is growing larger and larger" in five for five in drawn)
    rare = sum("there is a red ball getting larger and larger" in five for five in drawn)
    assert usual > 25 > 10 > rare
    with pytest.raises(ValueError):
        draw_captions(captions, len(captions) + 1, np.random.default_rng(0))


def test_right_content_scores_high_and_wrong_content_low():
    """References of a video share enough wording for a model that sees right, and little with those of other videos."""
    rng = np.random.default_rng(3)
    colours, shapes, actions = list(COLOUR_WORDS)[:4], list(SHAPE_WORDS)[:3], list(ACTION_PHRASES)
    contents = [tuple(str(rng.choice(names)) for names in (colours, shapes, actions)) for _ in range(150)]
    references = {row: draw_captions(captions_of(*content), 5, rng) for row, content in enumerate(contents)}

    def score(told):
        usual = {row: [max(captions_of(*content).items(), key=lambda c: c[1])[0]] for row, content in enumerate(told)}
        with contextlib.redirect_stdout(io.StringIO()):
            return Bleu(4).compute_score(references, usual)[0][3], Cider().compute_score(references, usual)[0]

    bleu_right, cider_right = score(contents)
    bleu_wrong, cider_wrong = score(contents[1:] + contents[:1])
    assert bleu_right > 0.75
    assert cider_right > 3
    assert cider_wrong < cider_right / 3
    assert bleu_wrong < bleu_right / 3


def test_the_configuration_admits_exactly_what_has_words():
    assert tuple(COLOUR_WORDS) == datasets_settings.COLOURS
    assert tuple(SHAPE_WORDS) == datasets_settings.SHAPES
    assert tuple(ACTION_PHRASES) == datasets_settings.ACTIONS
