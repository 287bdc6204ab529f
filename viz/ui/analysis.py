"""What is kept of one look at one picture."""

import os
from dataclasses import dataclass

from PIL import Image

from lsnet.preprocess import FrameMode
from viz.examples import Example
from viz.trace import ForwardTrace
from viz.ui.networks import loadable

Picture = str | os.PathLike[str] | Image.Image


@dataclass(frozen=True)
class Analysis:
    """One picture through one network.

    Attributes:
        trace: what happened inside.
        source: which weights, as :func:`lsnet.load_predictor` takes them.
        size, mode: how the picture was framed.
        asked: the size that was asked for; larger where its payload would have been too large for the browser.
        payload_bytes: how large its payload is.
        trained: whether the weights are trained.
        picture: the picture, or a private copy of its file, to look at it again.
        example: the bundled photo that it is, or None for a visitor's own.
    """

    trace: ForwardTrace
    source: str
    size: int
    mode: FrameMode
    trained: bool
    picture: Picture
    example: Example | None
    asked: int
    payload_bytes: int

    @property
    def name(self) -> str:
        """How Python lines call the picture; never a visitor's own file name."""
        return f"assets/examples/{self.example.path.name}" if self.example else "photo.jpg"

    @property
    def weights(self) -> str:
        """How Python lines call the weights: as :func:`lsnet.load_predictor` takes them, a file without its folder."""
        return loadable(self.source)
