"""Batches of maps with captions, and captions of maps.

Shapes: G videos, R captions, L tokens, T steps, H rows, W columns and C channels of maps.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.captioning.batches import CaptionedVideos, Piece, pad
from pipeline.captioning.beam_search import Search
from pipeline.captioning.generation import Caption, captions_of, names_of
from pipeline.captioning.lstm_captioner import LstmCaptioner
from pipeline.captioning.lstm_search import search_maps
from pipeline.captioning.map_set import MapSet
from pipeline.config import DecodingSettings
from pipeline.vocabulary import Vocabulary


class MapBatch(NamedTuple):
    """The maps of some videos with captions of these videos.

    Attributes:
        maps: Maps, half precision, `[G, T, H, W, C]`.
        tokens: Tokens of the captions from `<bos>` to `<eos>`, padded, `[R, 1 + L]`.
        caption_video: The video of each caption, `[R]`.
        num_tokens: Number of targets of the whole step, over all processes and accumulations.
    """

    maps: Tensor
    tokens: Tensor
    caption_video: Tensor
    num_tokens: int

    def to(self, device: torch.device) -> "MapBatch":
        """A copy of the batch on another device."""
        names = ("maps", "tokens", "caption_video")
        return self._replace(**{name: getattr(self, name).to(device, non_blocking=True) for name in names})


class MapPieces:
    """Makes the batch of a piece: `batches[piece]`.

    Args:
        videos: The videos whose numbers the pieces give, with their captions.
        maps: Maps by video id.
    """

    def __init__(self, videos: CaptionedVideos, maps: MapSet) -> None:
        self.videos = videos
        self.maps = maps

    def __getitem__(self, piece: Piece) -> MapBatch:
        numbers = list(dict.fromkeys(pair.video for pair in piece.pairs))
        place_of = {video: place for place, video in enumerate(numbers)}
        return MapBatch(
            torch.stack([self.maps[self.videos.ids[video]] for video in numbers]),
            pad([self.videos.forward[pair.video][pair.caption] for pair in piece.pairs]),
            torch.tensor([place_of[pair.video] for pair in piece.pairs]),
            piece.num_tokens[0],
        )


def iterate_map_captions(
    model: LstmCaptioner, vocabulary: Vocabulary, maps: MapSet, ids: Sequence[str], settings: DecodingSettings
) -> Iterator[Caption]:
    """Yield the caption of each video; the maps of a batch are read only when its turn comes.

    Args:
        model: The captioner, on any device.
        vocabulary: The words that the model was trained with.
        maps: Maps by video id.
        ids: Ids of the videos.
        settings: How captions are searched for and drawn.
    """
    device = next(model.parameters()).device

    def found(numbers: range) -> Search:
        batch = torch.stack([maps[ids[number]] for number in numbers]).to(device).float()
        return search_maps(model, batch, settings, names_of(numbers, ids))

    return captions_of(model, vocabulary, found, len(ids), settings.batch_size)
