"""Split depthwise transpose attention: channels attend to channels, after small convolutions at several scales."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from timm.models import edgenext
from torch import Tensor, nn

from lsnet.mixers.taps import BlockKind, Tap


class SDTA(nn.Module):
    """EdgeNeXt's split depthwise transpose attention, without its inverted bottleneck and the residual connection.

    Channels are split into subsets; every one but the last goes through a depthwise 3×3 convolution together with what
    the one before it became, so that later ones see farther. Then attention between channels, whose weights come from
    the whole picture and belong to no token.

    Args:
        dim: channels C, divisible by ``num_heads``.
        scales: subsets of channels.
        num_heads: heads of the attention.

    Source: Maaz et al., "EdgeNeXt: Efficiently Amalgamated CNN-Transformer Architecture for Mobile Vision
    Applications", ECCVW 2022, section 3; attention and positional encoding are timm's. In the LSNet paper: table 5,
    "SDTA". The encoder's own MLP of ratio 4 is left out, since the block has its FFN: with it the network would have
    0.49 GMAC, where the paper prints 0.37. A batch norm in its place ends the branch, as in an LS conv.
    """

    kind: ClassVar[BlockKind] = "global"
    taps: ClassVar[Mapping[str, Tap]] = {}

    def __init__(self, dim: int, scales: int, num_heads: int = 8) -> None:
        super().__init__()
        self.scales = scales
        widths = [len(part) for part in torch.arange(dim).chunk(scales)]
        self.convs = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1, groups=width) for width in widths[:-1])
        self.pos_embd = edgenext.PositionalEncodingFourier(dim=dim)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.xca = edgenext.CrossCovarianceAttn(dim, num_heads, qkv_bias=True)
        self.gamma_xca = nn.Parameter(1e-6 * torch.ones(dim))
        self.bn = nn.BatchNorm2d(dim)

    def forward(self, x: Tensor) -> Tensor:
        subsets = x.chunk(self.scales, dim=1)
        outputs: list[Tensor] = []
        for conv, subset in zip(self.convs, subsets, strict=False):  # the last subset stays as it is
            outputs.append(conv(subset + outputs[-1] if outputs else subset))
        local = torch.cat([*outputs, subsets[-1]], dim=1) + self.pos_embd((len(x), *x.shape[2:]))
        tokens = local.flatten(2).transpose(1, 2)  # (B, N, C)
        tokens = tokens + self.gamma_xca * self.xca(self.norm(tokens))
        return self.bn(tokens.transpose(1, 2).reshape(x.shape))
