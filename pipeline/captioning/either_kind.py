"""Captions of videos by a captioner of either kind: of graphs, or of maps."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.captioning.generation import Caption, iterate_captions
from pipeline.captioning.graph_set import GraphList, GraphSet, load_graphs
from pipeline.captioning.lstm_file import load_lstm, require_channels
from pipeline.captioning.map_batches import iterate_map_captions
from pipeline.captioning.map_set import MapSet, load_maps
from pipeline.captioning.model_file import load_captioner
from pipeline.config import DecodingSettings
from pipeline.models.precision import compute_device
from pipeline.vocabulary import Vocabulary


def load_videos(
    graphs: Sequence[Path],
    pair_motion: Sequence[Path],
    knowledge: Sequence[Path],
    objects: Sequence[Path],
    maps: Sequence[Path],
) -> GraphSet | MapSet:
    """Open what a captioner reads of the videos of a data set: maps if there are some, otherwise graphs.

    Args:
        graphs: Stores of `graphs`, one for each shard, as are the following.
        pair_motion: Stores of `pair_motion`, if edges carry it.
        knowledge: Stores of `knowledge`, if the captioner reads it.
        objects: Stores of `nodes` that are objects, if the captioner reads them.
        maps: Stores of `maps`.

    Raises:
        PipelineError: A store cannot be read, or a video is in two stores of a kind.
    """
    return load_maps(maps) if maps else load_graphs(graphs, pair_motion, knowledge, objects)


def captions_of_videos(
    known: GraphSet | MapSet, model: Path, ids: Sequence[str], settings: DecodingSettings
) -> tuple[Vocabulary, Iterator[Caption]]:
    """Open the captioner of the graphs or maps that there are, and search for the captions of some videos.

    Args:
        known: Graphs or maps by video id.
        model: A trained captioner (safetensors).
        ids: Ids of the videos.
        settings: How captions are searched for.

    Returns:
        The words of the captioner, and the captions, each of which is searched for when its turn comes.

    Raises:
        PipelineError: The model cannot be read, or is a captioner of the other kind or of maps with other channels.
    """
    if isinstance(known, MapSet):
        of_maps, vocabulary = load_lstm(model)
        if ids:
            require_channels(of_maps, known.shape[-1], model)
        return vocabulary, iterate_map_captions(of_maps.to(compute_device()), vocabulary, known, ids, settings)
    captioner, vocabulary = load_captioner(model)
    found = iterate_captions(captioner.to(compute_device()), vocabulary, GraphList(known, ids), settings, ids)
    return vocabulary, found
