"""Score the captions of a split without references: CLIPScore and RefCLIPScore, or PAC-S and RefPAC-S, and EMScore.

The encoder must not have been trained on the captions of the data set: it would find its own words again.

Shapes: F frames of a video, C channels, L tokens of a text, D embedding.
"""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open

from pipeline.artifact import Artifact, read, read_json, write_json
from pipeline.config import Clip4ClipSettings
from pipeline.errors import PipelineError
from pipeline.jobs.progress import track
from pipeline.models.clip4clip import Clip4Clip, load_clip4clip, normalise, square_of_shorter_side, tokenize
from pipeline.models.clip_words import embed_words
from pipeline.models.precision import compute_device
from pipeline.schemas import FRAMES
from pipeline.scoring import clip_scores
from pipeline.scoring.clip_scores import FACTORS, METRICS, PREFIX, Rows, Text, unit
from pipeline.video.stored_frames import frames_of
from pipeline.weights.origin import is_untrained

TEXTS_AT_ONCE = 256
FRAMES_AT_ONCE = 128

log = logging.getLogger(__name__)


def run(
    *,
    captions: Path,
    references: Path,
    frames: list[Path],
    weights: Path,
    split: str,
    dataset: str,
    metric: str,
    settings: Clip4ClipSettings,
    threads: int,
    out: Path,
) -> None:
    """Score the captions generated for one split.

    Args:
        captions: Captions of `generate_captions` or `import_predictions`.
        references: The data set's captions.json: references and splits.
        frames: The sampled frames of all shards.
        weights: The encoder's `weights.safetensors`.
        split: The split to score: val or test.
        dataset: Name of the data set, which the encoder must not have been trained on.
        metric: The first two scores: clip_score for CLIPScore and RefCLIPScore, or pac_s for PAC-S and RefPAC-S.
        settings: Architecture of the encoder, which computes in float32.
        threads: CPU threads of the encoder.
        out: Where the scores go (JSON): `split`, `metrics`, `num_videos`, `num_covered`, `by_video` (by id, in the
            order of the metrics) and `notes`.

    Raises:
        PipelineError: There is no such metric, the encoder has seen the data set's captions, or no video has a caption,
            a reference and frames.
    """
    if metric not in METRICS:
        raise PipelineError(
            f"--metric {metric}: there is no such score without references: write {' or '.join(METRICS)}"
        )
    torch.set_num_threads(threads)
    origin = origin_of(weights)
    refuse_seen(dataset, origin, weights)
    table = read_json(references, ["captions", "splits"], "index_captions")
    generated = read_json(captions, ["captions"], "generate_captions")["captions"]
    ids = table["splits"].get(split, [])
    source = {video_id: store for store in (read(path, FRAMES) for path in frames) for video_id in store.ids}
    truth = {i: table["captions"][i] for i in ids if table["captions"].get(i)}
    scored = [i for i in ids if i in generated and i in truth and i in source]
    if not scored:
        raise PipelineError(
            f"{captions}: none of the {len(ids)} videos of split '{split}' has a caption, a reference and frames"
        )
    module = load_clip4clip(weights, settings.arch).to(compute_device()).requires_grad_(False)
    told = {i: generated[i] for i in scored}
    of_videos = scores_of(module, told, truth, source, FACTORS[metric])
    by_video = dict(zip(scored, track(of_videos, len(scored), "score_clip"), strict=True))
    notes = [f"the encoder has random weights ({origin}): these scores say nothing"] if is_untrained(origin) else []
    content: dict[str, Any] = {
        "split": split,
        "metrics": clip_scores.from_json(by_video, METRICS[metric]).scores(),
        "num_videos": len(ids),
        "num_covered": len(scored),
        "by_video": {video_id: [round(value, 8) for value in row] for video_id, row in by_video.items()},
        "notes": notes,
    }
    write_json(out, content)
    print("  ".join(f"{name} {value:.3f}" for name, value in content["metrics"].items()))


def origin_of(weights: Path) -> str:
    """Where a file of weights comes from, as its metadata says; `unknown` if it says nothing."""
    with safe_open(weights, framework="numpy") as file:
        return str((file.metadata() or {}).get("origin", "unknown"))


def refuse_seen(dataset: str, origin: str, weights: Path) -> None:
    """Raise PipelineError if weights of this origin were trained on the captions of a data set."""
    if dataset in re.findall(r"(?:^| from )\S+ on (\S+)(?= from )", origin):
        raise PipelineError(
            f"{weights}: this encoder was trained on the captions of {dataset} ({origin}), whose captions it would "
            "judge by: name another in report.clip_scores.encoder"
        )


def scores_of(
    module: Clip4Clip,
    told: Mapping[str, str],
    references: Mapping[str, Sequence[str]],
    source: Mapping[str, Artifact],
    factor: float,
) -> Iterator[list[float]]:
    """Score the caption of each video.

    Args:
        module: The encoder.
        told: The caption of each video.
        references: The references of all videos of the split, by which tokens are rare or not. So a caption has one
            score, whichever other videos are captioned.
        source: The artifact that holds the frames of each video.
        factor: Of the cosine of caption and video, one of `clip_scores.FACTORS`.

    Yields:
        The numbers that an entry of `clip_scores.METRICS` names, in the order of `told`.
    """
    length = module.context_length
    tokens = {i: [words_of(row) for row in tokenize(texts, length).tolist()] for i, texts in references.items()}
    rare = clip_scores.rarity(text for texts in tokens.values() for text in texts)
    for video_id, caption in told.items():
        frames_FD = embed_frames(module, source[video_id], video_id)
        video_D = clip_scores.video_of(frames_FD)
        texts = [caption, *references[video_id]]
        whole = [ends[-1] for ends, _ in embed_texts(module, [PREFIX + text for text in texts])]
        text, *others = (Text(words, rare.weights(ids)) for words, ids in embed_texts(module, texts))
        yield [
            clip_scores.clip_score(whole[0], video_D, factor),
            clip_scores.ref_clip_score(whole[0], video_D, np.stack(whole[1:]), factor),
            clip_scores.em_score_of_video(text, frames_FD),
            clip_scores.em_score_with_references(text, frames_FD, others),
        ]


def embed_frames(module: Clip4Clip, source: Artifact, video_id: str) -> Rows:
    """Embed the central squares of a video's frames: rows of length 1 [F, D]."""
    frames_FCHW = frames_of(source.video(video_id, ["pixels", "size"])).permute(0, 3, 1, 2)
    images = normalise(square_of_shorter_side(frames_FCHW, module.image_size))
    device = module.text_projection.device
    with torch.inference_mode():
        parts = [module.encode_image(part.to(device)).float().cpu() for part in torch.split(images, FRAMES_AT_ONCE)]
    return unit(torch.cat(parts).numpy().astype(np.float64))


def embed_texts(module: Clip4Clip, texts: Sequence[str]) -> Iterator[tuple[Rows, list[int]]]:
    """Embed texts: for each the rows of its words and its end token, of length 1, and the ids of these tokens."""
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        tokens_BL = tokenize(texts[start : start + TEXTS_AT_ONCE], module.context_length)
        words_BLD = embed_words(module, tokens_BL.to(module.text_projection.device)).float().cpu().numpy()
        for tokens_L, words_LD in zip(tokens_BL.tolist(), words_BLD, strict=True):
            ids = words_of(tokens_L)
            yield unit(words_LD[1 : 1 + len(ids)].astype(np.float64)), ids


def words_of(tokens_L: Sequence[int]) -> list[int]:
    """The tokens of a text's words and its end token, without the start token and what fills up the row."""
    end = tokens_L.index(max(tokens_L))
    return list(tokens_L[1 : end + 1])
