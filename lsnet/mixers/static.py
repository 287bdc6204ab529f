"""Mixers whose weights are the same everywhere and on every picture, and the one that does nothing."""

import copy
from collections.abc import Mapping
from typing import ClassVar

import torch
from timm.models import fastvit
from torch import Tensor, nn

from lsnet.layers import ConvNorm
from lsnet.mixers.taps import BlockKind, Tap


class RepVggDw(nn.Module):
    """Depthwise 3×3 and 1×1 branches and the identity, which fold into one depthwise convolution for inference."""

    kind: ClassVar[BlockKind] = "dw"
    taps: ClassVar[Mapping[str, Tap]] = {}
    kernel_large: ClassVar[int] = 0
    kernel_small: ClassVar[int] = 3

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv = ConvNorm(dim, dim, 3, groups=dim)
        self.conv1 = ConvNorm(dim, dim, 1, groups=dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) + self.conv1(x) + x

    @torch.no_grad()
    def fuse(self) -> nn.Conv2d:
        fused, pointwise = self.conv.fuse(), self.conv1.fuse()
        assert fused.bias is not None
        assert pointwise.bias is not None
        fused.weight[:, :, 1, 1] += pointwise.weight[:, :, 0, 0] + 1
        fused.bias += pointwise.bias
        return fused


class StaticConv(nn.Module):
    """Depthwise convolution with one fixed kernel per channel: an LS conv whose kernels are not dynamic."""

    kind: ClassVar[BlockKind] = "dw"
    taps: ClassVar[Mapping[str, Tap]] = {}
    kernel_large: ClassVar[int] = 0

    def __init__(self, dim: int, kernel_size: int = 3) -> None:
        super().__init__()
        self.kernel_small = kernel_size
        self.conv = ConvNorm(dim, dim, kernel_size, groups=dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) + x


class RepMixer(nn.Module):
    """FastViT's token mixer, timm's module: ``x + γ · (mix(norm(x)) - norm(x))``, which folds into one convolution.

    Args:
        dim: channels.
        kernel_size: side of the depthwise kernel in tokens.

    Source: Vasu et al., "FastViT: A Fast Hybrid Vision Transformer using Structural Reparameterization", ICCV 2023,
    section 3.2.1. In the LSNet paper: table 5.
    """

    kind: ClassVar[BlockKind] = "dw"
    taps: ClassVar[Mapping[str, Tap]] = {}
    kernel_large: ClassVar[int] = 0

    def __init__(self, dim: int, kernel_size: int = 3) -> None:
        super().__init__()
        self.kernel_small = kernel_size
        self.m = fastvit.RepMixer(dim, kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.m(x)

    @torch.no_grad()
    def fuse(self) -> nn.Conv2d:
        folding = copy.deepcopy(self.m)  # timm folds in place, and makes the new layer where tensors are made
        with next(self.parameters()).device:
            folding.reparameterize()
        return folding.reparam_conv.train(self.training)
