"""The large-field context inside LKP: what kernels are predicted from."""

import numpy as np

from viz.analysis.place import place_at
from viz.components import principal_components
from viz.results import ContextMap
from viz.trace import ForwardTrace


def context_map(trace: ForwardTrace, block: str) -> ContextMap:
    """The large-kernel depthwise output of an LS block, condensed over its channels.

    Principal components: see :func:`viz.components.principal_components`.

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
    scores, explained = principal_components(context)
    spread = max(scores[:, 0].std(), np.finfo(np.float32).tiny)
    return ContextMap(
        place=place,
        mean=context.mean(0),
        components=(scores / spread).reshape(*context.shape[1:], 3).astype(np.float32),
        explained=explained.astype(np.float32),
    )
