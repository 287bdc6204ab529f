"""The page: which of its parts ask for what."""

import functools
from typing import Any

import gradio as gr
from gradio.events import Dependency

from viz.examples import examples
from viz.texts import texts_in
from viz.ui.answers import Answers, at_the_browsers_pace, leave
from viz.ui.parts import Parts
from viz.ui.places import open_example
from viz.ui.service import Explorer
from viz.ui.tabs import QUICK

CAMERAS = 2  # that may stream at the same time
CAMERA_SECONDS = 120  # that one may stream for

# A picture that comes after one that was chosen later is left out; see assets/inspector/uploads.js.
LAST_CHOSEN = "(visit, picture, ...rest) => [visit, window.lsnetUploads.arrived(picture) ? picture : null, ...rest]"


class Page:
    """Builds the page and connects its parts.

    Attributes:
        opening: the visit that every visitor begins with.
        parts, answers: once it is built.
    """

    parts: Parts
    answers: Answers

    def __init__(self, explorer: Explorer) -> None:
        """Look at the first example, which the page shows at once."""
        self.explorer = explorer
        self.opening = open_example(explorer, examples()[0], explorer.networks.opening)

    def build(self) -> gr.Blocks:
        """The whole page, already showing the first example."""
        with gr.Blocks(title=texts_in("en")("app.title"), analytics_enabled=False, fill_width=True) as blocks:
            self.parts = Parts(self.explorer, self.opening, functools.partial(leave, self.explorer))
            self.answers = Answers(self.explorer, self.parts)
            self._connect(blocks)
        return blocks

    def _connect(self, blocks: gr.Blocks) -> None:
        self._stream()
        self.parts.tabs.follow(self.parts.visit, [*self._analyses(), *self._moves(), self._arrival(blocks)])

    def _analyses(self) -> list[Dependency]:
        """What asks for another analysis."""
        parts, answers, guarded = self.parts, self.answers, self.answers.guarded
        inputs, settings = parts.inputs, parts.inputs.settings
        serial: dict[str, Any] = {
            "outputs": parts.shown,
            "concurrency_id": "model",
            "concurrency_limit": 1,  # first come, first served
            # A second picture while the first is on its way: both, in order. "always_last" at times forgets the last.
            "trigger_mode": "multiple",
            "api_visibility": "private",
            "show_progress": "minimal",
            "show_progress_on": [parts.inspector],
        }
        brought = {**serial, "fn": guarded(answers.bring), "preprocess": False}
        built = [parts.visit, inputs.size, inputs.mode, *parts.variant.controls]
        step = {**serial, "outputs": [*parts.shown, parts.tabs.container, *parts.tabs.controls]}
        return [
            inputs.upload.upload(inputs=[parts.visit, inputs.upload, *settings], js=LAST_CHOSEN, **brought),
            inputs.camera.input(inputs=[parts.visit, inputs.camera, *settings], **brought),
            inputs.examples.select(guarded(answers.choose_example), [parts.visit, *settings], **serial),
            *(
                setting.input(guarded(answers.change_setting), [parts.visit, *settings], **serial)
                for setting in (inputs.model, inputs.size, inputs.mode)
            ),
            parts.variant.button.click(guarded(answers.open_variant), built, **serial),
            parts.lessons.component.input(guarded(answers.show_step), parts.visit, **step),
        ]

    def _stream(self) -> None:
        """A camera's pictures, one after the other."""
        parts, guarded = self.parts, self.answers.guarded
        # A stream holds its place in the queue for as long as it runs, so it must not be the models' only one.
        parts.inputs.live.stream(
            at_the_browsers_pace(guarded(self.answers.follow_camera)),
            [parts.visit, parts.inputs.live, *parts.inputs.settings],
            [*parts.told, parts.inspector],
            stream_every=0.1,
            time_limit=CAMERA_SECONDS,
            preprocess=False,
            concurrency_limit=CAMERAS,
            api_visibility="private",
            show_progress="hidden",
        )
        parts.inspector.play(
            guarded(self.answers.frame_has_arrived),
            parts.visit,
            parts.told,
            queue=False,
            **QUICK | {"trigger_mode": "multiple"},
        )

    def _moves(self) -> list[Dependency]:
        """What changes the place or the language in what is shown."""
        parts, answers, guarded = self.parts, self.answers, self.answers.guarded
        return [
            parts.inspector.input(guarded(answers.look_at), parts.visit, parts.told, **QUICK),
            parts.inspector.select(guarded(answers.switch_language), parts.visit, parts.worded, **QUICK),
        ]

    def _arrival(self, blocks: gr.Blocks) -> Dependency:
        """The page has come to a browser."""
        parts = self.parts
        return blocks.load(
            self.answers.guarded(self.answers.arrive),
            [parts.visit, parts.dark],
            [parts.inspector, parts.tabs.container, *parts.worded],
            js="(visit) => [visit, document.body.classList.contains('dark')]",
            **QUICK,
        )
