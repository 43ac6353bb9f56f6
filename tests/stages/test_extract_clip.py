from pathlib import Path

import numpy as np
import pytest
import torch
from toys.clip import ARCH, encoder, overflow_from, write_frames, write_weights

from pipeline.artifact import create, read
from pipeline.errors import PipelineError
from pipeline.models.clip4clip import load_pretrained, normalise, square_of_shorter_side
from pipeline.schemas import APPEARANCE, FRAMES
from pipeline.stages.extract_clip import run


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return write_weights(tmp_path)


def test_run_embeds_the_central_square_of_every_frame(tmp_path: Path, weights: Path) -> None:
    sizes = {"wide-one": (3, 20, 36), "tall": (1, 31, 17), "last": (2, 16, 16)}
    videos = write_frames(tmp_path / "frames.zarr", sizes, {"bad": "no video frame in it"})
    out = tmp_path / "appearance.zarr" / "zarr.json"
    run(frames=tmp_path / "frames.zarr" / "zarr.json", weights=weights, out=out, settings=encoder(), threads=1)
    appearance = read(out, APPEARANCE)
    assert appearance.ids == list(sizes)
    assert appearance.failed == {"bad": "no video frame in it"}
    module = load_pretrained("random", ARCH, 1)[0]
    squares = {"wide-one": np.s_[:, :, 8:28], "tall": np.s_[:, 7:24], "last": np.s_[:]}
    for video_id, frames in videos.items():
        images = torch.from_numpy(frames[squares[video_id]].copy()).permute(0, 3, 1, 2)
        with torch.no_grad():
            expected = module.encode_image(normalise(square_of_shorter_side(images, 16)))
        found = appearance.video(video_id)["x"]
        assert found.shape == (len(frames), 8)
        np.testing.assert_allclose(found.astype(np.float32), expected.numpy(), atol=2e-3, rtol=2e-3)


def test_what_it_sees_does_not_depend_on_the_borders(tmp_path: Path, weights: Path) -> None:
    """The left and right ends of a wide frame lie outside the central square, which is cut before it is resized."""
    generator = np.random.default_rng(1)
    square = generator.integers(0, 256, (1, 24, 24, 3), dtype=np.uint8)
    frames = {"black": np.pad(square, ((0, 0), (0, 0), (8, 8), (0, 0))), "alone": square}
    with create(tmp_path / "f.zarr", FRAMES, ids=list(frames), stage="extract_clip", settings={}, inputs={}) as writer:
        for video_id, pixels in frames.items():
            writer.append(
                video_id,
                pixels=pixels.reshape(-1, 3),
                number=np.array([0]),
                time=np.array([0.0]),
                size=np.array([pixels.shape[1:3]]),
                num_frames=np.array([1]),
                fps=np.array([4.0]),
            )
    run(frames=tmp_path / "f.zarr", weights=weights, out=tmp_path / "a.zarr", settings=encoder(), threads=1)
    found = read(tmp_path / "a.zarr", APPEARANCE)
    np.testing.assert_array_equal(found.video("black")["x"], found.video("alone")["x"])


def test_a_video_without_finite_features_is_recorded(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_frames(tmp_path / "frames.zarr", {"good": (1, 16, 16), "huge": (1, 17, 16)}, {})
    overflow_from(monkeypatch, 1)
    out = tmp_path / "appearance.zarr"
    run(frames=tmp_path / "frames.zarr", weights=weights, out=out, settings=encoder(), threads=1)
    assert read(out, APPEARANCE).ids == ["good"]
    assert "not finite" in read(out, APPEARANCE).failed["huge"]


def test_weights_of_another_architecture_are_refused(tmp_path: Path, weights: Path) -> None:
    write_frames(tmp_path / "frames.zarr", {"good": (1, 16, 16)}, {})
    other = encoder(ARCH | {"vision": ARCH["vision"] | {"patch_size": 16}})
    with pytest.raises(PipelineError, match="holds another architecture"):
        run(frames=tmp_path / "frames.zarr", weights=weights, out=tmp_path / "x.zarr", settings=other, threads=1)
    assert not (tmp_path / "x.zarr").exists()
