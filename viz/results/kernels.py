"""The dynamic kernels of one token."""

from dataclasses import dataclass

from viz.results.place import Array, Result


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
