"""Measure a training step of the captioner on a batch of the demo's sizes, against the arithmetic of this machine.

Run: `python -m benchmarks.training_step`. The batch is random: videos with 8 frames of 9 cells, and captions of 4 to 11
words. The model and the number of videos and captions are those of config.yaml. The step is compared with the
reference's way of laying out the same work: each caption brings its own copy of the graph, PyTorch Geometric's
convolutions work on expanded edges, padding is computed like words, and AdamW runs operation after operation. It is
compared, too, with what it was before it was made faster (`benchmarks.step_before`), with the dropout that the demo had
then. All ways start from equal weights and take turns, so that other work on the machine slows them alike.

The rate of the machine is that of the fastest of eight products of two 1,024 x 1,024 matrices. Operations are those of
matrix products, as `torch.utils.flop_counter` counts them. `--json FILE` writes the figures beside the table.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import yaml
from torch import nn
from torch.optim import AdamW
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.graph_encoder import NODES_A_FRAME, ExpandedEncoder, random_graph
from benchmarks.measuring import Row, main, matmul_rate, take_turns
from benchmarks.step_before import CaptionerBefore, PaddedCaptioner
from pipeline.captioning.batches import CaptionBatch, CaptionedVideos, EpochPlan, PieceBatches
from pipeline.captioning.captioner import Captioner
from pipeline.captioning.loss import caption_losses, weighted_mean
from pipeline.captioning.training import decay_groups
from pipeline.config import CaptionerModelSettings, TrainingSettings
from pipeline.models.action_graph import ActionGraph, batch_graphs
from pipeline.vocabulary import SPECIAL, Vocabulary

FRAMES, NUM_WORDS, NODE_DIM, MOTION_DIM = 8, 54, 128, 1024
DROPOUT_BEFORE = 0.1  # what the demo's captioner was trained with before
CAPTIONS_AT_ONCE = 16  # of the reference's way: the expanded edges of each take 5 MB
CAPTIONER = yaml.safe_load((Path(__file__).parents[1] / "config.yaml").read_text())["captioners"]["bidirectional"]


class PlainCaptioner(PaddedCaptioner):
    """The same function as `Captioner`, written with PyTorch Geometric's layers, and computing padding like words."""

    def __init__(self, settings: CaptionerModelSettings, num_words: int, node_dim: int, motion_dim: int) -> None:
        super().__init__(settings, num_words, node_dim, motion_dim, max_nodes=NODES_A_FRAME)
        sizes = (node_dim, settings.graph_width, settings.graph_heads, motion_dim)
        self.encoder_right_to_left.graph_encoder = ExpandedEncoder(*sizes)
        self.encoder_left_to_right.graph_encoder = ExpandedEncoder(*sizes)


class Step:
    """A training step that can be repeated.

    Args:
        model: The captioner.
        batches: Batches that make up the step.
        training: Settings of the training, without its schedule.
        optimizer: Optimizer of the parameters.
        dtype: Type that autocast computes in; float32 for no autocast.
    """

    def __init__(
        self,
        model: Captioner,
        batches: Sequence[CaptionBatch],
        training: TrainingSettings,
        optimizer: AdamW,
        dtype: torch.dtype,
    ) -> None:
        self.model = model.train()
        self.batches = batches
        self.training = training
        self.optimizer = optimizer
        self.dtype = dtype

    def __call__(self) -> float:
        """Do the step; return its loss."""
        total = 0.0
        for batch in self.batches:
            with torch.autocast("cpu", self.dtype, enabled=self.dtype != torch.float32, cache_enabled=False):
                sums = caption_losses(self.model, batch, self.training.label_smoothing)
                loss = weighted_mean(sums, batch.num_tokens, self.training.left_to_right_weight)
            loss.backward()
            total += loss.item()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.training.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return total


def random_videos(num_videos: int, captions_per_video: int) -> tuple[CaptionedVideos, dict[str, ActionGraph]]:
    """Draw videos with their captions and graphs; the cells of each frame are those of a grid."""
    generator = np.random.default_rng(0)
    words = [f"word{number}" for number in range(NUM_WORDS)]
    ids = [f"video{number}" for number in range(num_videos)]
    captions = {
        i: [" ".join(generator.choice([*words, "rare"], generator.integers(4, 12))) for _ in range(captions_per_video)]
        for i in ids
    }
    graphs = {i: random_graph(generator, FRAMES, NODE_DIM, MOTION_DIM) for i in ids}
    corner = torch.cartesian_prod(torch.arange(3.0), torch.arange(3.0)) / 3
    for graph in graphs.values():
        graph.node_box = torch.cat([corner, corner + 1 / 3], 1).repeat(FRAMES, 1)
    return CaptionedVideos.of_split(ids, captions, Vocabulary((*SPECIAL, *words), 20)), graphs


def both_ways(model: CaptionerModelSettings, training: TrainingSettings, dtype: torch.dtype) -> tuple[Step, Step]:
    """The step as the stage does it, and as the reference lays it out, from equal weights."""
    videos, graphs = random_videos(training.batch_size, training.captions_per_video)
    size, per_video = training.batch_size, training.captions_per_video
    piece = EpochPlan(videos, size, 1, per_video, "epoch", seed=0, num_processes=1).draw(0, 0)[0]
    make = PieceBatches(videos, graphs)
    num_words = NUM_WORDS + len(SPECIAL)
    torch.manual_seed(0)
    ours = Captioner(model, num_words, NODE_DIM, MOTION_DIM, max_nodes=NODES_A_FRAME)
    plain = PlainCaptioner(model, num_words, NODE_DIM, MOTION_DIM)
    plain.load_state_dict(ours.state_dict(), strict=True)
    items = []
    for start in range(0, len(piece.pairs), CAPTIONS_AT_ONCE):
        pairs = piece.pairs[start : start + CAPTIONS_AT_ONCE]
        batch = make[piece._replace(pairs=pairs)]
        copies = batch_graphs([graphs[videos.ids[pair.video]] for pair in pairs])
        items.append(batch._replace(graphs=copies, caption_graph=torch.arange(len(pairs))))
    fused = AdamW(decay_groups(ours, training.weight_decay), lr=training.lr, fused=True)
    loops = AdamW(decay_groups(plain, training.weight_decay), lr=training.lr, foreach=True)
    return Step(ours, [make[piece]], training, fused, dtype), Step(plain, items, training, loops, dtype)


def own_step(dtype: torch.dtype) -> Step:
    """The step as the stage does it, at the demo's sizes."""
    return both_ways(CaptionerModelSettings(**CAPTIONER["model"]), TrainingSettings(**CAPTIONER["training"]), dtype)[0]


def step_before(ours: Step, model: CaptionerModelSettings, dtype: torch.dtype) -> Step:
    """The step on the same batches as it was before it was made faster, with weights like those of `ours`."""
    before = CaptionerBefore(model, NUM_WORDS + len(SPECIAL), NODE_DIM, MOTION_DIM, max_nodes=NODES_A_FRAME)
    before.load_state_dict(ours.model.state_dict(), strict=True)
    training = ours.training
    optimizer = AdamW(decay_groups(before, training.weight_decay), lr=training.lr)
    return Step(before, ours.batches, training, optimizer, dtype)


def rows(rounds: int) -> list[Row]:
    """Measure in each type that the CPU has instructions for."""
    model = CaptionerModelSettings(**CAPTIONER["model"])
    training = TrainingSettings(**CAPTIONER["training"])
    of_then = model.model_copy(update={"dropout": DROPOUT_BEFORE})
    num_captions = training.batch_size * training.captions_per_video
    found = []
    for dtype in [torch.float32, *([torch.bfloat16] if torch.cpu._is_avx512_bf16_supported() else [])]:
        name, rate = str(dtype).removeprefix("torch."), matmul_rate(dtype)
        ways = both_ways(model, training, dtype)
        before = step_before(ways[0], of_then, dtype)
        with FlopCounterMode(display=False) as counter:
            ways[0]()
        gflop = counter.get_total_flops() / 1e9
        ours, plain, then = take_turns([*ways, before], rounds)
        rate = max(rate, matmul_rate(dtype))
        stage, now = f"captioner training step, {name}", f"{ours.wall:.0f} ms, {gflop:.1f} GFLOP"
        found.append(Row(stage, now, f"matrix products: {rate:.0f} GFLOP/s", gflop / ours.wall * 1000 / rate, 0.5, "%"))
        found.append(Row(stage, f"{ours.wall:.0f} ms", f"before: {then.wall:.0f} ms", then.wall / ours.wall, 2.5))
        captions = f"{1000 * num_captions / ours.wall:.0f} captions/s"
        reference = f"the reference's way: {1000 * num_captions / plain.wall:.0f} captions/s"
        found.append(Row(stage, captions, reference, plain.wall / ours.wall, 20))
    return found


if __name__ == "__main__":
    raise SystemExit(main("training_step", __doc__, rows))
