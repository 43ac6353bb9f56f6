"""Test the import of VideoMAE's weights from every form that they are published in."""

import argparse
import re

import pytest
import torch
from safetensors.torch import save_file
from transformers import VideoMAEConfig, VideoMAEForPreTraining, VideoMAEForVideoClassification, VideoMAEModel

from pipeline.config import VideoMaeArch
from pipeline.errors import PipelineError
from pipeline.recognition.towers.temporal_weights import draw_tower, load_temporal, read_temporal, save_temporal

ARCH = VideoMaeArch(image_size=8, patch_size=4, frames=4, tubelet=2, width=8, heads=2, layers=2, positions="order")
SIZES = {
    "image_size": 8, "patch_size": 4, "num_frames": 4, "tubelet_size": 2, "hidden_size": 8, "num_hidden_layers": 2,
    "num_attention_heads": 2, "intermediate_size": 32, "decoder_hidden_size": 4, "decoder_num_hidden_layers": 1,
    "decoder_num_attention_heads": 1, "decoder_intermediate_size": 16, "use_mean_pooling": False,
}  # fmt: skip


def filled(module):
    """Give every tensor of a network other values, its biases among them."""
    draw = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draw) * 0.3)
    return module.eval()


@pytest.fixture
def state():
    """The tensors of an encoder under our names, which are VideoMAE's without prefixes."""
    return filled(draw_tower(ARCH, 1)).state_dict()


def others(prefix=""):
    return {
        "decoder.blocks.0.norm1.weight": torch.ones(4), "encoder_to_decoder.weight": torch.ones(4, 8),
        "mask_token": torch.ones(1, 1, 4), f"{prefix}norm.weight": torch.ones(8), f"{prefix}norm.bias": torch.ones(8),
    }  # fmt: skip


def published(state):
    """The forms in which VideoMAE's own code writes an encoder."""
    below = {name: {f"{name}.{key}": value for key, value in state.items()} for name in ("encoder", "backbone")}
    head = {"fc_norm.weight": torch.ones(8), "fc_norm.bias": torch.ones(8), "head.weight": torch.ones(3, 8)}
    return {
        "pre-trained": {"model": below["encoder"] | others("encoder."), "args": argparse.Namespace(lr=1), "epoch": 1},
        "fine-tuned": {"module": state | head | {"head.bias": torch.ones(3)}},
        "of a detector": below["backbone"],
        "alone": dict(state),
    }


@pytest.mark.parametrize("form", ["pre-trained", "fine-tuned", "of a detector", "alone"])
def test_every_published_form_gives_the_same_encoder(tmp_path, state, form):
    torch.save(published(state)[form], tmp_path / "checkpoint.pth")

    tower = load_temporal(tmp_path / "checkpoint.pth", ARCH)

    assert all(torch.equal(tensor, state[name]) for name, tensor in tower.state_dict().items())
    assert tower(torch.zeros(1, 3, 4, 8, 8)).shape == (1, 8, 8)


@pytest.mark.parametrize("kind", [VideoMAEModel, VideoMAEForPreTraining, VideoMAEForVideoClassification])
def test_the_tokens_are_those_of_transformers(tmp_path, kind):
    """Its newest release has biases of layers; published files call them q_bias and v_bias."""
    theirs = filled(kind(VideoMAEConfig(**SIZES)))
    model = theirs if kind is VideoMAEModel else theirs.videomae
    names = {name: re.sub(r"\.(query|value)\.bias", lambda f: f".{f[1][0]}_bias", name) for name in theirs.state_dict()}
    assert any(name.endswith("q_bias") for name in names.values())
    x = torch.randn(2, 4, 3, 8, 8, generator=torch.Generator().manual_seed(5))
    found = []
    for path, renamed in ((tmp_path / "published", names), (tmp_path / "as_it_is", {name: name for name in names})):
        save_file({renamed[name]: tensor for name, tensor in theirs.state_dict().items()}, path)
        tower = load_temporal(path, ARCH)
        assert all(block.attn.q_bias.any() and block.attn.v_bias.any() for block in tower.blocks)
        found.append(tower(x.transpose(1, 2)))

    model.layernorm = torch.nn.Identity()  # the last norm is not the tower's
    expected = model(x).last_hidden_state
    for tokens in found:
        torch.testing.assert_close(tokens, expected)


@pytest.mark.parametrize(("part", "what"), [("q_bias", "queries"), ("v_bias", "values")])
def test_lost_biases_are_refused(tmp_path, state, part, what):
    for name in state:
        if name.endswith(part):
            state[name].zero_()
    torch.save(state, tmp_path / "lost.pth")
    with pytest.raises(PipelineError, match=f"lost.pth: all biases of {what} .{part}. are 0 or missing, which no"):
        load_temporal(tmp_path / "lost.pth", ARCH)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 16}, "Found tubelets of 2 frames and 4 pixels, width 8, layers 2. Expected .* width 16, layers 2"),
        ({"layers": 3}, "layers 2. Expected .* layers 3: missing: blocks.2"),
        ({"patch_size": 8}, "4 pixels.* Expected tubelets of 2 frames and 8 pixels"),
        ({"tubelet": 1}, "Found tubelets of 2 frames .* Expected tubelets of 1 frames"),
    ],
)
def test_an_encoder_of_other_sizes_is_refused_in_one_line(tmp_path, state, change, message):
    torch.save(state, tmp_path / "checkpoint.pth")
    with pytest.raises(PipelineError, match=message) as raised:
        load_temporal(tmp_path / "checkpoint.pth", ARCH.model_copy(update=change))
    assert "\n" not in str(raised.value)


def test_a_tensor_that_is_on_no_list_is_refused(tmp_path, state):
    torch.save(state | {"blocks.0.attn.k_bias": torch.ones(8)}, tmp_path / "checkpoint.pth")
    with pytest.raises(PipelineError, match=r"unknown: blocks\.0\.attn\.k_bias"):
        load_temporal(tmp_path / "checkpoint.pth", ARCH)


def test_two_encoders_in_a_file_are_refused(tmp_path, state):
    torch.save(state | {f"encoder.{name}": tensor for name, tensor in state.items()}, tmp_path / "checkpoint.pth")
    with pytest.raises(PipelineError, match="tensors that differ in a prefix alone"):
        load_temporal(tmp_path / "checkpoint.pth", ARCH)


def test_what_is_saved_is_read_with_its_sizes(tmp_path):
    """An encoder that was never trained has biases of 0, and is read all the same: its file says that it is ours."""
    tower = draw_tower(ARCH, 1)
    save_temporal(tower, tmp_path / "weights.safetensors", ARCH, "random")

    again = read_temporal(tmp_path / "weights.safetensors")

    assert again.frames == 4
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in tower.state_dict().items())


def test_the_frames_that_an_artifact_was_trained_with_are_its_own(tmp_path):
    save_temporal(filled(draw_tower(ARCH, 1)), tmp_path / "weights.safetensors", ARCH, "random")
    with pytest.raises(PipelineError, match=r"Found .*frames 4, .* Expected .*frames 8, "):
        load_temporal(tmp_path / "weights.safetensors", ARCH.model_copy(update={"frames": 8}))


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"kind": "clip4clip"}, "is no encoder of kind videomae but clip4clip"),
        ({}, "is no encoder of kind videomae but a file of another origin"),
        ({"kind": "videomae"}, "does not say its sizes"),
    ],
)
def test_a_file_of_another_kind_is_no_encoder(tmp_path, state, metadata, message):
    save_file(state, tmp_path / "weights.safetensors", metadata)
    with pytest.raises(PipelineError, match=message):
        read_temporal(tmp_path / "weights.safetensors")


def test_the_seed_decides_the_weights(caplog):
    one, same, other = (draw_tower(ARCH, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(tensor, same[name]) for name, tensor in one.items())
    assert not torch.equal(one["patch_embed.proj.weight"], other["patch_embed.proj.weight"])
    assert "starts UNTRAINED (seed 2)" in caplog.text
