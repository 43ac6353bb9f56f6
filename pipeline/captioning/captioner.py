"""The bidirectional captioner of AKG-sv (VCModel; its decoders follow BTKG, doi 10.1007/s11042-023-17822-4).

For each direction, a graph encoder and a visual transformer (UniVL's: Luo et al., 2020) make a memory of frame tokens.
The right-to-left decoder generates a caption from its last word to its first. The left-to-right decoder attends to the
frames and to the right-to-left decoder's hidden states, so that it knows how the sentence may end. Both decoders share
the word embedding and the generator. Rows of knowledge and of objects, if there are any, are in the left-to-right
memory alone.

This differs from the published code in five ways:

- token positions run along the caption (there: along the batch),
- the embedding is scaled once (there: twice),
- the number of frames is not fixed,
- the right-to-left states are masked in decoding as in training,
- each attention of a decoder layer has weights of its own, as in the original transformer (there: one module does all
  three).

Shapes: G graphs, T frames of a graph, R rows of all graphs, S rows of a graph, K features of a row, C captions,
L tokens, B rows of a context (graphs or captions), M right-to-left tokens or rows of a memory, X and Y packed tokens
(left to right and right to left), D width, V words.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from pipeline.captioning.row_encoder import RowEncoder, add_rows, fit_rows
from pipeline.captioning.visual_encoder import VisualEncoder, frame_layout
from pipeline.config import CaptionerModelSettings
from pipeline.models.attention import NORM_EPS, Attention, KeysValues, Packing, feed_forward, sinusoidal_positions
from pipeline.models.dropout import Dropout
from pipeline.vocabulary import EOS, PAD

MAX_TOKENS = 512


class Memory(NamedTuple):
    """The encoded graphs that the two decoders attend to, with their masks.

    Attributes:
        right_to_left_GTD: Frame tokens for the right-to-left decoder.
        right_to_left_mask_GT: True where a graph has a frame.
        left_to_right_GMD: Frame tokens for the left-to-right decoder and, with `fusion: concatenate`, rows of objects
            and of knowledge behind them.
        left_to_right_mask_GM: True where a graph has such a frame or row.
    """

    right_to_left_GTD: Tensor
    right_to_left_mask_GT: Tensor
    left_to_right_GMD: Tensor
    left_to_right_mask_GM: Tensor


class Context(NamedTuple):
    """Something that a decoder layer attends to besides its own tokens: its keys, values and mask `[B, 1, 1, M]`."""

    attended: KeysValues
    mask: Tensor

    def take(self, rows: Tensor) -> "Context":
        """The context of some rows, in the order given."""
        return Context(self.attended.take(rows), self.mask.index_select(0, rows))


class DecoderLayer(nn.Module):
    """Causal self-attention, then attention to each context in turn, then feed-forward.

    Each of these computes dropout(norm(x + f(x))).
    """

    def __init__(self, settings: CaptionerModelSettings, num_contexts: int) -> None:
        super().__init__()
        width, heads, dropout = settings.width, settings.decoder_heads, settings.dropout
        self.self_attention = Attention(width, heads, dropout)
        self.context_attentions = nn.ModuleList(Attention(width, heads, dropout) for _ in range(num_contexts))
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width, eps=1e-6),
            feed_forward(width, settings.decoder_feedforward, dropout, nn.ReLU),
            Dropout(dropout),
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width, eps=NORM_EPS) for _ in range(num_contexts + 2))
        self.dropout = Dropout(dropout)

    def forward(
        self, x_CLD: Tensor, contexts: list[Context], past: KeysValues | None, packing: Packing | None
    ) -> tuple[Tensor, KeysValues]:
        """New tokens `[C, L, D]` or packed `[X, D]`, and the self-attention's keys and values of all tokens so far."""
        present = self.self_attention.keys_values(x_CLD, packing)
        if past is not None:
            present = past.append(present)
        # Padding needs no mask: it stands at the end of a caption, where the causal mask hides it from every word.
        found = self.self_attention(x_CLD, present, causal=past is None, packing=packing)
        x_CLD = self.dropout(self.norms[0](x_CLD + found))
        for attention, norm, (attended, mask) in zip(self.context_attentions, self.norms[1:-1], contexts, strict=True):
            # Captions that share a context (the beams of a video) become one row of queries.
            queries = x_CLD if packing is not None else x_CLD.reshape(len(mask), -1, x_CLD.shape[2])
            found = attention(queries, attended, mask, packing=packing)
            x_CLD = self.dropout(norm(x_CLD + found.view_as(x_CLD)))
        return self.dropout(self.norms[-1](x_CLD + self.feed_forward(x_CLD))), present


class Decoder(nn.Module):
    """The decoder of one direction."""

    def __init__(self, settings: CaptionerModelSettings, num_contexts: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(settings, num_contexts) for _ in range(settings.decoder_layers))

    def context(self, number: int, x_BMD: Tensor, mask_BM: Tensor, packing: Packing | None = None) -> list[Context]:
        """Project the keys and values of a context with the weights of each layer.

        Args:
            number: Number of the context: 0 for the memory, 1 for the right-to-left states.
            x_BMD: Rows to attend to, `[B, M, D]` or packed `[X, D]`.
            mask_BM: True where a row may be seen, `[B, M]`; at least once for each B.
            packing: Where packed rows are; None if they are not packed.

        Returns:
            The context as each layer sees it, layer after layer.
        """
        attentions: list[Attention] = [layer.context_attentions[number] for layer in self.layers]  # type: ignore
        return [Context(attention.keys_values(x_BMD, packing), mask_BM[:, None, None]) for attention in attentions]

    def forward(
        self,
        x_CLD: Tensor,
        contexts: list[list[Context]],
        past: list[KeysValues] | None = None,
        packing: Packing | None = None,
    ) -> tuple[Tensor, list[KeysValues]]:
        """Compute the hidden states of embedded tokens.

        Args:
            x_CLD: Embedded tokens, `[C, L, D]` or packed `[X, D]`; with `past` only the next one of each caption, so
                that L is 1.
            contexts: What `context` returned, for each context. A context has C rows, or fewer if each of its rows
                serves equally many captions that stand together.
            past: Keys and values that the call for the token before returned; None for the first call, and in training.
            packing: Where packed tokens are in their captions; a context then has C rows. None if they are not packed.

        Returns:
            Hidden states of the shape of `x_CLD`, and each layer's keys and values of all tokens so far.
        """
        present = []
        for number, layer in enumerate(self.layers):
            of_layer = [context[number] for context in contexts]
            x_CLD, keys_values = layer(x_CLD, of_layer, past[number] if past is not None else None, packing)
            present.append(keys_values)
        return x_CLD, present


class Captioner(nn.Module):
    """The network that predicts the words of captions from action graphs.

    Args:
        settings: Sizes and choices of the network.
        num_words: Number of words V, special tokens included.
        node_dim: Width of the node features.
        motion_dim: Width of the motion features.
        knowledge_dim: Width of the rows of knowledge; 0 if the captioner reads none.
        object_dim: Width of the rows of objects, their boxes included; 0 if the captioner reads none.
        max_nodes: Largest number of nodes that a frame can have, for `pool: padded`.

    Raises:
        ValueError: `max_nodes` is missing (less than 1) with `pool: padded`.
    """

    def __init__(
        self,
        settings: CaptionerModelSettings,
        num_words: int,
        node_dim: int,
        motion_dim: int,
        knowledge_dim: int = 0,
        object_dim: int = 0,
        max_nodes: int = 0,
    ) -> None:
        super().__init__()
        self.width = settings.width
        self.fusion = settings.fusion
        heads = (settings.visual_heads_right_to_left, settings.visual_heads_left_to_right)
        self.encoder_right_to_left = VisualEncoder(settings, heads[0], node_dim, motion_dim, max_nodes)
        self.encoder_left_to_right = VisualEncoder(settings, heads[1], node_dim, motion_dim, max_nodes)
        self.embedding = nn.Embedding(num_words, settings.width)
        # Multiplied by sqrt(D), words are then about as large as positions, which would drown otherwise.
        nn.init.normal_(self.embedding.weight, std=settings.width**-0.5)
        self.positions_LD: Tensor
        self.register_buffer("positions_LD", sinusoidal_positions(MAX_TOKENS, settings.width), persistent=False)
        self.dropout = Dropout(settings.dropout)
        self.decoder_right_to_left = Decoder(settings, num_contexts=1)
        self.decoder_left_to_right = Decoder(settings, num_contexts=2)
        self.generator = nn.Linear(settings.width, num_words)
        # These come last, so that with equal seeds the rest starts from equal weights with and without them.
        self.objects = RowEncoder(object_dim, settings, "mha", has_boxes=True) if object_dim else None
        self.knowledge = RowEncoder(knowledge_dim, settings, settings.knowledge_attention) if knowledge_dim else None

    def encode(self, graphs: Any) -> Memory:
        """Encode a batch of graphs for both decoders.

        Args:
            graphs: A batch made by `batch_graphs`; with `objects` and `knowledge` if the captioner reads these.

        Raises:
            ValueError: A graph has more frames than the captioner has positions for.
        """
        frame_slot_F, mask_GT = frame_layout(graphs.motion_batch, graphs.num_graphs)
        backward_GTD = self.encoder_right_to_left(graphs, frame_slot_F, mask_GT)
        forward_GMD, mask_GM = self.encoder_left_to_right(graphs, frame_slot_F, mask_GT), mask_GT
        for name, encoder in (("objects", self.objects), ("knowledge", self.knowledge)):
            if encoder is None:
                continue
            rows_RK, batch_R = graphs[name], graphs[f"{name}_batch"]
            if self.fusion == "sum":
                kept_X = fit_rows(batch_R, torch.bincount(graphs.motion_batch, minlength=graphs.num_graphs))
                rows_GSD, mask_GS = encoder(rows_RK[kept_X], batch_R[kept_X], graphs.num_graphs)
                forward_GMD = add_rows(forward_GMD, rows_GSD, mask_GS)
            else:
                rows_GSD, mask_GS = encoder(rows_RK, batch_R, graphs.num_graphs)
                forward_GMD = torch.cat([forward_GMD, rows_GSD], 1)
                mask_GM = torch.cat([mask_GM, mask_GS], 1)
        return Memory(backward_GTD, mask_GT, forward_GMD, mask_GM)

    def embed(self, tokens_CL: Tensor, first: int = 0) -> Tensor:
        """Embed tokens as `[C, L, D]`; the leftmost one has the position `first` in its caption, counted from 0."""
        positions_LD = self.positions_LD[first : first + tokens_CL.shape[1]]
        embedded: Tensor = self.dropout(self.embedding(tokens_CL) * self.width**0.5 + positions_LD)
        return embedded

    def forward(
        self, graphs: Any, left_to_right_CL: Tensor, right_to_left_CM: Tensor, seen_CM: Tensor, caption_graph_C: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Predict the tokens of known captions in both directions (teacher forcing).

        A graph is encoded once for all its captions.

        Args:
            graphs: As for `encode`.
            left_to_right_CL: Input tokens of the captions, `<bos>` first, `[C, L]`.
            right_to_left_CM: Input tokens of a reversed caption of the same graph, for each caption, `[C, M]`.
            seen_CM: True for the right-to-left states that the left-to-right decoder may see: those of `<bos>` and of
                the words, `[C, M]`.
            caption_graph_C: The graph of each caption, `[C]`.

        Returns:
            Logits of the next token, left to right `[C, L, V]` and right to left `[C, M, V]`. They are zeros behind the
            last word of a caption, where nothing is computed.
        """
        memory = self.encode(graphs)
        backward, forward = self.decoder_right_to_left, self.decoder_left_to_right
        # An <eos> among the inputs is that of a shorter caption, with padding behind it: it predicts nothing.
        is_input_CL = (left_to_right_CL != PAD) & (left_to_right_CL != EOS)
        packing, other = Packing.of(is_input_CL), Packing.of(seen_CM)
        frames = backward.context(0, memory.right_to_left_GTD, memory.right_to_left_mask_GT)
        frames = [context.take(caption_graph_C) for context in frames]
        backward_YD, _ = backward(other.pack(self.embed(right_to_left_CM)), [frames], packing=other)
        frames = forward.context(0, memory.left_to_right_GMD, memory.left_to_right_mask_GM)
        frames = [context.take(caption_graph_C) for context in frames]
        states = forward.context(1, backward_YD, seen_CM, other)
        forward_XD, _ = forward(packing.pack(self.embed(left_to_right_CL)), [frames, states], packing=packing)
        return packing.pad(self.generator(forward_XD)), other.pad(self.generator(backward_YD))
