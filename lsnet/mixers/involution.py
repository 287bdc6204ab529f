"""Involution: a dynamic kernel for every token, perceived from that token alone."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from lsnet.layers import ConvNorm
from lsnet.mixers.ls_conv import SKA
from lsnet.mixers.taps import BlockKind, Tap


class Involution(nn.Module):
    """An LS conv the other way round: it perceives one token, and aggregates a large window.

    Args:
        dim: channels C, divisible by ``channels_per_set`` and ``reduction``.
        kernel_small: side of the aggregation window in tokens.
        channels_per_set: C/G, channels that share a kernel.
        reduction: hidden channels of the perception are C / reduction.

    Source: Li et al., "Involution: Inverting the Inherence of Convolution for Visual Recognition", CVPR 2021, section
    3; defaults of RedNet in the authors' code. In the LSNet paper: table 6. Channel c uses kernel set
    ``c % G`` as in an LS conv, where the original gives neighbouring channels one set: the same up to their order.
    """

    kind: ClassVar[BlockKind] = "dynamic"
    taps: ClassVar[Mapping[str, Tap]] = {
        "inputs": Tap("ska", "input"),
        "kernels": Tap("perceive"),
        "aggregated": Tap("ska"),
    }
    kernel_large: ClassVar[int] = 1

    def __init__(self, dim: int, kernel_small: int = 7, channels_per_set: int = 16, reduction: int = 4) -> None:
        super().__init__()
        self.kernel_small = kernel_small
        sets, hidden = dim // channels_per_set, dim // reduction
        self.perceive = nn.Sequential(
            ConvNorm(dim, hidden),
            nn.ReLU(),
            nn.Conv2d(hidden, sets * kernel_small**2, 1),
            nn.Unflatten(1, (sets, kernel_small**2)),  # (B, G, K*K, H, W)
        )
        self.ska = SKA()
        self.bn = nn.BatchNorm2d(dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.ska(x, self.perceive(x))) + x
