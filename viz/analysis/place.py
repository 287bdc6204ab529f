"""Where in the network and in the picture a measurement is taken."""

from viz.results import Place
from viz.trace import ForwardTrace


def place_at(trace: ForwardTrace, block: str, token: tuple[int, int] | None = None) -> Place:
    """Describe a block and one of its tokens.

    Raises:
        KeyError: there is no such block.
        ValueError: the token is outside the block's grid.
    """
    chosen = trace.block(block)
    if token is not None:
        (row, column), (height, width) = token, chosen.grid
        if not (0 <= row < height and 0 <= column < width):
            raise ValueError(f"expected a token in a grid of {height} × {width}, got {token}")
    return Place(chosen.name, chosen.stride, token, trace.weights)
