"""The comparison of stored and computed fronts, at a size that takes no time."""

import pytest

from benchmarks import cast_front
from benchmarks.cast_front import bytes_row, rows, view_bytes


def test_a_view_of_vit_b_16_takes_so_many_bytes():
    """Eight steps of a class token and 196 places, and 1,568 tubelets, of 768 numbers of two bytes."""
    assert view_bytes(224, 768) == (8 * 197 + 1568) * 768 * 2 == 4_829_184
    assert bytes_row(view_bytes(112, 192)).peer == "ViT-B/16: 4.83 MB"
    with pytest.raises(ValueError, match="a view has 7 bytes"):
        bytes_row(7)


def test_ways_give_equal_logits_and_take_turns(monkeypatch):
    for name, value in {"SIDE": 32, "WIDTH": 24, "FRAMES": 4, "LAYERS": 3, "LATE": 3, "CLASSES": 5}.items():
        monkeypatch.setattr(cast_front, name, value)
    found = rows(1)
    assert len(found) == 3
    assert found[0].stage.endswith("first_block: 3, stored")
    monkeypatch.setattr(cast_front, "packed", lambda *given: 0 * cast_front_packed(*given))
    with pytest.raises(ValueError, match="stored tokens give logits that differ"):
        rows(1)


cast_front_packed = cast_front.packed
