"""Scores without references: those of plain open_clip, and no encoder that knows the answers."""

import json
import math

import numpy as np
import open_clip
import pytest
import torch
from open_clip.model import CLIP
from safetensors.torch import load_file
from toys.clip import FINETUNE_ARCH, encoder, write_frames, write_weights

from pipeline.artifact import write_json
from pipeline.errors import PipelineError
from pipeline.models.clip4clip import load_pretrained, normalise, save_clip4clip, square_of_shorter_side
from pipeline.stages import score_clip
from pipeline.stages.score_clip import refuse_seen, words_of

SIZES = {"one": (3, 20, 36), "two": (1, 31, 17), "three": (2, 16, 16)}
CAPTIONS = {"one": "a red dog runs", "two": "", "three": "a cat"}
REFERENCES = {"one": ["a dog runs", "the red dog"], "two": ["a man sings"], "three": ["a cat sleeps", "a cat"]}


def run(folder, weights, dataset="tiny", captions=CAPTIONS, metric="clip_score"):
    write_json(folder / "captions.json", {"captions": REFERENCES, "splits": {"test": [*SIZES, "four"]}})
    write_json(folder / "told.json", {"captions": captions, "missing": []})
    score_clip.run(
        captions=folder / "told.json",
        references=folder / "captions.json",
        frames=[folder / "frames.zarr"],
        weights=weights,
        split="test",
        dataset=dataset,
        metric=metric,
        settings=encoder(FINETUNE_ARCH),
        threads=1,
        out=folder / "scores.json",
    )
    return json.loads((folder / "scores.json").read_text(encoding="utf-8"))


def plain_scores(weights, videos, factor):
    """The same scores by open_clip alone, caption by caption and token by token."""
    towers = {key: dict(value) if isinstance(value, dict) else value for key, value in FINETUNE_ARCH.items()}
    vision, text = towers["vision"], towers["text"]
    vision["head_width"] = vision["width"] // vision.pop("heads")
    model = CLIP(towers["embed_dim"], vision, text, quick_gelu=True).eval()
    model.load_state_dict(load_file(weights))
    tokenizer = open_clip.SimpleTokenizer()

    def tokens(sentence):
        row = tokenizer([sentence], context_length=8)[0]
        return row, row.tolist().index(49407)

    def end_of(sentence):
        return torch.nn.functional.normalize(model.encode_text(tokens(sentence)[0][None])[0], dim=0).double()

    def words(sentence):
        row, end = tokens(sentence)
        x = model.token_embedding(row[None]) + model.positional_embedding
        x = model.transformer(x, attn_mask=model.attn_mask)
        x = torch.nn.functional.normalize(model.ln_final(x)[0] @ model.text_projection, dim=1).double()
        return x[1 : end + 1], row[1 : end + 1].tolist()

    documents = [set(words(text)[1][:-1]) for texts in REFERENCES.values() for text in texts]
    known = {token for document in documents for token in document}
    idf = {token: math.log(6 / (sum(token in document for document in documents) + 1)) for token in known}
    mean = sum(idf.values()) / len(idf)

    def weight(ids):
        return torch.tensor([*(idf.get(token, math.log(6)) for token in ids[:-1]), mean]).double()

    def match(one, one_weight, other, other_weight, whole):
        cosine = one @ other.T
        precision = (cosine.amax(1) * one_weight).sum() / one_weight.sum()
        recall = (cosine.amax(0) * other_weight).sum() / other_weight.sum()
        return (one[-1] @ whole + 2 * precision * recall / (precision + recall)) / 2

    found = {}
    for video_id, frames in videos.items():
        images = normalise(square_of_shorter_side(torch.from_numpy(frames).permute(0, 3, 1, 2), 16))
        rows = torch.nn.functional.normalize(model.encode_image(images), dim=1).double()
        whole = torch.nn.functional.normalize(rows.mean(0), dim=0)
        caption = end_of("A photo depicts " + CAPTIONS[video_id])
        clip = factor * max(float(caption @ whole), 0)
        nearest = max(max(float(caption @ end_of("A photo depicts " + text)) for text in REFERENCES[video_id]), 0)
        own, ids = words(CAPTIONS[video_id])
        em = match(own, weight(ids), rows, torch.ones(len(rows)).double(), whole)
        best = max(
            match(own, weight(ids), other, weight(of), other[-1]) for other, of in map(words, REFERENCES[video_id])
        )
        harmonic = 2 * clip * nearest / (clip + nearest) if clip + nearest else 0.0
        found[video_id] = [clip, harmonic, float(em), float(em + best) / 2]
    return found


@pytest.mark.parametrize(
    ("sign", "metric", "factor", "names"),
    [
        (1, "clip_score", 2.5, ["CLIPScore", "RefCLIPScore", "EMScore", "EMScore_ref"]),
        (-1, "clip_score", 2.5, ["CLIPScore", "RefCLIPScore", "EMScore", "EMScore_ref"]),
        (-1, "pac_s", 2.0, ["PAC-S", "RefPAC-S", "EMScore", "EMScore_ref"]),
    ],
)
def test_scores_are_those_of_plain_open_clip(tmp_path, sign, metric, factor, names):
    module = load_pretrained("random", FINETUNE_ARCH, 1)[0]
    module.visual.proj.data *= sign  # one of the two puts captions near their videos
    weights = tmp_path / "w.safetensors"
    save_clip4clip(module, weights, "random")
    videos = write_frames(tmp_path / "frames.zarr", SIZES, {"four": "no video frame in it"})
    found = run(tmp_path, weights, metric=metric)
    assert (found["num_videos"], found["num_covered"]) == (4, 3)
    assert "random weights" in found["notes"][0]
    with torch.no_grad():
        expected = plain_scores(weights, videos, factor)
    assert set(found["by_video"]) == set(expected)
    for video_id, row in expected.items():
        np.testing.assert_allclose(found["by_video"][video_id], row, atol=1e-5, rtol=0)
    means = np.mean(list(expected.values()), 0)
    assert set(found["metrics"]) == set(names)
    np.testing.assert_allclose([found["metrics"][name] for name in names], means, atol=1e-5, rtol=0)
    assert (found["metrics"][names[0]] > 0) == (sign < 0)


def test_the_checkpoint_of_pac_s_is_read_as_it_is(tmp_path):
    """It is what its authors' training saved: a dict with a `state_dict` in OpenAI's names, beside other things."""
    module = load_pretrained("random", FINETUNE_ARCH, 1)[0]
    path = tmp_path / "clip_tiny.pth"
    torch.save({"state_dict": module.state_dict(), "epoch": 3, "optimizer": {"lr": 1e-4}}, path)
    arch = FINETUNE_ARCH | {"activation": "quick_gelu"}
    found, origin = load_pretrained(str(path), arch, 1)
    assert all(torch.equal(found.state_dict()[key], value) for key, value in module.state_dict().items())
    assert origin.startswith("file clip_tiny.pth")


def test_another_metric_is_refused(tmp_path):
    with pytest.raises(PipelineError, match=r"--metric pacs: .* write clip_score or pac_s"):
        run(tmp_path, tmp_path / "w.safetensors", metric="pacs")


def test_a_caption_has_one_score_whichever_other_videos_are_captioned(tmp_path):
    """Words are rare by the references of the whole split."""
    write_frames(tmp_path / "frames.zarr", SIZES, {})
    weights = write_weights(tmp_path, FINETUNE_ARCH)
    whole, one = run(tmp_path, weights), run(tmp_path, weights, captions={"one": CAPTIONS["one"]})
    assert one["by_video"] == {"one": whole["by_video"]["one"]}
    assert (one["num_covered"], one["num_videos"]) == (1, 4)


def test_an_encoder_that_knows_the_captions_is_refused(tmp_path):
    module = load_pretrained("random", FINETUNE_ARCH, 1)[0]
    save_clip4clip(module, tmp_path / "w.safetensors", "fine-tuned on other from fine-tuned on tiny from random")
    with pytest.raises(PipelineError, match=r"was trained on the captions of tiny .* name another") as raised:
        run(tmp_path, tmp_path / "w.safetensors")
    assert "\n" not in str(raised.value)
    refuse_seen("tiny", "fine-tuned on tiny2 from file tiny.bin sha256 00", tmp_path)
    refuse_seen("tiny", "open_clip ViT-B-32 openai", tmp_path)


def test_no_video_with_everything_is_refused(tmp_path):
    write_frames(tmp_path / "frames.zarr", {"one": (1, 16, 16)}, {})
    with pytest.raises(PipelineError, match="none of the 4 videos of split 'test' has a caption, a reference and"):
        run(tmp_path, write_weights(tmp_path, FINETUNE_ARCH), captions={"two": "a"})


def test_the_words_of_a_text_end_with_its_end_token():
    assert words_of([49406, 5, 6, 49407, 0, 0]) == [5, 6, 49407]
    assert words_of([49406, 49407]) == [49407]
