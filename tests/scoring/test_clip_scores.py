"""CLIPScore, RefCLIPScore and EMScore worked out by hand in two dimensions."""

import math
from typing import get_args

import numpy as np
import pytest

from pipeline.config import ClipScoresSettings
from pipeline.scoring.clip_scores import (
    FACTORS,
    METRICS,
    ClipScores,
    Rarity,
    Text,
    clip_score,
    em_score,
    em_score_of_video,
    em_score_with_references,
    from_json,
    rarity,
    ref_clip_score,
    unit,
    video_of,
)

RIGHT, UP = np.array([1.0, 0.0]), np.array([0.0, 1.0])
SLANTED = np.array([0.6, 0.8])


def test_clip_score_is_the_scaled_cosine_above_zero():
    assert clip_score(SLANTED, RIGHT, FACTORS["clip_score"]) == pytest.approx(2.5 * 0.6)
    assert clip_score(-RIGHT, RIGHT, FACTORS["clip_score"]) == 0.0


def test_pac_s_is_twice_the_cosine_and_joined_with_the_nearest_reference():
    assert clip_score(SLANTED, RIGHT, FACTORS["pac_s"]) == pytest.approx(2 * 0.6)
    assert clip_score(-RIGHT, RIGHT, FACTORS["pac_s"]) == 0.0
    # PAC-S 1.2, references at cosines 0.6 and 0.8
    found = ref_clip_score(SLANTED, RIGHT, np.stack([RIGHT, UP]), FACTORS["pac_s"])
    assert found == pytest.approx(2 * 1.2 * 0.8 / 2.0)


def test_every_choice_of_scores_has_names_and_a_factor():
    choices = get_args(ClipScoresSettings.model_fields["metric"].annotation)
    assert set(choices) == METRICS.keys() == FACTORS.keys()


def test_ref_clip_score_is_the_harmonic_mean_with_the_nearest_reference():
    # CLIPScore 1.5, references at cosines 0.6 and 0.8
    assert ref_clip_score(SLANTED, RIGHT, np.stack([RIGHT, UP]), 2.5) == pytest.approx(2 * 1.5 * 0.8 / 2.3)
    assert ref_clip_score(RIGHT, -RIGHT, np.stack([-RIGHT]), 2.5) == 0.0


def test_a_video_is_the_direction_of_the_mean_of_its_frames():
    assert video_of(np.stack([RIGHT, UP])) == pytest.approx([math.sqrt(0.5)] * 2)
    assert unit(np.array([[3.0, 4.0]])) == pytest.approx(np.array([[0.6, 0.8]]))


def test_em_score_matches_words_and_frames():
    # A word that is `right` and weighs 3, an end token that is slanted and weighs 1; frames are `right` and `up`.
    text = Text(np.stack([RIGHT, SLANTED]), np.array([3.0, 1.0]))
    precision, recall = (3 * 1.0 + 1 * 0.8) / 4, (1.0 + 0.8) / 2
    fine = 2 * precision * recall / (precision + recall)
    coarse = (0.6 + 0.8) * math.sqrt(0.5)
    found = em_score_of_video(text, np.stack([RIGHT, UP]))
    assert found == pytest.approx((coarse + fine) / 2)
    itself = Text(text.words_TD, text.weights_T)
    other = Text(np.stack([-RIGHT, -SLANTED]), np.array([3.0, 1.0]))
    assert em_score_with_references(text, np.stack([RIGHT, UP]), [other, itself]) == pytest.approx((found + 1.0) / 2)


def test_a_fine_match_of_different_signs_is_none():
    """Precision 0.1 and recall -0.09, whose formula gives -1.8; two that are negative have a harmonic mean."""
    one, other = np.array([1.0, 0.0]), np.array([0.1, math.sqrt(0.99)])
    text = Text(np.stack([one, one]), np.array([1.0, 1.0]))
    away = np.array([-0.09, math.sqrt(1 - 0.0081)])
    coarse = float(one @ video_of(np.stack([other, away])))
    frames = np.stack([other, away])
    precision, recall = 0.1, (0.1 - 0.09) / 2
    fine = 2 * precision * recall / (precision + recall)
    assert em_score_of_video(text, frames) == pytest.approx((coarse + fine) / 2)
    unequal = em_score(text, frames, video_of(frames), np.array([0.0, 1.0]))  # recall is that of the second frame
    assert unequal == pytest.approx(coarse / 2)
    both = em_score(text, -frames[:1], -other, np.ones(1))
    assert both == pytest.approx(-0.1)


def test_the_weight_of_the_end_token_is_summed_up_once(monkeypatch):
    rare = rarity([[7, 99], [8, 99]])
    expected, asked = rare.of_end, []
    monkeypatch.setattr(Rarity, "of", lambda _, token: asked.append(token) or 0.5)
    assert rare.weights([7, 99]).tolist() == [0.5, expected]
    assert asked == [7]


def test_rare_tokens_weigh_more_and_the_end_token_the_mean():
    # Three references; 7 is in two of them, 8 and 9 in one each.
    rare = rarity([[7, 7, 99], [7, 8, 99], [9, 99]])
    assert rare.of(7) == pytest.approx(math.log(4 / 3))
    assert rare.of(8) == pytest.approx(math.log(4 / 2))
    assert rare.of(5) == pytest.approx(math.log(4))
    assert rare.of_end == pytest.approx((math.log(4 / 3) + 2 * math.log(2)) / 3)
    assert rare.weights([8, 99]) == pytest.approx([math.log(2), rare.of_end])


def test_equal_weights_where_nothing_is_rare():
    rare = rarity([[7, 99]])
    text = Text(np.stack([RIGHT, UP]), rare.weights([7, 99]))
    assert text.weights_T.tolist() == [0.0, 0.0]
    assert em_score_of_video(text, RIGHT[None]) == pytest.approx((0.0 + 2 * 0.5 * 1.0 / 1.5) / 2)


def test_scores_of_videos_are_means():
    scores = from_json({"b": [1, 2, 3, 4], "a": [3, 2, 1, 0]}, METRICS["clip_score"])
    assert scores.ids == ("a", "b")
    assert list(scores.scores().values()) == [2, 2, 2, 2]
    assert scores.scores_of_draws(np.array([[2, 0]])).tolist() == [[3, 2, 1, 0]]
    assert scores.of(("b",)).scores()["EMScore"] == 3
    assert isinstance(scores, ClipScores)
