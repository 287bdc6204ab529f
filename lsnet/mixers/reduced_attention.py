"""Attention to a picture reduced to a fixed number of tokens."""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from timm.models import pvt_v2
from torch import Tensor, nn

from lsnet.mixers.taps import BlockKind, Grid, Tap


class LinearSRA(nn.Module):
    """Linear spatial-reduction attention: all tokens attend to 7×7 averages of the picture, at a cost linear in N.

    Without the residual connection.

    Args:
        dim: channels C, divisible by ``num_heads``.
        num_heads: heads of C / num_heads channels.

    Source: Wang et al., "PVT v2: Improved Baselines with Pyramid Vision Transformer", CVMJ 2022, section 3; the
    module is timm's. In the LSNet paper: table 5, "LSRA [85]", which section 2 spells out as "linear spatial reduction
    attention". It is not the long-short range attention of the Lite Transformer, whose abbreviation is the same.
    """

    kind: ClassVar[BlockKind] = "attention"

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.attn = pvt_v2.Attention(dim, num_heads, linear_attn=True)
        self.attn.fused_attn = False  # type: ignore[misc]  # the fused kernel does not show its attention

    @property
    def taps(self) -> Mapping[str, Tap]:
        return {"attention": Tap("attn.attn_drop", arrange=self.spread)}

    def spread(self, attention: Tensor, grid: Grid) -> Tensor:
        """Attention to averages, (B, heads, N, 49), as attention to the tokens averaged, (B, heads, N, N)."""
        assert self.attn.pool is not None
        count = grid[0] * grid[1]
        each = torch.eye(count, dtype=attention.dtype, device=attention.device).view(count, 1, *grid)
        shares = F.adaptive_avg_pool2d(each, self.attn.pool.output_size).flatten(1)  # (N, 49), of each average
        return attention @ shares.T

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.norm(x.flatten(2).transpose(1, 2))  # (B, N, C)
        return self.attn(tokens, x.shape[2:]).transpose(1, 2).reshape(x.shape)
