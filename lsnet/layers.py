"""The layers that LSNet's blocks are built from, and how batch norms fold away for inference.

Attribute names such as ``c``, ``bn``, ``l`` and ``m`` are keys of the released checkpoints and stay as they are.
"""

from typing import Protocol, cast, runtime_checkable

import torch
from timm.layers import DropPath, trunc_normal_
from torch import Tensor, nn


class ConvNorm(nn.Sequential):
    """Convolution without bias, then batch norm; same-size padding for odd kernels.

    Args:
        in_dim, out_dim: channels.
        kernel_size: side in pixels, odd.
        stride: step in pixels.
        groups: channel groups of the convolution.
        norm_weight: initial scale of the norm; 0 makes a residual branch start as the identity.
    """

    def __init__(
        self, in_dim: int, out_dim: int, kernel_size: int = 1, stride: int = 1, groups: int = 1, norm_weight: float = 1
    ) -> None:
        super().__init__()
        self.c = nn.Conv2d(in_dim, out_dim, kernel_size, stride, kernel_size // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(out_dim)
        nn.init.constant_(self.bn.weight, norm_weight)

    @torch.no_grad()
    def fuse(self) -> nn.Conv2d:
        """The same map at inference as one convolution with bias."""
        conv = self.c
        scale, shift = _scale_and_shift(self.bn)
        fused = nn.utils.skip_init(
            nn.Conv2d,
            conv.in_channels,
            conv.out_channels,
            cast("tuple[int, int]", conv.kernel_size),
            cast("tuple[int, int]", conv.stride),
            cast("tuple[int, int]", conv.padding),
            groups=conv.groups,
            device=conv.weight.device,
            dtype=conv.weight.dtype,
        )
        fused.weight.copy_(conv.weight * scale[:, None, None, None])
        fused.bias.copy_(shift)
        return fused.train(self.training)


class NormLinear(nn.Sequential):
    """Batch norm, then a linear classifier.

    Args:
        in_dim: features.
        out_dim: classes.
    """

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm1d(in_dim)
        self.l = nn.Linear(in_dim, out_dim)
        trunc_normal_(self.l.weight, std=0.02)
        nn.init.zeros_(self.l.bias)

    @torch.no_grad()
    def fuse(self) -> nn.Linear:
        """The same map at inference as one linear layer."""
        scale, shift = _scale_and_shift(self.bn)
        weight = self.l.weight
        fused = nn.utils.skip_init(
            nn.Linear, weight.shape[1], weight.shape[0], device=weight.device, dtype=weight.dtype
        )
        fused.weight.copy_(weight * scale)
        fused.bias.copy_(self.l.bias + weight @ shift)
        return fused.train(self.training)


class FFN(nn.Module):
    """Channel mixing: 1×1 convolution to ``hidden_dim``, ReLU, 1×1 convolution back."""

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.pw1 = ConvNorm(dim, hidden_dim)
        self.act = nn.ReLU()
        self.pw2 = ConvNorm(hidden_dim, dim, norm_weight=0)

    def forward(self, x: Tensor) -> Tensor:
        return self.pw2(self.act(self.pw1(x)))


class Residual(nn.Module):
    """``x + m(x)``, with stochastic depth while training."""

    def __init__(self, m: nn.Module, drop_path: float = 0.0) -> None:
        super().__init__()
        self.m = m
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.drop_path(self.m(x))


@runtime_checkable
class Fusable(Protocol):
    """A module that has a simpler form at inference."""

    def fuse(self) -> nn.Module: ...


def fuse(model: nn.Module) -> None:
    """Replace, in place, every submodule that knows a fused form by it (``fuse()`` of the module)."""
    for name, child in model.named_children():
        if isinstance(child, Fusable):
            setattr(model, name, child.fuse())
        else:
            fuse(child)


def _scale_and_shift(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """A batch norm at inference is ``scale · x + shift``, per channel."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    return scale, norm.bias - norm.running_mean * scale
