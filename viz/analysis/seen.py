"""What the network saw, as a small picture to draw maps on."""

from io import BytesIO

from PIL import Image

from lsnet.predictor import Predictor

LONGEST_SIDE = 448  # pixels; finer than any grid of tokens that is drawn on it
QUALITY = 90  # of the JPEG file


def seen_jpeg(predictor: Predictor, picture: Image.Image) -> bytes:
    """The part of an RGB picture that the network sees, as :func:`small_jpeg`.

    Grey, so that the colours of a map that lies on it are the map's alone.
    """
    return small_jpeg(predictor.preprocess.view(picture).convert("L"))


def small_jpeg(picture: Image.Image) -> bytes:
    """A picture as the bytes of a JPEG file of at most 448 pixels a side."""
    small = picture.copy()
    small.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.BICUBIC)
    file = BytesIO()
    small.save(file, "JPEG", quality=QUALITY, subsampling=0)
    return file.getvalue()
