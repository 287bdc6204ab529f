"""What a kernel is made of, and what it looks at."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from viz.results.place import Array, Result

# Whose field is asked for: that of all kernels of a token, of one tap of them, or of the block's output there.
Target = Literal["kernel", "tap", "output"]

# (left, top, right, bottom) edges in pixels of the model's input; the whole input is (0, 0, width, height).
PixelBox = tuple[int, int, int, int]


@dataclass(frozen=True)
class PerceptionSteps(Result):
    """The steps of large-kernel perception, from what a block reads to its kernels.

    Attributes:
        steps: ``"inputs"``, ``"reduced"`` (1×1 convolution and ReLU), ``"context"`` (large depthwise convolution),
            ``"modelled"`` (1×1 convolution and ReLU), ``"logits"`` (1×1 convolution), ``"kernels"`` (group norm).
        maps: of each step its mean over channels, or the chosen channel, (S, h, w).
        components: of each step the first three principal components over this picture, (S, h, w, 3), in standard
            deviations of the step's first.
        explained: share of each step's variance that each component explains, (S, 3), 0…1.
        channel: what ``maps`` show of the steps that have C/2 or more channels; None for the mean.
        tap: (kernel set, row, column), counted from the kernel's centre, of the weight that is strongest at the token;
            ``maps`` show it of logits and kernels where a channel is chosen.
        kernel_large, kernel_small: sides of the two windows, in tokens.
        deviation: largest difference between the recomputed kernels and the recorded ones, as a share of the
            strongest recorded weight.
    """

    steps: tuple[str, ...]
    maps: Array
    components: Array
    explained: Array
    channel: int | None
    tap: tuple[int, int, int]
    kernel_large: int
    kernel_small: int
    deviation: float


@dataclass(frozen=True)
class LearnedKernels(Result):
    """The large depthwise kernels of a block: fixed weights, the same on every picture.

    Attributes:
        kernels: with the batch norm folded in, (C/2, K, K), signed.
        order: channels by the Euclidean norm of their kernel, the strongest first, (C/2,).
        distances: of taps from the centre, in tokens, ascending, (D,).
        profile: mean |w| of all taps at each distance over all channels, (D,).
        quartiles: the first and third quartile over channels of their mean |w| at each distance, (2, D).
        inside: share of Σ|w| in the central 3 × 3 taps, 0…1.
    """

    kernels: Array
    order: NDArray[np.int64]
    distances: Array
    profile: Array
    quartiles: Array
    inside: float


@dataclass(frozen=True)
class TheoreticalField:
    """What a place can read at all.

    Attributes:
        side: of the square that convolutions reach, in pixels, padding beyond the picture included.
        box: the part of it that is on the picture.
        everywhere: names of the modules on the way that read the whole picture: squeeze-and-excitation, group norm,
            self-attention. With any of these, every pixel counts.
    """

    side: int
    box: PixelBox
    everywhere: tuple[str, ...]


@dataclass(frozen=True)
class EffectiveField(Result):
    """How much each pixel of the input contributes to a place, in three networks.

    Attributes:
        networks: ``"these"`` weights, the same without LKP's ``"surround"``, and ``"random"`` weights.
        contributions: Σ over colours of |gradient| at each pixel of the input, as a share of the network's total,
            (3, H, W); each sums to one, or is zero where nothing contributes. Over several photos: their mean.
        totals: Σ|gradient| over the input, (3,): what the shares are shares of. Over several photos: the mean.
        levels: shares of the contribution, (L,), ascending, 0…1.
        areas: of the smallest set of pixels that holds each share, as a share of the input's area, (3, L), 0…1.
        sides: of the square of that area, in pixels, (3, L).
        inside: share of the contribution from within the aggregation window, the perception window and what
            convolutions reach, (3, 3).
        target: whose field it is.
        tap: (kernel set, row, column), counted from the kernel's centre, of the weight for target ``"tap"``.
        field: what the target can read at all.
        aggregation, perception: the two windows around the token, cut at the picture's edge.
        picture_box: ``field.box`` in pixels of the original picture, (left, top, right, bottom).
        size: (height, width) of the input.
        seen: the part of the picture that the network sees, as a JPEG file.
        kernel_large, kernel_small: sides of the two windows, in tokens.
        photos: how many bundled photos the mean is taken over, and of how many; None for the visitor's own picture.
    """

    networks: tuple[str, ...]
    contributions: Array
    totals: Array
    levels: Array
    areas: Array
    sides: Array
    inside: Array
    target: Target
    tap: tuple[int, int, int]
    field: TheoreticalField
    aggregation: PixelBox
    perception: PixelBox
    picture_box: tuple[float, float, float, float]
    size: tuple[int, int]
    seen: bytes
    kernel_large: int
    kernel_small: int
    photos: tuple[int, int] | None
