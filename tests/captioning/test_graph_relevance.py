import numpy as np
import pytest
import torch
from toys.captioner import DECODING, MODEL, captioner, graph

from pipeline.captioning import graph_relevance
from pipeline.captioning.beam_search import Search
from pipeline.captioning.bidirectional_search import search_batch
from pipeline.captioning.captioner import Captioner
from pipeline.captioning.graph_relevance import (
    METHODS,
    CaptionedGraph,
    integrated_gradients,
    mean_node,
    nodes_by_integrated_gradients,
    nodes_by_occlusion,
)
from pipeline.models.action_graph import ActionGraph, batch_graphs
from pipeline.vocabulary import EOS

WORDS = (4, 5, 4, 7)
TURNED = (5, 6)
AWAY = torch.linspace(-0.5, 0.5, 6)


def said(model: Captioner, of: ActionGraph, words: tuple[int, ...] = WORDS) -> CaptionedGraph:
    return CaptionedGraph(model.requires_grad_(requires_grad=False), of, words, TURNED, AWAY)


def two_words(x_KND: torch.Tensor) -> torch.Tensor:
    """The first word stands for 2 a + 3 b of the first node, the second one for the product of both nodes' a."""
    return torch.stack([2 * x_KND[:, 0, 0] + 3 * x_KND[:, 0, 1], x_KND[:, 0, 0] * x_KND[:, 1, 0]], 1)


X = torch.tensor([[1.0, 2.0], [4.0, 5.0]])
NONE = torch.zeros(2, 2)


def test_integrated_gradients_share_out_what_a_word_gains():
    """Of a product of two features that grow from 0 together, each has a half."""
    found_WND = integrated_gradients(two_words, X, NONE, 2, at_once=3)
    expected_WND = torch.tensor([[[2.0, 6.0], [0.0, 0.0]], [[2.0, 0.0], [2.0, 0.0]]])
    torch.testing.assert_close(found_WND, expected_WND)
    nodes = nodes_by_integrated_gradients(two_words, X, NONE, 2, at_once=3)
    torch.testing.assert_close(nodes, torch.tensor([[8.0, 0.0], [2.0, 2.0]]))


def test_occlusion_is_what_a_word_loses_without_the_node():
    """Without either node nothing is left of the product."""
    assert nodes_by_occlusion(two_words, X, NONE, 2, at_once=1).tolist() == [[8, 0], [4, 4]]
    away = torch.tensor([[1.0, 1.0]]).expand(2, 2)
    assert nodes_by_occlusion(two_words, X, away, 2, at_once=8).tolist() == [[3, 0], [0, 3]]


def test_the_mean_node_is_a_mean_over_nodes_and_not_over_videos():
    videos = [np.array([[1.0, 0.0], [3.0, 0.0]], np.float16), np.zeros((0, 2), np.float16), np.array([[8.0, 6.0]])]
    assert mean_node(videos).tolist() == [4, 2]
    with pytest.raises(ValueError, match="no node"):
        mean_node(videos[1:2])


def test_words_are_as_likely_as_in_the_search_that_found_them():
    """The score of the best caption is the sum over its words and its end."""
    model, of = captioner(sharpen=20.0), graph(3)
    found: Search = search_batch(model, batch_graphs([of]), DECODING, ["a"])
    words, turned = (
        tuple(token for token in one.tokens_GL[0, 1:].tolist() if token > EOS)
        for one in (found.best, found.right_to_left)
    )
    assert words
    assert turned
    explained = CaptionedGraph(model, of, (*words, EOS), turned[::-1], AWAY)
    log_p = explained.log_p_of_kept(np.ones((1, 6), bool))
    assert log_p.sum() == pytest.approx(found.best.score_G.item(), abs=1e-4)


@pytest.mark.parametrize("convolution", ["transformer", "gat"])
@pytest.mark.parametrize("pairs", [False, True], ids=["of frames", "of pairs"])
def test_relevance_of_nodes_and_edges_is_complete(convolution: str, pairs: bool, monkeypatch: pytest.MonkeyPatch):
    """Nodes sum up to the gain over mean nodes, edges to that over a graph without messages."""
    monkeypatch.setattr(graph_relevance, "STEPS", 400)  # six random features pass many kinks on their way
    settings = MODEL.model_copy(update={"graph_encoder": convolution})
    explained = said(captioner(settings=settings), graph(4, pairs=pairs))
    none, every = explained.log_p_of_kept(np.array([[False] * 6, [True] * 6]))
    assert np.abs(every - none).max() > 0.1
    np.testing.assert_allclose(explained.nodes("integrated_gradients").sum(1), every - none, atol=1e-3)
    silent, heard = explained.log_p_of_gates(torch.stack([torch.zeros(20), torch.ones(20)])).numpy()
    np.testing.assert_allclose(heard, every, atol=1e-5)
    assert np.abs(heard - silent).max() > 0.01
    np.testing.assert_allclose(explained.edges().sum(1), heard - silent, atol=1e-3)


def test_occlusion_takes_one_node_away():
    explained = said(captioner(sharpen=5.0), graph(4, nodes_of_frame=(2, 0, 3)))
    kept = ~np.eye(5, dtype=bool)
    expected = explained.log_p_of_kept(np.ones((1, 5), bool)) - explained.log_p_of_kept(kept)
    np.testing.assert_allclose(explained.nodes("occlusion"), expected.T, atol=1e-6)
    explained.at_once = 2
    np.testing.assert_allclose(explained.nodes("occlusion"), expected.T, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_a_caption_without_words_and_a_graph_without_edges(method: str):
    model = captioner()
    explained = said(model, graph(4), words=())
    assert explained.nodes(method).shape == (0, 6)
    assert explained.edges().shape == (0, 20)
    lonely = graph(4)
    lonely.edge_index, lonely.edge_kind = lonely.edge_index[:, :0], lonely.edge_kind[:0]
    lonely.edge_frame, lonely.edge_weight = lonely.edge_frame[:0], lonely.edge_weight[:0]
    explained = said(model, lonely)
    assert explained.nodes(method).shape == (4, 6)
    assert explained.edges().shape == (4, 0)
