"""The triplet loss of TSTL, on the vectors before the head: clips of a class are to be nearer than those of others.

All triplets of a step count (batch-all; Hermans, Beyer and Leibe 2017, section 2): over several processes each computes
its clips' vectors, and all compare those of all.

Shapes: B clips, O clips of a process, D numbers of a vector.
"""

import torch
from torch import Tensor

from pipeline.jobs.rank_group import Ranks
from pipeline.training.gathering import gather_rows


def batch_all_loss(x_BD: Tensor, labels_B: Tensor, margin: float) -> Tensor:
    """Mean loss of the triplets whose loss is more than 0; 0 if there is none.

    A triplet is two clips of one class and one clip of another. Its loss is by how much the Euclidean distance of the
    first two, and a margin, exceed the distance of the first and the third.

    Args:
        x_BD: The vectors.
        labels_B: The class of each clip.
        margin: See above.
    """
    distance_BB = torch.cdist(x_BD, x_BD, compute_mode="donot_use_mm_for_euclid_dist")
    same_BB = labels_B[:, None] == labels_B
    pairs_BB = same_BB & ~torch.eye(len(labels_B), dtype=torch.bool, device=labels_B.device)
    is_triplet_BBB = pairs_BB[:, :, None] & ~same_BB[:, None]
    losses = (distance_BB[:, :, None] - distance_BB[:, None] + margin)[is_triplet_BBB].clamp(min=0)
    return losses.sum() / (losses > 0).sum().clamp(min=1)


def triplet_share(x_OD: Tensor, labels_O: Tensor, margin: float, ranks: Ranks) -> Tensor:
    """This process's share of the loss of all clips of a step; the shares of all processes sum up to it.

    Args:
        x_OD: Vectors of the clips of this process, which computes the whole step but for other processes.
        labels_O: Their classes.
        margin: See `batch_all_loss`.
        ranks: The processes.
    """
    if ranks.num == 1:
        return batch_all_loss(x_OD.float(), labels_O, margin)
    of_ranks = ranks.gather(labels_O.cpu())
    start = sum(map(len, of_ranks[: ranks.number]))
    labels_B = torch.cat(of_ranks).to(x_OD.device)
    x_BD = gather_rows(x_OD.float(), slice(start, start + len(x_OD)), len(labels_B), ranks)
    return batch_all_loss(x_BD, labels_B, margin) / ranks.num
