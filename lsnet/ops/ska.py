"""``ska``: small-kernel aggregation as one torch operator, with a choice of implementations behind it."""

import importlib.util
from functools import cache
from typing import Literal, get_args

import torch
from torch import Tensor

from lsnet.ops.ska_reference import ska_reference
from lsnet.ops.ska_torch import ska_torch, ska_torch_backward

Backend = Literal["reference", "torch", "numba", "triton"]

FLOAT_TYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def ska(x: Tensor, w: Tensor, backend: Backend | None = None) -> Tensor:
    """Apply each pixel's own K×K kernel to its zero-padded neighbourhood.

    One operator, ``torch.ops.lsnet.ska``, to hooks, captum, ``torch.compile`` and ``torch.export``; ONNX export sees
    the standard operators that it is made of. Differentiable once with respect to both arguments; the reference,
    which is plain torch, as often as one likes.

    Args:
        x: features, (B, C, H, W), float16, bfloat16, float32 or float64; any strides.
        w: one kernel per pixel and kernel set, (B, G, K², H, W), in the dtype and on the device of ``x``; taps are
            row-major over the K×K window, K is odd, C is divisible by G. Channel ``c`` uses kernel set ``c % G``.
        backend: ``"reference"`` is the specification, ``"torch"`` runs anywhere, ``"numba"`` is the fast CPU path,
            ``"triton"`` the GPU kernels. ``None`` takes the fastest that can run. Sums are accumulated in float32,
            or float64 for float64 inputs, in all of them.

    Returns:
        (B, C, H, W), like ``x`` in dtype, device and memory format.

    Raises:
        TypeError: an argument is not a floating-point tensor, or the dtypes differ.
        ValueError: shapes or devices do not fit, or the backend named cannot run here; the message says why.

    Source: paper, equation (8).
    """
    _check(x, w)
    if torch.onnx.is_in_onnx_export():
        return ska_torch(x, w)
    if backend is None:
        return torch.ops.lsnet.ska(x, w, "auto")
    if backend not in get_args(Backend):
        raise ValueError(f"expected backend None or one of {get_args(Backend)}, got {backend!r}")
    reason = backend_refusal(backend, x, w)
    if reason is not None:
        raise ValueError(reason)
    if backend == "reference":
        return ska_reference(x, w)  # the specification differentiates by plain autograd
    return torch.ops.lsnet.ska(x, w, backend)


def backend_refusal(backend: Backend, x: Tensor, w: Tensor) -> str | None:
    """Say in one sentence why a backend cannot run on these tensors, or None where it can."""
    if backend == "numba":
        return _numba_refusal(x.device.type)
    if backend == "triton":
        from lsnet.ops.ska_triton import triton_refusal

        return triton_refusal(x, w)
    return None


def _check(x: Tensor, w: Tensor) -> None:
    for name, value in (("x", x), ("w", w)):
        if not isinstance(value, Tensor):
            raise TypeError(f"expected {name} to be a tensor, got {type(value).__name__}")
        if value.dtype not in FLOAT_TYPES:
            raise TypeError(f"expected {name} of dtype float16, bfloat16, float32 or float64, got {value.dtype}")
    if x.dtype != w.dtype:
        raise TypeError(f"expected x and w of one dtype, got {x.dtype} and {w.dtype}")
    if x.device != w.device:
        raise ValueError(f"expected x and w on one device, got {x.device} and {w.device}")
    if x.dim() != 4:
        raise ValueError(f"expected x of shape (B, C, H, W), got {tuple(x.shape)}")
    if w.dim() != 5:
        raise ValueError(f"expected w of shape (B, G, K*K, H, W), got {tuple(w.shape)}")
    if x.shape[0] != w.shape[0] or x.shape[2:] != w.shape[3:]:
        raise ValueError(f"expected w of batch and size like x {tuple(x.shape)}, got {tuple(w.shape)}")
    groups, taps = w.shape[1:3]
    if groups == 0 or x.shape[1] % groups != 0:
        raise ValueError(f"expected the {x.shape[1]} channels of x to be divisible by the {groups} kernel sets of w")
    kernel_size = round(taps**0.5)
    if kernel_size * kernel_size != taps or kernel_size % 2 == 0:
        raise ValueError(f"expected K*K taps with K odd (1, 9, 25, …), got {taps}")


@cache
def _numba_refusal(device_type: str) -> str | None:
    if device_type != "cpu":
        return f"the numba backend runs on CPU tensors, got tensors on {device_type}"
    if importlib.util.find_spec("numba") is None:
        return "the numba backend needs the package numba: pip install numba"
    return None


def _fastest(x: Tensor, w: Tensor) -> Backend:
    if x.device.type == "cpu":
        return "torch" if _numba_refusal("cpu") else "numba"
    return "torch" if backend_refusal("triton", x, w) else "triton"


@torch.library.custom_op("lsnet::ska", mutates_args=())
def _ska(x: Tensor, w: Tensor, backend: str) -> Tensor:
    if backend == "auto":
        backend = _fastest(x, w)
    if x.numel() == 0:
        return torch.empty_like(x)
    if backend == "numba":
        from lsnet.ops.ska_numba import ska_numba

        return _laid_out_like(ska_numba(x, w), x)
    if backend == "triton":
        from lsnet.ops.ska_triton import ska_triton

        return _laid_out_like(ska_triton(x, w), x)
    return _laid_out_like(ska_torch(x, w), x)


@torch.library.custom_op("lsnet::ska_backward", mutates_args=())
def _ska_backward(grad: Tensor, x: Tensor, w: Tensor, backend: str) -> tuple[Tensor, Tensor]:
    if backend == "auto":
        backend = _fastest(x, w)
    if x.numel() == 0:
        return torch.empty_like(x), torch.empty_like(w)
    if backend == "numba":
        from lsnet.ops.ska_numba import ska_numba_backward

        grads = ska_numba_backward(grad, x, w)
    elif backend == "triton":
        from lsnet.ops.ska_triton import ska_triton_backward

        grads = ska_triton_backward(grad, x, w)
    else:
        grads = ska_torch_backward(grad, x, w)
    return _laid_out_like(grads[0], x), _laid_out_like(grads[1], w)


def _laid_out_like(value: Tensor, like: Tensor) -> Tensor:
    """``value`` in the strides of ``torch.empty_like(like)``: what compiled graphs are told to expect."""
    strides = torch.empty_like(like, device="meta").stride()
    return value if value.stride() == strides else torch.empty_like(like).copy_(value)


@_ska.register_fake
def _(x: Tensor, w: Tensor, backend: str) -> Tensor:
    return torch.empty_like(x)


@_ska_backward.register_fake
def _(grad: Tensor, x: Tensor, w: Tensor, backend: str) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x), torch.empty_like(w)


def _remember(ctx: torch.autograd.function.FunctionCtx, inputs: tuple[Tensor, Tensor, str], output: Tensor) -> None:
    x, w, ctx.backend = inputs  # type: ignore[attr-defined]
    ctx.save_for_backward(x, w)


def _differentiate(
    ctx: torch.autograd.function.BackwardCFunction, grad: Tensor
) -> tuple[Tensor | None, Tensor | None, None]:
    grad_x, grad_w = torch.ops.lsnet.ska_backward(grad, *ctx.saved_tensors, ctx.backend)  # type: ignore[attr-defined]
    return grad_x, grad_w, None


_ska.register_autograd(_differentiate, setup_context=_remember)
