"""The peers of the benchmark compute what the stages compute."""

import numpy as np
import torch
from toys.clip import ARCH

from benchmarks import encoders
from benchmarks.encoders import PlainI3d, cells_by_pillow, cells_rows, i3d_rows, moving_pictures, random_i3d
from pipeline.models.clip4clip import Clip4Clip
from pipeline.models.i3d import normalise
from pipeline.models.motion_encoding import make_encoder
from pipeline.stages.build_grid_nodes import cut_cells, frame_boxes


def test_features_are_those_of_the_published_way():
    """The tolerance of float32: a cosine of 0.9999 would still hide a layer that is wrong by a hundredth."""
    torch.set_num_threads(1)
    model, windows = random_i3d(), moving_pictures(3, 48)
    assert len(np.unique(windows.reshape(3, -1), axis=0)) == 3
    with torch.inference_mode():
        expected = PlainI3d(model.state_dict())(normalise(torch.from_numpy(windows))).double()
    found = torch.from_numpy(make_encoder(model, "fp32")(windows)).double()
    assert 0.1 < expected.std() < 10
    assert (1 - torch.nn.functional.cosine_similarity(found, expected)).max() < 1e-7
    assert (found - expected).abs().max() < 2e-4 * expected.max()


def test_cells_have_pillows_pixels_within_one():
    frames = encoders.sampled_frames(2, 70, 94)
    found, expected = cut_cells(frames, frame_boxes(70, 94, 3, 0.5), 32), cells_by_pillow(frames, 32)
    assert found.shape == expected.shape == (2, 9, 3, 32, 32)
    assert (found.int() - expected.int()).abs().max() <= 1
    assert expected.float().std() > 20


def test_the_rows_say_the_goals_at_the_published_size_alone(monkeypatch):
    torch.set_num_threads(1)
    rows = i3d_rows(32, ["fp32"], 1)
    assert [row.goal for row in rows] == [None, None, encoders.MOST_DISTANCE]
    assert rows[2].is_met
    times = encoders.OfI3d(encoders.Times(900, 900), {"fp32": encoders.Times(450, 450)}, 45.0, {"fp32": 0.0})
    monkeypatch.setattr(encoders, "measure_i3d", lambda *_: times)
    monkeypatch.setattr(encoders, "matmul_rate", lambda _: 100.0)
    rows = i3d_rows(224, ["fp32"], 1)
    assert [(row.ratio, row.goal) for row in rows] == [(2, 2), (1, 0.6), (0, encoders.MOST_DISTANCE)]


def test_cells_are_measured_in_both_ways():
    rows = cells_rows("tiny", Clip4Clip(ARCH).eval(), encoders.sampled_frames(2, 40, 48), 1, ["fp32", "bf16"], 1)
    assert [row.goal for row in rows] == [2, 2, 1]
    assert rows[2].is_met
