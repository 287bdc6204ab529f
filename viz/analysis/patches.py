"""Patches of pictures around tokens that stand out."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from viz.results.atlas import Patches

SIDE = 96  # pixels of a patch, whatever the window
APART = 3  # tokens between two patches of a picture, along rows or columns: their aggregation windows do not meet

OUTSIDE = (128, 128, 128, 48)  # grey that hardly covers the page behind it

Place = tuple[int, int, int]  # picture, row, column
Scores = NDArray[np.float64]  # (h, w)


def best_apart(scores: Sequence[Scores], count: int, taken: Sequence[Place] = ()) -> list[Place]:
    """Up to ``count`` tokens of several pictures by score, the highest first, none near another one of its picture.

    Args:
        scores: of the tokens of each picture; tokens of -inf are left out. Of equals, the first one in reading order.
        count: how many at most.
        taken: tokens that others have to stay away from.
    """
    if not scores:
        return []
    flat = np.concatenate([grid.ravel() for grid in scores])
    starts = np.cumsum([0, *(grid.size for grid in scores)])
    near = list(taken)
    found: list[Place] = []
    for i in np.argsort(-flat, kind="stable"):
        if len(found) == count or flat[i] == -np.inf:
            break
        picture = int(np.searchsorted(starts, i, side="right")) - 1
        row, column = divmod(int(i - starts[picture]), scores[picture].shape[1])
        if all(p != picture or max(abs(r - row), abs(c - column)) >= APART for p, r, c in near):
            near.append((picture, row, column))
            found.append((picture, row, column))
    return found


def window_image(view: Image.Image, row: int, column: int, stride: int, window: int) -> bytes:
    """What lies in a window of ``window`` × ``window`` tokens around a token, as a WebP file; grey outside of the view.

    Args:
        view: what the network saw, RGB, at its own resolution.
        row, column: the token.
        stride: pixels per token.
        window: side in tokens, odd.
    """
    left, top = (stride * (at - window // 2) for at in (column, row))
    side = stride * window
    patch = Image.new("RGBA", (side, side), OUTSIDE)
    patch.paste(view, (-left, -top))
    file = BytesIO()
    patch.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(file, "WEBP", quality=85)
    return file.getvalue()


def patches_at(
    views: Sequence[Image.Image], places: Sequence[Place], scores: Sequence[Scores], stride: int, window: int
) -> Patches:
    """Tokens as :class:`viz.results.atlas.Patches`; ``scores`` are those of all tokens of each picture."""
    return Patches(
        places=np.array(places, np.int64).reshape(-1, 3),
        scores=np.array([scores[i][row, column] for i, row, column in places], np.float32),
        images=tuple(window_image(views[i], row, column, stride, window) for i, row, column in places),
    )
