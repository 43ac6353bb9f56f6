"""All tokens of a caption as CLIP's text tower sees them, of which retrieval needs the last one alone.

Shapes: B captions, L tokens, M width of the text tower, D embedding.
"""

import math

import torch
from torch import Tensor

from pipeline.models.clip4clip import Clip4Clip


@torch.inference_mode()
def embed_words(module: Clip4Clip, tokens_BL: Tensor) -> Tensor:
    """Embed every token of captions: after the last layer norm, projected, as the end token is (`encode_text`).

    Args:
        module: The towers.
        tokens_BL: Ids from `tokenize`, L at most the context length.

    Returns:
        Embeddings [B, L, D], not L2-normalised; those behind the end token mean nothing.
    """
    num_tokens = tokens_BL.shape[1]
    x_BLM = module.token_embedding(tokens_BL) + module.positional_embedding[:num_tokens]
    mask_LL = torch.full((num_tokens, num_tokens), -math.inf, device=x_BLM.device).triu(1)
    for block in module.transformer.resblocks:
        x_BLM = block(x_BLM, attn_mask=mask_LL)
    words_BLD: Tensor = module.ln_final(x_BLM) @ module.text_projection
    return words_BLD
