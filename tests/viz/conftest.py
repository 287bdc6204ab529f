"""What the tests of analyses and figures look at: a small network, and a photo in it."""

import pytest
from PIL import Image

import lsnet
from viz.capture import trace_image
from viz.trace import ForwardTrace


@pytest.fixture(scope="module")
def predictor(tiny_predictor: lsnet.Predictor) -> lsnet.Predictor:
    """The small network at 96 pixels; a file that wants another size says so by a fixture of this name."""
    return tiny_predictor.framed(96)


@pytest.fixture(scope="module")
def trace(predictor: lsnet.Predictor, photo: Image.Image) -> ForwardTrace:
    """The photo in that network."""
    return trace_image(predictor, photo)
