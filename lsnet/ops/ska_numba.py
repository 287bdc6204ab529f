"""SKA made for speed on the CPU: compiled loops that stay in the first-level cache. Imported on first use.

For one image and kernel set, every channel is copied K times, once per horizontal tap offset, with zeros where the
window leaves the picture. After that each tap is a plain run over contiguous memory,
``y[p] += w[tap, p] · row[p + Δ]``, which LLVM turns into vector multiply-adds: no border case is left in the inner
loop. The gradients are the adjoint of the same two steps.

Threads come from a pool of our own: the compiled loops release the GIL and, unlike numba's threading layers, a pool
may be entered from several server threads at once and needs no OpenMP runtime.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

# Below this many multiply-adds per thread, handing work to the pool costs more than it saves.
MIN_WORK_PER_THREAD = 400_000


def ska_numba(x: Tensor, w: Tensor) -> Tensor:
    """See :func:`lsnet.ops.ska_reference.ska_reference`."""
    features, kernels = _arrays(x, w)
    y = np.empty_like(features)
    _in_parallel(_forward, features, kernels, y)
    return torch.from_numpy(y).to(x.dtype)


def ska_numba_backward(grad: Tensor, x: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
    """See :func:`lsnet.ops.ska_torch.ska_torch_backward`."""
    features, kernels, grad_y = _arrays(x, w, grad)
    grad_x, grad_w = np.empty_like(features), np.empty_like(kernels)
    _in_parallel(_backward, features, kernels, grad_y, grad_x, grad_w)
    return torch.from_numpy(grad_x).to(x.dtype), torch.from_numpy(grad_w).to(w.dtype)


def _arrays(x: Tensor, *others: Tensor) -> list[np.ndarray]:
    """The tensors as contiguous arrays in the accumulation dtype, copied only where they are not that already."""
    accumulate = torch.float64 if x.dtype == torch.float64 else torch.float32
    return [tensor.detach().to(accumulate).contiguous().numpy() for tensor in (x, *others)]


def _in_parallel(kernel: Callable[..., None], features: np.ndarray, kernels: np.ndarray, *arrays: np.ndarray) -> None:
    """Split the B·G independent (image, kernel set) pairs over as many threads as torch uses."""
    pairs = kernels.shape[0] * kernels.shape[1]
    work = features.size * kernels.shape[2]
    threads = min(torch.get_num_threads(), work // MIN_WORK_PER_THREAD, pairs)
    if threads <= 1:
        kernel(features, kernels, *arrays, 0, pairs)
        return
    bounds = [pairs * part // threads for part in range(threads + 1)]
    jobs = [
        _pool(threads).submit(kernel, features, kernels, *arrays, start, stop) for start, stop in pairwise(bounds[1:])
    ]
    kernel(features, kernels, *arrays, 0, bounds[1])
    for job in jobs:
        job.result()


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads - 1, thread_name_prefix="ska")


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    # Fused multiply-adds are allowed; nothing that would change how inf and nan behave.
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # nowhere to write the cache: compile anew in each process
        return numba.njit(**options)(function)


@_compiled
def _shift_columns(picture, width, radius, lines):  # type: ignore[no-untyped-def]
    """Write K copies of a flat picture into ``lines``, copy v moved by v - radius columns, zeros coming in.

    ``picture``: (H·W,). ``lines``: (K, (H + 2·radius)·W), whose first and last ``radius`` rows stay zero.
    """
    pixels = picture.size
    for v in range(2 * radius + 1):
        offset = v - radius
        line = lines[v, radius * width : radius * width + pixels]
        source, target = picture[max(offset, 0) :], line[max(-offset, 0) :]
        for p in range(pixels - abs(offset)):
            target[p] = source[p]
        _zero_columns(line, width, offset)


@_compiled
def _unshift_columns(lines, width, radius, picture):  # type: ignore[no-untyped-def]
    """The adjoint of :func:`_shift_columns`: sum the K copies back into ``picture``. Clears the copies' borders."""
    pixels = picture.size
    picture[:] = 0
    for v in range(2 * radius + 1):
        offset = v - radius
        line = lines[v, radius * width : radius * width + pixels]
        _zero_columns(line, width, offset)
        source, target = line[max(-offset, 0) :], picture[max(offset, 0) :]
        for p in range(pixels - abs(offset)):
            target[p] += source[p]


@_compiled
def _zero_columns(line, width, offset):  # type: ignore[no-untyped-def]
    """Zero the columns of a flat picture that a move by ``offset`` columns fills from outside."""
    first, last = (0, min(-offset, width)) if offset < 0 else (max(width - offset, 0), width)
    for start in range(0, line.size, width):
        for j in range(first, last):
            line[start + j] = 0


@_compiled
def _forward(x, w, y, start, stop):  # type: ignore[no-untyped-def]
    """Aggregate the pairs ``start … stop`` of the B·G (image, kernel set) pairs into ``y``."""
    channels, height, width = x.shape[1:]
    groups, taps = w.shape[1:3]
    size = int(taps**0.5 + 0.5)
    pixels = height * width
    lines = np.zeros((size, (height + size - 1) * width), x.dtype)
    for pair in range(start, stop):
        b, g = pair // groups, pair % groups
        kernels = w[b, g].reshape(taps, pixels)
        for c in range(g, channels, groups):
            _shift_columns(x[b, c].reshape(pixels), width, size // 2, lines)
            out = y[b, c].reshape(pixels)
            out[:] = 0
            for tap in range(taps):
                kernel, neighbour = kernels[tap], lines[tap % size, tap // size * width :]
                for p in range(pixels):
                    out[p] += kernel[p] * neighbour[p]


@_compiled
def _backward(x, w, grad_y, grad_x, grad_w, start, stop):  # type: ignore[no-untyped-def]
    """Gradients for the pairs ``start … stop`` of the B·G (image, kernel set) pairs."""
    channels, height, width = x.shape[1:]
    groups, taps = w.shape[1:3]
    size = int(taps**0.5 + 0.5)
    pixels = height * width
    lines = np.zeros((size, (height + size - 1) * width), x.dtype)
    grad_lines = np.zeros_like(lines)
    for pair in range(start, stop):
        b, g = pair // groups, pair % groups
        kernels = w[b, g].reshape(taps, pixels)
        grad_kernels = grad_w[b, g].reshape(taps, pixels)
        grad_kernels[:] = 0
        for c in range(g, channels, groups):
            _shift_columns(x[b, c].reshape(pixels), width, size // 2, lines)
            grad_lines[:] = 0
            grad = grad_y[b, c].reshape(pixels)
            for tap in range(taps):
                place = tap // size * width
                kernel, neighbour = kernels[tap], lines[tap % size, place:]
                grad_kernel, grad_neighbour = grad_kernels[tap], grad_lines[tap % size, place:]
                for p in range(pixels):
                    grad_kernel[p] += grad[p] * neighbour[p]
                    grad_neighbour[p] += grad[p] * kernel[p]
            _unshift_columns(grad_lines, width, size // 2, grad_x[b, c].reshape(pixels))
