import itertools
import json

import pytest

from pipeline.config import ShapesSettings
from pipeline.datasets.shapes.captions import ACTION_PHRASES, COLOUR_WORDS, SHAPE_WORDS
from pipeline.datasets.shapes.drawing import boxes_of
from pipeline.datasets.shapes.scenes import choose_held_out_pairs, draw_scene, largest_side, plan_videos
from pipeline.errors import PipelineError

SETTINGS = {
    "kind": "shapes",
    "shards": 2,
    "seed": 7,
    "clips": {"train": 3, "val": 1, "test": 2},
    "colours": list(COLOUR_WORDS),
    "shapes": list(SHAPE_WORDS),
    "actions": list(ACTION_PHRASES),
    "two_objects": 0.0,
    "held_out_pairs": 0,
    "captions": 5,
    "short_sides": [64, 72],
    "aspects": ["4:3", "16:9", "1:1", "3:4"],
    "fps": [10.0, 12.5, 15.0],
    "seconds": [2.0, 5.0],
    "noise": 8.0,
    "webm": 0.1,
    "avi": 0.2,
}


def settings(**changed):
    return ShapesSettings.model_validate_json(json.dumps(SETTINGS | changed))


def scenes(number, split="train", held_out=(), **changed):
    return [draw_scene(f"{split}-{row}", split, held_out, settings(**changed)) for row in range(number)]


def pairs_of(drawn):
    return {(body.colour, body.shape) for scene in drawn for body in scene.bodies}


def test_ids_do_not_depend_on_the_number_of_clips():
    few, more = plan_videos(settings()), plan_videos(settings(clips={"train": 5, "val": 1, "test": 2}))
    assert few == {
        "train-00000": "train",
        "train-00001": "train",
        "train-00002": "train",
        "val-00000": "val",
        "test-00000": "test",
        "test-00001": "test",
    }
    assert few.items() <= more.items()


def test_formats_are_drawn_from_the_settings():
    drawn = scenes(300)
    assert {(scene.width, scene.height) for scene in drawn} == {
        *((64, 64), (86, 64), (114, 64), (64, 86)),
        *((72, 72), (96, 72), (128, 72), (72, 96)),
    }
    assert {float(scene.fps) for scene in drawn} == {10, 12.5, 15}
    seconds = [float(scene.num_frames / scene.fps) for scene in drawn]
    assert 1.95 <= min(seconds) < 2.2 < 4.8 < max(seconds) <= 5.05
    shares = {kind: sum(scene.container == kind for scene in drawn) / 300 for kind in ("webm", "avi", "mp4")}
    assert shares == pytest.approx({"webm": 0.1, "avi": 0.2, "mp4": 0.7}, abs=0.07)
    assert largest_side(settings()) == 128


def test_contents_are_drawn_evenly():
    drawn = scenes(700)
    for names, attribute in ((COLOUR_WORDS, "colour"), (SHAPE_WORDS, "shape"), (ACTION_PHRASES, "action")):
        counts = [sum(getattr(scene.bodies[0], attribute) == name for scene in drawn) for name in names]
        assert min(counts) > 0.6 * 700 / len(names)


def test_a_clip_is_the_same_whatever_the_others_are():
    alone = draw_scene("train-00001", "train", (), settings())
    again = draw_scene("train-00001", "train", (), settings(clips={"train": 9, "val": 9, "test": 9}, shards=1))
    assert (alone.width, alone.fps, alone.bodies[0].action) == (again.width, again.fps, again.bodies[0].action)
    assert (alone.bodies[0].path.centres == again.bodies[0].path.centres).all()
    other_seed = draw_scene("train-00001", "train", (), settings(seed=8))
    assert alone.num_frames != other_seed.num_frames or alone.bodies[0].colour != other_seed.bodies[0].colour


def test_held_out_pairs_are_seen_in_the_test_split_alone():
    wanted = settings(held_out_pairs=12)
    held_out = choose_held_out_pairs(wanted)
    assert len(set(held_out)) == 12
    assert held_out == choose_held_out_pairs(wanted)
    train = pairs_of(scenes(300, "train", held_out, two_objects=0.5))
    assert not train & set(held_out)
    assert {colour for colour, _ in train} == set(COLOUR_WORDS)
    assert {shape for _, shape in train} == set(SHAPE_WORDS)
    assert pairs_of(scenes(400, "test", held_out, two_objects=0.5)) >= set(held_out)


def test_held_out_pairs_are_spread_over_colours_and_shapes():
    held_out = choose_held_out_pairs(settings(colours=["red", "green"], shapes=["circle", "star"], held_out_pairs=2))
    assert held_out in ([("green", "circle"), ("red", "star")], [("green", "star"), ("red", "circle")])


def test_too_many_held_out_pairs():
    with pytest.raises(PipelineError, match=r"held_out_pairs is 3.*at most 2"):
        choose_held_out_pairs(settings(colours=["red", "green"], shapes=["circle", "star"], held_out_pairs=3))


def test_two_objects_stand_as_their_relation_says():
    drawn = scenes(300, two_objects=1.0)
    assert {scene.relation for scene in drawn} == {"above", "below", "left of", "right of", "past"}
    for scene in drawn:
        actor, other = scene.bodies
        assert actor.colour != other.colour
        assert other.action is None
        boxes = [boxes_of(body, scene.width, scene.height) for body in scene.bodies]
        for box, other_box in zip(*boxes, strict=True):
            if box is None:
                continue
            assert {
                "above": box[3] <= other_box[1] + 0.001,
                "below": box[1] >= other_box[3] - 0.001,
                "left of": box[2] <= other_box[0] + 0.001,
                "right of": box[0] >= other_box[2] - 0.001,
                "past": True,
            }[scene.relation]


def test_passing_goes_over_the_other_object_from_side_to_side():
    passing = [scene for scene in scenes(300, two_objects=1.0) if scene.relation == "past"]
    assert {scene.bodies[0].action for scene in passing} == {"moves left", "moves right", "moves up", "moves down"}
    for actor, other in (scene.bodies for scene in passing):
        ways = actor.path.centres - other.path.centres
        axis = 0 if actor.action in ("moves left", "moves right") else 1
        assert ways[0, axis] * ways[-1, axis] < 0
        assert abs(ways[:, 1 - axis]).max() < 2


def test_two_objects_need_two_pairs():
    with pytest.raises(PipelineError, match="red star alone"):
        scenes(1, two_objects=1.0, colours=["red"], shapes=["star"])
    same_colour = scenes(20, two_objects=1.0, colours=["red"], shapes=["star", "ring"])
    assert all(actor.shape != other.shape for actor, other in (scene.bodies for scene in same_colour))


@pytest.mark.parametrize(
    "changed",
    [
        {"colours": ["redd"]},
        {"shapes": []},
        {"actions": ["flies"]},
        {"short_sides": [8]},
        {"aspects": ["4:0"]},
        {"seconds": [5.0, 2.0]},
        {"webm": 0.6, "avi": 0.6},
    ],
)
def test_settings_that_make_no_sense_are_refused(changed):
    with pytest.raises(ValueError, match=next(iter(changed))):
        settings(**changed)


def test_sizes_are_classes_that_do_not_touch():
    widths = {"small": [], "large": []}
    for scene in scenes(200, actions=["stays still"], shapes=["circle"], aspects=["1:1"]):
        body = scene.bodies[0]
        widths[body.size].append(2 * body.path.radii[0] / scene.width)
    assert 0.3 <= min(widths["small"]) < max(widths["small"]) <= 0.36
    assert 0.4 <= min(widths["large"]) < max(widths["large"]) <= 0.48
    assert list(itertools.chain(*widths.values()))
