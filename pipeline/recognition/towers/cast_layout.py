"""The two frozen experts in a published checkpoint of CAST, whose blocks hold both of them beside what was trained.

What is frozen there is what its authors began with: CLIP's image tower, and VideoMAE's encoder. Only CLIP's last norm
is not in the file as it was, for CAST trains it.
"""

import re
from collections.abc import Mapping

from torch import Tensor

from pipeline.recognition.cast_plan import Stream
from pipeline.recognition.published import Rename, published_name

MARK = "clip_conv1.weight"  # no other checkpoint has it
# The names of the spatial expert in the file, and those of `SpatialTower`.
SPATIAL: tuple[Rename, ...] = (
    (r"blocks\.(\d+)\.clip_attn\.in_proj_(weight|bias)", r"blocks.\1.attn.in_proj.\2"),
    (r"blocks\.(\d+)\.clip_((?:ln_1|ln_2|attn|mlp)\..+)", r"blocks.\1.\2"),
    (r"clip_((?:conv1|ln_pre|ln_post)\..+|class_embedding|positional_embedding)", r"\1"),
)
TEMPORAL = r"patch_embed\..+|blocks\.\d+\.(?:norm1|norm2|attn|mlp)\..+"  # called as in `TemporalTower`
TRAINED = (
    r"blocks\.\d+\.(?:[ST](?:_MLP)?_Adapter|cross_[st]_(?:down|up)|ln_[st]_cross|t2s_cross|s2t_cross)\..+"
    r"|vmae_fc_norm\..+|(?:noun|verb)_last_Adapter\..+|head(?:_verb|_noun)?\.(?:weight|bias)"
)


def is_cast(state: Mapping[str, Tensor]) -> bool:
    """Whether a checkpoint is one of CAST, with both experts in it."""
    return MARK in state


def expert_of_cast(state: Mapping[str, Tensor], stream: Stream) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Take an expert out of a checkpoint of CAST.

    Args:
        state: The tensors under their published names.
        stream: Whose expert it is.

    Returns:
        Its tensors under the names of its tower (and `ln_post.`) and whatever is unknown; and the names of the others,
        with the reason why they are not used.
    """
    own: dict[str, Tensor] = {}
    left_out: dict[str, str] = {}
    for name, tensor in state.items():
        of_tower = published_name(name, SPATIAL)
        role = "spatial" if of_tower != name else "temporal" if re.fullmatch(TEMPORAL, name) else None
        if re.fullmatch(TRAINED, name):
            left_out[name] = "what CAST has trained over its experts"
        elif role is None or role == stream:
            own[of_tower] = tensor
        else:
            left_out[name] = f"of the {role} expert"
    return own, left_out
