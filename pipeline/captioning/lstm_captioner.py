"""The LSTM captioner of maps: a clip's maps are projected and averaged, and an LSTM says the caption word by word.

After the show-and-tell captioner (Vinyals et al., "Show and Tell", CVPR 2015) over space-time maps: a convolution of
1x1x1, a norm and a ReLU, the mean over all cells, a linear layer and a norm give the vector that the LSTM reads first.
It then reads the words, `<bos>` first. Unlike in the published code, everything is trained, and the step that reads the
clip predicts nothing: what it would have to predict is always `<bos>`.

With attention, each step also reads a weighted mean of the projected maps: of the steps in time (Yao et al.,
"Describing Videos by Exploiting Temporal Structure", ICCV 2015) or of all cells of all steps (Xu et al., "Show, Attend
and Tell", ICML 2015). Weights are an additive attention of the hidden state before the step.

Shapes: G videos, R captions of all videos (those of a video stand together), L tokens, V words, T steps, H rows and W
columns of a map, C its channels, P projected channels, N places that are attended to, A width of the attention, E width
of words, D width of the hidden state.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from pipeline.config import LstmModelSettings

NORM_MOMENTUM = 0.01  # of the norm of the clip's vector, as published


class Clips(NamedTuple):
    """Encoded videos.

    Attributes:
        vector_GE: What the LSTM reads first.
        places_GNP: What is attended to; None without attention.
        keys_GNA: Their keys; None without attention.
    """

    vector_GE: Tensor
    places_GNP: Tensor | None
    keys_GNA: Tensor | None

    def take(self, videos: Tensor) -> "Clips":
        """The encoded videos of these numbers, in their order."""
        vector_GE, *others = (of if of is None else of.index_select(0, videos) for of in self)
        assert vector_GE is not None
        return Clips(vector_GE, *others)

    def float(self) -> "Clips":
        """The same in float32."""
        vector_GE, *others = (of if of is None else of.float() for of in self)
        assert vector_GE is not None
        return Clips(vector_GE, *others)


class Hidden(NamedTuple):
    """State of the LSTM: its hidden vectors and its cells, both `[R, D]`."""

    h_RD: Tensor
    c_RD: Tensor

    def take(self, rows: Tensor) -> "Hidden":
        """The state of these rows, in their order."""
        return Hidden(self.h_RD.index_select(0, rows), self.c_RD.index_select(0, rows))


class PlaceAttention(nn.Module):
    """Additive attention of a hidden state to the places of a clip.

    Args:
        places: Width P of a place.
        hidden: Width D of the hidden state.
        width: A.
        read: Width E of what is read.
    """

    def __init__(self, places: int, hidden: int, width: int, read: int) -> None:
        super().__init__()
        self.key = nn.Linear(places, width)
        self.query = nn.Linear(hidden, width, bias=False)
        self.score = nn.Linear(width, 1, bias=False)
        self.read = nn.Linear(places, read)

    def weights(self, clips: Clips, h_RD: Tensor) -> Tensor:
        """Weights of the places for each caption, `[G, R / G, N]`, which sum to 1."""
        assert clips.keys_GNA is not None
        query_GKA = self.query(h_RD).view(len(clips.keys_GNA), -1, clips.keys_GNA.shape[2])
        energy_GKNA = torch.tanh(query_GKA[:, :, None] + clips.keys_GNA[:, None])
        weights_GKN: Tensor = self.score(energy_GKNA)[..., 0].softmax(2)
        return weights_GKN

    def forward(self, clips: Clips, h_RD: Tensor) -> Tensor:
        """What each caption reads of its clip, `[R, E]`."""
        assert clips.places_GNP is not None
        read_RE: Tensor = self.read((self.weights(clips, h_RD) @ clips.places_GNP).flatten(0, 1))
        return read_RE


def draw_weights(module: nn.Module) -> None:
    """Draw weights as published: Xavier's (Glorot and Bengio, 2010), biases 0, words uniform between 0 and 1.

    Args:
        module: An LSTM captioner, or a part of one.
    """
    for name, parameter in module.named_parameters():
        if parameter.ndim > 1:
            nn.init.xavier_uniform_(parameter)
        elif "bias" in name:
            nn.init.zeros_(parameter)
    for part in module.modules():
        if isinstance(part, nn.Embedding):
            nn.init.uniform_(part.weight)


class LstmCaptioner(nn.Module):
    """The network that predicts the words of captions from maps.

    Args:
        settings: Widths, and what is attended to.
        num_words: Number of words V, special tokens included.
        channels: Channels C of a map.
    """

    def __init__(self, settings: LstmModelSettings, num_words: int, channels: int) -> None:
        super().__init__()
        self.attends_to = settings.attention
        self.hidden = settings.hidden
        self.projection = nn.Conv3d(channels, settings.projection, 1)
        self.map_norm = nn.BatchNorm3d(settings.projection)
        self.clip = nn.Linear(settings.projection, settings.embedding)
        self.clip_norm = nn.BatchNorm1d(settings.embedding, momentum=NORM_MOMENTUM)
        self.words = nn.Embedding(num_words, settings.embedding)
        self.attention: PlaceAttention | None = None
        read = settings.embedding
        if settings.attention != "none":
            sizes = (settings.projection, settings.hidden, settings.attention_width, settings.embedding)
            self.attention = PlaceAttention(*sizes)
            read *= 2
        self.lstm = nn.LSTM(read, settings.hidden, batch_first=True)
        self.dropout = nn.Dropout(settings.dropout)
        self.generator = nn.Linear(settings.hidden, num_words)
        draw_weights(self)

    def projected(self, maps_GTHWC: Tensor) -> Tensor:
        """The projected maps before their norm, `[G, P, T, H, W]`."""
        return self.projection(maps_GTHWC.movedim(-1, 1))  # type: ignore[no-any-return]

    def encode(self, maps_GTHWC: Tensor) -> Clips:
        """Encode the maps of some videos.

        Args:
            maps_GTHWC: Maps, as `extract_maps` stores them.
        """
        return self.encode_projected(self.projected(maps_GTHWC))

    def encode_projected(self, projected_GPTHW: Tensor) -> Clips:
        """Encode what `projected` gives."""
        return self.encode_rectified(self.rectified(projected_GPTHW))

    def rectified(self, projected_GPTHW: Tensor) -> Tensor:
        """The projected maps after their norm and the ReLU, by which relevance is told."""
        return torch.relu(self.map_norm(projected_GPTHW))

    def encode_rectified(self, x_GPTHW: Tensor) -> Clips:
        """Encode what `rectified` gives."""
        vector_GE = self.clip_norm(self.clip(x_GPTHW.mean((2, 3, 4))))
        if self.attention is None:
            return Clips(vector_GE, None, None)
        places_GPN = x_GPTHW.mean((3, 4)) if self.attends_to == "temporal" else x_GPTHW.flatten(2)
        places_GNP = places_GPN.transpose(1, 2)
        return Clips(vector_GE, places_GNP, self.attention.key(places_GNP))

    def begin(self, clips: Clips) -> Hidden:
        """The state of the LSTM once it has read each clip's vector: one row a video."""
        zeros_GD = clips.vector_GE.new_zeros(len(clips.vector_GE), self.hidden)
        return self.read(clips, clips.vector_GE, Hidden(zeros_GD, zeros_GD))

    def read(self, clips: Clips, x_RE: Tensor, state: Hidden) -> Hidden:
        """The state after one more vector of each caption.

        Args:
            clips: The encoded videos; each has equally many captions.
            x_RE: What is read: words, or the vectors of the clips.
            state: The state before.
        """
        if self.attention is not None:
            x_RE = torch.cat([x_RE, self.attention(clips, state.h_RD)], 1)
        _, (h_1RD, c_1RD) = self.lstm(x_RE[:, None], (state.h_RD[None], state.c_RD[None]))
        return Hidden(h_1RD[0], c_1RD[0])

    def logits(self, h: Tensor) -> Tensor:
        """Logits of the next word, `[.., V]`, of hidden states `[.., D]`."""
        return self.generator(self.dropout(h))  # type: ignore[no-any-return]

    def forward(self, clips: Clips, tokens_RL: Tensor, caption_video_R: Tensor) -> Tensor:
        """Predict the words of known captions (teacher forcing).

        Args:
            clips: The encoded videos.
            tokens_RL: Input tokens of the captions, `<bos>` first, padded.
            caption_video_R: The video of each caption.

        Returns:
            Logits `[R, L, V]` of the word after each token.
        """
        own, state = clips.take(caption_video_R), self.begin(clips).take(caption_video_R)
        x_RLE = self.words(tokens_RL)
        if self.attention is None:
            h_RLD, _ = self.lstm(x_RLE, (state.h_RD[None].contiguous(), state.c_RD[None].contiguous()))
            return self.logits(h_RLD)
        hidden = []
        for place in range(tokens_RL.shape[1]):
            state = self.read(own, x_RLE[:, place], state)
            hidden.append(state.h_RD)
        return self.logits(torch.stack(hidden, 1))
