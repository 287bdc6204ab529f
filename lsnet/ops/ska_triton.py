"""Small-kernel aggregation on the GPU: one Triton kernel forward, one backward. The only file that imports Triton.

SKA moves many more bytes than it multiplies, so both kernels are built around reading memory once:

* A program owns a tile of pixels of one image and all channels of a group. The channels of a group share their kernels,
  so each tap's weights are loaded once and used for every channel of the group (8 in LSNet).
* A thread keeps one or two pixels: rows, columns and border tests are worked out once, not once per channel and tap.
* The K² shifted reads of a tile overlap. They come out of L1, and the border shared with the next tile out of L2.
* Every sum is gathered by the program that stores it: no atomics, so results repeat bit for bit.

Inside, features are (B, C/G, G, H*W) and kernels (B, K², G, H*W), both reached through strides, which cost next to
nothing: slices, expanded gradients and ``channels_last`` are read in place. Only where rows do not follow one another
in memory, as in a spatial crop, is a copy made: such tensors are rare, and with a single pixel axis the taps of a row
are constant distances apart, which the GPU adds for free.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"
# (Triton types a kernel's arguments itself, at each call.)

import functools

import torch
from torch import Tensor

try:
    import triton
    import triton.language as tl
except ImportError:  # there is no Triton for some platforms; triton_refusal says so
    triton = None

DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)

if triton is not None:
    # Strides and sizes are not specialised on being multiples of 16, and `_tile` declares no indices contiguous.
    # Either would make Triton read the unshifted taps as vectors, and these would then need another thread layout than
    # the shifted ones, with a trip through shared memory between the two at each tap. It also spares compiling another
    # kernel for each new picture size.

    @triton.jit
    def _tile(size, groups, GROUPS: tl.constexpr, PIXELS: tl.constexpr, CHANNELS_LAST: tl.constexpr):
        """Find this program's image, groups and pixels: a scalar, and two that broadcast to (1, GROUPS, PIXELS).

        Neighbouring threads walk along the last axis, so that has to be the one that is dense in memory: pixels, or
        groups for ``channels_last``, and the tile is (1, PIXELS, GROUPS) then.
        """
        tiles = tl.cdiv(size[0] * size[1], PIXELS)
        blocks = tl.cdiv(groups, GROUPS)
        program = tl.program_id(0)
        group = program // tiles % blocks * GROUPS + tl.max_contiguous(tl.arange(0, GROUPS), 1)
        pixel = program % tiles * PIXELS + tl.max_contiguous(tl.arange(0, PIXELS), 1)
        if CHANNELS_LAST:
            return program // (tiles * blocks), group[None, None, :], pixel[None, :, None]
        else:
            return program // (tiles * blocks), group[None, :, None], pixel[None, None, :]

    @triton.jit
    def _offset(strides, batch, group, pixel):
        """Distance of the first channel or tap from a tensor's start, in 64 bits: 2^31 elements do not last long."""
        return batch.to(tl.int64) * strides[0] + group.to(tl.int64) * strides[2] + pixel.to(tl.int64) * strides[3]

    @triton.jit
    def _inside(row, col, size):
        """Whether positions are in the image. Row and column apart: a row's end is no neighbour of the next row."""
        return (row >= 0) & (row < size[0]) & (col >= 0) & (col < size[1])

    @triton.jit(do_not_specialize_on_alignment=["x_strides", "w_strides", "y_strides", "size", "groups"])
    def _forward_kernel(
        x_ptr, w_ptr, y_ptr, x_strides, w_strides, y_strides, size, groups,
        K: tl.constexpr, ACCUMULATE: tl.constexpr, PER_GROUP: tl.constexpr,
        MEMBERS: tl.constexpr, GROUPS: tl.constexpr, PIXELS: tl.constexpr, CHANNELS_LAST: tl.constexpr,
    ):  # fmt: skip
        """y[c, p] = Σ_k w[c % G, k, p] · x[c, p + offset_k]."""
        batch, group, pixel = _tile(size, groups, GROUPS, PIXELS, CHANNELS_LAST)
        member = tl.arange(0, MEMBERS).to(tl.int64)[:, None, None]  # of the channels group, group + G, group + 2·G, …
        row = pixel // size[1]
        col = pixel % size[1]
        has_pixel = (group < groups) & _inside(row, col, size)
        has_channel = (group < groups) & (member < PER_GROUP)
        x_ptr += _offset(x_strides, batch, group, pixel) + member * x_strides[1]
        y_ptr += _offset(y_strides, batch, group, pixel) + member * y_strides[1]
        w_ptr += _offset(w_strides, batch, group, pixel)

        y = tl.zeros(x_ptr.shape, ACCUMULATE)
        for u in tl.static_range(-(K // 2), K // 2 + 1):
            for v in tl.static_range(-(K // 2), K // 2 + 1):
                weight = tl.load(w_ptr, mask=has_pixel, other=0.0)
                in_image = _inside(row + u, col + v, size)
                neighbour = tl.load(x_ptr + (u * size[1] + v) * x_strides[3], mask=has_channel & in_image, other=0.0)
                y += weight.to(ACCUMULATE) * neighbour.to(ACCUMULATE)
                w_ptr += w_strides[1]  # to the next tap
        tl.store(y_ptr, y, mask=has_channel & has_pixel)

    @triton.jit(
        do_not_specialize_on_alignment=[
            "grad_strides", "x_strides", "w_strides", "grad_x_strides", "grad_w_strides", "size", "groups",
        ]
    )  # fmt: skip
    def _backward_kernel(
        grad_ptr, x_ptr, w_ptr, grad_x_ptr, grad_w_ptr,
        grad_strides, x_strides, w_strides, grad_x_strides, grad_w_strides, size, groups,
        K: tl.constexpr, ACCUMULATE: tl.constexpr, PER_GROUP: tl.constexpr,
        MEMBERS: tl.constexpr, GROUPS: tl.constexpr, PIXELS: tl.constexpr, CHANNELS_LAST: tl.constexpr,
    ):  # fmt: skip
        """Both gradients in one pass, so that ``grad`` is read once.

        grad_x[c, p] = Σ_k w[c % G, k, p - offset_k] · grad[c, p - offset_k], gathered from the pixels that p fed.
        grad_w[g, k, p] = Σ_{c % G == g} grad[c, p] · x[c, p + offset_k].
        """
        batch, group, pixel = _tile(size, groups, GROUPS, PIXELS, CHANNELS_LAST)
        member = tl.arange(0, MEMBERS).to(tl.int64)[:, None, None]
        row = pixel // size[1]
        col = pixel % size[1]
        has_group = group < groups
        has_pixel = has_group & _inside(row, col, size)
        has_channel = has_group & (member < PER_GROUP)
        grad_ptr += _offset(grad_strides, batch, group, pixel) + member * grad_strides[1]
        x_ptr += _offset(x_strides, batch, group, pixel) + member * x_strides[1]
        w_ptr += _offset(w_strides, batch, group, pixel)
        grad_x_ptr += _offset(grad_x_strides, batch, group, pixel) + member * grad_x_strides[1]
        grad_w_ptr += _offset(grad_w_strides, batch, group, pixel)

        grad = tl.load(grad_ptr, mask=has_channel & has_pixel, other=0.0).to(ACCUMULATE)
        grad_x = tl.zeros(x_ptr.shape, ACCUMULATE)
        for u in tl.static_range(-(K // 2), K // 2 + 1):
            for v in tl.static_range(-(K // 2), K // 2 + 1):
                step = u * size[1] + v  # a few rows at most: 32 bits will do, and make it one instruction
                fed = _inside(row - u, col - v, size)  # the pixel whose tap (u, v) looks here
                weight = tl.load(w_ptr - step * w_strides[3], mask=has_group & fed, other=0.0)
                fed_grad = tl.load(grad_ptr - step * grad_strides[3], mask=has_channel & fed, other=0.0)
                grad_x += weight.to(ACCUMULATE) * fed_grad.to(ACCUMULATE)

                in_image = _inside(row + u, col + v, size)
                neighbour = tl.load(x_ptr + step * x_strides[3], mask=has_channel & in_image, other=0.0)
                grad_w = tl.sum(grad * neighbour.to(ACCUMULATE), axis=0, keep_dims=True)  # over the group's channels
                tl.store(grad_w_ptr, grad_w, mask=has_pixel)
                w_ptr += w_strides[1]
                grad_w_ptr += grad_w_strides[1]
        tl.store(grad_x_ptr, grad_x, mask=has_channel & has_pixel)


def triton_refusal(x: Tensor, w: Tensor) -> str | None:
    """Say in one sentence why Triton cannot run on these tensors, or return None where it can.

    Args:
        x: features, (B, C, H, W).
        w: kernels, (B, G, K², H, W).
    """
    if triton is None:
        return "Triton is not installed."
    for tensor in (x, w):
        if tensor.dtype not in DTYPES:
            return f"The Triton kernels take floating-point tensors of 16 to 64 bits, got {tensor.dtype}."
    if not isinstance(_forward_kernel, triton.JITFunction):
        return None  # TRITON_INTERPRET=1 was set when the kernels were defined: the interpreter runs on any device
    if x.device.type != "cuda" or w.device != x.device:
        return f"Triton needs both tensors on one CUDA device, got x on {x.device} and w on {w.device}."
    return _device_refusal(x.device)


def ska_triton(x: Tensor, w: Tensor) -> Tensor:
    """Apply SKA. Unchecked and without autograd: ask ``triton_refusal`` first.

    Args:
        x: features, (B, C, H, W).
        w: kernels, (B, G, K², H, W), K odd. Channel ``c`` uses kernel set ``c % G``.

    Returns:
        (B, C, H, W) in the dtype and the memory format of ``x``. Sums are float32, or float64 where an input is.
    """
    y = _empty_like(x)
    if x.numel() == 0:
        return y
    size, groups = tuple(x.shape[2:]), w.shape[1]
    grid, options = _launch(x, w, pixels_per_thread=2)
    x, w = x.flatten(2), w.flatten(3)  # (B, C, H*W), (B, G, K*K, H*W)
    strides = (_member_strides(x, groups), _tap_strides(w), _member_strides(_as_run(y), groups))
    with torch.cuda.device_of(x):  # Triton launches on the current device, wherever its arguments are
        _forward_kernel[grid](x, w, y, *strides, size, groups, **options)
    return y


def ska_triton_backward(grad: Tensor, x: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of ``ska_triton``. Unchecked, as it is.

    Args:
        grad: gradient of the output, (B, C, H, W).
        x: features, (B, C, H, W).
        w: kernels, (B, G, K², H, W).

    Returns:
        grad_x like ``x`` and grad_w like ``w``.
    """
    grad_x, grad_w = _empty_like(x), _empty_like(w)
    if x.numel() == 0:
        return grad_x, grad_w.zero_()
    size, groups = tuple(x.shape[2:]), w.shape[1]
    grid, options = _launch(x, w, pixels_per_thread=1)  # a second takes it from 93 registers to 164
    grad, x, w = grad.flatten(2), x.flatten(2), w.flatten(3)  # (B, C, H*W) twice, (B, G, K*K, H*W)
    strides = (
        _member_strides(grad, groups), _member_strides(x, groups), _tap_strides(w),
        _member_strides(_as_run(grad_x), groups), _tap_strides(_as_run(grad_w)),
    )  # fmt: skip
    with torch.cuda.device_of(x):
        _backward_kernel[grid](grad, x, w, grad_x, grad_w, *strides, size, groups, **options)
    return grad_x, grad_w


def _launch(x: Tensor, w: Tensor, pixels_per_thread: int) -> tuple[tuple[int], dict[str, object]]:
    """Choose the grid and the compile-time options. Plain arithmetic: autotuning would stall the first picture."""
    batch, channels, height, width = x.shape
    groups, taps = w.shape[1:3]
    members = triton.next_power_of_2(channels // groups)
    channels_last = x.stride(1) < x.stride(3)
    # Half a warp walks along the groups for channels_last, so that whole cache sectors of each pixel are used at once.
    tile_groups = min(16, triton.next_power_of_2(groups)) if channels_last else 1
    # A thread holds up to 8 channels of its pixels in registers. Where a group has more, several threads share a pixel,
    # and tiles shrink in step, to 8 pixels at least: a cache sector of float32.
    sharing = max(1, members // 8)
    # Large tiles share more of their border, but an image's last tile is partly idle: the least idle size wins, the
    # larger one on a tie. With 8 channels a group that is 128 pixels of 28x28, all 14x14 at once, all 7x7 at once.
    sizes = [max(1, max(8, tile // sharing) // tile_groups) for tile in (256, 128)]
    pixels = min(sizes, key=lambda size: triton.cdiv(height * width, size) * size)
    pixels = min(pixels, triton.next_power_of_2(height * width))
    threads = tile_groups * pixels * sharing // pixels_per_thread
    options = {
        "K": round(taps**0.5),
        "ACCUMULATE": tl.float64 if torch.float64 in (x.dtype, w.dtype) else tl.float32,
        "PER_GROUP": channels // groups,
        "MEMBERS": members,
        "GROUPS": tile_groups,
        "PIXELS": pixels,
        "CHANNELS_LAST": channels_last,
        "num_warps": min(16, max(1, threads // 32)),
    }
    return (batch * triton.cdiv(groups, tile_groups) * triton.cdiv(height * width, pixels),), options


def _empty_like(tensor: Tensor) -> Tensor:
    """Uninitialised, and in the same memory format if its rows follow one another there."""
    rows_follow = tensor.stride(-2) == tensor.shape[-1] * tensor.stride(-1)
    return torch.empty_like(tensor, memory_format=torch.preserve_format if rows_follow else torch.contiguous_format)


def _as_run(output: Tensor) -> Tensor:
    """See an output's pixels as one axis. A view or an error, never a copy: the kernel writes to the output itself."""
    return output.view(*output.shape[:-2], -1)


def _member_strides(features: Tensor, groups: int) -> tuple[int, ...]:
    """Strides of (B, C, H*W) seen as (B, C/G, G, H*W): channel c is member c // G of group c % G."""
    return features.unflatten(1, (-1, groups)).stride()


def _tap_strides(kernels: Tensor) -> tuple[int, ...]:
    """Strides of (B, G, K², H*W) seen as (B, K², G, H*W)."""
    return kernels.transpose(1, 2).stride()


@functools.cache
def _device_refusal(device: torch.device) -> str | None:
    """Try Triton's driver, once. It builds its launcher on first use, which fails without a C compiler, for example."""
    try:
        target = triton.runtime.driver.active.get_current_target()
    except Exception as error:  # RuntimeError, CalledProcessError, ...: Triton does not say which
        return f"Triton cannot start: {error}"
    if target.backend == "cuda" and torch.cuda.get_device_capability(device) < (8, 0):
        return f"The Triton kernels need a GPU of compute capability 8.0 or newer, got {device}."
    return None
