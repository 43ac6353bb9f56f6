"""Knowledge and objects in the captioner: T2, T5, T11, T17 and T21 of the published code are not here."""

import pytest
import torch
from torch.testing import assert_close
from toys.captioner import DECODING, KNOWLEDGE_DIM, MODEL, OBJECT_DIM, captioner, graph

from pipeline.captioning.batches import CaptionBatch
from pipeline.captioning.captioner import Captioner
from pipeline.captioning.generation import caption_graphs
from pipeline.captioning.loss import caption_losses
from pipeline.models.action_graph import ActionGraph, batch_graphs
from pipeline.vocabulary import Vocabulary

WORDS = Vocabulary(("<pad>", "<bos>", "<eos>", "<unk>", *"abcdefgh"), max_words=6)
TOKENS = torch.tensor([[1, 5, 6, 7, 2], [1, 8, 9, 2, 0], [1, 10, 4, 11, 2], [1, 6, 6, 2, 0]])
SHAPES = [(1, 3, ()), (2, 1, ()), (3, 0, (2, 0, 1, 3)), (4, 2, ())]  # seed, frames, nodes of frames
NUM_ROWS = [4, 3, 0, 1]
NUM_OBJECTS = [0, 2, 5, 1]
KINDS = {
    "grid": (False, False),
    "grid_knowledge": (True, False),
    "object": (False, False),
    "object_knowledge": (True, False),
    "grid_object_knowledge": (True, True),
}
DIMS = {"knowledge_dim": KNOWLEDGE_DIM, "object_dim": OBJECT_DIM}


def graphs_of(knowledge: bool = True, objects: bool = True, pairs: bool = False) -> list[ActionGraph]:
    return [
        graph(*shape, knowledge=rows if knowledge else None, objects=boxes if objects else None, pairs=pairs)
        for shape, rows, boxes in zip(SHAPES, NUM_ROWS, NUM_OBJECTS, strict=True)
    ]


def model_of(knowledge: bool = True, objects: bool = True, sharpen: float = 1.0, **changes: str | int) -> Captioner:
    dims = {"knowledge_dim": KNOWLEDGE_DIM * knowledge, "object_dim": OBJECT_DIM * objects}
    return captioner(settings=MODEL.model_copy(update=changes), sharpen=sharpen, max_nodes=4, **dims)


def batch_of(graphs: list[ActionGraph], of: tuple[int, ...] = (0, 1, 2, 3)) -> CaptionBatch:
    tokens = TOKENS[list(of)]
    return CaptionBatch(batch_graphs(graphs), tokens, tokens.flip(0), torch.arange(len(of)), (10, 10))


def logits(model: Captioner, graphs: list[ActionGraph], of: tuple[int, ...] = (0, 1, 2, 3)) -> tuple[torch.Tensor, ...]:
    tokens = TOKENS[list(of), :-1]
    with torch.no_grad():
        return model(batch_graphs(graphs), tokens, tokens, tokens != 0, torch.arange(len(of)))


@pytest.mark.parametrize("fusion", ["concatenate", "sum"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_experiment_trains_and_decodes(kind, fusion):
    """T2: whatever else there is, the right-to-left branch gets the graph."""
    graphs, model = graphs_of(*KINDS[kind]), model_of(*KINDS[kind], fusion=fusion, dropout=0.0).train()
    batch, losses = batch_of(graphs), []
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(4):
        optimizer.zero_grad()
        loss = sum(caption_losses(model, batch, 0.0))
        loss.backward()
        assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses == sorted(losses, reverse=True)
    captions = caption_graphs(model, WORDS, graphs, DECODING)
    assert all(caption.text and caption.right_to_left for caption in captions)


VARIANTS = {
    "rows": {},
    "sum": {"fusion": "sum"},
    "positions": {"knowledge_attention": "mha_position"},
    "feed-forward": {"knowledge_attention": "ffn", "fusion": "sum"},
    "gat, padded frames": {"graph_encoder": "gat", "pool": "padded"},
    "gatv2": {"graph_encoder": "gatv2"},
    "padded frames": {"pool": "padded"},
}


@pytest.mark.parametrize("pairs", [False, True], ids=["frames", "pairs"])
@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_a_batch_equals_its_graphs_one_by_one_in_any_order(variant, pairs):
    """T1, T17: with rows or none, few frames or many, what else is in the batch and where changes nothing."""
    model, graphs = model_of(**variant), graphs_of(pairs=pairs)
    together = logits(model, graphs)
    order = (2, 0, 3, 1)
    permuted = logits(model, [graphs[number] for number in order], order)
    for found, expected in zip(permuted, together, strict=True):
        assert_close(found, expected[list(order)], atol=1e-5, rtol=1e-4)
    for number, one in enumerate(graphs):
        for found, expected in zip(logits(model, [one], (number,)), together, strict=True):
            assert_close(found[0], expected[number], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("variant", [{}, {"fusion": "sum", "knowledge_attention": "ffn"}], ids=["concatenate", "sum"])
def test_captions_of_a_batch_are_those_of_its_graphs(variant):
    model, graphs = model_of(sharpen=20.0, **variant), graphs_of()
    together = caption_graphs(model, WORDS, graphs, DECODING)
    for one, found in zip(graphs, together, strict=True):
        alone = caption_graphs(model, WORDS, [one], DECODING)[0]
        assert (found.text, found.right_to_left) == (alone.text, alone.right_to_left)
        assert found.score == pytest.approx(alone.score, abs=1e-4)


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_runs_in_bf16_close_to_fp32(variant):
    model, batch = model_of(**variant), batch_of(graphs_of(pairs=True))
    exact = caption_losses(model, batch, 0.15)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = caption_losses(model, batch, 0.15)
    sum(rough).backward()
    assert_close(torch.stack(rough), torch.stack(exact), atol=0.02, rtol=0.02)
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("name", ["knowledge", "objects"])
def test_no_row_is_hidden_by_the_length_of_the_video(name):
    """T11: a video of one frame sees its last row, which is the third or the second."""
    model, graphs = model_of(), graphs_of()
    before = logits(model, graphs)
    graphs[1][name] = graphs[1][name].clone()
    graphs[1][name][-1] += torch.linspace(-1, 1, graphs[1][name].shape[1])
    after = logits(model, graphs)
    assert (after[0][1] - before[0][1]).abs().max() > 1e-4
    assert_close(after[0][[0, 2, 3]], before[0][[0, 2, 3]])
    assert_close(after[1], before[1])  # the right-to-left decoder knows nothing of it


def test_with_sum_a_row_beyond_the_frames_is_hidden():
    """The published meaning, T11 and all: of three rows and one frame, the first is taken."""
    model, graphs = model_of(objects=False, fusion="sum", knowledge_attention="ffn"), graphs_of(objects=False)
    before = logits(model, graphs)[0]
    graphs[1].knowledge = graphs[1].knowledge.clone()
    graphs[1].knowledge[1:] += 1
    assert_close(logits(model, graphs)[0], before)
    graphs[1].knowledge[0] = 1 - graphs[1].knowledge[0]
    assert (logits(model, graphs)[0] - before)[1].abs().max() > 1e-4


@pytest.mark.parametrize("fusion", ["concatenate", "sum"])
def test_a_video_without_rows_is_captioned_as_without_the_branch(fusion):
    """T17: no row is no row, not a row of zeros. The weights that both have are equal by construction."""
    plain, model = model_of(knowledge=False, objects=False), model_of(fusion=fusion)
    for name, tensor in plain.state_dict().items():
        assert_close(model.state_dict()[name], tensor, atol=0, rtol=0)
    expected = logits(plain, graphs_of(knowledge=False, objects=False))
    without = [graph(*shape, knowledge=0, objects=0) for shape in SHAPES]
    for found, of_plain in zip(logits(model, without), expected, strict=True):
        assert_close(found, of_plain, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("fusion", ["concatenate", "sum"])
def test_a_row_of_zeros_is_a_row(fusion):
    """T21: validity is never read from the values."""
    model = model_of(objects=False, fusion=fusion)
    zeros, none = (graph(1, 3, knowledge=count) for count in (2, 0))
    zeros.knowledge = torch.zeros_like(zeros.knowledge)
    found, expected = (logits(model, [one], (0,))[0] for one in (zeros, none))
    assert (found - expected).abs().max() > 1e-4
    memory = model.encode(batch_graphs([zeros, none]))
    if fusion == "concatenate":
        assert memory.left_to_right_mask_GM.int().tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]


def test_the_memory_holds_frames_then_objects_then_knowledge():
    model, graphs = model_of(), graphs_of()
    memory = model.encode(batch_graphs(graphs))
    assert memory.right_to_left_GTD.shape[:2] == memory.right_to_left_mask_GT.shape == (4, 4)
    assert memory.left_to_right_GMD.shape[:2] == memory.left_to_right_mask_GM.shape == (4, 4 + 5 + 4)
    parts = memory.left_to_right_mask_GM.split([4, 5, 4], 1)
    assert [part.sum(1).tolist() for part in parts] == [[3, 1, 4, 2], NUM_OBJECTS, NUM_ROWS]
    summed = model_of(fusion="sum").encode(batch_graphs(graphs))
    assert summed.left_to_right_GMD.shape[:2] == (4, 4)


def test_each_kind_of_attention_changes_what_is_said():
    """T5: the setting is read."""
    settings = ("mha", "mha_position", "ffn")
    models = {attention: model_of(knowledge_attention=attention) for attention in settings}
    found = {attention: logits(model, graphs_of())[0] for attention, model in models.items()}
    for one, other in (("mha", "mha_position"), ("mha", "ffn"), ("mha_position", "ffn")):
        assert (found[one] - found[other]).abs().max() > 1e-4
    names = {attention: set(dict(model.named_parameters())) for attention, model in models.items()}
    assert names["mha"] == names["mha_position"] > names["ffn"]


def test_objects_always_attend():
    names = dict(model_of(knowledge_attention="ffn").named_parameters())
    assert [name for name in names if name.startswith("objects.layers.0.attention")]
    assert not [name for name in names if name.startswith("knowledge.layers.0.attention")]
