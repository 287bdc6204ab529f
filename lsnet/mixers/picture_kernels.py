"""Dynamic convolutions whose kernels are made from the whole picture, and are the same for all of its tokens."""

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lsnet.layers import ConvNorm
from lsnet.mixers.taps import BlockKind, Grid, Tap


class PictureConv(nn.Module):
    """A depthwise convolution with kernels for one picture: global perception, small aggregation.

    The four of the LSNet paper's table 6 differ in how they perceive. That theirs are depthwise follows from the MACs
    printed: dense 3×3 ones would have 0.43 GMAC, and even 1×1 ones more than 0.29.

    Args:
        dim: channels C.
        perceive: (B, C, H, W) to kernels (B, C, K, K).
        kernel_small: K, in tokens.
    """

    kind: ClassVar[BlockKind] = "dynamic"
    kernel_large: ClassVar[int] = 0  # no window: the whole picture

    def __init__(self, dim: int, perceive: nn.Module, kernel_small: int) -> None:
        super().__init__()
        self.kernel_small = kernel_small
        self.perceive = perceive
        self.aggregate = DepthwiseConv()
        self.bn = nn.BatchNorm2d(dim)

    @property
    def taps(self) -> Mapping[str, Tap]:
        return {
            "inputs": Tap("", "input"),
            "kernels": Tap("perceive", arrange=self.everywhere),
            "aggregated": Tap("aggregate"),
        }

    @staticmethod
    def everywhere(kernels: Tensor, grid: Grid) -> Tensor:
        """Kernels (B, C, K, K) of a picture as those of all its tokens, (B, C, K², H, W)."""
        return kernels.flatten(2)[..., None, None].expand(-1, -1, -1, *grid)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.aggregate(x, self.perceive(x))) + x


class DepthwiseConv(nn.Module):
    """Depthwise convolution of each picture with its own kernels, as a module, so that its output can be observed."""

    def forward(self, x: Tensor, kernels: Tensor) -> Tensor:
        """(B, C, H, W) and (B, C, K, K) to (B, C, H, W)."""
        pictures = x.flatten(0, 1)[None]  # (1, B · C, H, W): a batch of kernels is a matter of groups
        weight = kernels.to(x.dtype).flatten(0, 1)[:, None]
        mixed = F.conv2d(pictures, weight, padding=kernels.shape[-1] // 2, groups=len(weight))
        return mixed.view(x.shape)


class Experts(nn.Module):
    """Kernels that are sums of a few learned ones, weighed by a route through the picture's mean.

    Args:
        dim: channels C.
        kernel_size: K, in tokens.
        count: learned kernels per channel.
        route: (B, C) to weights (B, count).
    """

    def __init__(self, dim: int, kernel_size: int, count: int, route: nn.Module) -> None:
        super().__init__()
        self.route = route
        self.weight = depthwise_kernels(count, dim, kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("be,eckl->bckl", self.route(x.mean((2, 3))), self.weight)


class CondConv(PictureConv):
    """Conditionally parameterized convolution: eight experts, each switched by a sigmoid.

    Source: Yang et al., "CondConv: Conditionally Parameterized Convolutions for Efficient Inference", NeurIPS 2019,
    section 3. In the LSNet paper: table 6.
    """

    def __init__(self, dim: int, kernel_small: int = 3, experts: int = 8) -> None:
        route = nn.Sequential(nn.Linear(dim, experts), nn.Sigmoid())
        super().__init__(dim, Experts(dim, kernel_small, experts, route), kernel_small)


class DYConv(PictureConv):
    """Dynamic convolution: four kernels under attention.

    The softmax stays as flat as the source recommends for the start of training; its temperature is not annealed.

    Source: Chen et al., "Dynamic Convolution: Attention over Convolution Kernels", CVPR 2020, section 3. In the LSNet
    paper: table 6, "DY-Conv".
    """

    def __init__(self, dim: int, kernel_small: int = 3, kernels: int = 4, temperature: float = 30.0) -> None:
        route = nn.Sequential(
            nn.Linear(dim, dim // 4), nn.ReLU(), nn.Linear(dim // 4, kernels), TemperedSoftmax(temperature)
        )
        super().__init__(dim, Experts(dim, kernel_small, kernels, route), kernel_small)


class TemperedSoftmax(nn.Module):
    """Softmax over the last dimension of logits divided by a temperature."""

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, logits: Tensor) -> Tensor:
        return (logits / self.temperature).softmax(dim=-1)


class ODConv(PictureConv):
    """Omni-dimensional dynamic convolution: attention over kernels, over the window's taps, and over channels.

    Source: Li et al., "Omni-Dimensional Dynamic Convolution", ICLR 2022, section 3, with four kernels, and the
    authors' code (github.com/OSVAI/ODConv), where filters of a depthwise convolution are its input channels, so that
    one of the four attentions falls away. In the LSNet paper: table 6.
    """

    def __init__(self, dim: int, kernel_small: int = 3, kernels: int = 4) -> None:
        super().__init__(dim, OmniPerception(dim, kernel_small, kernels), kernel_small)


class OmniPerception(nn.Module):
    """The kernels of an omni-dimensional dynamic convolution.

    Args:
        dim: channels C.
        kernel_size: K, in tokens.
        count: learned kernels per channel.
    """

    def __init__(self, dim: int, kernel_size: int, count: int) -> None:
        super().__init__()
        hidden = max(dim // 16, 16)
        self.squeeze = nn.Sequential(ConvNorm(dim, hidden), nn.ReLU())
        self.channel = nn.Conv2d(hidden, dim, 1)
        self.spatial = nn.Conv2d(hidden, kernel_size**2, 1)
        self.kernel = nn.Conv2d(hidden, count, 1)
        self.weight = depthwise_kernels(count, dim, kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        pooled = self.squeeze(x.mean((2, 3), keepdim=True))  # (B, hidden, 1, 1)
        channel = self.channel(pooled).sigmoid()  # (B, C, 1, 1)
        spatial = self.spatial(pooled).sigmoid().view(len(x), 1, *self.weight.shape[2:])  # (B, 1, K, K)
        kernel = self.kernel(pooled).flatten(1).softmax(dim=1)  # (B, count)
        return channel * spatial * torch.einsum("be,eckl->bckl", kernel, self.weight)


class DCD(PictureConv):
    """Dynamic convolution decomposition: a static kernel scaled by channel, plus a mix of latent kernel elements.

    Source: Li et al., "Revisiting Dynamic Convolution via Matrix Decomposition", ICLR 2021, section 4, with ⌊K²/2⌋
    latent elements and the hard sigmoid of the authors' code (github.com/liyunsheng13/dcd). In the LSNet paper: table
    6.
    """

    def __init__(self, dim: int, kernel_small: int = 3) -> None:
        super().__init__(dim, DecomposedPerception(dim, kernel_small), kernel_small)


class DecomposedPerception(nn.Module):
    """Kernels ``Λ(x) W + P Φ(x) Rᵀ``: Λ scales channels, Φ fuses latent kernel elements.

    Args:
        dim: channels C.
        kernel_size: K, in tokens.
    """

    def __init__(self, dim: int, kernel_size: int) -> None:
        super().__init__()
        taps, hidden = kernel_size**2, max(dim // 16, 4)
        self.latent = max(taps // 2, 1)
        self.branch = nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, dim + self.latent**2))
        self.weight = depthwise_kernels(1, dim, kernel_size)
        self.p = nn.Parameter(torch.randn(dim, self.latent) / math.sqrt(self.latent))
        self.r = nn.Parameter(torch.randn(taps, self.latent) / math.sqrt(taps))

    def forward(self, x: Tensor) -> Tensor:
        scale, fusion = self.branch(x.mean((2, 3))).split((x.shape[1], self.latent**2), dim=1)
        scale = 2 * F.hardsigmoid(scale)[:, :, None, None]  # (B, C, 1, 1), 1 for an indifferent branch
        fused = self.p @ fusion.unflatten(1, (self.latent, self.latent)) @ self.r.T  # (B, C, K*K)
        return scale * self.weight + fused.view(len(x), *self.weight.shape[1:])


def depthwise_kernels(count: int, dim: int, size: int) -> nn.Parameter:
    """Learned kernels (count, dim, size, size), begun like those of ``nn.Conv2d``."""
    return nn.Parameter(torch.empty(count, dim, size, size).uniform_(-1, 1) / size)
