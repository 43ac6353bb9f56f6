"""The image tower of CLIP's ResNets (Radford et al. 2021, section 2.4), computed by fewer and larger operations.

The modules and their parameters are open_clip's. Three things are computed otherwise, to the same values:

- Feature maps have their channels last, as a convolution of one pixel, which is then a product of two matrices, and
  batch norm and pooling of small maps want them.
- The attention that pools the last map asks one question, that of the mean; open_clip asks one for each place, and
  takes the first answer. The keys and values of the mean are means of those of the places.
- A pooling of windows of one pixel is left out.

Shapes: B images, C channels, H height, W width, P = HW places of the last map, L = P + 1 places and, first, their mean;
A attention heads, D embedding.
"""

import torch
from open_clip.modified_resnet import AttentionPool2d, Bottleneck, ModifiedResNet
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.models.batch_norm import norm, norm_relu


def embed_images(tower: ModifiedResNet, images_BCHW: Tensor) -> Tensor:
    """Embed images as `tower(images_BCHW)` does.

    Args:
        tower: The image tower. In training mode its statistics of batch norm are updated. Norms that were folded into
            convolutions are `nn.Identity`.
        images_BCHW: Images in float, of the size that the tower takes.

    Returns:
        Embeddings [B, D].
    """
    x_BCHW = images_BCHW.contiguous(memory_format=torch.channels_last)
    for conv, layer in ((tower.conv1, tower.bn1), (tower.conv2, tower.bn2), (tower.conv3, tower.bn3)):
        x_BCHW = norm_relu(layer, conv(x_BCHW))
    x_BCHW = tower.avgpool(x_BCHW)
    for stage in (tower.layer1, tower.layer2, tower.layer3, tower.layer4):
        for block in stage:
            x_BCHW = _bottleneck(block, x_BCHW)
    return _attention_pool(tower.attnpool, x_BCHW)


def _bottleneck(block: Bottleneck, x_BCHW: Tensor) -> Tensor:
    y_BCHW = norm_relu(block.bn1, _mix_channels(block.conv1, x_BCHW))
    y_BCHW = norm_relu(block.bn2, block.conv2(y_BCHW))
    y_BCHW = _mix_channels(block.conv3, block.avgpool(y_BCHW))
    if block.downsample is not None:
        pool, conv, layer = block.downsample
        x_BCHW = norm(layer, _mix_channels(conv, pool(x_BCHW) if block.stride > 1 else x_BCHW))
    return norm_relu(block.bn3, y_BCHW, x_BCHW)


def _mix_channels(conv: nn.Conv2d, x_BCHW: Tensor) -> Tensor:
    """Apply a convolution of one pixel to a map whose channels lie last in memory."""
    return F.linear(x_BCHW.permute(0, 2, 3, 1), conv.weight.flatten(1), conv.bias).permute(0, 3, 1, 2)


def _attention_pool(pool: AttentionPool2d, x_BCHW: Tensor) -> Tensor:
    x_BPC = x_BCHW.permute(0, 2, 3, 1).flatten(1, 2)
    num_images, num_places, width = x_BPC.shape
    position_LC, num_heads = pool.positional_embedding, pool.num_heads
    # Positions are projected as further rows, because the gradient of a weight is then one product.
    rows = torch.cat([x_BPC.flatten(0, 1), position_LC.to(x_BPC.dtype)])

    def project(layer: nn.Linear) -> Tensor:
        own, position = torch.split(F.linear(rows, layer.weight), [num_images * num_places, num_places + 1])
        own_BPC = own.view(num_images, num_places, width)
        own_BLC = torch.cat([own_BPC.mean(1, keepdim=True), own_BPC], 1)
        return (own_BLC + (position + layer.bias)).view(num_images, -1, num_heads, width // num_heads)

    value_BLAX = project(pool.v_proj)
    if num_places == 1:
        # What the image adds to a key is the same for its one place and for the mean: softmax takes it out again.
        key_BLAX = pool.k_proj(position_LC)[None].unflatten(-1, (num_heads, -1))
    else:
        key_BLAX = project(pool.k_proj)
    query_BAX = pool.q_proj(x_BPC.mean(1) + position_LC[0]).unflatten(-1, (num_heads, -1))
    scores_BLA = (query_BAX[:, None] * key_BLAX).sum(-1) * key_BLAX.shape[-1] ** -0.5
    answer_BAX = (scores_BLA.softmax(1)[..., None] * value_BLAX).sum(1)
    embedding_BD: Tensor = pool.c_proj(answer_BAX.flatten(1))
    return embedding_BD
