"""Where the two windows of "see large, focus small" lie on the photo."""

import numpy as np
from PIL import Image, ImageDraw

from viz import theme
from viz.images import Box
from viz.results import Windows

SHADE = theme.SHADE_OPACITY


def draw_windows(windows: Windows, picture: Image.Image, scale: float) -> Image.Image:
    """The photo with both windows outlined, and everything outside of the perception window shaded.

    Args:
        windows: in pixels of the original picture.
        picture: RGB, as displayed.
        scale: displayed pixels per pixel of the original.
    """

    def corners(box: Box) -> tuple[float, float, float, float]:
        return box.left * scale, box.top * scale, box.right * scale - 1, box.bottom * scale - 1

    mask = Image.new("L", picture.size, 0)
    ImageDraw.Draw(mask).rectangle(corners(windows.perception), fill=255)
    dark = Image.fromarray((np.asarray(picture) * (1 - SHADE)).astype(np.uint8))
    shaded = Image.composite(picture, dark, mask)
    width = max(2, round(max(picture.size) / 250))
    draw = ImageDraw.Draw(shaded)
    draw.rectangle(corners(windows.seen), outline="white", width=max(1, width // 2))
    draw.rectangle(corners(windows.perception), outline=theme.PERCEPTION, width=width)
    draw.rectangle(corners(windows.aggregation), outline=theme.AGGREGATION, width=width)
    return shaded
