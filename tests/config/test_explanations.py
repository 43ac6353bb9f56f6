"""Settings of explanations: methods that fit, and each mistake."""

from pathlib import Path

import pytest
import yaml

from pipeline.config import validate
from pipeline.errors import PipelineError

ROOT = Path(__file__).parents[2]
ENTRY = {
    "experiment": "grid", "split": "test", "method": "integrated_gradients", "videos": 100, "overlays": 3, "seed": 1,
}  # fmt: skip


def raw(shown=("why",), **changes):
    found = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    found["explanations"] = {"why": ENTRY | changes}
    found["report"]["explanations"] = list(shown)
    return found


def test_an_entry_is_read():
    config = validate(raw(videos=None))
    assert config.explanations["why"].videos is None
    assert config.report.explanations == ["why"]


MISTAKES = {
    "another kind's method": (
        {"method": "grad_cam"},
        r"`explanations\.why\.method: grad_cam`: experiment grid is of kind captioning: write integrated_gradients or "
        "occlusion",
    ),
    "no method": ({"method": "gradcam"}, r"`explanations\.why\.method`: .*'grad_cam'"),
    "no experiment": (
        {"experiment": "grit"},
        r"`explanations\.why\.experiment: grit`: no such entry in `experiments`: did you mean `grid`",
    ),
    "no caption": (
        {"experiment": "seen"},
        r"`explanations\.why\.experiment: seen`: must be of kind captioning or map_",
    ),
    "no split": ({"split": "dev"}, r"`explanations\.why\.split`: "),
    "no videos": ({"videos": 0}, r"`explanations\.why\.videos`: "),
    "a key": ({"vidoes": 3}, r"`explanations\.why\.vidoes`: there is no such key: did you mean `videos`"),
    "not there": ({"shown": ["who"]}, r"`report\.explanations: who`: no such entry in `explanations`: there is why"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name):
    change, message = MISTAKES[name]
    found = raw(**change)
    found["experiments"]["seen"] = {
        "kind": "recognition", "dataset": "shapes", "clipping": "every_frame", "recognizer": "small_tsm", "part": None,
        "seeds": [1],
    }  # fmt: skip
    with pytest.raises(PipelineError, match=message) as raised:
        validate(found)
    assert "\n" not in str(raised.value)
