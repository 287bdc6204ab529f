"""Which pixels a number of the network rests on, and whether that map deserves trust."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from viz.results.place import Array, Result

TargetKind = Literal["class", "tap"]
MethodName = Literal[
    "integrated_gradients", "grad_cam", "occlusion", "input_x_gradient", "deep_lift", "guided_backprop"
]
BaselineName = Literal["black", "mean", "blurred"]

WITH_BASELINE: tuple[MethodName, ...] = ("integrated_gradients", "occlusion", "deep_lift")
COMPLETE: tuple[MethodName, ...] = ("integrated_gradients", "deep_lift")  # so they promise
# Methods whose pixels are shares of one change or gradient. The others' values speak for a whole neighbourhood each.
SHARED_OUT: tuple[MethodName, ...] = ("integrated_gradients", "input_x_gradient", "deep_lift", "guided_backprop")

# Why a map shows nothing: no pixel differs from the baseline, none has an influence, or numbers overflowed.
Emptiness = Literal["baseline", "flat", "not_finite"]


@dataclass(frozen=True)
class Attribution(Result):
    """Which pixels a number rests on: positive where they raise it, negative where they lower it.

    Attributes:
        map: (h, w), signed, in units of the explained number; see ``method`` for what a value means.
        cell: pixels of the model's input per cell of the map: 1, or the stride of Grad-CAM's layer.
        patches: the map on a coarser grid, (rows, columns): sums over pixels where those are shares, else means.
            Of guided backpropagation, sums of magnitudes.
        patch: side of a patch in pixels of the model's input.
        size: (height, width) of the model's input in pixels.
        seen: what the network saw, a JPEG file of that size.
        kind: whether a class's logit is explained, or one weight of the token's dynamic kernel.
        name: of the class, by language; empty for a kernel weight.
        kernel_set, tap: of the explained weight.
        kernel_large, kernel_small: sides of the token's two windows in tokens; 0 for a class.
        method: how the map was made.
        layer: the block whose features Grad-CAM weighs; empty for other methods.
        baseline: what "absent" means, for methods with a baseline and for the check by removal.
        steps: of integrated gradients.
        value: the explained number.
        probability: of the class, 0…1; None for a kernel weight.
        baseline_value: the number at the baseline, for methods that have one.
        total: sum over the map.
        empty: why there is nothing to see; None where there is something.
    """

    map: Array
    cell: int
    patches: Array
    patch: int
    size: tuple[int, int]
    seen: bytes
    kind: TargetKind
    name: Mapping[str, str]
    kernel_set: int
    tap: int
    kernel_large: int
    kernel_small: int
    method: MethodName
    layer: str
    baseline: BaselineName
    steps: int
    value: float
    probability: float | None
    baseline_value: float | None
    total: float
    empty: Emptiness | None

    @property
    def completeness_error(self) -> float | None:
        """|Σ attributions − (f(x) − f(x0))| for methods that promise zero; None for the others."""
        if self.method not in COMPLETE or self.baseline_value is None:
            return None
        return abs(self.total - (self.value - self.baseline_value))


@dataclass(frozen=True)
class FaithfulAttribution(Attribution):
    """A map with the check by removal: how fast the score falls without the pixels that it calls important.

    The score is the class's probability, or the kernel's weight. An order and its reverse are equally random, and
    inserting in the one order passes through the same pictures as deleting in the other: random insertion curves are
    the random deletion curves read from right to left, and their areas are the same numbers.

    Attributes:
        fractions: of patches replaced by the baseline, or put back, (S,), ascending from 0 to 1.
        deletion: the score without the highest patches, (S,).
        insertion: the score with nothing but the highest patches, (S,).
        random: deletion curves in random orders, (R, S).
        deletion_area, insertion_area: under the two curves, trapezoidal.
        random_areas: (R,).
    """

    fractions: Array
    deletion: Array
    insertion: Array
    random: Array
    deletion_area: float
    insertion_area: float
    random_areas: Array


@dataclass(frozen=True)
class RandomisedAttribution(Attribution):
    """A map with the check by randomisation: the same method on networks that have forgotten what they learned.

    Attributes:
        parts: of the network, from the output down; each step starts one more of them anew.
        signed: Spearman's rank correlation with the map of the network as it is, (P,), −1…1.
        magnitudes: the same between absolute values, (P,).
        randomised: the map where all parts are new, (h, w).
    """

    parts: tuple[str, ...]
    signed: Array
    magnitudes: Array
    randomised: Array
