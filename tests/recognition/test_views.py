"""Views merged by both rules, written out."""

import numpy as np

from pipeline.recognition.views import merge


def test_views_merge_by_logits_or_by_probabilities() -> None:
    logits = np.log(np.array([[0.98, 0.01, 0.01], [0.2, 0.7, 0.1], [0.2, 0.7, 0.1]]))
    assert merge(logits, "logits").argmax() == 0
    np.testing.assert_allclose(merge(logits, "softmax"), [0.46, 0.47, 0.07])
    np.testing.assert_allclose(merge(logits[:1]), logits[0])


def test_large_logits_do_not_overflow() -> None:
    assert merge(np.array([[1000.0, 0.0]], dtype=np.float32), "softmax").tolist() == [1.0, 0.0]
