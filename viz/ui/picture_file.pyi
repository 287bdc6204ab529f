"""A picture's file as it came: :mod:`viz.images` decides what it shows, and says what is wrong with it."""

import gradio as gr
from gradio.data_classes import ImageData

class PictureFile(gr.Image):
    """``gr.Image(type="filepath")`` that leaves the file alone.

    Gradio's own opens it, turns it into RGB and saves it again: transparency becomes black, and a file that is no
    picture fails before any handler is asked.
    """

    is_template = True  # in the browser it is an image like any other

    def preprocess(self, payload: ImageData | None) -> str | None:
        if payload is None or payload.path is None:  # nothing, or a picture within the message
            picture = super().preprocess(payload)
            return None if picture is None else str(picture)
        return payload.path
    from typing import Callable, Literal, Sequence, Any, TYPE_CHECKING
    from gradio.blocks import Block

    if TYPE_CHECKING:
        from gradio.components import Timer
        from gradio.components.base import Component
