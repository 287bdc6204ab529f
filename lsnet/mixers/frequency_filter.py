"""Adaptive frequency filters: one circular kernel as large as the picture, made from the picture."""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lsnet.mixers.taps import BlockKind, Grid, Tap


class ComplexGroupLinear(nn.Module):
    """Complex 1×1 convolution in channel groups, on real and imaginary parts.

    Args:
        dim: channels in and out, divisible by ``groups``.
        groups: channel groups.
    """

    def __init__(self, dim: int, groups: int) -> None:
        super().__init__()
        width = dim // groups
        self.weight = nn.Parameter(0.02 * torch.randn(2, groups, width, width))
        self.bias = nn.Parameter(0.02 * torch.randn(2, dim))

    def forward(self, real: Tensor, imaginary: Tensor) -> tuple[Tensor, Tensor]:
        """Two maps (B, C, H, W) to two."""
        weight, bias = self.weight.to(real.dtype), self.bias.to(real.dtype)[:, :, None, None]

        def times(x: Tensor, w: Tensor) -> Tensor:
            return torch.einsum("bgihw,gio->bgohw", x.unflatten(1, (len(w), -1)), w).flatten(1, 2)

        return (
            times(real, weight[0]) - times(imaginary, weight[1]) + bias[0],
            times(imaginary, weight[0]) + times(real, weight[1]) + bias[1],
        )


class FilterPerception(nn.Module):
    """Reads a spectrum and predicts, for each frequency and channel, what to multiply it with.

    Args:
        dim: channels.
        groups: channel groups of the two complex 1×1 convolutions.
        threshold: real and imaginary parts are shrunk towards zero by this much.
    """

    def __init__(self, dim: int, groups: int, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold
        self.fc1 = ComplexGroupLinear(dim, groups)
        self.act = nn.ReLU()
        self.act_imaginary = nn.ReLU()
        self.fc2 = ComplexGroupLinear(dim, groups)

    def forward(self, spectrum: Tensor) -> Tensor:
        """Complex (B, C, H, W // 2 + 1) to complex factors of that shape."""
        real, imaginary = self.fc1(spectrum.real, spectrum.imag)
        real, imaginary = self.fc2(self.act(real), self.act_imaginary(imaginary))
        return torch.complex(F.softshrink(real, self.threshold), F.softshrink(imaginary, self.threshold))


class CircularFilter(nn.Module):
    """Multiplies a spectrum and turns back to the picture: a circular convolution, as a module to be observed."""

    def forward(self, spectrum: Tensor, factors: Tensor, grid: Grid) -> Tensor:
        """Two complex (B, C, H, W // 2 + 1) to real (B, C, H, W)."""
        return torch.fft.irfft2(spectrum * factors, s=grid, norm="ortho")


class AFF(nn.Module):
    """Adaptive frequency filter: perception in the frequency domain, aggregation over the whole picture, circularly.

    Without the residual connection around the norm; the one around the filter is part of the source.

    Args:
        dim: channels, divisible by ``groups``.
        groups: channel groups in which frequencies are looked at.
        threshold: shrinkage of the factors, which makes them sparse.

    Source: Huang et al., "Adaptive Frequency Filters As Efficient Global Token Mixers", ICCV 2023, section 3, and the
    authors' code (github.com/microsoft/TokenMixers). In the LSNet paper: table 5, "AFF".
    """

    kind: ClassVar[BlockKind] = "global"

    def __init__(self, dim: int, groups: int = 8, threshold: float = 0.01) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, dim)
        self.perceive = FilterPerception(dim, groups, threshold)
        self.aggregate = CircularFilter()

    @property
    def taps(self) -> Mapping[str, Tap]:
        return {
            "inputs": Tap("norm"),
            "filters": Tap("perceive", arrange=self.filters),
            "aggregated": Tap("aggregate"),
        }

    @staticmethod
    def filters(factors: Tensor, grid: Grid) -> Tensor:
        """Factors in the frequency domain as kernels on the grid, (B, C, H, W)."""
        return torch.fft.irfft2(factors, s=grid)

    def forward(self, x: Tensor) -> Tensor:
        z = self.norm(x)
        precise = z.double() if z.dtype == torch.float64 else z.float()  # half has no Fourier transform on the CPU
        spectrum = torch.fft.rfft2(precise, norm="ortho")
        mixed = self.aggregate(spectrum, self.perceive(spectrum), (x.shape[2], x.shape[3]))
        return z + mixed.to(z.dtype)
