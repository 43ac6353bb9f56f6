"""Settings of external experiments, published figures and scores without references: what is read, and each mistake."""

import copy
import json
from pathlib import Path

import pytest
import yaml

from pipeline.config import PublishedCaptionsSettings, PublishedSettings, validate
from pipeline.errors import PipelineError
from pipeline.workflow.experiment_chain import chain_of
from pipeline.workflow.external_chain import ExternalChain
from pipeline.workflow.splits import file_of, needed_splits, splits_of

ROOT = Path(__file__).parents[2]
SYSTEM = {
    "kind": "external",
    "dataset": "shapes",
    "captions": {"val": None, "test": "told.json"},
    "form": "auto",
    "ids": None,
    "tokenizer": "ptb",
    "system": "a system",
    "trained_on": "the web",
    "adaptation": "zero-shot",
    "prompt": None,
    "optimises_cider": False,
    "source": "a paper",
}
PAPER = {"dataset": "shapes", "system": "s", "metrics": {"CIDEr": 165.8}, "optimises_cider": True, "source": "p"}
JUDGE = {"encoder": "judge", "sampling": "action", "metric": "clip_score"}


def raw(**report):
    """config.yaml with an external experiment and an encoder that knows no captions."""
    found = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    found["experiments"]["told"] = copy.deepcopy(SYSTEM)
    found["encoders"]["judge"] = {"like": "clip", "finetune": None}
    found["report"] |= {"experiments": ["grid", "told"], **report}
    return found


def test_an_external_experiment_has_one_trial_and_the_splits_of_its_files():
    config = validate(raw()).model_dump(mode="json")
    assert config["experiments"]["told"]["seeds"] == [0]
    assert splits_of(config, "told") == ["test"]
    assert splits_of(config, "grid") == ["val", "test"]
    assert needed_splits(config, "shapes") == ["train", "val", "test"]
    config["experiments"] = {"told": config["experiments"]["told"]}
    assert needed_splits(config, "shapes") == ["test"]
    assert needed_splits(config, "shapes", ["recognition"]) == []
    config["experiments"]["told"]["captions"] = "told/*.json"
    assert splits_of(config, "told") == ["val", "test"]


def test_a_path_has_the_split_for_its_star():
    assert file_of("told/*/x.json", "val") == "told/val/x.json"
    assert file_of("told.json", "val") == "told.json"
    assert file_of({"val": None, "test": "a*.json"}, "test") == "a*.json"
    assert file_of({"val": None, "test": "a.json"}, "val") is None
    assert file_of(None, "val") is None


def test_its_chain_is_its_own_entry():
    config = validate(raw()).model_dump(mode="json")
    chain = chain_of(config, "told", {})
    assert chain == {"kind": "external", "name": "told", "experiment": config["experiments"]["told"]}
    assert ExternalChain.model_validate_json(json.dumps(chain)).experiment.system == "a system"


def test_published_figures_are_accuracies_or_caption_metrics():
    accuracy = {"dataset": "shapes", "system": "s", "top1": 50.0, "top5": None, "source": "p"}
    first, second = validate(raw(published=[PAPER, accuracy])).report.published
    assert isinstance(first, PublishedCaptionsSettings)
    assert first.metrics == {"CIDEr": 165.8}
    assert isinstance(second, PublishedSettings)


MISTAKES = {
    "no file": ({"captions": {"val": None, "test": None}}, "`val` and `test` are both null"),
    "no ids": ({"form": "lines"}, "`form: lines` names no videos: give `ids`"),
    "two seeds": ({"seeds": [1, 2]}, r"`experiments\.told\.seeds`: .*at most 1 item"),
    "a form": ({"form": "xml"}, r"`experiments\.told\.form`: .*'results'"),
    "a data set": ({"dataset": "shaps"}, r"no such entry in `datasets`: did you mean `shapes`"),
    "a key": ({"captoins": "x"}, r"`experiments\.told\.captoins`: there is no such key: did you mean `captions`"),
    "words": ({"system": ""}, r"`experiments\.told\.system`: .*at least 1 character"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_of_an_external_experiment(name):
    change, message = MISTAKES[name]
    found = raw()
    found["experiments"]["told"] |= change
    with pytest.raises(PipelineError, match=message) as raised:
        validate(found)
    assert "\n" not in str(raised.value)


def test_labels_alone_have_no_captions_to_import():
    found = raw()
    found["datasets"]["labelled"] = {
        "kind": "kinetics", "shards": 1, "videos": "v", "frames": None,
        "annotations": {"train": "a", "val": "b", "test": "c"},
    }  # fmt: skip
    found["experiments"]["told"]["dataset"] = "labelled"
    with pytest.raises(PipelineError, match="a data set of kind kinetics has labels and no captions"):
        validate(found)


OF_REPORT = {
    "a metric": ({"published": [PAPER | {"metrics": {"Cider": 1.0}}]}, r"report\.published.*'CIDEr'"),
    "no metric": ({"published": [PAPER | {"metrics": {}}]}, r"`report\.published\.0\.metrics`: .*at least 1 item"),
    "no data set": ({"published": [PAPER | {"dataset": "x"}]}, r"`report\.published: x`: no such entry in `datasets`"),
    "known captions": (
        {"clip_scores": JUDGE | {"encoder": "clip"}},
        "`report.clip_scores.encoder: clip`: it is fine-tuned on the captions of shapes, which it is to judge",
    ),
    "no encoder": ({"clip_scores": JUDGE | {"encoder": "clp"}}, "must be an encoder of kind clip4clip: clip, judge"),
    "another kind": ({"clip_scores": JUDGE | {"encoder": "i3d"}}, "must be an encoder of kind clip4clip: clip, judge"),
    "no weights of PAC-S": (
        {"clip_scores": JUDGE | {"metric": "pac_s"}},
        r"`report\.clip_scores\.metric: pac_s`: .* name their file in `encoders\.judge\.weights`, with `finetune: n",
    ),
    "no metric of captions": (
        {"clip_scores": JUDGE | {"metric": "pacs"}},
        r"clip_scores\.metric`: .*'clip_score' or 'pac_s'",
    ),
    "no sampling": ({"clip_scores": JUDGE | {"sampling": "x"}}, r"sampling: x`: no such entry in `samplings`"),
}


@pytest.mark.parametrize("name", OF_REPORT)
def test_mistakes_of_the_report(name):
    change, message = OF_REPORT[name]
    with pytest.raises(PipelineError, match=message) as raised:
        validate(raw(**change))
    assert "\n" not in str(raised.value)


def test_an_encoder_of_a_file_gives_pac_s():
    found = raw(clip_scores=JUDGE | {"metric": "pac_s"})
    found["encoders"]["judge"]["weights"] = "clip_ViT-B-32.pth"
    assert validate(found).report.clip_scores.metric == "pac_s"
    found["encoders"]["judge"]["finetune"] = found["encoders"]["clip"]["finetune"] | {"dataset": "other"}
    found["datasets"]["other"] = found["datasets"]["shapes"]
    with pytest.raises(PipelineError, match=r"`report\.clip_scores\.metric: pac_s`"):
        validate(found)


def test_an_encoder_may_judge_what_it_has_not_learned():
    assert validate(raw(clip_scores=JUDGE)).report.clip_scores.encoder == "judge"
    found = raw(clip_scores=JUDGE | {"encoder": "clip"})
    found["encoders"]["clip"]["finetune"]["dataset"] = "other"
    found["datasets"]["other"] = found["datasets"]["shapes"]
    assert validate(found).report.clip_scores.encoder == "clip"
