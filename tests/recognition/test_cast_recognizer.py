"""CAST as stages use it: over encoders' files, beside others over the same body, and in a file of its own."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from toys.experts import CLIP_ARCH, MAE_ARCH, cast_settings, write_experts

from pipeline.artifact.label_index import LabelIndex
from pipeline.errors import PipelineError
from pipeline.models.clip4clip import load_pretrained, save_clip4clip
from pipeline.recognition.cast_file import describe_cast, read_cast, read_over
from pipeline.recognition.cast_recognizer import CastRecognizer, build_cast, build_over, read_experts
from pipeline.recognition.labels import Labels, require_same_classes
from pipeline.weights.saving import save_weights

CLASSES = {"class": ["a", "b", "c"]}


def pixels(num: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(4)
    return torch.randint(0, 256, (num, 8, 3, 32, 32), dtype=torch.uint8, generator=generator)


def stirred(model: CastRecognizer) -> CastRecognizer:
    for parameter in model.part.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.1)
    return model.eval()


def refused(folder: Path, heads: dict[str, int] | None = None, **changed: Any) -> str:
    with pytest.raises(PipelineError) as caught:
        build_cast(cast_settings(**changed), heads or {"class": 3}, *write_experts(folder))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_front_and_what_follows_give_the_same_logits(tmp_path: Path) -> None:
    for first_block, drop_path in ((1, 0.0), (2, 0.5)):
        settings = cast_settings(first_block=first_block, drop_path=drop_path)
        model = stirred(build_cast(settings, {"class": 3}, *write_experts(tmp_path))).train()
        x, seeds = pixels(), torch.tensor([5, 6])
        front = model.front(x)
        assert front[0].shape == (2, 4, 5, 48)
        assert front[1].shape == (2, 16, 48)
        expected = model(x, seeds)["class"]
        assert torch.equal(model.from_front(front, seeds)["class"], expected)
        one = tuple(tokens[1:] for tokens in front)
        torch.testing.assert_close(model.from_front(one, seeds[1:])["class"], expected[1:])
        assert not any(tokens.requires_grad for tokens in front)


def test_bytes_are_normalised_as_both_experts_take_them(tmp_path: Path) -> None:
    model = stirred(build_cast(cast_settings(), {"class": 3}, *write_experts(tmp_path)))
    x = pixels()
    mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    by_hand = ((x / 255 - mean) / deviation).transpose(1, 2)
    with torch.no_grad():
        front = model.body.front(by_hand, ("temporal",), 0)
        torch.testing.assert_close(model.front(x)[1], front["temporal"])


def test_features_vectors_and_maps_are_those_of_the_logits(tmp_path: Path) -> None:
    model = stirred(build_cast(cast_settings(), {"class": 3}, *write_experts(tmp_path)))
    with torch.no_grad():
        logits, fused = model.with_features(pixels())
        features = model.features(pixels())
        assert features.shape == (2, 1, 48)
        assert torch.equal(features[:, 0], fused)
        assert torch.equal(model.heads["class"](features[:, 0]), logits["class"])
        spatial, temporal = model.maps(pixels())
        assert spatial.shape == temporal.shape == (2, 4, 2, 2, 48)
        vector = model.part.norms["temporal"](temporal.mean((1, 2, 3)))
        torch.testing.assert_close(model.vectors(pixels())[1], vector)


def test_several_heads_see_the_fused_vector_or_one_stream_each(tmp_path: Path) -> None:
    experts = read_experts(*write_experts(tmp_path))
    heads = {"verb": 3, "noun": 4}
    for fusion, width in (("added", 48), ("concatenated", 96), ("ensemble", 96), ("by_head", 96), ("temporal", 48)):
        model = stirred(build_over(experts, cast_settings(fusion=fusion), heads))
        with torch.no_grad():
            found = model(pixels())
            assert {name: tuple(logits.shape) for name, logits in found.items()} == {"verb": (2, 3), "noun": (2, 4)}
            assert model.features(pixels()).shape == (2, 1, width)
    by_head = stirred(build_over(experts, cast_settings(fusion="by_head"), heads))
    with torch.no_grad():
        spatial, temporal = by_head.vectors(pixels())
        torch.testing.assert_close(by_head(pixels())["noun"], by_head.heads["noun"](spatial))
        torch.testing.assert_close(by_head(pixels())["verb"], by_head.heads["verb"](temporal))


def test_a_recognizer_begins_with_clips_last_norm(tmp_path: Path) -> None:
    clip, _ = load_pretrained("random", CLIP_ARCH, 1)
    torch.nn.init.normal_(clip.visual.ln_post.weight)
    spatial, temporal = write_experts(tmp_path)
    save_clip4clip(clip, spatial, "random")
    experts = read_experts(spatial, temporal)
    part = build_over(experts, cast_settings(), {"class": 3}).part
    assert torch.equal(part.norms["spatial"].weight, clip.visual.ln_post.weight)
    with torch.no_grad():
        part.norms["spatial"].weight.zero_()  # the next one begins with it all the same
    other = build_over(experts, cast_settings(), {"class": 3}).part
    assert torch.equal(other.norms["spatial"].weight, clip.visual.ln_post.weight)


def test_two_recognizers_share_one_body_and_keep_their_parts_apart(tmp_path: Path) -> None:
    experts = read_experts(*write_experts(tmp_path))
    first, second = (stirred(build_over(experts, cast_settings(), {"class": 3})) for _ in range(2))
    assert first.body is second.body
    assert first.learned is first.part
    assert not {id(x) for x in first.part.parameters()} & {id(x) for x in second.part.parameters()}
    frozen = {x.data_ptr() for x in first.body.parameters()}
    assert not frozen & {x.data_ptr() for x in first.part.state_dict().values()}
    assert set(first.state_dict()) == {
        *(f"part.{name}" for name in first.part.state_dict()),
        *(f"body.{name}" for name in first.body.state_dict()),
    }


def test_a_file_holds_what_was_trained_alone_and_gives_the_same_logits(tmp_path: Path) -> None:
    paths = write_experts(tmp_path)
    experts = read_experts(*paths)
    settings = cast_settings(first_block=2, windows={"t2s": "space_time", "s2t": "space"}, drop_path=0.1)
    model = stirred(build_over(experts, settings, {"class": 3}))
    path = tmp_path / "model.safetensors"
    save_weights(model.part.state_dict(), path, describe_cast(settings, CLASSES, experts))
    frozen = sum(x.numel() for x in model.body.parameters())
    assert path.stat().st_size < 4 * frozen
    read = read_cast(path, paths)
    with torch.no_grad():
        assert torch.equal(read.model(pixels())["class"], model(pixels())["class"])
    assert (read.settings, read.heads) == (settings, CLASSES)
    assert read.origin == "spatial expert random, temporal expert random"
    assert not read.model.training
    assert read_over(path, experts).model.body is experts.body


def test_a_file_over_another_expert_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    spatial, temporal = write_experts(tmp_path / "one")
    experts = read_experts(spatial, temporal)
    model = build_over(experts, cast_settings(), {"class": 3})
    path = tmp_path / "model.safetensors"
    save_weights(model.part.state_dict(), path, describe_cast(cast_settings(), CLASSES, experts))
    save_clip4clip(load_pretrained("random", CLIP_ARCH, 2)[0], tmp_path / "other.safetensors", "random")
    with pytest.raises(PipelineError, match=r"over another spatial expert than .*other\.safetensors.* of encoder clip"):
        read_cast(path, [tmp_path / "other.safetensors", temporal])
    with pytest.raises(PipelineError, match="needs the files of its spatial and temporal expert, and 0 are given"):
        read_cast(path, [])
    with pytest.raises(PipelineError, match="holds no cast recognizer: run train_recognizer again"):
        read_cast(spatial, [spatial, temporal])
    state = dict(model.part.state_dict())
    del state["norms.temporal.bias"]
    save_weights(state, path, describe_cast(cast_settings(), CLASSES, experts))
    with pytest.raises(PipelineError, match=r"another version of the recognizer \(missing: norms\.temporal\.bias\)"):
        read_cast(path, [spatial, temporal])


def test_classes_of_another_order_are_refused(tmp_path: Path) -> None:
    paths = write_experts(tmp_path)
    experts = read_experts(*paths)
    model = build_over(experts, cast_settings(), {"class": 3})
    path = tmp_path / "model.safetensors"
    save_weights(model.part.state_dict(), path, describe_cast(cast_settings(), CLASSES, experts))
    labels = Labels(tmp_path / "labels.json", LabelIndex({"class": ["b", "a", "c"]}, {}, {}, [], {}, [], {}, {}))
    with pytest.raises(PipelineError, match="class 0 of class is a to the model, but b"):
        require_same_classes(read_cast(path, paths).heads, labels, path)


@pytest.mark.parametrize(("key", "value", "message"), [
    ("width", 24, "width 48 and 24"),
    ("layers", 3, "depth 2 and 3"),
    ("heads", 2, "heads 4 and 2"),
    ("patch_size", 8, "grid 2 x 2 and 4 x 4"),
    ("image_size", 48, "grid 2 x 2 and 3 x 3"),
], ids=["width", "layers", "heads", "patch_size", "image_size"])  # fmt: skip
def test_experts_that_are_not_alike_are_refused(tmp_path: Path, key: str, value: int, message: str) -> None:
    paths = write_experts(tmp_path, mae=MAE_ARCH | {key: value})
    with pytest.raises(PipelineError, match=f"the spatial and the temporal one have {message}.*: name two encoders"):
        read_experts(*paths)


def test_frames_and_heads_that_do_not_fit_are_refused_in_one_line(tmp_path: Path) -> None:
    frames = {"sampling": "segments", "number": 16, "stride": None}
    assert "frames: number: 16, but the temporal expert mae takes clips of 8" in refused(tmp_path, frames=frames)
    plain = json.loads(cast_settings().model_dump_json())
    for size, message in ((40, "40 is no multiple of the 16 pixels"), (64, "64, but the experts take frames of 32")):
        augmentation = plain["augmentation"] | {"size": size}
        assert f"augmentation: size: {message}" in refused(tmp_path, augmentation=augmentation)
        assert f"views: size: {message}" in refused(tmp_path, views=plain["views"] | {"size": size})
    assert "fusion: by_head" in refused(tmp_path, fusion="by_head")
    assert "fusion: by_head" in refused(tmp_path, {"verb": 2, "noun": 2, "place": 2}, fusion="by_head")
    assert "first_block: 3 is beyond the 2 blocks" in refused(tmp_path, first_block=3)
