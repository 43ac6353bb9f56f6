import pytest
import torch
from torch.testing import assert_close
from toys.captioner import MODEL, MOTION_DIM, NODE_DIM, graph, graph_rows

from pipeline.captioning.visual_encoder import VisualEncoder, frame_layout, frame_means
from pipeline.models.action_graph import ActionGraph, action_graph, batch_graphs

MAX_NODES = 4


def encoder(max_nodes: int = MAX_NODES, **changes: str) -> VisualEncoder:
    torch.manual_seed(0)
    return VisualEncoder(MODEL.model_copy(update=changes), 2, NODE_DIM, MOTION_DIM, max_nodes).eval()


def frame_tokens(model: VisualEncoder, graphs: list[ActionGraph]) -> torch.Tensor:
    batch = batch_graphs(graphs)
    with torch.no_grad():
        return model(batch, *frame_layout(batch.motion_batch, len(graphs)))


def padded(seed: int, sizes: tuple[int, ...]) -> ActionGraph:
    """The graph, with a node of zeros in the place of every node that a frame lacks."""
    rows = graph_rows(seed, nodes_of_frame=sizes)
    empty_frame = [frame for frame, size in enumerate(sizes) for _ in range(MAX_NODES - size)]
    found = action_graph(rows)
    found.x = torch.cat([found.x, torch.zeros(len(empty_frame), NODE_DIM)])
    found.node_box = torch.cat([found.node_box, torch.zeros(len(empty_frame), 4)])
    found.node_frame = torch.cat([found.node_frame, torch.tensor(empty_frame)])
    return found


def test_the_place_of_a_node_tells_however_large_its_features_are():
    model = encoder(node_position="learned")
    still, moving, large = (action_graph(graph_rows(0, nodes_of_frame=(1, 1, 1))) for _ in range(3))
    still.node_box = large.node_box = torch.tensor([[0.2, 0.2, 0.5, 0.5]] * 3)
    moving.node_box = still.node_box + torch.tensor([[0.0], [0.1], [0.2]])
    large.x = still.x * 50
    with torch.no_grad():
        first, second, third = model.node_position(moving.node_box)
    for one, other in ((first, second), (second, third)):  # a tenth of the frame
        assert (one - other).norm() > 0.1 * one.norm()
    assert not torch.allclose(frame_tokens(model, [moving]), frame_tokens(model, [still]), atol=1e-3)
    assert_close(frame_tokens(model, [large]), frame_tokens(model, [still]), atol=1e-4, rtol=1e-4)


def test_frames_are_laid_out_by_graph():
    slot, mask = frame_layout(torch.tensor([0, 0, 0, 2, 2]), num_graphs=4)
    assert slot.tolist() == [0, 1, 2, 0, 1]
    assert mask.int().tolist() == [[1, 1, 1], [1, 0, 0], [1, 1, 0], [1, 0, 0]]


def test_more_frames_than_positions_are_refused():
    with pytest.raises(ValueError, match="positions for 512"):
        frame_layout(torch.zeros(513, dtype=torch.long), num_graphs=1)


def test_means_are_over_the_nodes_there_are():
    nodes = torch.tensor([[1.0, 2.0], [3.0, 4.0], [7.0, 8.0]])
    means = frame_means(nodes, torch.tensor([0, 0, 2]), num_frames=3)
    assert means.tolist() == [[2, 3], [0, 0], [7, 8]]


def test_means_over_padded_frames_count_the_nodes_of_zeros():
    nodes = torch.tensor([[1.0, 2.0], [3.0, 4.0], [7.0, 8.0]])
    means = frame_means(nodes, torch.tensor([0, 0, 2]), num_frames=3, padded_to=4, empty_D=torch.tensor([1.0, 5.0]))
    assert means.tolist() == [[1.5, 4], [1, 5], [2.5, 5.75]]


@pytest.mark.parametrize("convolution", ["transformer", "gat", "gatv2"])
def test_pooling_padded_frames_equals_nodes_of_zeros_in_the_graph(convolution):
    sizes = [(2, 0, 4), (1,), (3, 4)]
    model = encoder(pool="padded", graph_encoder=convolution, node_position="none")
    present = encoder(pool="present", graph_encoder=convolution, node_position="none")
    present.load_state_dict(model.state_dict(), strict=True)
    pooled = frame_tokens(model, [graph(seed, nodes_of_frame=of) for seed, of in enumerate(sizes)])
    expected = frame_tokens(present, [padded(seed, of) for seed, of in enumerate(sizes)])
    real = frame_tokens(present, [graph(seed, nodes_of_frame=of) for seed, of in enumerate(sizes)])
    assert_close(pooled[0], expected[0], atol=1e-5, rtol=1e-4)
    assert_close(pooled[1, :1], expected[1, :1], atol=1e-5, rtol=1e-4)
    assert_close(pooled[2, :2], expected[2, :2], atol=1e-5, rtol=1e-4)
    assert (pooled[0] - real[0]).abs().max() > 1e-3


def test_in_full_frames_both_pools_are_the_same():
    full = [graph(1, nodes_of_frame=(MAX_NODES, MAX_NODES))]
    assert_close(frame_tokens(encoder(pool="padded"), full), frame_tokens(encoder(pool="present"), full))


def test_pooling_padded_frames_needs_their_size():
    with pytest.raises(ValueError, match="needs `max_nodes`"):
        encoder(max_nodes=0, pool="padded")


def test_graph_encoders_differ():
    tokens = [frame_tokens(encoder(graph_encoder=name), [graph(1)]) for name in ("transformer", "gat", "gatv2")]
    assert (tokens[0] - tokens[1]).abs().max() > 1e-3
    assert (tokens[1] - tokens[2]).abs().max() > 1e-4
