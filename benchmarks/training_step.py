"""Measure a training step of the captioner on a batch of the demo's sizes, against the arithmetic of this machine.

Run: `python -m benchmarks.training_step`. The batch is random: videos with 8 frames of 9 cells, and captions of 4 to 11
words. The model and the number of videos and captions are those of config.yaml. The step is compared with the
reference's way of laying out the same work: each caption brings its own copy of the graph, PyTorch Geometric's
convolutions work on expanded edges, padding is computed like words, and AdamW runs operation after operation. Both ways
start from equal weights and take turns, so that other work on the machine slows them alike.

The rate of the machine is that of the fastest of eight products of two 1,024 x 1,024 matrices. Operations are those of
matrix products, as `torch.utils.flop_counter` counts them. `--json FILE` writes the figures beside the table.

Shapes: C captions, L left-to-right tokens, M right-to-left tokens, V words.
"""

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor, nn
from torch.optim import AdamW
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.graph_encoder import NODES_A_FRAME, ExpandedEncoder, random_graph
from pipeline.captioning.batches import CaptionBatch, CaptionedVideos, EpochPlan, PieceBatches
from pipeline.captioning.captioner import Captioner
from pipeline.captioning.loss import caption_losses, weighted_mean
from pipeline.captioning.training import decay_groups
from pipeline.config import CaptionerModelSettings, TrainingSettings
from pipeline.models.action_graph import ActionGraph, batch_graphs
from pipeline.vocabulary import SPECIAL, Vocabulary

FRAMES, NUM_WORDS, NODE_DIM, MOTION_DIM = 8, 54, 128, 1024
CAPTIONS_AT_ONCE = 16  # of the reference's way: the expanded edges of each take 5 MB
CAPTIONER = yaml.safe_load((Path(__file__).parents[1] / "config.yaml").read_text())["captioners"]["bidirectional"]


class PlainCaptioner(Captioner):
    """The same function as `Captioner`, written with PyTorch Geometric's layers, and computing padding like words."""

    def __init__(self, settings: CaptionerModelSettings, num_words: int, node_dim: int, motion_dim: int) -> None:
        super().__init__(settings, num_words, node_dim, motion_dim, max_nodes=NODES_A_FRAME)
        sizes = (node_dim, settings.graph_width, settings.graph_heads, motion_dim)
        self.encoder_right_to_left.graph_encoder = ExpandedEncoder(*sizes)
        self.encoder_left_to_right.graph_encoder = ExpandedEncoder(*sizes)

    def forward(
        self, graphs: Any, left_to_right_CL: Tensor, right_to_left_CM: Tensor, seen_CM: Tensor, caption_graph_C: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Logits of the next token, left to right `[C, L, V]` and right to left `[C, M, V]`."""
        memory = self.encode(graphs)
        backward, forward = self.decoder_right_to_left, self.decoder_left_to_right
        frames = backward.context(0, memory.right_to_left_GTD, memory.right_to_left_mask_GT)
        backward_CMD, _ = backward(self.embed(right_to_left_CM), [[c.take(caption_graph_C) for c in frames]])
        frames = forward.context(0, memory.left_to_right_GMD, memory.left_to_right_mask_GM)
        states = forward.context(1, backward_CMD, seen_CM)
        contexts = [[c.take(caption_graph_C) for c in frames], states]
        forward_CLD, _ = forward(self.embed(left_to_right_CL), contexts)
        return self.generator(forward_CLD), self.generator(backward_CMD)


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


def measure(steps: Sequence[Step], rounds: int) -> list[dict[str, float]]:
    """Medians of wall and processor milliseconds of each step, and its GFLOP; steps take turns."""
    wall: list[list[float]] = [[] for _ in steps]
    cpu: list[list[float]] = [[] for _ in steps]
    gflop = []
    for step in steps:  # the first time warms up
        with FlopCounterMode(display=False) as counter:
            step()
        gflop.append(counter.get_total_flops() / 1e9)
    for _ in range(rounds):
        for number, step in enumerate(steps):
            start, cpu_start = time.perf_counter(), time.process_time()
            step()
            cpu[number].append(1000 * (time.process_time() - cpu_start))
            wall[number].append(1000 * (time.perf_counter() - start))
    return [
        {"ms": statistics.median(wall[i]), "cpu_ms": statistics.median(cpu[i]), "gflop": gflop[i]}
        for i in range(len(steps))
    ]


def matmul_rate(dtype: torch.dtype) -> float:
    """GFLOP/s of the fastest of eight products of two 1,024 x 1,024 matrices."""
    matrix, seconds = torch.ones(1024, 1024, dtype=dtype), []
    for _ in range(8):
        start = time.perf_counter()
        matrix @ matrix
        seconds.append(time.perf_counter() - start)
    return 2 * 1024**3 / min(seconds) / 1e9


def cpu_name() -> str:
    """The model of the CPU, if the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "unknown CPU"
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "unknown CPU")


def report(rounds: int) -> dict[str, Any]:
    """Measure in each type that the CPU has instructions for, print the table, and return its figures."""
    machine = {"cpu": cpu_name(), "capability": torch.backends.cpu.get_cpu_capability()}
    machine |= {"threads": torch.get_num_threads()}
    print(f"{machine['cpu']}, {machine['capability']}, {machine['threads']} threads, medians of {rounds} rounds")
    print(f"{'step':<30}{'ms':>7}{'CPU ms':>8}{'GFLOP':>7}{'GFLOP/s':>9}{'rate':>6}{'reached':>9}{'captions/s':>11}")
    model = CaptionerModelSettings(**CAPTIONER["model"])
    training = TrainingSettings(**CAPTIONER["training"])
    num_captions = training.batch_size * training.captions_per_video
    rows = []
    for dtype in [torch.float32, *([torch.bfloat16] if torch.cpu._is_avx512_bf16_supported() else [])]:
        name, rate = str(dtype).removeprefix("torch."), matmul_rate(dtype)
        ways = measure(both_ways(model, training, dtype), rounds)
        rate = max(rate, matmul_rate(dtype))
        for way, found in zip(("now", "the reference's way"), ways, strict=True):
            row = {"way": way, "dtype": name, "rate": rate, **found}
            row["reached"] = found["gflop"] / found["ms"] * 1000 / rate
            row["captions_per_second"] = num_captions / found["ms"] * 1000
            rows.append(row)
            print(line(row), flush=True)
        print(f"{rows[-1]['ms'] / rows[-2]['ms']:.1f} times as many captions a second in {name}", flush=True)
    return {"machine": machine, "captions": num_captions, "rows": rows}


def line(row: dict[str, Any]) -> str:
    """A row of the table."""
    return (
        f"{row['way'] + ', ' + row['dtype']:<30}{row['ms']:>7.0f}{row['cpu_ms']:>8.0f}{row['gflop']:>7.1f}"
        f"{row['gflop'] / row['ms'] * 1000:>9.1f}{row['rate']:>6.0f}{row['reached']:>9.0%}"
        f"{row['captions_per_second']:>11.0f}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training_step", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--rounds", type=int, default=5, help="how often each way takes its turn (default: %(default)s)"
    )
    parser.add_argument("--threads", type=int, help="threads of PyTorch (default: PyTorch's own choice)")
    parser.add_argument("--json", type=Path, help="file for the same figures")
    chosen = parser.parse_args(arguments)
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    found = report(chosen.rounds)
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
