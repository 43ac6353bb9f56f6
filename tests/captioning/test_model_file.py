import json

import pytest
import torch
from safetensors.torch import save_file
from torch.testing import assert_close
from toys.captioner import KNOWLEDGE_DIM, MODEL, MOTION_DIM, NODE_DIM, OBJECT_DIM, captioner

from pipeline.captioning.model_file import describe_model, load_captioner
from pipeline.errors import PipelineError
from pipeline.vocabulary import Vocabulary
from pipeline.weights.saving import save_weights

WORDS = Vocabulary(
    ("<pad>", "<bos>", "<eos>", "<unk>", *"abcdefgh"), max_words=6, tokenizer="ptb", spellings={"a": "A"}
)
DESCRIPTION = describe_model(MODEL, WORDS, NODE_DIM, MOTION_DIM)


def test_a_model_comes_back_with_its_words(tmp_path):
    model = captioner()
    save_weights(model.state_dict(), tmp_path / "model.safetensors", DESCRIPTION)
    loaded, vocabulary = load_captioner(tmp_path / "model.safetensors")
    assert vocabulary == WORDS
    assert not loaded.training
    assert loaded.state_dict().keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        assert_close(loaded.state_dict()[name], tensor)


def test_branches_come_back(tmp_path):
    dims = {"knowledge_dim": KNOWLEDGE_DIM, "object_dim": OBJECT_DIM, "max_nodes": 9}
    settings = MODEL.model_copy(update={"pool": "padded", "graph_encoder": "gatv2"})
    model = captioner(settings=settings, **dims)
    description = describe_model(settings, WORDS, NODE_DIM, MOTION_DIM, **dims)
    save_weights(model.state_dict(), tmp_path / "model.safetensors", description)
    loaded, _ = load_captioner(tmp_path / "model.safetensors")
    assert loaded.state_dict().keys() == model.state_dict().keys()
    assert {"knowledge.norm.weight", "objects.norm.weight"} < loaded.state_dict().keys()
    assert loaded.encoder_left_to_right.padded_to == 9


def test_the_file_calls_the_largest_number_of_nodes_places():
    description = json.loads(describe_model(MODEL, WORDS, NODE_DIM, MOTION_DIM, max_nodes=9)["description"])
    assert description["places"] == 9
    assert "max_nodes" not in description


def test_a_file_of_before_there_were_branches_is_refused(tmp_path):
    content = json.loads(DESCRIPTION["description"])
    del content["places"], content["model"]["fusion"]
    path = tmp_path / "model.safetensors"
    save_weights(captioner().state_dict(), path, {"description": json.dumps(content)})
    with pytest.raises(PipelineError, match="another version of the captioner"):
        load_captioner(path)


def test_equal_models_give_equal_bytes(tmp_path):
    for name in ("one", "two"):
        save_weights(captioner().state_dict(), tmp_path / name, DESCRIPTION)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    with pytest.raises(PipelineError, match="no readable model"):
        load_captioner(path)
    path.write_bytes(b"text")
    with pytest.raises(PipelineError, match="no readable model"):
        load_captioner(path)
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(PipelineError, match="holds no bidirectional captioner"):
        load_captioner(path)
    save_file({"x": torch.zeros(1)}, path, metadata=DESCRIPTION)
    with pytest.raises(PipelineError, match="another version"):
        load_captioner(path)
