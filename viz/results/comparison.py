"""One token through several ways to mix tokens."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np

from viz.results.place import Array, Place, Result

# Keys of lsnet.mixers.MIXERS that fit one table: weights around a token, or over all tokens, or none.
ComparedMixer = Literal["ls", "static", "attention", "small", "none"]


@dataclass(frozen=True)
class Accuracy:
    """Measured top-1 accuracy of one mixer in the zoo.

    Attributes:
        data: name of the held-out set.
        mean: over the seeds, 0…1.
        low, high: the lowest and highest seed; of a single one, its 95 % interval.
        seeds: how many.
        pictures: how many the set holds.
        size: side of the pictures, in pixels, at which it was measured.
    """

    data: str
    mean: float
    low: float
    high: float
    seeds: int
    pictures: int
    size: int


@dataclass(frozen=True)
class Network:
    """One of several networks that differ in their mixer alone.

    Attributes:
        weights: one line that names them.
        top: (name by language, probability) of the three most probable classes.
        parameters: learnable numbers.
        macs: multiply–accumulates for this picture.
        milliseconds: of a forward pass on this machine, median.
        accuracy: measured, or empty where it was not.
    """

    weights: str
    top: tuple[tuple[Mapping[str, str], float], ...]
    parameters: int
    macs: int
    milliseconds: float
    accuracy: tuple[Accuracy, ...]


@dataclass(frozen=True)
class Mixing:
    """One token, mixed in one way.

    Attributes:
        mixer: the way.
        place: block and token; the token is the one that holds the same place of the picture.
        trained: whether the network's weights are.
        perceives: (h, w) of booleans: which tokens decide the weights.
        reads: (h, w) of booleans: which tokens are aggregated.
        shares: (h, w): share of each token in the sum of weights' magnitudes, mean over kernel sets, channels or heads;
            it sums to one.
        weights: (n, K, K) or (heads, h, w): the weights themselves, of each kernel set or head, in units of the root
            mean square of such weights in the block; None where they are as many as channels, or there are none.
        feature: (h, w): mean over channels of what the aggregation wrote, in units of the root mean square of such a
            map.
        attribution: (h', w'): gradient × input of the network's own most probable class, summed over cells of 8 × 8
            pixels, in units of the map's root mean square; None where the networks do not differ.
        weight_count: weights per token; 0 for the identity.
        macs: multiply–accumulates of the mixer per token.
        extent: (height, width) of the network's input in tokens.
        network: the whole network, where the networks differ.
    """

    mixer: ComparedMixer
    place: Place
    trained: bool
    perceives: np.ndarray
    reads: np.ndarray
    shares: Array
    weights: Array | None
    feature: Array
    attribution: Array | None
    weight_count: int
    macs: int
    extent: tuple[float, float]
    network: Network | None = None


@dataclass(frozen=True)
class Comparison(Result):
    """The same place of a picture through several mixers.

    Attributes:
        rows: one for each mixer.
        photo: the part of the picture that the network saw, as a JPEG file.
        static_share: share of the kernels' sum of squares that the static kernel accounts for, 0…1; None between
            networks.
        static_cosine: cosine, over all channels and tokens, of what the block wrote with its own kernels and what it
            would have written with the static one; None between networks.
        left_out: mixers whose attention would not fit into memory at this resolution.
    """

    rows: tuple[Mixing, ...]
    photo: bytes
    static_share: float | None = None
    static_cosine: float | None = None
    left_out: tuple[ComparedMixer, ...] = ()

    def arrays(self) -> dict[str, np.ndarray]:
        """The numbers by name, such as ``ls/shares``."""
        values = {f"{row.mixer}/{field.name}": getattr(row, field.name) for row in self.rows for field in fields(row)}
        return super().arrays() | {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
