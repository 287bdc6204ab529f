"""Contextual transformer: a dynamic kernel for every token, perceived from the token and its static context."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from lsnet.layers import ConvNorm
from lsnet.mixers.ls_conv import SKA
from lsnet.mixers.taps import BlockKind, Tap


class CoT(nn.Module):
    """Contextual transformer layer: a static and a dynamic context of each token, weighed channel by channel.

    Args:
        dim: channels C, divisible by 4 and by ``channels_per_set``.
        kernel_size: side of the windows of both contexts, in tokens.
        channels_per_set: C/G, channels that share a dynamic kernel.

    Source: Li et al., "Contextual Transformer Networks for Visual Recognition", TPAMI 2022, section 3,
    and the authors' code (github.com/JDAI-CV/CoTNet), whose aggregation uses kernel set ``c % G`` for channel c, like
    SKA. In the LSNet paper: table 6. A batch norm ends the branch, as in an LS conv.
    """

    kind: ClassVar[BlockKind] = "dynamic"
    taps: ClassVar[Mapping[str, Tap]] = {
        "inputs": Tap("ska", "input"),
        "context": Tap("key_embed"),
        "kernels": Tap("perceive"),
        "aggregated": Tap("ska"),
    }

    def __init__(self, dim: int, kernel_size: int = 3, channels_per_set: int = 8) -> None:
        super().__init__()
        self.kernel_large = self.kernel_small = kernel_size
        sets = dim // channels_per_set
        values = sets * kernel_size**2
        self.key_embed = nn.Sequential(ConvNorm(dim, dim, kernel_size, groups=4), nn.ReLU())
        self.perceive = nn.Sequential(
            ConvNorm(2 * dim, dim // 2),
            nn.ReLU(),
            nn.Conv2d(dim // 2, values, 1),
            nn.GroupNorm(sets, values),
            nn.Unflatten(1, (sets, kernel_size**2)),  # (B, G, K*K, H, W)
        )
        self.value_embed = ConvNorm(dim, dim)
        self.ska = SKA()
        self.norm = nn.BatchNorm2d(dim)
        self.act = nn.SiLU()
        hidden = max(dim // 2, 32)
        self.weigh = nn.Sequential(ConvNorm(dim, hidden), nn.ReLU(), nn.Conv2d(hidden, 2 * dim, 1))
        self.bn = nn.BatchNorm2d(dim)

    def forward(self, x: Tensor) -> Tensor:
        static = self.key_embed(x)
        kernels = self.perceive(torch.cat((x, static), dim=1))
        dynamic = self.act(self.norm(self.ska(self.value_embed(x), kernels)))
        contexts = torch.stack((dynamic, static), dim=2)  # (B, C, 2, H, W)
        pooled = contexts.sum(2).mean((2, 3), keepdim=True)
        weights = self.weigh(pooled).unflatten(1, (-1, 2)).softmax(dim=2)  # (B, C, 2, 1, 1)
        return self.bn((contexts * weights).sum(2)) + x
