"""Numbers in the texts of lessons: computed, when a text is shown, from what the model did at the step's place."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Literal

from torch import Tensor
from torch.nn.functional import pad

from lsnet.complexity import Cost, ls_conv, self_attention, static_conv
from lsnet.config import LSNetConfig
from viz.lessons import State
from viz.trace import BlockTrace, ForwardTrace

_PLACEHOLDER = re.compile(r"\{\{([a-z_]+)\}\}")
_NEW_LINE = r" \\ "


def quantities_in(text: str) -> tuple[str, ...]:
    """Names of the quantities that a text asks for, in their order."""
    return tuple(_PLACEHOLDER.findall(text))


def filled(text: str, trace: ForwardTrace, state: State) -> str:
    """A text with its ``{{quantities}}`` computed.

    Args:
        text: of a step.
        trace: of the state's picture in the state's network; it holds the state's block.
        state: of the step.

    Raises:
        ValueError: there is no such quantity, or none at this block or pixel; the message says which.
    """
    return _PLACEHOLDER.sub(lambda name: _computed(name[1], trace, state), text)


def _computed(name: str, trace: ForwardTrace, state: State) -> str:
    if name not in QUANTITIES:
        raise ValueError(f"expected one of {', '.join(QUANTITIES)}, got {name!r}")
    return QUANTITIES[name](trace, state)


def _block(trace: ForwardTrace, state: State) -> BlockTrace:
    return trace.block(state.block)


def _token(trace: ForwardTrace, state: State) -> tuple[int, int]:
    token = trace.geometry.pixel_to_token(*state.px, _block(trace, state))
    if token is None:
        raise ValueError(f"expected a pixel that the network sees, got {state.px}")
    return token


def _tokens(trace: ForwardTrace, state: State) -> int:
    return math.prod(_block(trace, state).grid)


def _recorded(trace: ForwardTrace, state: State, name: str) -> Tensor:
    tensor = _block(trace, state).tensors().get(name)
    if tensor is None:
        raise ValueError(f"expected a block with {name}, got {state.block!r}")
    return tensor


def _channels(trace: ForwardTrace, state: State) -> int:
    return len(_recorded(trace, state, "features"))


def _kernels(trace: ForwardTrace, state: State) -> Tensor:
    """(G, K·K, h, w)."""
    return _recorded(trace, state, "kernels")


def _sets(trace: ForwardTrace, state: State) -> int:
    return len(_kernels(trace, state))


def _kernel(trace: ForwardTrace, state: State) -> Tensor:
    """The weights of set 0 at the token, (K·K,)."""
    row, column = _token(trace, state)
    return _kernels(trace, state)[0, :, row, column]


def _neighbours(trace: ForwardTrace, state: State) -> Tensor:
    """What channel 0 offers around the token, row-major, zeros beyond the edge, (K·K,)."""
    reach, (row, column) = _block(trace, state).kernel_small // 2, _token(trace, state)
    padded = pad(_recorded(trace, state, "inputs")[0], [reach] * 4)  # (h + 2·reach, w + 2·reach)
    return padded[row : row + 2 * reach + 1, column : column + 2 * reach + 1].flatten()


def _attention_row(trace: ForwardTrace, state: State) -> Tensor:
    """How every head weighs all tokens for this one, (heads, N)."""
    row, column = _token(trace, state)
    return _recorded(trace, state, "attention")[:, row * _block(trace, state).grid[1] + column]


def _share_of_mean_kernels(trace: ForwardTrace, state: State) -> float:
    """The share of the kernels' sum of squares that each set's mean over the picture accounts for, 0…1."""
    kernels = _kernels(trace, state).double()
    squares = kernels.square().sum().item()
    return kernels.mean((2, 3)).square().sum().item() * _tokens(trace, state) / squares if squares else 1.0


def _ls_cost(trace: ForwardTrace, state: State) -> Cost:
    block = _block(trace, state)
    channels, sets = _channels(trace, state), _sets(trace, state)
    return ls_conv(channels, block.grid, block.kernel_large, block.kernel_small, channels // sets)


def _attention_macs(trace: ForwardTrace, state: State) -> int:
    heads, grid = len(_recorded(trace, state, "attention")), _block(trace, state).grid
    return self_attention(_channels(trace, state), grid, heads, LSNetConfig.key_dim).macs


def _quadratic_share(trace: ForwardTrace, state: State) -> float:
    """How much of the attention's cost is q·kᵀ and the weighted sum of v, N² · (C + D), 0…1."""
    heads, dim = len(_recorded(trace, state, "attention")), _channels(trace, state)
    return _tokens(trace, state) ** 2 * (dim + heads * LSNetConfig.key_dim) / _attention_macs(trace, state)


def _window_pixels(trace: ForwardTrace, state: State, name: Literal["kernel_large", "kernel_small"]) -> str:
    _kernels(trace, state)  # there is no window without kernels
    block = _block(trace, state)
    return str(getattr(block, name) * block.stride)


def _number(value: float) -> str:
    """Three significant digits, as LaTeX."""
    mantissa, _, exponent = f"{value:.3g}".partition("e")
    return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if exponent else mantissa


def _rounded(value: float) -> str:
    """Two decimals, with a minus sign and never minus zero."""
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")


def _matrix(values: Tensor) -> str:
    side = math.isqrt(len(values))
    rows = (" & ".join(_number(value) for value in row) for row in values.view(side, side).tolist())
    return rf"\begin{{bmatrix}} {_NEW_LINE.join(rows)} \end{{bmatrix}}"


def _products(trace: ForwardTrace, state: State) -> str:
    """The nine products, one row of the window on a line, and their sum."""
    weights, inputs = _kernel(trace, state), _neighbours(trace, state)
    side = math.isqrt(len(weights))
    terms = [f"({_number(w)})({_number(x)})" for w, x in zip(weights.tolist(), inputs.tolist(), strict=True)]
    rows = [" + ".join(terms[first : first + side]) for first in range(0, len(terms), side)]
    total = (weights.double() * inputs.double()).sum().item()
    lines = [rf"y &= {rows[0]}", *(rf"&\quad + {row}" for row in rows[1:]), f"&= {_number(total)}"]
    return rf"\begin{{aligned}} {_NEW_LINE.join(lines)} \end{{aligned}}"


def _aggregated(trace: ForwardTrace, state: State) -> str:
    row, column = _token(trace, state)
    return _number(_recorded(trace, state, "aggregated")[0, row, column].item())


def _grid(trace: ForwardTrace, state: State) -> str:
    rows, columns = _block(trace, state).grid
    return f"{rows} × {columns}"


def _first_channels_of_set_zero(trace: ForwardTrace, state: State) -> str:
    sets = _sets(trace, state)
    return ", ".join(str(channel) for channel in range(0, _channels(trace, state), sets))


# Everything below is at the step's picture, block and token. Names with LaTeX in them stand inside formulas.
QUANTITIES: Mapping[str, Callable[[ForwardTrace, State], str]] = {
    # The network's input, "224 × 224" pixels.
    "input": lambda trace, state: "{} × {}".format(*trace.geometry.frame.size),
    # The block's grid, "14 × 14", its number of tokens, the side of a token in pixels, its channels, and half of them.
    "grid": _grid,
    "tokens": lambda trace, state: str(_tokens(trace, state)),
    "stride": lambda trace, state: str(_block(trace, state).stride),
    "channels": lambda trace, state: str(_channels(trace, state)),
    "half_channels": lambda trace, state: str(_channels(trace, state) // 2),
    # The token's place, counted from zero.
    "row": lambda trace, state: str(_token(trace, state)[0]),
    "column": lambda trace, state: str(_token(trace, state)[1]),
    # Sides of the windows in pixels of the input, and the large one's share of all tokens if it lies inside.
    "perception_pixels": lambda trace, state: _window_pixels(trace, state, "kernel_large"),
    "aggregation_pixels": lambda trace, state: _window_pixels(trace, state, "kernel_small"),
    "perception_share": lambda trace, state: f"{_block(trace, state).kernel_large ** 2 / _tokens(trace, state):.0%}",
    # Kernel sets, channels that share one, and how many weights are predicted for a token and for the picture.
    "kernel_sets": lambda trace, state: str(_sets(trace, state)),
    "channels_per_set": lambda trace, state: str(_channels(trace, state) // _sets(trace, state)),
    "channels_of_set_zero": _first_channels_of_set_zero,
    "weights_per_token": lambda trace, state: f"{_kernels(trace, state)[..., 0, 0].numel():,}",
    "weights_per_picture": lambda trace, state: f"{_kernels(trace, state).numel():,}",
    # Channel 0, which uses set 0, at the token: inputs, kernel, products with their sum, and what the model wrote (LaTeX).
    "inputs": lambda trace, state: _matrix(_neighbours(trace, state)),
    "kernel": lambda trace, state: _matrix(_kernel(trace, state)),
    "products": _products,
    "aggregated": _aggregated,
    # Of that kernel: how many weights are negative, and the sum of all.
    "negative_weights": lambda trace, state: str(int((_kernel(trace, state) < 0).sum())),
    "weight_sum": lambda trace, state: _rounded(_kernel(trace, state).sum().item()),
    # How much of the kernels their mean over the picture accounts for.
    "static_share": lambda trace, state: f"{_share_of_mean_kernels(trace, state):.1%}",
    # Self-attention: heads, the largest weight of any head for this token, and the weight of even attention.
    "heads": lambda trace, state: str(len(_attention_row(trace, state))),
    "largest_attention": lambda trace, state: f"{_attention_row(trace, state).max().item():.2%}",
    "even_attention": lambda trace, state: f"{1 / _tokens(trace, state):.2%}",
    # Multiply–accumulates of LS convolution, and of a static 3×3 depthwise one with the same channels.
    "ls_macs": lambda trace, state: f"{_ls_cost(trace, state).macs:,}",
    "static_macs": lambda trace, state: (
        f"{static_conv(_channels(trace, state), _block(trace, state).grid, 3).macs:,}"
    ),
    # Multiply–accumulates of this block's self-attention, and the share of its term in N².
    "attention_macs": lambda trace, state: f"{_attention_macs(trace, state):,}",
    "quadratic_share": lambda trace, state: f"{_quadratic_share(trace, state):.1%}",
}
