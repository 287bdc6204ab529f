"""What a visitor hands over and sets: a picture, a network, how the picture is framed."""

from collections.abc import Sequence

import gradio as gr
from gradio.blocks import Block

from viz.examples import examples
from viz.texts import Texts
from viz.ui import wording
from viz.ui.localize import Localizer
from viz.ui.service import SIZES


class Inputs:
    """The controls above the inspector.

    Attributes:
        upload: button for a file.
        examples: the bundled photos.
        model: menu of networks.
        camera: one picture of a camera, or from the clipboard.
        live: a camera's stream.
        size, mode: how pictures are framed.
        status: what the page says about the analysis.
    """

    def __init__(self, localize: Localizer, say: Texts, sources: Sequence[str], opening: str) -> None:
        """Build the controls, inside a ``gr.Blocks``.

        Args:
            localize: keeps their words in the visitor's language.
            say: the words to begin with.
            sources: networks to choose from.
            opening: the one of them that is chosen.
        """
        with gr.Row(equal_height=True, elem_id="inputs"):
            self.upload = localize(
                gr.UploadButton(
                    say("input.upload"),
                    file_types=["image"],
                    variant="primary",
                    scale=1,
                    min_width=200,
                    elem_id="upload",
                ),
                label="input.upload",
            )
            self.examples = localize(
                gr.Gallery(
                    _example_items(say),
                    label=say("input.examples"),
                    show_label=False,
                    container=False,
                    columns=len(examples()),
                    rows=1,
                    height=72,
                    allow_preview=False,
                    interactive=False,
                    object_fit="cover",
                    buttons=[],
                    scale=3,
                    min_width=320,
                    elem_id="examples",
                ),
                label="input.examples",
                value=_example_items,
            )
            self.model = localize(
                gr.Dropdown(
                    wording.model_choices(sources, say),
                    value=opening,
                    label=say("input.model"),
                    scale=2,
                    min_width=280,
                    elem_id="model",
                ),
                label="input.model",
                choices=lambda say: wording.model_choices(sources, say),
            )
        with localize(gr.Accordion(say("input.more"), open=False, elem_id="more"), label="input.more"), gr.Row():
            self.camera = localize(
                gr.Image(
                    type="filepath",
                    image_mode=None,  # as it came: Gradio would turn transparency black
                    sources=["clipboard", "webcam", "upload"],
                    label=say("input.camera"),
                    height=240,
                    elem_id="camera",
                ),
                label="input.camera",
            )
            self.live = localize(
                gr.Image(
                    type="pil",
                    sources=["webcam"],
                    streaming=True,
                    webcam_options=gr.WebcamOptions(mirror=False),  # what is shown is what was seen
                    label=say("input.live"),
                    height=240,
                    elem_id="live",
                ),
                label="input.live",
            )
            with gr.Column():
                self.size = localize(
                    gr.Radio(list(SIZES), value=SIZES[0], label=say("input.size"), elem_id="size"), label="input.size"
                )
                self.mode = localize(
                    gr.Radio(wording.mode_choices(say), value="crop", label=say("input.mode"), elem_id="mode"),
                    label="input.mode",
                    choices=wording.mode_choices,
                )
                self.status = gr.Markdown(elem_id="status")

    @property
    def settings(self) -> list[Block]:
        """What decides how a picture is analysed."""
        return [self.model, self.size, self.mode]


def _example_items(say: Texts) -> list[tuple[str, str]]:
    return [(str(example.path), f"{say.of(example.title)} · {example.author}") for example in examples()]
