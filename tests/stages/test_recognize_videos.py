import json
import os
import signal

import numpy as np
import pytest
import torch
from toys.killed_stages import FORKING, run_stage
from toys.labelled_clips import CLASSES, VIEWS, settings, write_clips

from pipeline.artifact import read, read_json, write_json
from pipeline.artifact.clip_store import ClipStore
from pipeline.config import ViewSettings
from pipeline.errors import PipelineError
from pipeline.recognition.model_file import describe, read_recognizer
from pipeline.recognition.recognizer import build_recognizer
from pipeline.schemas import LOGITS
from pipeline.stages.recognize_videos import run
from pipeline.weights.saving import save_weights


def write_model(folder, classes=CLASSES):
    """A recognizer that was not trained; its head is large enough to be seen."""
    given = settings()
    model = build_recognizer(given, {"class": len(classes)})
    model.heads["class"].weight.data.normal_()
    save_weights(model.state_dict(), folder / "model.safetensors", describe(given, {"class": list(classes)}, "random"))
    return folder / "model.safetensors"


def recognize(flags, model, out, **views):
    arguments = {name.removeprefix("--"): value for name, value in flags.items()}
    given = {"model": model, "out": out, "split": "test", "settings": ViewSettings(**VIEWS | views), "threads": 1}
    run(**arguments, features=[], experts=[], groups=[], part=None, **given)
    return read(out, LOGITS)


def arguments(flags, model, out):
    given = [
        "recognize_videos",
        "--clips",
        *flags["--clips"],
        "--features",
        "--experts",
        "--groups",
        "--part",
        "null",
        "--labels",
        flags["--labels"],
        "--model",
        model,
    ]
    return [*given, "--split", "test", "--settings", json.dumps(VIEWS), "--threads", "1", "--out", out]


def root(store):
    return (store / "zarr.json").read_bytes()


@pytest.mark.parametrize(("temporal", "spatial"), [(1, 1), (2, 3), (2, 11), (10, 3)])
def test_every_clip_has_every_view_once(tmp_path, temporal, spatial):
    flags, model = write_clips(tmp_path, num_train=3, num_val=3, num_test=4), write_model(tmp_path)
    found = recognize(flags, model, tmp_path / "out.zarr", temporal=temporal, spatial=spatial)
    assert found.ids == ["test0", "test1", "test2"]
    assert found.failed == {"test3": "cut off"}
    rows = found.video("test1")
    assert rows["logits"].shape == (temporal * spatial, 3)
    assert rows["temporal"].tolist() == [view // spatial for view in range(temporal * spatial)]
    assert rows["spatial"].tolist() == [view % spatial for view in range(temporal * spatial)]


def test_a_view_is_what_the_recognizer_says_of_its_frames_and_square(tmp_path):
    flags, model = write_clips(tmp_path, num_train=3, num_val=3, num_test=4), write_model(tmp_path)
    found = recognize(flags, model, tmp_path / "out.zarr").video("test1")["logits"]
    store, network = ClipStore(flags["--clips"]), read_recognizer(model).model
    frames = store.read("test1", np.arange(store.num_frames("test1")))
    assert frames.shape == (5, 28, 40, 1)
    for view, (numbers, left) in enumerate(
        [(numbers, left) for numbers in ([0, 2, 4], [0, 1, 3]) for left in (0, 8, 16)]
    ):
        square = frames[numbers, 2:26, left : left + 24].transpose(0, 3, 1, 2)
        expected = network(torch.from_numpy(square.copy())[None])["class"]
        assert found[view].tolist() == pytest.approx(expected[0].tolist(), abs=1e-5)


def test_full_resolution_is_larger_than_training(tmp_path):
    flags, model = write_clips(tmp_path, num_train=3, num_val=3, num_test=2), write_model(tmp_path)
    found = recognize(flags, model, tmp_path / "out.zarr", size=28, temporal=1)
    assert found.video("test0")["logits"].shape == (3, 3)


def killed_after(given, blocks):
    """Run the stage in a process that is killed after it has computed so many blocks."""
    process = FORKING.Process(target=_run_until, args=([str(word) for word in given], blocks))
    process.start()
    process.join()
    return process.exitcode


def _run_until(given, blocks):
    from pipeline.__main__ import main
    from pipeline.recognition.scored_views import ViewScorer

    whole, done = ViewScorer._rows, []

    def counted(self, logits):
        done.append(None)
        if len(done) > blocks:
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(self, logits)

    ViewScorer._rows = counted
    main(given)


@pytest.mark.slow
def test_a_kill_and_two_ranks_give_the_bytes_of_one_undisturbed_process(tmp_path):
    """Blocks of two clips: the first call is killed between the two of the second block."""
    flags, model = write_clips(tmp_path, num_train=3, num_val=3, num_test=8), write_model(tmp_path)
    undisturbed = recognize(flags, model, tmp_path / "one.zarr")
    assert len(undisturbed.ids) == 7
    killed = arguments(flags, model, tmp_path / "killed.zarr")
    assert killed_after(killed, 3) == -signal.SIGKILL
    assert (tmp_path / ".killed.zarr.partial").exists()
    assert run_stage(killed, tmp_path / "log") == [0]
    assert "continuing after 2 of 8 videos" in (tmp_path / "log").read_text()
    assert root(tmp_path / "killed.zarr") == root(tmp_path / "one.zarr")
    assert run_stage(arguments(flags, model, tmp_path / "two.zarr"), tmp_path / "log", num_ranks=2) == [0, 0]
    assert root(tmp_path / "two.zarr") == root(tmp_path / "one.zarr")


def test_other_classes_and_another_order_are_refused(tmp_path):
    flags = write_clips(tmp_path, num_train=3, num_val=3, num_test=2)
    with pytest.raises(PipelineError, match=r"the model has 2 classes of class, but .*labels.json has 3"):
        recognize(flags, write_model(tmp_path, CLASSES[:2]), tmp_path / "out.zarr")
    model = write_model(tmp_path)
    labels = read_json(flags["--labels"], [], "index_labels")
    labels["heads"]["class"] = [CLASSES[1], CLASSES[0], CLASSES[2]]
    write_json(flags["--labels"], labels)
    with pytest.raises(
        PipelineError, match="class 0 of class is stripes leaning left to the model, but stripes leaning"
    ):
        recognize(flags, model, tmp_path / "out.zarr")
