import json
import os
import signal

import numpy as np
import pytest
import torch
from toys.killed_stages import FORKING, run_stage
from toys.tiny_tstl import CLASSES, GROUPS, ONE_GROUP, VIEWS, write_experts, write_labelled, write_part

from pipeline.__main__ import main
from pipeline.artifact import read, read_json, write_json
from pipeline.recognition.cast_file import read_cast
from pipeline.recognition.router import read_router
from pipeline.schemas import LOGITS, ROUTES
from pipeline.stages import recognize_videos, score_recognizer

HEADS = {"class": CLASSES}


def write_parts(folder, names, number=2, **others):
    """Write a body, a selector and its experts; return the flags of the stage that name them."""
    experts = write_experts(folder)
    selector = write_part(folder / "selector.safetensors", experts, {"group": names}, 1, **others)
    parts = [write_part(folder / f"part{i}.safetensors", experts, HEADS, i + 2, **others) for i in range(number)]
    return {"--selector": [selector], "--parts": parts, "--experts": experts}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tstl")
    flags = write_labelled(folder, 2, 2, 5)
    flags = {"--clips": flags["--clips"], "--labels": [flags["--labels"]], "--groups": [folder / "groups.json"]}
    return folder, flags | write_parts(folder, GROUPS["names"])


def arguments(flags, out, **changed):
    given = ["route_clips", "--split", "test", "--settings", json.dumps(VIEWS), "--threads", "1", "--out", out]
    for name, values in (flags | changed).items():
        given += [name, *values]
    return [str(word) for word in given]


def route(flags, out, **changed):
    code = main(arguments(flags, out, **changed))
    return read(out, ROUTES) if code == 0 else code


@pytest.fixture(scope="module")
def routed(made, tmp_path_factory):
    return route(made[1], tmp_path_factory.mktemp("routed") / "routes.zarr")


def recognized(folder, flags, model, out, **others):
    given = {"clips": flags["--clips"], "features": [], "labels": flags["--labels"][0], "groups": [], "model": model}
    views = recognize_videos.ViewSettings(**VIEWS)
    given |= {"experts": flags["--experts"], "split": "test", "settings": views, "part": None, "threads": 1}
    recognize_videos.run(**given | others, out=out)
    return read(out, LOGITS)


def test_every_part_tells_every_view_of_every_clip(routed):
    assert routed.ids == ["test0", "test1", "test2", "test3"]
    assert routed.failed == {"test4": "cut off"}
    rows = routed.video("test1")
    assert rows["selector"].shape == (2, 2)
    assert rows["experts"].shape == (2, 2, 4)
    assert rows["temporal"].tolist() == [0, 1]


def test_each_part_says_what_it_says_alone_to_the_last_bit(made, routed, tmp_path):
    folder, flags = made
    for number in range(2):
        alone = recognized(folder, flags, flags["--parts"][number], tmp_path / f"{number}.zarr")
        for clip_id in routed.ids:
            assert np.array_equal(routed.video(clip_id)["experts"][:, number], alone.video(clip_id)["logits"])
    part = {"groups": [folder / "groups.json"], "part": recognize_videos.PartSettings(groups="two", group=None)}
    alone = recognized(folder, flags, flags["--selector"][0], tmp_path / "selector.zarr", **part)
    assert np.array_equal(routed.video("test2")["selector"], alone.video("test2")["logits"])


def test_an_expert_alone_is_shown_the_clips_of_its_group(made, tmp_path):
    folder, flags = made
    part = {"groups": [folder / "groups.json"], "part": recognize_videos.PartSettings(groups="two", group=1)}
    found = recognized(folder, flags, flags["--parts"][1], tmp_path / "x.zarr", **part)
    assert (found.ids, found.failed) == (["test1", "test3"], {})


def test_the_body_is_in_memory_once(made):
    _, flags = made
    router, first, _ = read_router(flags["--selector"][0], flags["--parts"], flags["--experts"])
    assert all(part.body is first.model.body for part in router.parts)
    whole = sum(tensor.numel() for tensor in first.model.body.parameters())
    parts = sum(tensor.numel() for part in router.parts for tensor in part.part.parameters())
    assert sum(tensor.numel() for tensor in router.parameters()) == whole + parts


def test_parts_that_begin_later_share_what_comes_before(tmp_path):
    """The blocks before `first_block` are computed once for all parts, and change nothing."""
    later = write_parts(tmp_path, GROUPS["names"], first_block=2)
    router, _, _ = read_router(later["--selector"][0], later["--parts"], later["--experts"])
    alone = read_cast(later["--parts"][1], later["--experts"]).model
    x = torch.randint(0, 256, (2, 4, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    fronts = []
    for part in router.parts:
        whole = part.front
        part.front = lambda x, whole=whole: fronts.append(None) or whole(x)
    with torch.inference_mode():
        assert torch.equal(router(x)["2"], alone(x)["class"])
    assert len(fronts) == 1


def killed_after(given, blocks):
    """Run the stage in a process that is killed after it has computed so many blocks."""
    process = FORKING.Process(target=_run_until, args=(given, blocks))
    process.start()
    process.join()
    return process.exitcode


def _run_until(given, blocks):
    from pipeline.recognition.router import Router

    whole, done = Router.forward, []

    def counted(self, x):
        done.append(None)
        if len(done) > blocks:
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(self, x)

    Router.forward = counted
    main(given)


@pytest.mark.slow
def test_a_kill_and_two_ranks_give_the_bytes_of_one_undisturbed_process(made, routed, tmp_path):
    _, flags = made
    killed = arguments(flags, tmp_path / "killed.zarr")
    assert killed_after(killed, 1) == -signal.SIGKILL
    assert (tmp_path / ".killed.zarr.partial").exists()
    assert run_stage(killed, tmp_path / "log") == [0]
    assert "continuing after" in (tmp_path / "log").read_text()
    assert run_stage(arguments(flags, tmp_path / "two.zarr"), tmp_path / "log", num_ranks=2) == [0, 0]
    for name in ("killed", "two"):
        assert read(tmp_path / f"{name}.zarr", ROUTES).digest == routed.digest


def test_with_one_group_all_is_plain_cast_to_the_last_bit(made, tmp_path):
    folder, flags = made
    write_json(tmp_path / "groups.json", ONE_GROUP)
    (tmp_path / "one").mkdir()
    own = flags | {"--groups": [tmp_path / "groups.json"]} | write_parts(tmp_path / "one", ONE_GROUP["names"], 1)
    found = route(own, tmp_path / "routes.zarr")
    plain = recognized(folder, own, own["--parts"][0], tmp_path / "plain.zarr")
    assert found.ids == plain.ids
    for clip_id in plain.ids:
        assert np.array_equal(found.video(clip_id)["experts"][:, 0], plain.video(clip_id)["logits"])
    of_plain = {name: tmp_path / f"plain {name}" for name in ("out", "per_video", "per_class")}
    score_recognizer.run(
        logits=tmp_path / "plain.zarr", labels=own["--labels"][0], groups=[], split="test", part=None, merge="softmax",
        **of_plain,
    )  # fmt: skip
    given = ["--routes", tmp_path / "routes.zarr", "--labels", *own["--labels"], "--groups", *own["--groups"]]
    given += [
        "--split",
        "test",
        "--out",
        tmp_path / "out",
        "--per-video",
        tmp_path / "v",
        "--per-class",
        tmp_path / "c",
    ]
    assert main([str(word) for word in ("score_routing", *given)]) == 0
    assert (tmp_path / "v").read_bytes() == of_plain["per_video"].read_bytes()
    assert (tmp_path / "c").read_bytes() == of_plain["per_class"].read_bytes()
    scores, plain_scores = (read_json(path, [], "") for path in (tmp_path / "out", of_plain["out"]))
    routing = scores.pop("routing")
    assert scores == plain_scores
    told = [*routing["rules"].values(), routing["oracle"], routing["oracle_product"]]
    assert all(of == scores["metrics"] for of in told)
    assert routing["selector"]["top1"] == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: {"--parts": f["--parts"][:1]}, "the selector tells 2 groups, but there are 1 experts"),
        (lambda f: {"--selector": f["--parts"][:1]}, "the model tells class: a selector tells the group"),
        (
            lambda f: {"--parts": f["--parts"][:1] + f["--selector"]},
            "has 2 classes of group, but .*part0",
        ),
        (lambda f: {"--experts": f["--experts"][:1] * 2}, "clip"),
    ],
    ids=["one expert for two groups", "an expert as selector", "a selector as expert", "the same encoder twice"],
)
def test_parts_that_do_not_fit_are_refused_in_one_line(made, tmp_path, capfd, change, message):
    _, flags = made
    assert route(flags, tmp_path / "x.zarr", **change(flags)) == 2
    *_, error = capfd.readouterr().err.splitlines()
    with pytest.raises(ValueError, match=message):
        raise ValueError(error)


OTHER_ORDER = {"class": [CLASSES[1], CLASSES[0], *CLASSES[2:]]}


@pytest.mark.parametrize("others", [[0, 1], [1]], ids=["all experts", "one of them"])
def test_an_expert_of_another_label_order_is_refused_in_one_line(made, tmp_path, capfd, others):
    """It would be right about all that it tells, and every class would be called by another one's name."""
    _, flags = made
    parts = list(flags["--parts"])
    for number in others:
        parts[number] = tmp_path / f"other{number}.safetensors"
        write_part(parts[number], flags["--experts"], OTHER_ORDER, number + 2)
    assert route(flags, tmp_path / "x.zarr", **{"--parts": parts}) == 2
    *_, error = capfd.readouterr().err.splitlines()
    assert f"other{others[0]}.safetensors: class 0 of class is {CLASSES[1]} to the model, but {CLASSES[0]} in " in error
    assert "the order of classes is part of a model" in error


def test_parts_of_another_precision_are_refused_in_one_line(made, tmp_path, capfd):
    _, flags = made
    other = write_part(tmp_path / "short.safetensors", flags["--experts"], HEADS, 3, training={"precision": "bf16"})
    assert route(flags, tmp_path / "x.zarr", **{"--parts": [flags["--parts"][0], other]}) == 2
    *_, error = capfd.readouterr().err.splitlines()
    assert "short.safetensors: the model was trained with `precision: bf16`, and " in error
    assert "selector.safetensors with `" in error


def test_reading_a_model_draws_nothing(made):
    """What the file's tensors take the place of is neither drawn nor filled."""
    _, flags = made
    torch.manual_seed(5)
    before = torch.get_rng_state()
    read_cast(flags["--parts"][0], flags["--experts"])
    assert torch.equal(torch.get_rng_state(), before)


def test_a_selector_of_other_groups_is_refused(made, tmp_path, capfd):
    _, flags = made
    write_json(tmp_path / "groups.json", GROUPS | {"names": ["0: right", "1: left"]})
    assert route(flags, tmp_path / "x.zarr", **{"--groups": [tmp_path / "groups.json"]}) == 2
    assert "class 0 of group is 0: left to the model, but 0: right" in capfd.readouterr().err
