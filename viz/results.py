"""What analyses return: plain arrays, ready to be drawn or written to a file."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Place:
    """Where a result was measured, for titles and captions.

    Attributes:
        block: such as ``"blocks2.3"``.
        stride: picture pixels (of the model's input) per token.
        token: (row, column), or None for a result about the whole picture.
        weights: one line that names the weights.
    """

    block: str
    stride: int
    token: tuple[int, int] | None
    weights: str


@dataclass(frozen=True)
class Result:
    """Base of all results."""

    place: Place

    def arrays(self) -> dict[str, np.ndarray]:
        """The numbers by name, for NPZ files."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: np.asarray(value) for name, value in values.items() if isinstance(value, np.ndarray | float)}


@dataclass(frozen=True)
class TokenKernels(Result):
    """The dynamic kernels at one token.

    Attributes:
        kernels: (G, K, K), signed.
        mean: their mean over all tokens of the picture, (G, K, K): the static kernel that fits this picture best.
        static_share: share of each set's variance around zero that the mean explains, (G,), 0…1.
        limit: largest magnitude of any kernel of this block on this picture; the shared range is ±limit.
    """

    kernels: Array
    mean: Array
    static_share: Array
    limit: float


@dataclass(frozen=True)
class ContextMap(Result):
    """The large-field context that kernels are predicted from.

    Attributes:
        mean: mean over channels, (h, w), signed.
        components: the first three principal components over channels, (h, w, 3), in standard deviations of the
            first.
        explained: share of the variance that each component explains, (3,), 0…1.
    """

    mean: Array
    components: Array
    explained: Array


@dataclass(frozen=True)
class AttentionRows(Result):
    """How one token weighs all tokens.

    Attributes:
        rows: (heads, h, w); each head sums to one.
        mean: over heads, (h, w).
    """

    rows: Array
    mean: Array
