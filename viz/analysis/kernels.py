"""The dynamic kernels of a block."""

import numpy as np

from viz.analysis.place import place_at
from viz.results.kernels import TokenKernels
from viz.trace import ForwardTrace


def kernels_at(trace: ForwardTrace, block: str, token: tuple[int, int]) -> TokenKernels:
    """The kernels of one token beside their mean over the picture.

    The share explained by the mean is ``1 - Σ|w - w̄|² / Σ|w|²``, over all tokens and taps of a set: 1 where one static
    kernel would do, 0 where kernels cancel out on average.

    Args:
        trace: a trace that holds the block's kernels.
        block: name of a block with dynamic kernels.
        token: (row, column).

    Raises:
        ValueError: the block has no kernels, or no such token.
    """
    place = place_at(trace, block, token)
    stored = trace.block(block).kernels
    if stored is None:
        raise ValueError(f"expected a block with recorded kernels, got {block!r}")
    kernels = stored.numpy()  # (G, K*K, h, w)
    size = round(kernels.shape[1] ** 0.5)
    square = (len(kernels), size, size)
    mean = kernels.mean((2, 3))  # (G, K*K)
    energy = np.square(kernels).sum((1, 2, 3))
    residual = np.square(kernels - mean[:, :, None, None]).sum((1, 2, 3))
    return TokenKernels(
        place=place,
        kernels=kernels[:, :, token[0], token[1]].reshape(square),
        mean=mean.reshape(square),
        static_share=1 - residual / np.maximum(energy, np.finfo(np.float32).tiny),
        limit=float(np.abs(kernels).max()),
    )
