import copy
from pathlib import Path

import pytest
import yaml

from pipeline.config import validate
from pipeline.config.likes import resolve_likes
from pipeline.errors import PipelineError


@pytest.fixture
def default_config():
    return yaml.safe_load((Path(__file__).parents[2] / "config.yaml").read_text())


def test_an_entry_takes_what_it_does_not_say():
    raw = {"nodes": {"grid": {"kind": "grid", "cells": 3, "overlap": 0.5}, "coarse": {"like": "grid", "cells": 2}}}
    resolved, mistakes = resolve_likes(raw)
    assert mistakes == []
    assert resolved["nodes"]["coarse"] == {"kind": "grid", "cells": 2, "overlap": 0.5}
    assert resolved["nodes"]["grid"] == {"kind": "grid", "cells": 3, "overlap": 0.5}


def test_mappings_inside_are_joined_and_lists_replaced():
    raw = {
        "captioners": {
            "long": {"training": {"epochs": 20, "lr": 0.1}, "sizes": [1, 2, 3]},
            "short": {"like": "long", "training": {"epochs": 1}, "sizes": [4]},
        }
    }
    assert resolve_likes(raw)[0]["captioners"]["short"] == {"training": {"epochs": 1, "lr": 0.1}, "sizes": [4]}


def test_an_entry_may_be_like_one_that_is_like_a_third_in_any_order():
    raw = {"s": {"c": {"like": "b", "z": 3}, "b": {"like": "a", "y": 2}, "a": {"x": 1, "y": 1, "z": 1}}}
    assert resolve_likes(raw)[0]["s"]["c"] == {"x": 1, "y": 2, "z": 3}


def test_nothing_replaces_what_is_like():
    raw = {"s": {"a": {"x": {"y": 1}}, "b": {"like": "a", "x": None}, "c": {"like": "b", "x": {"z": 2}}}}
    resolved, _ = resolve_likes(raw)
    assert resolved["s"]["b"] == {"x": None}
    assert resolved["s"]["c"] == {"x": {"z": 2}}


def test_the_configuration_read_is_left_as_it_is():
    raw = {"s": {"a": {"x": {"y": 1}}, "b": {"like": "a", "x": {"y": 2}}}, "n": 3}
    before = copy.deepcopy(raw)
    resolved, _ = resolve_likes(raw)
    assert raw == before
    assert resolved["n"] == 3


def test_an_unknown_name_is_suggested(default_config):
    default_config["nodes"]["coarse"] = {"like": "gird", "cells": 2}
    with pytest.raises(
        PipelineError, match=r"`nodes.coarse.like: gird`: no such entry in `nodes`: did you mean `grid`"
    ):
        validate(default_config)


def test_a_circle_is_shown(default_config):
    default_config["graphs"]["a"] = {"like": "b"}
    default_config["graphs"]["b"] = {"like": "a"}
    with pytest.raises(PipelineError, match=r"`graphs.a.like: b`|circle \(a -> b -> a\)"):
        validate(default_config)


def test_an_entry_like_itself_is_a_circle():
    assert "circle (a -> a)" in resolve_likes({"s": {"a": {"like": "a"}}})[1][0]


def test_mistakes_in_a_like_entry_are_found_where_they_stand(default_config):
    default_config["nodes"]["coarse"] = {"like": "grid", "cells": 0, "overlp": 0.5}
    with pytest.raises(PipelineError) as error:
        validate(default_config)
    assert "`nodes.coarse.cells`" in str(error.value)
    assert "`nodes.coarse.overlp`: there is no such key: did you mean `overlap`?" in str(error.value)


def test_a_mistake_is_told_once_however_many_entries_inherit_it(default_config):
    default_config["graphs"]["grid"]["motion"] = "clip"
    default_config["graphs"]["third"] = {"like": "object", "nodes": "objet_nodes"}
    with pytest.raises(PipelineError) as error:
        validate(default_config)
    assert str(error.value).removeprefix("config: ").split("; ") == [
        "`graphs.third.nodes: objet_nodes`: no such entry in `nodes`: did you mean `object`?",
        "`graphs.grid.motion: clip`: must be of kind i3d or cast: i3d",
    ]
