import torch
from torch.testing import assert_close
from toys.captioner import MODEL, captioner, graph

from pipeline.models.action_graph import batch_graphs

TOKENS = torch.tensor([[1, 5, 6, 7], [1, 8, 9, 0], [1, 10, 4, 11]])
SEEN = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 1, 1]]).bool()


def logits(model, graphs, left_to_right=TOKENS, right_to_left=TOKENS, seen=SEEN, of=(0, 1, 2)):
    with torch.no_grad():
        return model(batch_graphs(graphs), left_to_right, right_to_left, seen, torch.tensor(of))


GRAPHS = [graph(1, 3), graph(2, 1), graph(3, nodes_of_frame=(2, 0, 1, 3))]


def test_a_batch_equals_its_graphs_one_by_one():
    """T1: no edge, frame or mean of one graph reaches another, whatever their sizes."""
    model = captioner()
    together = logits(model, GRAPHS)
    for number, one in enumerate(GRAPHS):
        row = slice(number, number + 1)
        alone = logits(model, [one], TOKENS[row], TOKENS[row], SEEN[row], of=(0,))
        for found, expected in zip(together, alone, strict=True):
            assert_close(found[row], expected, atol=1e-5, rtol=1e-4)


def test_order_in_the_batch_does_not_matter():
    """T1 and T4: neither graphs nor positions depend on the row."""
    model = captioner()
    order = [2, 0, 1]
    straight = logits(model, GRAPHS)
    permuted = logits(model, [GRAPHS[i] for i in order], TOKENS[order], TOKENS[order], SEEN[order])
    for found, expected in zip(permuted, straight, strict=True):
        assert_close(found, expected[order], atol=1e-5, rtol=1e-4)


def test_the_order_of_words_matters():
    """T4: without positions along the caption the last logits would be the same for any order of words before."""
    model = captioner()
    swapped = TOKENS[:, [0, 2, 1, 3]]
    left, right = logits(model, GRAPHS)
    assert (logits(model, GRAPHS, left_to_right=swapped)[0] - left)[0, 3].abs().max() > 1e-3
    assert (logits(model, GRAPHS, right_to_left=swapped)[1] - right)[0, 3].abs().max() > 1e-3


def test_embedded_tokens_carry_their_place():
    model = captioner()
    embedded = model.embed(torch.tensor([[5, 5], [5, 5]]))
    assert_close(embedded[0], embedded[1])
    assert (embedded[0, 0] - embedded[0, 1]).abs().max() > 0.5
    assert_close(model.embed(torch.tensor([[5]]), first=1)[0, 0], embedded[0, 1])
    assert 0.5 < (model.embedding.weight * model.width**0.5).std() < 2  # of the size of the positions


def test_no_word_sees_those_after_it():
    model = captioner()
    changed = TOKENS.clone()
    changed[:, 3] = 5
    left, right = logits(model, GRAPHS)
    assert_close(logits(model, GRAPHS, left_to_right=changed)[0][:, :3], left[:, :3])
    assert_close(logits(model, GRAPHS, right_to_left=changed)[1][:, :3], right[:, :3])


def test_the_left_to_right_decoder_sees_the_other_caption_but_not_its_padding():
    model = captioner()
    left, _ = logits(model, GRAPHS)
    changed = TOKENS.clone()
    changed[1, 3] = 7  # where `seen` is false
    assert_close(logits(model, GRAPHS, right_to_left=changed)[0][1], left[1])
    changed[1, 2] = 7
    assert (logits(model, GRAPHS, right_to_left=changed)[0][1] - left[1]).abs().max() > 1e-3


def test_captions_of_a_graph_share_its_encoding():
    model = captioner()
    shared = logits(model, GRAPHS[:1], of=(0, 0, 0))
    repeated = logits(model, [GRAPHS[0]] * 3)
    for found, expected in zip(shared, repeated, strict=True):
        assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_one_word_at_a_time_equals_all_at_once():
    model = captioner()
    memory = model.encode(batch_graphs(GRAPHS))
    context = model.decoder_right_to_left.context(0, memory.right_to_left_GTD, memory.right_to_left_mask_GT)
    whole, _ = model.decoder_right_to_left(model.embed(TOKENS), [context])
    past = None
    for place in range(TOKENS.shape[1]):
        x = model.embed(TOKENS[:, place : place + 1], first=place)
        state, past = model.decoder_right_to_left(x, [context], past)
        assert_close(state[:, 0], whole[:, place], atol=1e-5, rtol=1e-4)


def test_a_nodes_place_is_seen_if_and_only_if_asked_for():
    moved = graph(1, 3)
    moved.node_box = moved.node_box.flip(0)
    for position, differs in (("learned", True), ("none", False)):
        model = captioner(settings=MODEL.model_copy(update={"node_position": position}))
        change = (model.encode(batch_graphs([moved]))[0] - model.encode(batch_graphs([GRAPHS[0]]))[0]).abs().max()
        assert (change > 1e-4) == differs


def test_adding_positions_leaves_the_graphs_alone():
    graphs = batch_graphs([graph(1, 3)])
    before = graphs.x.clone()
    captioner().encode(graphs)
    assert_close(graphs.x, before)


def test_directions_have_their_own_heads_and_weights():
    model = captioner()
    heads = [e.layers[0].attention.num_heads for e in (model.encoder_right_to_left, model.encoder_left_to_right)]
    assert heads == [4, 2]
    mine = {id(p) for p in model.encoder_right_to_left.parameters()}
    assert not mine & {id(p) for p in model.encoder_left_to_right.parameters()}


def test_every_weight_is_reached():
    """Several processes wait for the gradient of every weight."""
    model = captioner().train()
    left, right = model(batch_graphs(GRAPHS), TOKENS, TOKENS, SEEN, torch.tensor([0, 1, 2]))
    (left.square().sum() + right.square().sum()).backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []
