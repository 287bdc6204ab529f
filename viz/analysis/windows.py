"""Where perception and aggregation windows lie on the picture."""

from viz.analysis.place import place_at
from viz.results import Windows
from viz.trace import ForwardTrace


def windows_at(trace: ForwardTrace, block: str, token: tuple[int, int]) -> Windows:
    """The windows of a token of an LS or MSA block.

    Raises:
        ValueError: no such token.
    """
    chosen, geometry = trace.block(block), trace.geometry
    place = place_at(trace, block, token)
    if chosen.kind == "ls":
        perception = geometry.window_to_box(*token, chosen, chosen.kernel_large)
        aggregation = geometry.window_to_box(*token, chosen, chosen.kernel_small)
    else:
        perception, aggregation = geometry.crop_box, geometry.token_to_box(*token, chosen)
    return Windows(place, perception, aggregation, geometry.crop_box)
