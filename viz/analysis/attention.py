"""The attention of an MSA block."""

from viz.analysis.place import place_at
from viz.results import AttentionRows
from viz.trace import ForwardTrace


def attention_at(trace: ForwardTrace, block: str, token: tuple[int, int]) -> AttentionRows:
    """How one token weighs all tokens of the grid, head by head.

    Args:
        trace: a trace that holds the block's attention.
        block: name of an MSA block.
        token: (row, column).

    Raises:
        ValueError: the block has no attention, or no such token.
    """
    place = place_at(trace, block, token)
    chosen = trace.block(block)
    if chosen.attention is None:
        raise ValueError(f"expected an MSA block with recorded attention, got {block!r}")
    height, width = chosen.grid
    rows = chosen.attention[:, token[0] * width + token[1]].unflatten(1, (height, width)).numpy()  # (heads, h, w)
    return AttentionRows(place=place, rows=rows, mean=rows.mean(0))
