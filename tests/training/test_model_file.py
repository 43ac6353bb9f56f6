import pytest
import torch
from captioner_toys import MODEL, MOTION_DIM, NODE_DIM, captioner
from safetensors.torch import save_file
from torch.testing import assert_close

from pipeline.errors import PipelineError
from pipeline.training.model_file import describe_model, load_captioner
from pipeline.training.vocabulary import Vocabulary
from pipeline.weights import save_weights

WORDS = Vocabulary(("<pad>", "<bos>", "<eos>", "<unk>", *"abcdefgh"), max_words=6)
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
