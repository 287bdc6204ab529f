"""SKA in plain torch, on any device: K² shifted multiply-adds, without the K²-fold copy that ``unfold`` makes."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor


def ska_torch(x: Tensor, w: Tensor) -> Tensor:
    """See :func:`lsnet.ops.ska_reference.ska_reference`. Made of standard operators only, so it exports anywhere."""
    padded, kernels = _grouped(x, w)
    height, width = x.shape[2:]
    y = None
    for tap, u, v in _taps(w):
        term = kernels[:, :, :, tap] * padded[..., u : u + height, v : v + width]
        y = term if y is None else y + term
    assert y is not None  # K is odd, so there is at least one tap
    return y.reshape(x.shape).to(x.dtype)


def ska_torch_backward(grad: Tensor, x: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of SKA.

    Args:
        grad: gradient of the output, (B, C, H, W).
        x: features, (B, C, H, W).
        w: kernels, (B, G, K², H, W).

    Returns:
        Gradients of ``x`` and ``w``, in their shapes and dtypes.
    """
    padded, kernels = _grouped(x, w)
    height, width = x.shape[2:]
    radius = (padded.shape[-1] - width) // 2
    grad = grad.to(padded.dtype).reshape(*padded.shape[:3], height, width)  # (B, C/G, G, H, W)
    grad_padded = torch.zeros_like(padded)
    grad_w = torch.empty(w.shape, dtype=padded.dtype, device=w.device)
    for tap, u, v in _taps(w):
        window = (..., slice(u, u + height), slice(v, v + width))
        grad_padded[window].addcmul_(grad, kernels[:, :, :, tap])
        grad_w[:, :, tap] = (grad * padded[window]).sum(1)
    grad_x = grad_padded[..., radius : radius + height, radius : radius + width]
    return grad_x.reshape(x.shape).to(x.dtype), grad_w.to(w.dtype)


def _grouped(x: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
    """Zero-padded features (B, C/G, G, H+2r, W+2r) and kernels (B, 1, G, K², H, W), in the accumulation dtype."""
    batch, channels, height, width = x.shape
    groups, taps = w.shape[1:3]
    radius = round(taps**0.5) // 2
    accumulate = torch.float64 if x.dtype == torch.float64 else torch.float32
    grouped = x.to(accumulate).reshape(batch, channels // groups, groups, height, width)
    return F.pad(grouped, (radius, radius, radius, radius)), w.to(accumulate).unsqueeze(1)


def _taps(w: Tensor) -> Iterator[tuple[int, int, int]]:
    """Tap index with its row and column in the K×K window."""
    kernel_size = round(w.shape[2] ** 0.5)
    for tap in range(w.shape[2]):
        yield tap, tap // kernel_size, tap % kernel_size
