"""CAST: a spatial and a temporal expert, both frozen, that exchange in every block by bottleneck cross-attention.

CAST (Lee, Lee and Choi, NeurIPS 2023, "CAST: Cross-Attention in Space and Time for Video Action Recognition"). This is
the network by itself, of random weights, or of those that its authors have published. What the workflow trains is
`pipeline.recognition.cast_recognizer`, of the same pieces.

Shapes: B clips, F frames, H height, W width, D width of the experts, K classes.
"""

from collections.abc import Mapping

from torch import Tensor, nn

from pipeline.errors import PipelineError
from pipeline.recognition.cast_body import CastBody
from pipeline.recognition.cast_part import CastPart, Vectors
from pipeline.recognition.cast_plan import CastOptions, Exchange, Fusion, Window
from pipeline.recognition.published import Rename, published_name
from pipeline.recognition.towers.spatial import SpatialTower
from pipeline.recognition.towers.temporal import TemporalTower
from pipeline.weights.loading import differences

# The authors call what is of the spatial stream `clip`, `s` or `noun`, and of the temporal one `vmae`, `t` or `verb`.
RENAMES: tuple[Rename, ...] = (
    (r"body\.temporal\.(.+)", r"\1"),
    (r"body\.spatial\.blocks\.(\d+)\.attn\.in_proj\.(.+)", r"blocks.\1.clip_attn.in_proj_\2"),
    (r"body\.spatial\.blocks\.(\d+)\.(.+)", r"blocks.\1.clip_\2"),
    (r"body\.spatial\.(.+)", r"clip_\1"),
    (r"part\.blocks\.(\d+)\.after_attention\.spatial\.down\.(.+)", r"blocks.\1.S_Adapter.D_fc1.\2"),
    (r"part\.blocks\.(\d+)\.after_attention\.spatial\.up\.(.+)", r"blocks.\1.S_Adapter.D_fc2.\2"),
    (r"part\.blocks\.(\d+)\.after_attention\.temporal\.down\.(.+)", r"blocks.\1.T_Adapter.D_fc1.\2"),
    (r"part\.blocks\.(\d+)\.after_attention\.temporal\.up\.(.+)", r"blocks.\1.T_Adapter.D_fc2.\2"),
    (r"part\.blocks\.(\d+)\.beside_mlp\.spatial\.down\.(.+)", r"blocks.\1.S_MLP_Adapter.D_fc1.\2"),
    (r"part\.blocks\.(\d+)\.beside_mlp\.spatial\.up\.(.+)", r"blocks.\1.S_MLP_Adapter.D_fc2.\2"),
    (r"part\.blocks\.(\d+)\.beside_mlp\.temporal\.down\.(.+)", r"blocks.\1.T_MLP_Adapter.D_fc1.\2"),
    (r"part\.blocks\.(\d+)\.beside_mlp\.temporal\.up\.(.+)", r"blocks.\1.T_MLP_Adapter.D_fc2.\2"),
    (r"part\.blocks\.(\d+)\.exchange\.(down|up)\.spatial\.(.+)", r"blocks.\1.cross_s_\2.\3"),
    (r"part\.blocks\.(\d+)\.exchange\.(down|up)\.temporal\.(.+)", r"blocks.\1.cross_t_\2.\3"),
    (r"part\.blocks\.(\d+)\.exchange\.norm\.spatial\.(.+)", r"blocks.\1.ln_s_cross.\2"),
    (r"part\.blocks\.(\d+)\.exchange\.norm\.temporal\.(.+)", r"blocks.\1.ln_t_cross.\2"),
    (r"part\.blocks\.(\d+)\.exchange\.attention\.spatial\.own_places\.(.+)", r"blocks.\1.t2s_cross.clip_\2_pos"),
    (r"part\.blocks\.(\d+)\.exchange\.attention\.spatial\.other_places\.(.+)", r"blocks.\1.t2s_cross.vmae_\2_pos"),
    (r"part\.blocks\.(\d+)\.exchange\.attention\.spatial\.query\.weight", r"blocks.\1.t2s_cross.t2s_q.weight"),
    (r"part\.blocks\.(\d+)\.exchange\.attention\.spatial\.query\.bias", r"blocks.\1.t2s_cross.t2s_q_bias"),
    (r"part\.blocks\.(\d+)\.exchange\.attention\.spatial\.key_value\.weight", r"blocks.\1.t2s_cross.t2s_kv.weight"),
    (r"part\.blocks\.(\d+)\.exchange\.attention\.spatial\.key_value\.bias", r"blocks.\1.t2s_cross.t2s_kv_bias"),
    (r"part\.blocks\.(\d+)\.exchange\.attention\.spatial\.project\.(.+)", r"blocks.\1.t2s_cross.t2s_proj.\2"),
    (r"part\.blocks\.(\d+)\.exchange\.attention\.temporal\.own_places\.(.+)", r"blocks.\1.s2t_cross.vmae_\2_pos"),
    (r"part\.blocks\.(\d+)\.exchange\.attention\.temporal\.other_places\.(.+)", r"blocks.\1.s2t_cross.clip_\2_pos"),
    (r"part\.blocks\.(\d+)\.exchange\.attention\.temporal\.query\.weight", r"blocks.\1.s2t_cross.s2t_q.weight"),
    (r"part\.blocks\.(\d+)\.exchange\.attention\.temporal\.query\.bias", r"blocks.\1.s2t_cross.s2t_q_bias"),
    (r"part\.blocks\.(\d+)\.exchange\.attention\.temporal\.key_value\.weight", r"blocks.\1.s2t_cross.s2t_kv.weight"),
    (r"part\.blocks\.(\d+)\.exchange\.attention\.temporal\.key_value\.bias", r"blocks.\1.s2t_cross.s2t_kv_bias"),
    # The authors call this one `t2s_proj` as well.
    (r"part\.blocks\.(\d+)\.exchange\.attention\.temporal\.project\.(.+)", r"blocks.\1.s2t_cross.t2s_proj.\2"),
    (r"part\.norms\.spatial\.(.+)", r"clip_ln_post.\1"),
    (r"part\.norms\.temporal\.(.+)", r"vmae_fc_norm.\1"),
    (r"part\.last\.spatial\.down\.(.+)", r"noun_last_Adapter.D_fc1.\1"),
    (r"part\.last\.spatial\.up\.(.+)", r"noun_last_Adapter.D_fc2.\1"),
    (r"part\.last\.temporal\.down\.(.+)", r"verb_last_Adapter.D_fc1.\1"),
    (r"part\.last\.temporal\.up\.(.+)", r"verb_last_Adapter.D_fc2.\1"),
    (r"part\.heads\.class\.(.+)", r"head.\1"),
    (r"part\.heads\.(verb|noun)\.(.+)", r"head_\1.\2"),
)


class Cast(nn.Module):
    """CAST as in the paper, by default over ViT-B/16 of both experts.

    Its tensors are below `body.`, which is frozen, and `part.`, which is trained.

    Args:
        num_classes: K of one head; unused if there are verbs and nouns.
        num_verbs: Classes of the verb, told by the temporal expert (EPIC-Kitchens).
        num_nouns: Classes of the noun, told by the spatial expert.
        width: D.
        depth: Blocks of each expert.
        heads: Heads of their attention, and of the exchange.
        image_size: Side of the frames, H and W.
        patch_size: Side of a patch.
        frames: F.
        tubelet: Frames of a tubelet; the spatial expert sees the last one of each.
        activation: Of the spatial expert: `quick_gelu` or `gelu`.
        adapters: This and the following: see `CastOptions`.
        fusion: See `CastPart`; None for `by_head` with verbs and nouns, and for `added` otherwise.

    Raises:
        PipelineError: if the options and the sizes, or the heads, do not fit.
    """

    def __init__(
        self,
        num_classes: int = 174,
        num_verbs: int | None = None,
        num_nouns: int | None = None,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
        *,
        image_size: int = 224,
        patch_size: int = 16,
        frames: int = 16,
        tubelet: int = 2,
        activation: str = "quick_gelu",
        adapters: bool = True,
        exchange: Exchange = "both",
        t2s: Window = "time",
        s2t: Window = "space",
        positions: bool = True,
        ratio: float = 0.5,
        first_block: int = 1,
        fusion: Fusion | None = None,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        classes = {"class": num_classes}
        if num_verbs is not None or num_nouns is not None:
            if num_verbs is None or num_nouns is None:
                raise PipelineError("num_verbs and num_nouns belong together: give both or none")
            classes = {"verb": num_verbs, "noun": num_nouns}
        chosen: Fusion = fusion or ("added" if "class" in classes else "by_head")
        options = CastOptions(adapters, exchange, t2s, s2t, positions, ratio, first_block, chosen, drop_path)
        self.body = CastBody(
            SpatialTower(image_size, patch_size, width, heads, depth, activation),
            TemporalTower(image_size, patch_size, frames, tubelet, width, heads, depth),
        )
        self.part = CastPart(self.body, classes, options)

    def forward(self, x: Tensor, seeds: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        """Give logits `[B, K]`, or those of the verb and of the noun.

        Args:
            x: Clips normalised by ImageNet's mean and deviation, RGB, `[B, 3, F, H, W]`.
            seeds: A number of each clip `[B]`, from which drop path is drawn in training; without them nothing is
                dropped.
        """
        logits = self.part.logits(self._vectors(x, seeds))
        return logits["class"] if "class" in logits else (logits["verb"], logits["noun"])

    def vectors(self, x: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Give the normed vector of the spatial and of the temporal stream, `[B, D]`; None for one that nothing needs.

        Args:
            x: Normalised clips `[B, 3, F, H, W]`.
        """
        found = self._vectors(x)
        return found.get("spatial"), found.get("temporal")

    def num_trainable(self) -> int:
        """Number of parameters that are trained, on the meta device, too."""
        return sum(parameter.numel() for parameter in self.part.parameters())

    def load_published(self, state: Mapping[str, Tensor]) -> None:
        """Take over the tensors of a published checkpoint, under the names that the authors gave them.

        Raises:
            PipelineError: if a tensor is missing, unknown or of another shape.
        """
        own = self.state_dict()
        names = {published_name(name, RENAMES): name for name in own}
        found = differences(state, {published: own[name] for published, name in names.items()})
        if found:
            raise PipelineError(f"these tensors are not those of this CAST: {'; '.join(found)}")
        self.load_state_dict({names[published]: tensor for published, tensor in state.items()}, strict=True)
        self.eval()

    def _vectors(self, x: Tensor, seeds: Tensor | None = None) -> Vectors:
        tokens = self.part.tokens(self.body, self.part.front(self.body, x), seeds)
        return self.part.vectors(self.body, tokens)
