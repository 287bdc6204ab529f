"""What LSNet costs: closed forms for every part of it, and an independent count for any module.

Every cost is that of one picture. All functions take token grids as (height, width), and ``fused`` for the form at
inference, in which batch norms and parallel branches are folded into convolutions (:meth:`lsnet.model.LSNet.fuse`);
the paper's parameters and FLOPs are those of that form.
"""

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from timm.layers import make_divisible
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, register_flop_formula

from lsnet.config import STEM_STRIDE, LSNetConfig, MixerName
from lsnet.layers import fuse
from lsnet.mixers import MIXERS
from lsnet.model import FFN_RATIO, SE_RATIO

Grid = tuple[int, int]


@dataclass(frozen=True)
class Cost:
    """What a module costs. Costs of modules that share no parameters add up.

    Counted are convolutions, matrix products and SKA. Norms, activation functions, softmax, pooling, biases, sums and
    products element by element are taken to be part of the operator that they follow, and free.

    Attributes:
        parameters: learnable numbers.
        macs: multiply–accumulates, which this field calls FLOPs; products with zero padding included.
        activations: numbers that the counted operators read and write, each operator every input and its output once.
            Attention probabilities are among them: (heads, N, N) is written and read.
    """

    parameters: int = 0
    macs: int = 0
    activations: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.parameters + other.parameters, self.macs + other.macs, self.activations + other.activations)

    def bytes(self, per_number: int = 4) -> int:
        """Bytes moved between operators and memory: the activations, and every parameter once.

        Args:
            per_number: bytes per number; 4 for float32, 2 for float16.
        """
        return per_number * (self.activations + self.parameters)


def conv_norm(
    in_dim: int,
    out_dim: int,
    grid: Grid,
    kernel_size: int = 1,
    stride: int = 1,
    groups: int = 1,
    fused: bool = False,
) -> Cost:
    """:class:`lsnet.layers.ConvNorm` on a grid; with padding, ⌈side / stride⌉ tokens come out."""
    weights = out_dim * (in_dim // groups) * kernel_size**2
    read, written = math.prod(grid), math.prod(_strided(grid, stride))
    return Cost(
        parameters=weights + (1 if fused else 2) * out_dim,
        macs=written * weights,
        activations=read * in_dim + written * out_dim,
    )


def ls_conv(
    dim: int,
    grid: Grid,
    kernel_large: int = 7,
    kernel_small: int = 3,
    channels_per_set: int = 8,
    fused: bool = False,
) -> Cost:
    """:class:`lsnet.mixers.LSConv`: Ω = HWC/4 · (3C + 2·K_L² + (2G + 4)·K_S²), linear in the number of tokens.

    3C stands for the 1×1 convolutions C → C/2 and C/2 → C/2 of LKP, 2·K_L² for its depthwise one, 2G·K_S² for the one
    that predicts G kernels of K_S² taps, and 4·K_S² for SKA. K_L = 1 leaves the depthwise step out.

    Source: paper, section 3.2, "Complexity Analysis".
    """
    tokens, sets = math.prod(grid), dim // channels_per_set
    large, small = kernel_large**2 if kernel_large > 1 else 0, kernel_small**2
    taps, norms = sets * small, 3 if large else 2
    return Cost(
        parameters=3 * dim * dim // 4
        + dim // 2 * large
        + (dim // 2 + 3) * taps  # weights, bias, and the group norm's scale and shift
        + norms * (1 if fused else 2) * dim // 2
        + 2 * dim,  # the batch norm after SKA stands behind no convolution and stays
        macs=tokens * dim * (3 * dim + 2 * large + (2 * sets + 4) * small) // 4,
        activations=tokens * ((6 if large else 5) * dim + 2 * taps),
    )


def lkp_conv(dim: int, grid: Grid, kernel_large: int = 7, kernel_small: int = 3, fused: bool = False) -> Cost:
    """:class:`lsnet.mixers.LKPConv`, LS convolution without SKA: HWC/4 · (5C + 2·K_L² + 4·K_S²)."""
    tokens, large, small = math.prod(grid), kernel_large**2 if kernel_large > 1 else 0, kernel_small**2
    norms = (3 if large else 2) * dim // 2 + dim  # channels of all batch norms
    return Cost(
        parameters=5 * dim * dim // 4 + dim // 2 * large + dim * small + 3 * dim + (1 if fused else 2) * norms,
        macs=tokens * dim * (5 * dim + 2 * large + 4 * small) // 4,
        activations=tokens * (7 if large else 6) * dim,
    )


def static_conv(dim: int, grid: Grid, kernel_size: int = 3, fused: bool = False) -> Cost:
    """:class:`lsnet.mixers.StaticConv`: HWC · K²."""
    return conv_norm(dim, dim, grid, kernel_size, groups=dim, fused=fused)


def rep_vgg_dw(dim: int, grid: Grid, fused: bool = False) -> Cost:
    """:class:`lsnet.mixers.RepVggDw`: 10 HWC in its two branches, 9 HWC when they are one convolution."""
    branches = static_conv(dim, grid, fused=fused)
    return branches if fused else branches + conv_norm(dim, dim, grid, groups=dim)


def self_attention(
    dim: int, grid: Grid, num_heads: int, key_dim: int, stored_grid: Grid | None = None, fused: bool = False
) -> Cost:
    """:class:`lsnet.mixers.MSA`: Ω = N · (2CV + 2CD + 9D) + N² · (V + D), with N = HW.

    D = heads · key_dim and V = heads · ⌊C / heads⌋ are the channels of queries and of values. The first term is the
    projections and the depthwise convolution on q; the second, quadratic in the number of tokens, is q·kᵀ and the
    weighted sum of v.

    Args:
        dim: channels C.
        grid: (height, width) of the tokens.
        num_heads: heads.
        key_dim: query and key channels per head.
        stored_grid: the grid whose biases are parameters; the tokens' by default.
        fused: whether batch norms are folded.
    """
    tokens, qk_dim, v_dim = math.prod(grid), num_heads * key_dim, num_heads * (dim // num_heads)
    linear = 2 * dim * v_dim + 2 * dim * qk_dim + 9 * qk_dim
    return Cost(
        parameters=linear
        + (1 if fused else 2) * (dim + v_dim + 3 * qk_dim)
        + num_heads * math.prod(grid if stored_grid is None else stored_grid),
        macs=tokens * linear + tokens**2 * (v_dim + qk_dim),
        activations=tokens * (2 * dim + 4 * v_dim + 6 * qk_dim) + 2 * num_heads * tokens**2,
    )


def squeeze_excite(dim: int) -> Cost:
    """Squeeze-and-excitation: two layers with bias on one pooled token."""
    hidden = make_divisible(dim * SE_RATIO, 8)
    return Cost(2 * dim * hidden + hidden + dim, 2 * dim * hidden, 2 * (dim + hidden))


def ffn(dim: int, grid: Grid, fused: bool = False) -> Cost:
    """:class:`lsnet.layers.FFN`: HWC · 4C."""
    hidden = FFN_RATIO * dim
    return conv_norm(dim, hidden, grid, fused=fused) + conv_norm(hidden, dim, grid, fused=fused)


def stem(in_chans: int, dim: int, size: Grid, fused: bool = False) -> Cost:
    """Three 3×3 convolutions of stride 2 on an input of (height, width) pixels."""
    total = Cost()
    for in_dim, out_dim in ((in_chans, dim // 4), (dim // 4, dim // 2), (dim // 2, dim)):
        total += conv_norm(in_dim, out_dim, size, 3, stride=2, fused=fused)
        size = _strided(size, 2)
    return total


def classifier(dim: int, num_classes: int, fused: bool = False) -> Cost:
    """:class:`lsnet.layers.NormLinear` on one pooled token; nothing where there are no classes."""
    if not num_classes:
        return Cost()
    weights = dim * num_classes
    return Cost(weights + num_classes + (0 if fused else 2 * dim), weights, dim + num_classes)


# Closed forms by mixer: configuration, stage (1 to 4), grid and form to a cost. A mixer without one is counted.
MIXER_COSTS: Mapping[MixerName, Callable[[LSNetConfig, int, Grid, bool], Cost]] = {
    "ls": lambda config, stage, grid, fused: _perceiving(config, stage, grid, config.kernel_large, fused),
    "small": lambda config, stage, grid, fused: _perceiving(config, stage, grid, 1, fused),
    "static": lambda config, stage, grid, fused: static_conv(config.dims[stage - 1], grid, config.kernel_small, fused),
    "none": lambda config, stage, grid, fused: Cost(),
    "attention": lambda config, stage, grid, fused: self_attention(
        config.dims[stage - 1], grid, config.num_heads[stage - 1], config.key_dim, config.grid(stage), fused
    ),
}


def mixer_cost(config: LSNetConfig, stage: int, grid: Grid, fused: bool = False) -> Cost:
    """The token mixer of the odd blocks of a stage (1 to 4), on a grid."""
    mixer = config.mixer if stage < 4 else "attention"
    if mixer in MIXER_COSTS:
        return MIXER_COSTS[mixer](config, stage, grid, fused)
    return counted_cost(MIXERS[mixer](config, stage, 0.0), (1, config.dims[stage - 1], *grid), fused)


def model_cost(config: LSNetConfig, size: Grid | None = None, fused: bool = False) -> dict[str, Cost]:
    """A whole network, part by part.

    Args:
        config: what the network is made of.
        size: (height, width) of the input in pixels, from 32 up; the native input by default.
        fused: whether batch norms and branches are folded.

    Returns:
        Costs by module name, in order of computation: ``"patch_embed"``; ``"blocksN.0"`` and ``"blocksN.1"``, the
        downsampling before stages 2 to 4; ``"blocksN.i.mixer"``, ``".se"`` and ``".ffn"`` of every block; ``"head"``
        and, in distilled networks, ``"head_dist"``. Their sum is the network: ``sum(costs.values(), Cost())``.
    """
    size = config.input_size if size is None else size
    costs = {"patch_embed": stem(config.in_chans, config.dims[0], size, fused)}
    grid = _strided(size, STEM_STRIDE)
    for stage, (dim, depth) in enumerate(zip(config.dims, config.depths, strict=True), start=1):
        name, first = f"blocks{stage}", 0
        if stage > 1:
            previous, first = config.dims[stage - 2], 2
            costs[f"{name}.0"] = conv_norm(previous, previous, grid, 3, stride=2, groups=previous, fused=fused)
            grid = _strided(grid, 2)
            costs[f"{name}.1"] = conv_norm(previous, dim, grid, fused=fused)
        for index in range(depth):
            block, even = f"{name}.{first + index}", index % 2 == 0
            depthwise = rep_vgg_dw(dim, grid, fused) if config.dw else Cost()
            costs[f"{block}.mixer"] = depthwise if even else mixer_cost(config, stage, grid, fused)
            costs[f"{block}.se"] = squeeze_excite(dim) if even and config.se else Cost()
            costs[f"{block}.ffn"] = ffn(dim, grid, fused)
    for head in ("head", "head_dist") if config.distilled else ("head",):
        costs[head] = classifier(config.dims[-1], config.num_classes, fused)
    return costs


def counted_cost(module: nn.Module, shape: tuple[int, ...], fused: bool = False) -> Cost:
    """Count what a module computes, by running a copy of it on tensors without contents.

    Operators are counted by torch's own formulas (:mod:`torch.utils.flop_counter`), so that the closed forms above
    have something to agree with, and mixers without a closed form have a cost. Work that is written as products
    element by element, or as operators that torch has no formula for (a Fourier transform), is not seen.

    Args:
        module: any module of one input; it is not changed.
        shape: of the input, such as (1, C, H, W).
        fused: whether to fold what can be folded first.
    """
    holder = nn.Sequential(copy.deepcopy(module).to("meta")).eval()
    if fused:
        fuse(holder)
    dtype = next((p.dtype for p in holder.parameters()), torch.float32)
    with torch.no_grad(), _Counter(holder) as counter:
        holder(torch.empty(shape, dtype=dtype, device="meta"))
    return Cost(sum(p.numel() for p in holder.parameters()), counter.macs, counter.activations)


class _Counter(TorchDispatchMode):
    """Sees every operator that runs inside the ``with`` block."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.macs = self.activations = 0
        # By storage, because a linear layer reads a transposed view of its weight.
        self._weights = {p.untyped_storage()._cdata for p in module.parameters()}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        formula = flop_registry.get(func.overloadpacket)
        if formula is not None:
            self.macs += formula(*args, **kwargs, out_val=output) // 2  # torch counts a product and a sum
            read = [a for a in args if isinstance(a, Tensor) and a.untyped_storage()._cdata not in self._weights]
            self.activations += sum(a.numel() for a in read) + output.numel()
        return output


@register_flop_formula(torch.ops.lsnet.ska)
def _ska_flop(
    x_shape: torch.Size, w_shape: torch.Size, *args: Any, out_shape: torch.Size | None = None, **kwargs: Any
) -> int:
    """K² products and sums per output number; torch's own FLOP counter knows SKA as soon as this file is imported."""
    return 2 * math.prod(x_shape) * w_shape[2]


def _perceiving(config: LSNetConfig, stage: int, grid: Grid, kernel_large: int, fused: bool) -> Cost:
    """LS convolution, or what a configuration without SKA has in its place."""
    dim, small = config.dims[stage - 1], config.kernel_small
    if config.ska:
        return ls_conv(dim, grid, kernel_large, small, config.channels_per_set, fused)
    return lkp_conv(dim, grid, kernel_large, small, fused)


def _strided(grid: Grid, stride: int) -> Grid:
    return math.ceil(grid[0] / stride), math.ceil(grid[1] / stride)
