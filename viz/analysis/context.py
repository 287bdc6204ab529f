"""The large-field context inside LKP: what kernels are predicted from."""

import numpy as np

from viz.analysis.place import place_at
from viz.results import ContextMap
from viz.trace import ForwardTrace


def context_map(trace: ForwardTrace, block: str) -> ContextMap:
    """The large-kernel depthwise output of an LS block, condensed over its channels.

    Principal components are those of the tokens' channel vectors, centred over the picture. Each component's sign is
    chosen so that its largest entry in the channel basis is positive, which makes colours repeatable.

    Args:
        trace: a trace that holds the block's context.
        block: name of an LS block.

    Raises:
        ValueError: the block has no context.
    """
    place = place_at(trace, block)
    stored = trace.block(block).context
    if stored is None:
        raise ValueError(f"expected an LS block with recorded context, got {block!r}")
    context = stored.numpy()  # (C/2, h, w)
    channels, height, width = context.shape
    tokens = context.reshape(channels, -1).T.astype(np.float64)  # (h*w, C/2)
    centred = tokens - tokens.mean(0)
    _, singular, directions = np.linalg.svd(centred, full_matrices=False)
    count = min(3, len(singular))
    directions = directions[:count]
    signs = np.sign(np.take_along_axis(directions, np.abs(directions).argmax(1, keepdims=True), 1))
    scores = np.zeros((len(tokens), 3))
    scores[:, :count] = centred @ (directions * signs).T
    energy = np.zeros(3)
    energy[:count] = singular[:count] ** 2
    spread = max(scores[:, 0].std(), np.finfo(np.float32).tiny)
    return ContextMap(
        place=place,
        mean=context.mean(0),
        components=(scores / spread).reshape(height, width, 3).astype(np.float32),
        explained=(energy / max((singular**2).sum(), np.finfo(np.float64).tiny)).astype(np.float32),
    )
