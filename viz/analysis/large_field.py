"""What the kernel at a place looks at: LKP's steps, its learned weights, and its receptive field."""

from collections.abc import Iterator
from typing import Literal

from PIL import Image

from lsnet.predictor import Predictor
from viz.analysis.effective_field import effective_field
from viz.analysis.lkp_steps import learned_kernels, perception_steps
from viz.progress import Progress, silent
from viz.results import Result
from viz.results.large_field import Target
from viz.trace import ForwardTrace

Show = Literal["field", "steps", "weights"]


def large_field(
    predictor: Predictor,
    picture: Image.Image,
    trace: ForwardTrace,
    block: str,
    token: tuple[int, int],
    show: Show = "field",
    target: Target = "kernel",
    channel: int | None = None,
    bundled_photos: bool = False,
    progress: Progress = silent,
) -> Iterator[Result]:
    """One of three looks at large-kernel perception.

    Args:
        predictor: looking at pictures as it did for the trace.
        picture: upright RGB.
        trace: of this picture through this network.
        block: name of an LS block.
        token: (row, column).
        show: ``"field"`` is :func:`effective_field`, ``"steps"`` :func:`perception_steps`, ``"weights"``
            :func:`learned_kernels`.
        target, bundled_photos: of the field.
        channel: of the steps.
        progress: told the share that is done.

    Yields:
        One result; the mean over bundled photos, one after each photo.
    """
    if show == "steps":
        yield perception_steps(predictor, trace, block, token, channel)
    elif show == "weights":
        yield learned_kernels(predictor, trace, block)
    else:
        yield from effective_field(
            predictor, picture, trace, block, token, target, bundled_photos=bundled_photos, progress=progress
        )
