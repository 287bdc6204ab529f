"""Numbers in the texts of lessons: computed, when a text is shown, from what the model did at the step's place."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import pad

from lsnet.complexity import ls_conv, self_attention, static_conv
from lsnet.config import LSNetConfig
from viz.lesson_file import State
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
        KeyError: the trace has no such block.
        ValueError: there is no such quantity, or none at this block or pixel; the message says which.
    """
    here = Here(trace, state)

    def computed(name: str) -> str:
        if name not in QUANTITIES:
            raise ValueError(f"expected one of {', '.join(QUANTITIES)}, got {name!r}")
        return QUANTITIES[name](here)

    return _PLACEHOLDER.sub(lambda found: computed(found[1]), text)


@dataclass(frozen=True)
class Here:
    """A state's block and pixel in a trace, and what was recorded there.

    Every property raises ValueError where the block or the pixel has no such thing.
    """

    trace: ForwardTrace
    state: State

    @property
    def block(self) -> BlockTrace:
        return self.trace.block(self.state.block)

    @property
    def token(self) -> tuple[int, int]:
        token = self.trace.geometry.pixel_to_token(*self.state.px, self.block)
        if token is None:
            raise ValueError(f"expected a pixel that the network sees, got {self.state.px}")
        return token

    def recorded(self, name: str) -> Tensor:
        tensor = self.block.tensors().get(name)
        if tensor is None:
            raise ValueError(f"expected a block with {name}, got {self.state.block!r}")
        return tensor

    @property
    def tokens(self) -> int:
        """N."""
        return math.prod(self.block.grid)

    @property
    def channels(self) -> int:
        """C."""
        return len(self.recorded("features"))

    @property
    def kernels(self) -> Tensor:
        """(G, K·K, h, w)."""
        return self.recorded("kernels")

    @property
    def kernel(self) -> Tensor:
        """The weights of set 0 at the token, (K·K,)."""
        return self.kernels[0, :, self.token[0], self.token[1]]

    @property
    def inputs(self) -> Tensor:
        """What channel 0 offers around the token, row-major, zeros beyond the edge, (K·K,)."""
        side, (row, column) = self.block.kernel_small, self.token
        padded = pad(self.recorded("inputs")[0], [side // 2] * 4)
        return padded[row : row + side, column : column + side].flatten()

    @property
    def aggregated(self) -> float:
        """What the model wrote into channel 0 of the token."""
        return self.recorded("aggregated")[0, self.token[0], self.token[1]].item()

    @property
    def windows(self) -> tuple[int, int]:
        """Sides of the perception and the aggregation window, in tokens."""
        self.recorded("kernels")  # there is no window without them
        return self.block.kernel_large, self.block.kernel_small

    @property
    def static_share(self) -> float:
        """The share of the kernels' sum of squares that each set's mean over the picture accounts for, 0…1."""
        kernels = self.kernels.double()
        squares = kernels.square().sum().item()
        return kernels.mean((2, 3)).square().sum().item() * self.tokens / squares if squares else 1.0

    @property
    def attention(self) -> Tensor:
        """How every head weighs all tokens for this one, (heads, N)."""
        return self.recorded("attention")[:, self.token[0] * self.block.grid[1] + self.token[1]]

    @property
    def ls_macs(self) -> int:
        per_set = self.channels // len(self.kernels)
        return ls_conv(self.channels, self.block.grid, *self.windows, channels_per_set=per_set).macs

    @property
    def attention_macs(self) -> int:
        return self_attention(self.channels, self.block.grid, len(self.attention), LSNetConfig.key_dim).macs

    @property
    def quadratic_share(self) -> float:
        """How much of that is q·kᵀ and the weighted sum of v, N² · (C + D), 0…1."""
        qk_dim = len(self.attention) * LSNetConfig.key_dim
        return self.tokens**2 * (self.channels + qk_dim) / self.attention_macs


# Everything is at the step's block and token, on its picture.
QUANTITIES: Mapping[str, Callable[[Here], str]] = {
    # The network's input, "224 × 224" pixels.
    "input": lambda here: "{} × {}".format(*here.trace.geometry.frame.size),
    # The block's grid, "14 × 14", its number of tokens, the side of a token in pixels, its channels, and half of them.
    "grid": lambda here: "{} × {}".format(*here.block.grid),
    "tokens": lambda here: str(here.tokens),
    "stride": lambda here: str(here.block.stride),
    "channels": lambda here: str(here.channels),
    "half_channels": lambda here: str(here.channels // 2),
    # The token's place, counted from zero.
    "row": lambda here: str(here.token[0]),
    "column": lambda here: str(here.token[1]),
    # Sides of the windows in pixels of the input, and the large one's share of all tokens if it lies inside.
    "perception_pixels": lambda here: str(here.windows[0] * here.block.stride),
    "aggregation_pixels": lambda here: str(here.windows[1] * here.block.stride),
    "perception_share": lambda here: f"{here.windows[0] ** 2 / here.tokens:.0%}",
    # Kernel sets, channels that share one, and how many weights are predicted for a token and for the picture.
    "kernel_sets": lambda here: str(len(here.kernels)),
    "channels_per_set": lambda here: str(here.channels // len(here.kernels)),
    "channels_of_set_zero": lambda here: ", ".join(map(str, range(0, here.channels, len(here.kernels)))),
    "weights_per_token": lambda here: f"{here.kernels[..., 0, 0].numel():,}",
    "weights_per_picture": lambda here: f"{here.kernels.numel():,}",
    # Channel 0, which uses set 0, at the token, for formulas: inputs, kernel, products and sum, what the model wrote.
    "inputs": lambda here: _matrix(here.inputs),
    "kernel": lambda here: _matrix(here.kernel),
    "products": lambda here: _sum_of_products(here.kernel, here.inputs),
    "aggregated": lambda here: _number(here.aggregated),
    # Of that kernel: how many weights are negative, and the sum of all.
    "negative_weights": lambda here: str(int((here.kernel < 0).sum())),
    "weight_sum": lambda here: _rounded(here.kernel.sum().item()),
    # How much of the kernels their mean over the picture accounts for.
    "static_share": lambda here: f"{here.static_share:.1%}",
    # Self-attention: heads, the largest weight of any head for this token, and the weight of even attention.
    "heads": lambda here: str(len(here.attention)),
    "largest_attention": lambda here: f"{here.attention.max().item():.2%}",
    "even_attention": lambda here: f"{1 / here.tokens:.2%}",
    # Multiply–accumulates of LS convolution, and of a static 3×3 depthwise one with the same channels.
    "ls_macs": lambda here: f"{here.ls_macs:,}",
    "static_macs": lambda here: f"{static_conv(here.channels, here.block.grid, 3).macs:,}",
    # Multiply–accumulates of this block's self-attention, and the share of its term in N².
    "attention_macs": lambda here: f"{here.attention_macs:,}",
    "quadratic_share": lambda here: f"{here.quadratic_share:.1%}",
}


def _number(value: float) -> str:
    """Three significant digits, as LaTeX."""
    mantissa, _, exponent = f"{value:.3g}".partition("e")
    return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if exponent else mantissa


def _rounded(value: float) -> str:
    """Two decimals, with a minus sign and never minus zero."""
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")


def _matrix(values: Tensor) -> str:
    """A square matrix, row by row, as LaTeX."""
    side = math.isqrt(len(values))
    rows = (" & ".join(map(_number, row)) for row in values.view(side, side).tolist())
    return rf"\begin{{bmatrix}} {_NEW_LINE.join(rows)} \end{{bmatrix}}"


def _sum_of_products(weights: Tensor, inputs: Tensor) -> str:
    """Every product, one row of the window on a line, and their sum, as LaTeX."""
    side = math.isqrt(len(weights))
    terms = [f"({_number(w)})({_number(x)})" for w, x in zip(weights.tolist(), inputs.tolist(), strict=True)]
    rows = [" + ".join(terms[first : first + side]) for first in range(0, len(terms), side)]
    total = (weights.double() * inputs.double()).sum().item()
    lines = [rf"y &= {rows[0]}", *(rf"&\quad + {row}" for row in rows[1:]), f"&= {_number(total)}"]
    return rf"\begin{{aligned}} {_NEW_LINE.join(lines)} \end{{aligned}}"
