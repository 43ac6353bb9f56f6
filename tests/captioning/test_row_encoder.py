import pytest
import torch
from torch.testing import assert_close
from toys.captioner import MODEL

from pipeline.captioning.row_encoder import RowEncoder, add_rows, fit_rows, lay_out, with_first

ROW_DIM = 7


def encoder(attention="mha"):
    torch.manual_seed(0)
    return RowEncoder(ROW_DIM, MODEL, attention).eval()


def rows(count, seed=0):
    return torch.randn(count, ROW_DIM, generator=torch.Generator().manual_seed(seed))


def encode(model, *graphs):
    """Memory rows and mask of graphs that have these rows."""
    batch = torch.repeat_interleave(torch.tensor([len(of) for of in graphs]))
    with torch.no_grad():
        return model(torch.cat(graphs), batch, len(graphs))


def test_rows_are_laid_out_by_graph():
    layout = lay_out(torch.tensor([0, 0, 2, 2, 2]), num_graphs=4)
    assert layout.slot_R.tolist() == [0, 1, 0, 1, 2]
    assert layout.mask().int().tolist() == [[1, 1, 0], [0, 0, 0], [1, 1, 1], [0, 0, 0]]
    assert with_first(layout.mask()).int().tolist() == [[1, 1, 0], [1, 0, 0], [1, 1, 1], [1, 0, 0]]


def test_without_any_row_there_is_a_hidden_place():
    assert lay_out(torch.zeros(0, dtype=torch.long), num_graphs=2).mask().tolist() == [[False], [False]]


@pytest.mark.parametrize("attention", ["mha", "mha_position", "ffn"])
def test_a_batch_equals_its_graphs_one_by_one(attention):
    """T17 and T21: graphs without rows, with rows of zeros, with few and many."""
    model, graphs = encoder(attention), [rows(0), torch.zeros(2, ROW_DIM), rows(5, 1), rows(1, 2)]
    found, mask = encode(model, *graphs)
    assert mask.sum(1).tolist() == [0, 2, 5, 1]
    assert found.isfinite().all()
    for number, graph in enumerate(graphs):
        alone, mask_alone = encode(model, graph)
        assert mask_alone.sum() == len(graph)
        assert_close(found[number, : len(graph)], alone[0, : len(graph)], atol=1e-6, rtol=1e-5)


def test_the_kinds_of_attention_are_three():
    """T5: with equal weights where they have the same, each computes what its name says."""
    models = {attention: encoder(attention) for attention in ("mha", "mha_position", "ffn")}
    models["mha_position"].load_state_dict(models["mha"].state_dict(), strict=True)
    states = {attention: model.state_dict() for attention, model in models.items()}
    assert not [name for name in states["ffn"] if "attention" in name]
    assert [name for name in states["mha"] if "attention" in name]
    models["ffn"].load_state_dict({name: states["mha"][name] for name in states["ffn"]}, strict=True)

    graph = rows(4)
    plain = {attention: encode(model, graph)[0][0] for attention, model in models.items()}
    turned = {attention: encode(model, graph.flip(0))[0][0].flip(0) for attention, model in models.items()}
    changed = graph.clone()
    changed[3] = 1 - changed[3]
    seen = {attention: encode(model, changed)[0][0, :3] for attention, model in models.items()}
    assert (plain["mha"] - plain["mha_position"]).abs().max() > 1e-2
    assert (plain["mha"] - plain["ffn"]).abs().max() > 1e-2
    assert_close(turned["mha"], plain["mha"], atol=1e-6, rtol=1e-5)
    assert_close(turned["ffn"], plain["ffn"], atol=1e-6, rtol=1e-5)
    assert (turned["mha_position"] - plain["mha_position"]).abs().max() > 1e-2
    assert (seen["mha"] - plain["mha"][:3]).abs().max() > 1e-4
    assert_close(seen["ffn"], plain["ffn"][:3])


def test_the_layers_are_as_many_as_asked_for():
    several = RowEncoder(ROW_DIM, MODEL.model_copy(update={"knowledge_layers": 3}), "mha")
    assert len(several.layers) == 3


@pytest.mark.parametrize("attention", ["mha", "mha_position", "ffn"])
def test_every_weight_takes_part_without_any_row(attention):
    model = encoder(attention).train()
    found, _ = model(rows(0), torch.zeros(0, dtype=torch.long), 2)
    found.sum().backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


def test_rows_are_fitted_to_frames():
    """5 rows and 3 frames, 2 and 4, none and 2, 4 and 1, 3 and 3, 1 and none."""
    counts, frames = torch.tensor([5, 2, 0, 4, 3, 1]), torch.tensor([3, 4, 2, 1, 3, 0])
    assert fit_rows(torch.repeat_interleave(counts), frames).tolist() == [0, 2, 4, 5, 6, 7, 11, 12, 13]


def test_rows_are_added_where_they_are():
    frames = torch.arange(6.0).view(2, 3, 1)
    added = add_rows(frames, torch.full((2, 2, 1), 10.0), torch.tensor([[True, True], [True, False]]))
    assert added.flatten().tolist() == [10, 11, 2, 13, 4, 5]


def test_the_box_of_an_object_tells_however_large_its_features_are():
    torch.manual_seed(0)
    learned = MODEL.model_copy(update={"node_position": "learned"})
    model = RowEncoder(ROW_DIM, learned, "mha", has_boxes=True).eval()
    still = torch.cat([torch.tensor([[0.2, 0.2, 0.5, 0.5]] * 3), rows(3)[:, 4:]], 1)
    moved = torch.cat([still[:, :4] + torch.tensor([[0.0], [0.1], [0.2]]), still[:, 4:]], 1)
    large = torch.cat([still[:, :4], still[:, 4:] * 50], 1)
    memory, _ = encode(model, still)
    assert (encode(model, moved)[0] - memory).abs().max() > 1e-2
    assert_close(encode(model, large)[0], memory, atol=1e-3, rtol=1e-3)


def test_without_positions_a_box_is_four_more_features():
    plain = MODEL.model_copy(update={"node_position": "none"})
    assert RowEncoder(ROW_DIM, plain, "mha", has_boxes=True).row_in.in_features == ROW_DIM
    assert RowEncoder(ROW_DIM, plain, "mha", has_boxes=True).box_position is None
