import pytest
import torch
from torch import nn
from toys.labelled_clips import NODE_NORM, SIMPLE, settings

from pipeline.recognition.backbones.nonlocal_block import NonLocal
from pipeline.recognition.recognizer import build_recognizer
from pipeline.recognition.training import freeze, freeze_norms


@pytest.mark.parametrize(("how", "kept"), [("train", False), ("partial", False), ("frozen", True)])
def test_norms_of_the_backbone_are_kept_and_those_of_modules_learn(how, kept):
    """The nodes' norm has seen nothing when a training begins: kept as it is, it would normalise nothing."""
    given = settings({"batch_norm": how}, backbone=SIMPLE | {"norm_maps": True}, modules=[NODE_NORM])
    model = build_recognizer(given, {"class": 3}).train()
    freeze(model, given.training)
    assert model.backbone.norm.training is not kept
    nodes = model.graph("conv2").batch_norm
    assert nodes.training
    assert nodes.weight.requires_grad
    before = nodes.running_mean.clone()
    model(torch.full((2, 3, 1, 24, 24), 99, dtype=torch.uint8))
    assert (nodes.running_mean != before).any()


def test_non_local_blocks_learn_beside_norms_that_are_kept_in_part():
    """Their gains are 0 at the beginning: kept, they would stay the identity."""
    first, second, block = nn.BatchNorm3d(2), nn.BatchNorm3d(2), NonLocal(4)
    freeze_norms(nn.Sequential(first, second, block), "partial")
    assert [norm.training for norm in (first, second, block.bn)] == [True, False, True]
    assert [norm.weight.requires_grad for norm in (first, second, block.bn)] == [True, False, True]
