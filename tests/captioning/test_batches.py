from threading import Event

import pytest
import torch
from torch.testing import assert_close
from toys.captioner import graph

from pipeline.captioning.batches import (
    BatchesAhead,
    CaptionedVideos,
    EpochPlan,
    Pair,
    PieceBatches,
    count_targets,
    pad,
    validation_pieces,
)
from pipeline.errors import PipelineError
from pipeline.models.action_graph import batch_graphs
from pipeline.vocabulary import Vocabulary

WORDS = Vocabulary(("<pad>", "<bos>", "<eos>", "<unk>", "a", "dog", "cat", "runs", "sleeps"), max_words=4)
CAPTIONS = {f"v{n}": ["a dog runs", "a cat", "dog sleeps", "purple cat runs"][: 2 + n % 3] for n in range(11)}
VIDEOS = CaptionedVideos.of_split(list(CAPTIONS), CAPTIONS, WORDS)


def plan(**changes):
    settings = {"batch_size": 4, "accumulate": 1, "captions_per_video": 2, "reverse_pairing": "epoch"}
    return EpochPlan(VIDEOS, **{**settings, "seed": 3, "num_processes": 1, **changes})


def test_videos_without_a_word_are_left_out():
    videos = CaptionedVideos.of_split(["x", "y", "z"], {"x": ["..."], "y": ["a dog", "!"]}, WORDS)
    assert videos == CaptionedVideos(["y"], [[[1, 4, 5, 2]]], [[[1, 5, 4, 2]]])


def test_padding_starts_and_unknown_words_are_no_targets():
    """T13: of <bos> a <unk> <eos> <pad> <pad>, two tokens are scored."""
    assert count_targets([1, 4, 3, 2, 0, 0]) == 2


@pytest.mark.parametrize(("accumulate", "num_processes"), [(1, 1), (2, 1), (1, 2), (1, 3)])
def test_an_epoch_sees_every_video_once_however_it_is_shared(accumulate, num_processes):
    """T16: accumulation is given, never computed from the number of GPUs; no video fills a batch up."""
    drawn = plan(accumulate=accumulate, num_processes=num_processes)
    shares = [drawn.draw(5, process) for process in range(num_processes)]
    assert {len(share) for share in shares} == {3 * accumulate}
    seen = [pair.video for share in shares for piece in share for pair in piece.pairs]
    assert sorted(set(seen)) == list(range(11))
    assert len(seen) == 22
    whole = plan().draw(5, 0)
    for step in range(3):
        pieces = [piece for share in shares for piece in share[step * accumulate : (step + 1) * accumulate]]
        assert sorted(pair for piece in pieces for pair in piece.pairs) == sorted(whole[step].pairs)
        assert {piece.num_tokens for piece in pieces} == {whole[step].num_tokens}


def test_a_piece_knows_the_targets_of_the_whole_step():
    """T15: the denominator of the loss is that of all processes and accumulations."""
    pieces = plan(accumulate=2).draw(0, 0)
    pairs = [*pieces[0].pairs, *pieces[1].pairs]
    forward = sum(count_targets(VIDEOS.forward[p.video][p.caption]) for p in pairs)
    backward = sum(count_targets(VIDEOS.backward[p.video][p.reversed_caption]) for p in pairs)
    assert pieces[0].num_tokens == pieces[1].num_tokens == (forward, backward)


def test_epochs_differ_and_are_drawn_alike_again():
    assert plan().draw(0, 0) == plan().draw(0, 0)
    assert plan().draw(0, 0) != plan().draw(1, 0)
    assert plan().draw(0, 0) != plan(seed=4).draw(0, 0)


def partners(reverse_pairing, epoch):
    pieces = plan(reverse_pairing=reverse_pairing, captions_per_video=4).draw(epoch, 0)
    return sorted(pair for piece in pieces for pair in piece.pairs)


def test_pairing_is_a_permutation_drawn_anew_or_once():
    assert partners("once", 0) == partners("once", 1)
    assert partners("epoch", 0) != partners("epoch", 1)
    for pairing in ("once", "epoch"):
        of_video = [pair for pair in partners(pairing, 0) if pair.video == 2]
        assert [pair.caption for pair in of_video] == [0, 1, 2, 3]
        assert sorted(pair.reversed_caption for pair in of_video) == [0, 1, 2, 3]


def test_too_few_videos_for_all_processes_are_refused():
    with pytest.raises(PipelineError, match=r"11 captioned training videos .* fewer than 4 .* 2 processes"):
        plan(accumulate=2, num_processes=2).check()
    plan(accumulate=3).check()


@pytest.mark.parametrize("num_processes", [1, 2, 3])
def test_validation_scores_every_video_once(num_processes):
    shares = [validation_pieces(VIDEOS, 2, 2, process, num_processes) for process in range(num_processes)]
    videos = [list(dict.fromkeys(p.video for p in piece.pairs)) for share in shares for piece in share]
    assert sorted(video for piece in videos for video in piece) == list(range(11))
    assert max(map(len, videos)) == 2


def test_a_batch_holds_its_graphs_once_and_its_captions_in_order():
    graphs = {video_id: graph(n, 1 + n % 3) for n, video_id in enumerate(CAPTIONS)}
    piece = VIDEOS.piece([Pair(4, 0, 1), Pair(4, 1, 0), Pair(1, 2, 2)])
    batch = PieceBatches(VIDEOS, graphs)[piece]
    expected = batch_graphs([graphs["v4"], graphs["v1"]])
    assert batch.caption_graph.tolist() == [0, 0, 1]
    assert batch.left_to_right.tolist() == [[1, 4, 5, 7, 2], [1, 4, 6, 2, 0], [1, 5, 8, 2, 0]]
    assert batch.right_to_left.tolist() == [[1, 6, 4, 2, 0], [1, 7, 5, 4, 2], [1, 8, 5, 2, 0]]
    assert batch.num_tokens == (10, 10)
    assert_close(batch.graphs.x, expected.x)
    assert batch.graphs.motion_batch.tolist() == [0, 0, 1, 1]


def test_a_batch_has_all_that_its_graphs_have():
    graphs = {video_id: graph(n, knowledge=n % 3, objects=n % 2, pairs=True) for n, video_id in enumerate(CAPTIONS)}
    batch = PieceBatches(VIDEOS, graphs)[VIDEOS.piece([Pair(4, 0, 1), Pair(2, 0, 1), Pair(5, 0, 0)])]
    assert batch.graphs.knowledge_batch.tolist() == [0, 1, 1, 2, 2]
    assert batch.graphs.objects_batch.tolist() == [2]
    assert_close(batch.graphs.expand(), torch.cat([graphs[video_id].expand() for video_id in ("v4", "v2", "v5")]))


def test_batches_come_in_order_one_ahead():
    """The pieces are asked for when the first batch is; the next is made before it is asked for, not more."""
    made = []
    is_second_made = Event()

    class Recorded(PieceBatches):
        def __getitem__(self, piece):
            made.append(piece)
            if len(made) == 2:
                is_second_made.set()
            return super().__getitem__(piece)

    graphs = {video_id: graph(n) for n, video_id in enumerate(CAPTIONS)}
    pieces = [VIDEOS.piece([Pair(video, 0, 1)]) for video in range(5)]
    ahead = BatchesAhead(Recorded(VIDEOS, graphs), pieces)
    assert len(ahead) == 5
    batches = iter(ahead)
    first = next(batches)
    assert is_second_made.wait(10)
    assert made == pieces[:2]
    for batch, piece in zip([first, *batches], pieces, strict=True):
        expected = PieceBatches(VIDEOS, graphs)[piece]
        assert_close(batch.graphs.x, expected.graphs.x)
        assert batch.left_to_right.tolist() == expected.left_to_right.tolist()


def test_what_goes_wrong_in_a_batch_is_raised_in_its_turn():
    graphs = {"v0": graph(0)}
    batches = iter(BatchesAhead(PieceBatches(VIDEOS, graphs), [VIDEOS.piece([Pair(n, 0, 0)]) for n in (0, 1)]))
    next(batches)
    with pytest.raises(KeyError, match="v1"):
        next(batches)


def test_captions_are_padded_on_the_right():
    assert torch.equal(pad([[1, 4, 2], [1, 2]]), torch.tensor([[1, 4, 2], [1, 2, 0]]))
