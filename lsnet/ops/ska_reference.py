"""Small-kernel aggregation (SKA), written to be read: the specification of every faster path."""

import torch
import torch.nn.functional as F
from torch import Tensor


def ska_reference(x: Tensor, w: Tensor) -> Tensor:
    """Apply each pixel's own K×K kernel to its zero-padded neighbourhood.

    ``y[b, c, i, j] = Σ_{u, v} w[b, c % G, u·K + v, i, j] · x[b, c, i + u - K//2, j + v - K//2]``

    Accumulates in float32, or float64 where an input is float64. Differentiable by autograd, twice if need be.

    Args:
        x: features, (B, C, H, W).
        w: one kernel per pixel and kernel set, (B, G, K², H, W); taps row-major over the K×K window, K odd.
            Channel ``c`` uses kernel set ``c % G``.

    Returns:
        (B, C, H, W) in the dtype of ``x``.

    Source: paper, equation (8); the interleaved channel groups follow the authors' released code.
    """
    channels, height, width = x.shape[1:]
    groups, taps = w.shape[1:3]
    kernel_size = round(taps**0.5)
    radius = kernel_size // 2
    accumulate = torch.float64 if x.dtype == torch.float64 else torch.float32
    padded = F.pad(x.to(accumulate), (radius, radius, radius, radius))
    kernels = w.to(accumulate).repeat(1, channels // groups, 1, 1, 1)  # (B, C, K*K, H, W): set c % G at channel c
    y = torch.zeros_like(x, dtype=accumulate)
    for u in range(kernel_size):
        for v in range(kernel_size):
            neighbour = padded[:, :, u : u + height, v : v + width]
            y = y + kernels[:, :, u * kernel_size + v] * neighbour
    return y.to(x.dtype)
