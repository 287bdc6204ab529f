"""What token mixing costs, by resolution, by block, and in the paper's tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from viz.paper import PaperTable
from viz.results.place import Result

Quantity = Literal["macs", "bytes"]

# What is compared: LS convolution, static depthwise convolution, self-attention.
Mixer = Literal["ls", "dw", "msa"]
COMPARED: tuple[Mixer, ...] = ("ls", "dw", "msa")

# Large whole numbers, which float32 would round.
Counts = NDArray[np.float64]


@dataclass(frozen=True)
class MixerTime:
    """How long one mixer takes on one grid.

    Attributes:
        mixer: one of :data:`COMPARED`.
        grid: (h, w), tokens.
        median_ms, low_ms, high_ms: median and quartiles of repeated runs, milliseconds.
    """

    mixer: Mixer
    grid: tuple[int, int]
    median_ms: float
    low_ms: float
    high_ms: float


@dataclass(frozen=True)
class Times:
    """Measured times; another run measures others, so they are not among a result's arrays.

    Attributes:
        runs: in the order of measurement.
        device: the processor's name.
        threads: of the processor, or 0 for a GPU.
    """

    runs: tuple[MixerTime, ...]
    device: str
    threads: int


@dataclass(frozen=True)
class MixerScaling(Result):
    """Costs of three mixers with a block's channels, against the number N of tokens, in the form at inference.

    Attributes:
        quantity: what is counted, multiply–accumulates or bytes moved.
        kind: which of :data:`COMPARED` the block's own mixer is, ``"none"`` where it mixes nothing, or ``"other"``
            for one without a closed form.
        grid: (h, w), tokens, of this block on this picture.
        terms: what the formula of the block's own mixer is made of, by symbol, such as ``{"H": 14, "K_L": 7}``.
        own_macs: multiply–accumulates of the block's mixer here, counted operator by operator.
        own: ``quantity`` of the block's mixer here, counted as well.
        tokens: N from small inputs to large ones, (n,).
        costs: of :data:`COMPARED` at each N, (3, n).
        coefficients: row m is (a, b, c) of mixer m: its cost is a + bN + cN², (3, 3).
        here: costs of :data:`COMPARED` on this grid, (3,).
        crossings: every N ≥ 1 at which two of them cost the same: the two mixers, N, and the cost.
        turning_point: the N from which on the quadratic term of self-attention is larger than the linear one.
        times: measured times, as far as there are any.
    """

    quantity: Quantity
    kind: str
    grid: tuple[int, int]
    terms: Mapping[str, int]
    own_macs: int
    own: float
    tokens: Counts
    costs: Counts
    coefficients: Counts
    here: Counts
    crossings: tuple[tuple[Mixer, Mixer, float, float], ...]
    turning_point: float
    times: Times


@dataclass(frozen=True)
class ModelCosts(Result):
    """What every part of a network costs on an input, in the form at inference.

    Attributes:
        size: (height, width) of the input, pixels.
        parts: names of the parts in order of computation: ``"stem"``, ``"down2"`` to ``"down4"`` (downsampling before
            a stage), blocks such as ``"blocks2.3"``, ``"head"``.
        kinds: of the blocks, as :attr:`lsnet.model.Block.kind`; None for parts that are no block.
        macs: multiply–accumulates of token mixing and of everything else in the part, (parts, 2).
        parameters: the same of parameters.
        bytes: the same of bytes moved.
        training_parameters: of the whole network before batch norms and branches are folded.
        per_number: bytes per number.
    """

    size: tuple[int, int]
    parts: tuple[str, ...]
    kinds: tuple[str | None, ...]
    macs: Counts
    parameters: Counts
    bytes: Counts
    training_parameters: int
    per_number: int


@dataclass(frozen=True)
class PaperResults(Result):
    """One of the paper's tables, and the closed forms beside its costs.

    Attributes:
        table: as printed.
        source: authors, title, place and year.
        closed_forms: giga multiply–accumulates of LSNet-T, S and B at the table's input, by row name.
    """

    table: PaperTable
    source: str
    closed_forms: Mapping[str, float]

    def arrays(self) -> dict[str, np.ndarray]:
        """The columns by name; one with gaps comes with the indices of the rows that it has, ``<name>.rows``."""
        arrays = {}
        for name in self.table.columns[1:]:
            printed = [(row, value) for row, value in enumerate(self.table.column(name)) if value is not None]
            arrays[name] = np.array([value for _, value in printed])
            if len(printed) < len(self.table.rows):
                arrays[f"{name}.rows"] = np.array([row for row, _ in printed])
        return arrays
