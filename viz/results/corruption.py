"""What a corruption of the picture does to kernels, to their large-field context and to the answer."""

from collections.abc import Mapping
from dataclasses import dataclass

from viz.results.place import Array, Result


@dataclass(frozen=True)
class CorruptionEffect(Result):
    """A picture as it is against the same picture corrupted.

    Attributes:
        corruption: one of the 15 kinds of ImageNet-C.
        severity: 1 to 5.
        seed: of the noise, for the corruptions that draw at random.
        seen, seen_corrupted: what the network saw, as JPEG files.
        extent: (height, width) of the network's input in tokens.
        kernel_large, kernel_small: sides of the token's two windows in tokens.
        kernels, kernels_corrupted: the dynamic kernels at the token, (G, K, K).
        context, context_corrupted: output of the large-kernel convolution, mean over channels, (h, w).
        input_map, kernel_map, context_map: change of each token, (h, w): |k' - k| over the root mean square of |k|
            over all tokens, where k are the normalised pixels of a token's cell, all of its kernels, or all channels
            of its context.
        classes: names, by language, of the five most probable classes clean and corrupted, the most probable clean
            first.
        before, after: their softmax probabilities, (classes,).
        severities: those that are measured, ascending, (S,).
        input_changes, kernel_changes, context_changes: |k' - k| / |k| over the whole picture, (S,).
        probabilities: of the class that is most probable on the clean picture, (S,).
        kept: 1 where that class stays the most probable one, else 0, (S,).
        kernel_shuffled, context_shuffled: the same change, in the root mean square over all ways to shuffle the clean
            picture's places: a corruption that reaches it leaves a place no more like itself than like any other.
    """

    corruption: str
    severity: int
    seed: int
    seen: bytes
    seen_corrupted: bytes
    extent: tuple[float, float]
    kernel_large: int
    kernel_small: int
    kernels: Array
    kernels_corrupted: Array
    context: Array
    context_corrupted: Array
    input_map: Array
    kernel_map: Array
    context_map: Array
    classes: tuple[Mapping[str, str], ...]
    before: Array
    after: Array
    severities: Array
    input_changes: Array
    kernel_changes: Array
    context_changes: Array
    probabilities: Array
    kept: Array
    kernel_shuffled: float
    context_shuffled: float
