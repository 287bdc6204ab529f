"""What the network saw, as a small grey picture to draw maps on."""

from io import BytesIO

from PIL import Image

from lsnet.predictor import Predictor

LONGEST_SIDE = 448  # pixels; finer than any grid of tokens that is drawn on it


def seen_jpeg(predictor: Predictor, picture: Image.Image) -> bytes:
    """The part of an RGB picture that the network sees, as the bytes of a JPEG file of at most 448 pixels a side.

    Grey, so that the colours of a map that lies on it are the map's alone.
    """
    view = predictor.preprocess.view(picture).convert("L")
    view.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.BICUBIC)
    file = BytesIO()
    view.save(file, "JPEG", quality=85)
    return file.getvalue()
