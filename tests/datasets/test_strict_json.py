import pytest

from pipeline.datasets.strict_json import parse_json
from pipeline.errors import PipelineError


def test_a_key_that_stands_twice_is_refused_unless_nothing_is_lost():
    assert parse_json('{"a": [1], "b": {"c": 2}, "a": [1]}', "f.json") == {"a": [1], "b": {"c": 2}}
    with pytest.raises(PipelineError, match=r"^f\.json: the key 'vid1' stands twice in one object, with different"):
        parse_json('[{"x": {"vid1": ["first half"], "vid2": [], "vid1": ["second half"]}}]', "f.json")


@pytest.mark.parametrize("text", ["{", "[" * 100_000, '{"a": 1,}'])
def test_no_json(text):
    with pytest.raises(PipelineError, match=r"^f\.json: no JSON \(") as raised:
        parse_json(text, "f.json")
    assert "\n" not in str(raised.value)
