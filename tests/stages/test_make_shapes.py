import hashlib
import json
from pathlib import Path

import pytest
import yaml

from pipeline.config import ShapesSettings, validate
from pipeline.datasets.shapes.captions import read_caption
from pipeline.datasets.shapes.scenes import choose_held_out_pairs, draw_scene
from pipeline.datasets.sharding import shard_of
from pipeline.errors import PipelineError
from pipeline.stages.make_shapes import JOURNAL, caption_scene, run
from pipeline.video.decoding import frame_times, open_video, read_frames

ROOT = Path(__file__).parents[2]

SETTINGS = {
    "kind": "shapes",
    "shards": 1,
    "seed": 7,
    "clips": {"train": 8, "val": 2, "test": 4},
    "colours": ["red", "green", "blue", "yellow"],
    "shapes": ["circle", "square", "triangle"],
    "actions": ["moves left", "moves right", "grows", "shrinks", "bounces", "circles", "stops half-way"],
    "two_objects": 0.3,
    "held_out_pairs": 2,
    "captions": 5,
    "short_sides": [48, 64],
    "aspects": ["4:3", "16:9", "1:1"],
    "fps": [10.0, 12.5, 15.0],
    "seconds": [2.0, 3.0],
    "noise": 8.0,
    "webm": 0.2,
    "avi": 0.2,
}


def settings(**changed):
    return ShapesSettings.model_validate_json(json.dumps(SETTINGS | changed))


def make(folder: Path, shard=0, **changed):
    """Make a shard; what is in its folder afterwards, without the journal: name to content."""
    run(out=folder / "videos.json", truth=folder / "truth.json", settings=settings(**changed), shard=shard)
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != JOURNAL}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    return folder, make(folder)


def test_list_and_files_agree(made):
    _, content = made
    videos = json.loads(content["videos.json"])["videos"]
    assert [video["id"] for video in videos][:2] == ["train-00000", "train-00001"]
    assert [video["split"] for video in videos] == ["train"] * 8 + ["val"] * 2 + ["test"] * 4
    assert {Path(video["file"]).suffix for video in videos} == {".mp4", ".webm", ".avi"}
    assert {video["file"] for video in videos} | {"videos.json", "truth.json"} == set(content)
    for video in videos:
        assert video["size"] == len(content[video["file"]])
        assert video["sha256"] == hashlib.sha256(content[video["file"]]).hexdigest()


def test_videos_decode_to_what_the_truth_says(made):
    folder, content = made
    truths = json.loads(content["truth.json"])["videos"]
    for video in json.loads(content["videos.json"])["videos"]:
        truth = truths[video["id"]]
        reader = open_video(folder / video["file"])
        assert len(reader) == truth["num_frames"]
        times = frame_times(reader)
        assert (len(times) - 1) / (times[-1] - times[0]) == pytest.approx(truth["fps"], rel=0.01)
        frames = read_frames(reader, [0, truth["num_frames"] - 1])
        assert frames.shape[1:] == (truth["height"], truth["width"], 3)
        actor = truth["objects"][0]
        for frame, box in zip(frames, (actor["boxes"][0], actor["boxes"][-1]), strict=True):
            row, column = (box[1] + box[3]) / 2 * truth["height"], (box[0] + box[2]) / 2 * truth["width"]
            red, green, blue = frame[int(row), int(column)].astype(int)
            seen = {
                "red": red > max(green, blue) + 60,
                "green": green > max(red, blue) + 50,
                "blue": blue > max(red, green) + 60,
                "yellow": min(red, green) > blue + 80,
            }
            assert seen[actor["colour"]], (video["id"], actor["colour"], red, green, blue)


def test_captions_differ_and_say_the_truth(made):
    _, content = made
    truth = json.loads(content["truth.json"])
    for video in json.loads(content["videos.json"])["videos"]:
        actor = truth["videos"][video["id"]]["objects"][0]
        assert len(set(video["captions"])) == 5
        for caption in video["captions"]:
            expected = {key: actor[key] for key in ("colour", "shape", "action")}
            assert read_caption(caption, truth["vocabulary"]) == expected


def test_truth_names_held_out_pairs_and_the_second_object(made):
    _, content = made
    truth = json.loads(content["truth.json"])
    held_out = {tuple(pair) for pair in truth["held_out_pairs"]}
    assert len(held_out) == 2
    two = [video for video in truth["videos"].values() if len(video["objects"]) == 2]
    assert two
    assert all(video["relation"] is not None and video["objects"][1]["action"] is None for video in two)
    shown = {
        (shown["colour"], shown["shape"])
        for name, video in truth["videos"].items()
        for shown in video["objects"]
        if not name.startswith("test")
    }
    assert not shown & held_out


def test_the_same_bytes_again(made, tmp_path):
    assert make(tmp_path / "again") == made[1]


def test_another_seed_makes_other_videos(made, tmp_path):
    other = make(tmp_path / "other", seed=8, clips={"train": 1, "val": 1, "test": 1})
    assert all(content not in made[1].values() for name, content in other.items())


def test_shards_share_the_videos_out(made, tmp_path):
    shards = [make(tmp_path / str(shard), shard=shard, shards=2) for shard in (0, 1)]
    for number, content in enumerate(shards):
        ids = [video["id"] for video in json.loads(content["videos.json"])["videos"]]
        assert ids
        assert all(shard_of(name, 2) == number for name in ids)
    videos = {name: data for content in shards for name, data in content.items() if not name.endswith(".json")}
    assert videos == {name: data for name, data in made[1].items() if not name.endswith(".json")}


def test_a_killed_run_goes_on_and_trusts_no_leftovers(made, tmp_path):
    folder = tmp_path / "killed"
    make(folder)
    journal = (folder / JOURNAL).read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / JOURNAL).write_text("".join(journal[:6]) + journal[6][:40], encoding="utf-8")  # cut in its sixth clip
    (folder / "videos.json").unlink()
    (folder / "truth.json").unlink()
    kept, damaged = (json.loads(line)["record"]["video"]["file"] for line in journal[1:3])
    (folder / damaged).write_bytes((folder / damaged).read_bytes()[:-1] + b"?")
    (folder / ".test-00000.mp4.new").write_bytes(b"half a video")
    (folder / "train-99999.mp4").write_bytes(b"of another data set")
    before = (folder / kept).stat().st_mtime_ns
    assert make(folder) == made[1]
    assert (folder / kept).stat().st_mtime_ns == before


def test_more_clips_leave_the_others_alone(made, tmp_path):
    folder = tmp_path / "more"
    make(folder)
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("*-*")}
    content = make(folder, clips={"train": 9, "val": 2, "test": 4})
    assert {path.name: path.stat().st_mtime_ns for path in folder.glob("*-*")}.items() >= before.items()
    assert len(json.loads(content["videos.json"])["videos"]) == 15


def test_other_settings_start_afresh(made, tmp_path):
    folder = tmp_path / "changed"
    make(folder)
    assert make(folder, noise=0.0) == make(tmp_path / "fresh", noise=0.0)


def test_more_captions_than_the_grammar_has(tmp_path):
    with pytest.raises(PipelineError, match=r"captions is 100.*grammar has"):
        make(tmp_path, captions=100)


def test_the_hard_overlay_is_valid_and_has_more_of_everything():
    default, overlay = (
        yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
        for name in ("config.yaml", "configs/shapes_hard.yaml")
    )
    for section, entries in overlay.items():
        assert not entries.keys() & default[section].keys()  # beside what is there, never over it
        default[section] |= entries
    datasets = validate(default).datasets
    easy, hard = datasets["shapes"], datasets["shapes_hard"]
    for key in ("colours", "shapes", "actions"):
        assert set(getattr(hard, key)) > set(getattr(easy, key))
    assert hard.clips.train > easy.clips.train
    held_out = choose_held_out_pairs(hard)
    assert len(held_out) == 12
    drawn = [draw_scene(f"test-{row:05d}", "test", held_out, hard) for row in range(100)]
    unseen = [scene for scene in drawn if (scene.bodies[0].colour, scene.bodies[0].shape) in held_out]
    assert 5 < len(unseen) < 40
    assert 30 < sum(scene.relation is not None for scene in drawn) < 70
    assert all(len(caption_scene("test", scene, hard)) == 5 for scene in drawn)
