"""What a view looks at: a picture in a network, and a place in both."""

from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from lsnet.predictor import Predictor, load_predictor
from viz.progress import Progress, silent
from viz.trace import BlockTrace, ForwardTrace

Token = tuple[int, int]


@dataclass(frozen=True)
class Subject:
    """Everything that an analysis may ask for. All of it is shared and read-only.

    Attributes:
        predictor: the network, looking at pictures as it did for the trace.
        picture: upright RGB.
        trace: what happened inside.
        block: name of the chosen block.
        token: (row, column) in its grid.
        load: gives other networks by source, as :func:`lsnet.load_predictor` does.
        progress: where a long computation reports.
    """

    predictor: Predictor
    picture: Image.Image
    trace: ForwardTrace
    block: str
    token: Token
    load: Callable[[str], Predictor] = load_predictor
    progress: Progress = silent

    @property
    def block_trace(self) -> BlockTrace:
        """The chosen block's part of the trace."""
        return self.trace.block(self.block)
