"""What every result of an analysis has: where it was measured, and its numbers by name."""

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
