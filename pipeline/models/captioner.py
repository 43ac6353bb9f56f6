"""The bidirectional captioner of AKG-sv (VCModel; its decoders follow BTKG, doi 10.1007/s11042-023-17822-4).

A graph encoder and a visual transformer (UniVL's: Luo et al., 2020) make a memory of frame tokens, one for each
direction. The right-to-left decoder says a caption backwards; the left-to-right decoder attends to the frames and to
the right-to-left decoder's hidden states, so that it knows how the sentence may end. Both share the word embedding and
the generator.

Where this differs from the published code: token positions run along the caption (there: along the batch), the
embedding is scaled once (there: twice), frames have no fixed number, the right-to-left states are masked in decoding as
in training, and each of a layer's attentions has weights of its own, as in the original transformer (there: one module
does all three). `node_position: learned` adds an embedding of a node's box to its features: without it the mean over a
frame's nodes can hardly tell left from right.

Shapes: G graphs, F frames of all graphs, N nodes of all graphs, T frames of a graph, C captions, L tokens,
M right-to-left tokens, D width, V words.
"""

import copy
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from pipeline.config import CaptionerModelSettings
from pipeline.models.attention import Attention, KeysValues, feed_forward, sinusoidal_positions
from pipeline.models.graph_encoder import GraphEncoder

MAX_FRAMES = 512  # learned frame positions, as in UniVL
MAX_TOKENS = 512
NORM_EPS = 1e-12


class Memory(NamedTuple):
    """What the decoders see of each graph: frame tokens of either direction, and which of them are frames."""

    right_to_left_GTD: Tensor
    left_to_right_GTD: Tensor
    mask_GT: Tensor


class Context(NamedTuple):
    """Keys, values and mask (`[rows, 1, 1, keys]`) of what a decoder layer attends to besides its own tokens."""

    attended: KeysValues
    mask: Tensor

    def take(self, rows: Tensor) -> "Context":
        """That of some rows, in the order given."""
        return Context(self.attended.take(rows), self.mask.index_select(0, rows))


class VisualLayer(nn.Module):
    """A BERT layer: self-attention and feed-forward, normalised after each."""

    def __init__(self, width: int, num_heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.attention = Attention(width, num_heads, dropout)
        self.attention_norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.feed_forward = feed_forward(width, inner, 0.0, nn.GELU)
        self.feed_forward_norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_GTD: Tensor, mask_G11T: Tensor) -> Tensor:
        """New tokens `[G, T, D]`; those that the mask hides are seen by none."""
        attended = self.attention(x_GTD, self.attention.keys_values(x_GTD), mask_G11T)
        x_GTD = self.attention_norm(x_GTD + self.dropout(attended))
        out: Tensor = self.feed_forward_norm(x_GTD + self.dropout(self.feed_forward(x_GTD)))
        return out


class VisualEncoder(nn.Module):
    """Graphs to frame tokens: graph encoder, mean over the nodes of a frame, transformer over the frames."""

    def __init__(self, settings: CaptionerModelSettings, num_heads: int, node_dim: int, motion_dim: int) -> None:
        super().__init__()
        width = settings.visual_width
        self.node_position = None
        if settings.node_position == "learned":
            self.node_position = nn.Sequential(
                nn.Linear(4, settings.graph_width), nn.GELU(), nn.Linear(settings.graph_width, node_dim)
            )
        self.graph_encoder = GraphEncoder(node_dim, settings.graph_width, settings.graph_heads, motion_dim)
        self.frame_norm = nn.LayerNorm(settings.graph_width, eps=NORM_EPS)
        self.frame_in = nn.Linear(settings.graph_width, width)
        self.frame_position = nn.Embedding(MAX_FRAMES, width)
        self.position_norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.layers = nn.ModuleList(
            VisualLayer(width, num_heads, settings.visual_feedforward, settings.dropout)
            for _ in range(settings.visual_layers)
        )
        self.dropout = nn.Dropout(settings.dropout)
        self.out = nn.Linear(width, settings.width)
        for module in [self.frame_in, self.frame_position, *self.layers.modules()]:
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def forward(self, graphs: Any, frame_slot_F: Tensor, mask_GT: Tensor) -> Tensor:
        """Frame tokens.

        Args:
            graphs: A batch of action graphs.
            frame_slot_F: Place of each frame among those of its graph, `[F]`.
            mask_GT: True where a graph has a frame, `[G, T]`.

        Returns:
            `[G, T, D]`; rows without a frame mean nothing.
        """
        if self.node_position is not None:
            graphs = copy.copy(graphs)
            graphs.x = graphs.x + self.node_position(graphs.node_box * 2 - 1)
        frames_FD = frame_means(self.graph_encoder(graphs), graphs.node_frame, len(graphs.motion))
        frames_GTD = frames_FD.new_zeros(*mask_GT.shape, frames_FD.shape[1])
        frames_GTD[graphs.motion_batch, frame_slot_F] = frames_FD
        x_GTD = self.frame_in(self.frame_norm(frames_GTD)) + self.frame_position.weight[: mask_GT.shape[1]]
        x_GTD = self.dropout(self.position_norm(x_GTD))
        for layer in self.layers:
            x_GTD = layer(x_GTD, mask_GT[:, None, None])
        out: Tensor = self.out(x_GTD)
        return out


class DecoderLayer(nn.Module):
    """Causal self-attention, attention to each context in turn, feed-forward; each is dropout(norm(x + f(x)))."""

    def __init__(self, settings: CaptionerModelSettings, num_contexts: int) -> None:
        super().__init__()
        width, heads, dropout = settings.width, settings.decoder_heads, settings.dropout
        self.self_attention = Attention(width, heads, dropout)
        self.context_attentions = nn.ModuleList(Attention(width, heads, dropout) for _ in range(num_contexts))
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width, eps=1e-6),
            feed_forward(width, settings.decoder_feedforward, dropout, nn.ReLU),
            nn.Dropout(dropout),
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width, eps=NORM_EPS) for _ in range(num_contexts + 2))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_CLD: Tensor, contexts: list[Context], past: KeysValues | None) -> tuple[Tensor, KeysValues]:
        """New tokens `[C, L, D]`, and the keys and values of all tokens so far."""
        present = self.self_attention.keys_values(x_CLD)
        if past is not None:
            present = past.append(present)
        # Padding stands at the end of a caption, where no word looks under the causal mask.
        found = self.self_attention(x_CLD, present, causal=past is None)
        x_CLD = self.dropout(self.norms[0](x_CLD + found))
        for attention, norm, (attended, mask) in zip(self.context_attentions, self.norms[1:-1], contexts, strict=True):
            # Captions that share a context (the beams of a video) are asked for as one row of queries.
            queries = x_CLD.reshape(len(mask), -1, x_CLD.shape[2])
            x_CLD = self.dropout(norm(x_CLD + attention(queries, attended, mask).view_as(x_CLD)))
        return self.dropout(self.norms[-1](x_CLD + self.feed_forward(x_CLD))), present


class Decoder(nn.Module):
    """The decoder of one direction."""

    def __init__(self, settings: CaptionerModelSettings, num_contexts: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(settings, num_contexts) for _ in range(settings.decoder_layers))

    def context(self, number: int, x_BMD: Tensor, mask_BM: Tensor) -> list[Context]:
        """Project what is attended to, once for each layer.

        Args:
            number: Which of the contexts it is: 0 the frames, 1 the right-to-left states.
            x_BMD: What is attended to, `[B, M, D]`.
            mask_BM: True where it may be seen, `[B, M]`; at least once in every row.
        """
        attentions: list[Attention] = [layer.context_attentions[number] for layer in self.layers]  # type: ignore
        return [Context(attention.keys_values(x_BMD), mask_BM[:, None, None]) for attention in attentions]

    def forward(
        self, x_CLD: Tensor, contexts: list[list[Context]], past: list[KeysValues] | None = None
    ) -> tuple[Tensor, list[KeysValues]]:
        """Hidden states of embedded tokens.

        Args:
            x_CLD: Embedded tokens, `[C, L, D]`; with `past` the next one alone (L = 1).
            contexts: For each context its layers, of C rows, or of fewer rows that equally many captions share.
            past: What the call before returned, in decoding.

        Returns:
            `[C, L, D]`, and each layer's keys and values of all tokens so far.
        """
        present = []
        for number, layer in enumerate(self.layers):
            of_layer = [context[number] for context in contexts]
            x_CLD, keys_values = layer(x_CLD, of_layer, past[number] if past is not None else None)
            present.append(keys_values)
        return x_CLD, present


class Captioner(nn.Module):
    """Action graphs to captions.

    Args:
        settings: Sizes.
        num_words: V, special tokens included.
        node_dim: Width of the node features.
        motion_dim: Width of the motion features.
    """

    def __init__(self, settings: CaptionerModelSettings, num_words: int, node_dim: int, motion_dim: int) -> None:
        super().__init__()
        self.width = settings.width
        self.encoder_right_to_left = VisualEncoder(settings, settings.visual_heads_right_to_left, node_dim, motion_dim)
        self.encoder_left_to_right = VisualEncoder(settings, settings.visual_heads_left_to_right, node_dim, motion_dim)
        self.embedding = nn.Embedding(num_words, settings.width)
        # Times sqrt(D) this has the size of the positions, which would drown otherwise.
        nn.init.normal_(self.embedding.weight, std=settings.width**-0.5)
        self.positions_LD: Tensor
        self.register_buffer("positions_LD", sinusoidal_positions(MAX_TOKENS, settings.width), persistent=False)
        self.dropout = nn.Dropout(settings.dropout)
        self.decoder_right_to_left = Decoder(settings, num_contexts=1)
        self.decoder_left_to_right = Decoder(settings, num_contexts=2)
        self.generator = nn.Linear(settings.width, num_words)

    def encode(self, graphs: Any) -> Memory:
        """Frame tokens of a batch of graphs.

        Args:
            graphs: `Batch.from_data_list(graphs, follow_batch=["motion"])`.
        """
        frame_slot_F, mask_GT = frame_layout(graphs.motion_batch, graphs.num_graphs)
        return Memory(
            self.encoder_right_to_left(graphs, frame_slot_F, mask_GT),
            self.encoder_left_to_right(graphs, frame_slot_F, mask_GT),
            mask_GT,
        )

    def embed(self, tokens_CL: Tensor, first: int = 0) -> Tensor:
        """Embedded tokens `[C, L, D]`, of which the leftmost is number `first` of its caption."""
        positions_LD = self.positions_LD[first : first + tokens_CL.shape[1]]
        embedded: Tensor = self.dropout(self.embedding(tokens_CL) * self.width**0.5 + positions_LD)
        return embedded

    def forward(
        self, graphs: Any, left_to_right_CL: Tensor, right_to_left_CM: Tensor, seen_CM: Tensor, caption_graph_C: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Teacher forcing in both directions; the captions of a graph share its encoding.

        Args:
            graphs: As for `encode`.
            left_to_right_CL: Input tokens of the captions, `<bos>` first, `[C, L]`.
            right_to_left_CM: Input tokens of a reversed caption of the same graph for each, `[C, M]`.
            seen_CM: Which right-to-left states the left-to-right decoder may see: those of `<bos>` and the words.
            caption_graph_C: The graph of each caption, `[C]`.

        Returns:
            Logits of the next token, left to right `[C, L, V]` and right to left `[C, M, V]`.
        """
        memory = self.encode(graphs)
        backward, forward = self.decoder_right_to_left, self.decoder_left_to_right
        frames = [c.take(caption_graph_C) for c in backward.context(0, memory.right_to_left_GTD, memory.mask_GT)]
        backward_CMD, _ = backward(self.embed(right_to_left_CM), [frames])
        frames = [c.take(caption_graph_C) for c in forward.context(0, memory.left_to_right_GTD, memory.mask_GT)]
        states = forward.context(1, backward_CMD, seen_CM)
        forward_CLD, _ = forward(self.embed(left_to_right_CL), [frames, states])
        return self.generator(forward_CLD), self.generator(backward_CMD)


def frame_layout(motion_batch_F: Tensor, num_graphs: int) -> tuple[Tensor, Tensor]:
    """Where the frames of a batch stand in `[G, T]`, T being the largest number of frames.

    Returns:
        The place of each frame within its graph `[F]`, and True where there is a frame `[G, T]`. A graph without any
        frame shows one empty token, so that attention has something to sum.
    """
    count_G = torch.bincount(motion_batch_F, minlength=num_graphs)
    num_frames = max(1, int(count_G.max()))
    if num_frames > MAX_FRAMES:
        raise ValueError(f"a graph of {num_frames} frames: the captioner has positions for {MAX_FRAMES}")
    slot_F = (
        torch.arange(len(motion_batch_F), device=motion_batch_F.device) - (count_G.cumsum(0) - count_G)[motion_batch_F]
    )
    return slot_F, torch.arange(num_frames, device=count_G.device) < count_G.clamp(min=1)[:, None]


def frame_means(nodes_ND: Tensor, node_frame_N: Tensor, num_frames: int) -> Tensor:
    """Mean over the nodes of each frame, `[F, D]`; zeros for a frame without nodes."""
    sum_FD = nodes_ND.new_zeros(num_frames, nodes_ND.shape[1]).index_add(0, node_frame_N, nodes_ND)
    count_F = torch.bincount(node_frame_N, minlength=num_frames)
    return sum_FD / count_F.clamp(min=1)[:, None]
