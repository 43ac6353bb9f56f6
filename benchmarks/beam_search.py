"""Compare the search for captions, encoding included, with the way in which AKG-sv searches.

Run: `python -m benchmarks.beam_search`. The peer expands the edges for PyTorch Geometric's layers, copies the memory of
a video for each of its beams, projects it anew at every step, computes the whole prefix of every beam anew at every
step, and chooses the next words by a loop over hypotheses. It does so for the same batches, and for one video at a
time. All ways have equal weights and must find the same captions. A last row compares the encoders with the rate of
matrix products.

The models are random, but say words as surely as trained ones, and their captions have 6 to 12 words, like those of
people.

Shapes: G videos, R captions of all videos, S tokens so far, V words, D width, T frames of a video.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.graph_encoder import NODES_A_FRAME, random_graph
from benchmarks.measuring import Row, main, matmul_rate, take_turns
from benchmarks.training_step import CAPTIONER, PlainCaptioner
from pipeline.captioning.bidirectional_search import search_batch
from pipeline.captioning.captioner import Captioner, Context, Decoder
from pipeline.config import CaptionerModelSettings, DecodingSettings
from pipeline.models.action_graph import ActionGraph, batch_graphs
from pipeline.vocabulary import BOS, EOS, NEVER_GENERATED, PAD

DECODING = DecodingSettings(**CAPTIONER["decoding"]).model_copy(update={"max_words": 12, "min_words": 6})
PAPER = {
    "node_position": "none",
    "graph_width": 1024,
    "visual_width": 768,
    "visual_layers": 3,
    "visual_feedforward": 3072,
    "visual_heads_right_to_left": 128,
    "visual_heads_left_to_right": 12,
    "width": 640,
    "decoder_layers": 3,
    "decoder_heads": 10,
    "decoder_feedforward": 2048,
}


class Size(NamedTuple):
    """Sizes of a comparison: settings that differ from the demo's, and the numbers of what is captioned."""

    name: str
    settings: dict[str, Any]
    num_videos: int
    num_frames: int
    node_dim: int
    num_words: int


SIZES = (Size("the demo's size", {}, 32, 8, 128, 58), Size("the paper's size", PAPER, 8, 20, 512, 10_000))
MOTION_DIM = 1024

Captions = list[list[int]]


class Hypothesis(NamedTuple):
    """A caption that is not finished: its tokens, `<bos>` first, and the sum of their log-probabilities."""

    tokens: list[int]
    score: float


def models(size: Size) -> tuple[Captioner, PlainCaptioner, list[ActionGraph]]:
    """A captioner, the same one with PyTorch Geometric's layers, and graphs of videos that differ."""
    settings = CaptionerModelSettings(**{**CAPTIONER["model"], **size.settings})
    torch.manual_seed(0)
    ours = Captioner(settings, size.num_words, size.node_dim, MOTION_DIM, max_nodes=NODES_A_FRAME).eval()
    with torch.no_grad():
        # Untrained, all words are about as likely, and all videos look alike.
        ours.generator.weight *= 12
        for encoder in (ours.encoder_right_to_left, ours.encoder_left_to_right):
            encoder.out.weight *= 12
    plain = PlainCaptioner(settings, size.num_words, size.node_dim, MOTION_DIM).eval()
    plain.load_state_dict(ours.state_dict(), strict=True)
    generator = np.random.default_rng(0)
    graphs = [random_graph(generator, size.num_frames, size.node_dim, MOTION_DIM) for _ in range(size.num_videos)]
    for graph in graphs:
        graph.x = graph.x * generator.uniform(0.2, 5)
        graph.node_box = torch.rand(len(graph.x), 4, generator=torch.Generator().manual_seed(0))
    return ours, plain, graphs


@torch.inference_mode()
def our_captions(model: Captioner, graphs: Sequence[ActionGraph], decoding: DecodingSettings) -> Captions:
    """Search for the captions of all videos in one batch, as `generate_captions` does."""
    found = search_batch(model, batch_graphs(graphs), decoding, [str(number) for number in range(len(graphs))])
    return [[token for token in tokens if token != PAD] for tokens in found.best.tokens_GL.tolist()]


@torch.inference_mode()
def plain_captions(model: PlainCaptioner, graphs: Sequence[ActionGraph], decoding: DecodingSettings) -> Captions:
    """Search for the captions of all videos as the reference does: right to left, then left to right."""
    memory = model.encode(batch_graphs(graphs))
    backward, forward = model.decoder_right_to_left, model.decoder_left_to_right
    frames = [(memory.right_to_left_GTD, memory.right_to_left_mask_GT)]
    right_to_left = plain_search(model, backward, frames, decoding)
    tokens_GS = padded(right_to_left)
    states_GSD, _ = backward(model.embed(tokens_GS), contexts_of(backward, frames, torch.arange(len(graphs))))
    memories = [(memory.left_to_right_GMD, memory.left_to_right_mask_GM), (states_GSD, tokens_GS != PAD)]
    return plain_search(model, forward, memories, decoding)


def contexts_of(decoder: Decoder, memories: Sequence[tuple[Tensor, Tensor]], video_R: Tensor) -> list[list[Context]]:
    """What each caption attends to: a copy of each memory of its video, projected by every layer."""
    return [
        decoder.context(number, memory_GMD[video_R], mask_GM[video_R])
        for number, (memory_GMD, mask_GM) in enumerate(memories)
    ]


def plain_search(
    model: Captioner, decoder: Decoder, memories: Sequence[tuple[Tensor, Tensor]], decoding: DecodingSettings
) -> Captions:
    """Search with one decoder, hypothesis by hypothesis; returns the best caption of each video, `<bos>` first."""
    num_videos = len(memories[0][0])
    live = [[Hypothesis([BOS], 0.0)] for _ in range(num_videos)]
    best = [Hypothesis([], -torch.inf) for _ in range(num_videos)]
    for num_words in range(decoding.max_words + 1):
        video_R = torch.tensor([video for video in range(num_videos) for _ in live[video]])
        if not len(video_R):
            break
        tokens_RS = torch.tensor([hypothesis.tokens for of_video in live for hypothesis in of_video])
        states_RSD, _ = decoder(model.embed(tokens_RS), contexts_of(decoder, memories, video_R))
        log_probs_RV = model.generator(states_RSD[:, -1]).log_softmax(1)
        row = 0
        for video in range(num_videos):
            of_video, row = log_probs_RV[row : row + len(live[video])], row + len(live[video])
            live[video], best[video] = next_words(live[video], best[video], of_video, num_words, decoding)
    return [hypothesis.tokens for hypothesis in best]


def next_words(
    live: list[Hypothesis], best: Hypothesis, log_probs_WV: Tensor, num_words: int, decoding: DecodingSettings
) -> tuple[list[Hypothesis], Hypothesis]:
    """The hypotheses of a video with one more word, and the best finished one; none is left once that one is final."""
    candidates = []
    for number, hypothesis in enumerate(live):
        log_probs_V = log_probs_WV[number]
        score = hypothesis.score + log_probs_V[EOS].item()
        if num_words >= max(1, decoding.min_words) and score > best.score:
            best = Hypothesis(hypothesis.tokens, score)
        log_probs_V[[EOS, *NEVER_GENERATED]] = -torch.inf
        for log_prob, word in zip(*log_probs_V.topk(decoding.beam), strict=True):
            candidates.append(Hypothesis([*hypothesis.tokens, int(word.item())], hypothesis.score + log_prob.item()))
    candidates.sort(key=lambda hypothesis: -hypothesis.score)
    if num_words == decoding.max_words or (candidates and best.score >= candidates[0].score):
        return [], best
    return candidates[: decoding.beam], best


def padded(captions: Captions) -> Tensor:
    """Captions as a tensor `[G, S]`."""
    longest = max(len(tokens) for tokens in captions)
    return torch.tensor([[*tokens, *[PAD] * (longest - len(tokens))] for tokens in captions])


def compare(size: Size, rounds: int) -> list[Row]:
    """Time the three ways, after a check that they find the same captions."""
    ours, plain, graphs = models(size)
    ways: list[Callable[[], Captions]] = [
        lambda: our_captions(ours, graphs, DECODING),
        lambda: plain_captions(plain, graphs, DECODING),
        lambda: [plain_captions(plain, [graph], DECODING)[0] for graph in graphs],
    ]
    captions, *others = (way() for way in ways)
    if any(other != captions for other in others):
        raise ValueError("the ways find different captions")
    of_ours, of_batch, of_one = take_turns(ways, rounds)
    stage, num = f"beam search, {size.name}, beam {DECODING.beam}", size.num_videos
    now = f"{of_ours.wall / num:.1f} ms a video"
    in_batch = f"AKG-sv's way, the same {num} videos at once: {of_batch.wall / num:.0f} ms"
    one_by_one = f"AKG-sv's way, one video at a time: {of_one.wall / num:.0f} ms"
    return [
        Row(stage, now, in_batch, of_batch.wall / of_ours.wall, 4),
        Row(stage, now, one_by_one, of_one.wall / of_ours.wall, 12),
    ]


def encoders(size: Size, rounds: int) -> Row:
    """Compare both encoders, graph and frames, with the rate of matrix products."""
    model, _, graphs = models(size)
    batch = batch_graphs(graphs)
    with torch.inference_mode():
        with FlopCounterMode(display=False) as counter:
            model.encode(batch)
        gflop = counter.get_total_flops() / 1e9
        rate = matmul_rate(torch.float32)
        [times] = take_turns([lambda: model.encode(batch)], rounds)
    rate = max(rate, matmul_rate(torch.float32))
    now = f"{times.wall:.0f} ms, {gflop:.0f} GFLOP"
    limit = f"matrix products: {rate:.0f} GFLOP/s"
    return Row(f"encoders, {size.name}", now, limit, 1000 * gflop / times.wall / rate, 0.7, "%")


def rows(rounds: int) -> list[Row]:
    """Measure at the demo's size and, with fewer videos and rounds, at the paper's."""
    demo, paper = SIZES
    few = max(1, rounds // 4)  # the peer takes most of a minute
    return [*compare(demo, rounds), *compare(paper, few), encoders(paper, rounds)]


if __name__ == "__main__":
    raise SystemExit(main("beam_search", __doc__, rows))
