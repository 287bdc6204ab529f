"""The page: picture and settings on the left, what happened inside on the right."""

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr
from gradio.components import Component
from PIL import Image

from lsnet import InputError
from viz.analysis.windows import windows_at
from viz.examples import Example, examples
from viz.figures.windows import draw_windows
from viz.texts import LANGUAGES, Texts, texts_in
from viz.ui import wording
from viz.ui.localize import Localizer
from viz.ui.panel import Panel, build_panel, fill
from viz.ui.service import SIZES, Analysis, Explorer
from viz.views import VIEWS

LANGUAGE_NAMES = {"en": "English", "zh-CN": "简体中文"}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Visit:
    """What one visitor has chosen; kept in gradio's session state, without any tensor.

    Attributes:
        key: of the analysis that is shown.
        block: name of the chosen block.
        pixel: (x, y) of the chosen place, in pixels of the original picture.
        language: one of :data:`viz.texts.LANGUAGES`.
        dark: whether the page is dark.
    """

    key: str
    block: str
    pixel: tuple[int, int]
    language: str = "en"
    dark: bool = False


class Page:
    """Builds the page and answers its events."""

    def __init__(self, explorer: Explorer) -> None:
        self.explorer = explorer
        self.localize = Localizer()
        self.opening = self._open(examples()[0])

    def build(self) -> gr.Blocks:
        """The whole page, already showing the first example."""
        say = texts_in("en")
        with gr.Blocks(
            title=say("app.title"), analytics_enabled=False, fill_width=True, delete_cache=(600, 7200)
        ) as blocks:
            self.visit = gr.State(self.opening, time_to_live=7200, delete_callback=self._leave)
            self.dark = gr.Checkbox(visible=False)
            self._build_header(say)
            with gr.Row(equal_height=False):
                with gr.Column(scale=1, min_width=300):
                    self._build_inputs(say)
                with gr.Column(scale=3, min_width=320):
                    self._build_explore(say)
                    with gr.Tabs():
                        self.panels: list[Panel] = [build_panel(view, self.localize, say) for view in VIEWS]
            self._build_footer(say)
            self._connect(blocks)
        return blocks

    # What stands where.

    def _build_header(self, say: Texts) -> None:
        with gr.Row(elem_id="header"):
            with gr.Column(scale=4, min_width=300):
                gr.Markdown(f"# {say('app.title')}", elem_id="title")
                self.localize(gr.Markdown(say("app.tagline"), elem_id="tagline"), value="app.tagline")
            self.language = self.localize(
                gr.Radio(
                    [(LANGUAGE_NAMES[language], language) for language in LANGUAGES],
                    value="en",
                    label=say("app.language"),
                    elem_id="language",
                    scale=1,
                    min_width=220,
                ),
                label="app.language",
            )
        self.problem = gr.Markdown(visible=False, elem_id="problem")
        self.notice = gr.Markdown(visible=False, elem_id="notice")

    def _build_inputs(self, say: Texts) -> None:
        self.picture = self.localize(
            gr.Image(
                str(examples()[0].path),
                type="filepath",
                sources=["upload", "clipboard", "webcam"],
                label=say("input.picture"),
                height=230,
                elem_id="picture",
            ),
            label="input.picture",
        )
        self.examples = self.localize(
            gr.Gallery(
                self._example_items(say),
                label=say("input.examples"),
                columns=4,
                height="auto",
                allow_preview=False,
                interactive=False,
                object_fit="cover",
                buttons=[],
                elem_id="examples",
            ),
            label="input.examples",
            value=self._example_items,
        )
        self.model = self.localize(
            gr.Dropdown(
                wording.model_choices(self.explorer.sources, say),
                value=self.explorer.opening_source,
                label=say("input.model"),
                elem_id="model",
            ),
            label="input.model",
            choices=lambda say: wording.model_choices(self.explorer.sources, say),
        )
        self.size = self.localize(
            gr.Radio(list(SIZES), value=SIZES[0], label=say("input.size"), elem_id="size"), label="input.size"
        )
        self.mode = self.localize(
            gr.Radio(wording.mode_choices(say), value="crop", label=say("input.mode"), elem_id="mode"),
            label="input.mode",
            choices=wording.mode_choices,
        )
        self.predictions = gr.Label(num_top_classes=5, elem_id="predictions")
        self.status = gr.Markdown(elem_id="status")

    def _build_explore(self, say: Texts) -> None:
        self.localize(gr.Markdown(say("app.lead"), elem_id="lead"), value="app.lead")
        with gr.Row(equal_height=False):
            self.shown = self.localize(
                gr.Image(
                    interactive=False,
                    label=say("explore.picture"),
                    height=420,
                    buttons=["fullscreen"],
                    alt_text=say("explore.alt"),
                    elem_id="explore",
                    scale=2,
                ),
                label="explore.picture",
                alt_text="explore.alt",
            )
            with gr.Column(scale=1, min_width=260):
                self.block = self.localize(
                    gr.Dropdown(label=say("explore.block"), elem_id="block"), label="explore.block"
                )
                with gr.Row():
                    self.row, self.column = (
                        self.localize(
                            gr.Number(precision=0, minimum=0, label=say(key), min_width=100, elem_id=key[8:]), label=key
                        )
                        for key in ("explore.row", "explore.column")
                    )
                self.place = gr.Markdown(elem_id="place")

    def _build_footer(self, say: Texts) -> None:
        self.localize(gr.Markdown(say("app.privacy"), elem_classes="small"), value="app.privacy")
        self.localize(gr.Markdown(say("app.source"), elem_classes="small"), value="app.source")

    def _example_items(self, say: Texts) -> list[tuple[str, str]]:
        return [(str(example.path), f"{say.of(example.title)} · {example.author}") for example in examples()]

    # What answers what.

    def _connect(self, blocks: gr.Blocks) -> None:
        inputs = [self.picture, self.model, self.size, self.mode]
        everything = self._outputs
        serial: dict[str, Any] = {"concurrency_id": "model", "api_visibility": "private"}
        for trigger in (self.picture.input, self.model.input, self.size.input, self.mode.input):
            trigger(self._guarded(self._analyse), [self.visit, *inputs], everything, **serial)
        self.examples.select(
            self._guarded(self._choose_example), [self.visit, *inputs[1:]], [self.picture, *everything], **serial
        )
        quick: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "trigger_mode": "always_last"}
        self.shown.select(self._guarded(self._click), self.visit, everything, **quick)
        self.block.input(self._guarded(self._choose_block), [self.visit, self.block], everything, **quick)
        for number in (self.row, self.column):
            number.input(self._guarded(self._go_to), [self.visit, self.row, self.column], everything, **quick)
        self.language.input(
            self._change_language, [self.visit, self.language], [*self.localize.components, *everything], **quick
        )
        blocks.load(
            self._arrive,
            [self.visit, self.dark],
            [self.language, *self.localize.components, *everything],
            js="(visit) => [visit, document.body.classList.contains('dark')]",
            **quick,
        )

    @property
    def _outputs(self) -> list[Component]:
        fixed = [
            *(self.visit, self.problem, self.notice, self.shown, self.block, self.row, self.column, self.place),
            *(self.predictions, self.status),
        ]
        return [*fixed, *(component for panel in self.panels for component in panel.components)]

    def _guarded(self, handler: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
        """On an error, leave everything as it is and say in the visitor's language what went wrong."""

        @functools.wraps(handler)
        def answer(visit: Visit, *arguments: Any) -> list[Any]:
            try:
                return handler(visit, *arguments)
            except Exception as error:
                if not isinstance(error, InputError):
                    log.exception("while answering %s", handler.__name__)
                sentence = wording.problem(error, texts_in(visit.language))
                told = gr.update(value=f"⚠️ {sentence}", visible=True)
                extra = [self.picture] if handler == self._choose_example else []
                return [told if output is self.problem else gr.skip() for output in [*extra, *self._outputs]]

        return answer

    def _analyse(self, visit: Visit, picture: str | None, model: str, size: int, mode: str) -> list[Any]:
        if picture is None:  # the visitor cleared the picture: what is shown stays until there is another
            return [gr.skip()] * len(self._outputs)
        key = self.explorer.analyse(picture, model, size, mode)
        return self._moved_to(visit, key)

    def _choose_example(self, visit: Visit, model: str, size: int, mode: str, event: gr.SelectData) -> list[Any]:
        example = examples()[event.index]
        key = self.explorer.analyse(example.path, model, size, mode, _relative(example))
        return [str(example.path), *self._moved_to(visit, key, example.focus[0])]

    def _click(self, visit: Visit, event: gr.SelectData) -> list[Any]:
        analysis = self.explorer.analysis(visit.key)
        width, height = analysis.trace.geometry.frame.picture
        x, y = (int((value + 0.5) / analysis.scale) for value in event.index)
        return self._show(replace(visit, pixel=(min(x, width - 1), min(y, height - 1))))

    def _choose_block(self, visit: Visit, block: str) -> list[Any]:
        return self._show(replace(visit, block=block))

    def _go_to(self, visit: Visit, row: int | None, column: int | None) -> list[Any]:
        trace = self.explorer.analysis(visit.key).trace
        block = trace.block(visit.block)
        token = (min(int(row or 0), block.grid[0] - 1), min(int(column or 0), block.grid[1] - 1))
        cell = trace.geometry.token_to_box(*token, block)
        middle = (int((cell.left + cell.right) / 2), int((cell.top + cell.bottom) / 2))
        return self._show(replace(visit, pixel=middle))

    def _change_language(self, visit: Visit, language: str) -> list[Any]:
        visit = replace(visit, language=texts_in(language).language)
        return [*self.localize.updates(texts_in(visit.language)), *self._show(visit)]

    def _arrive(self, visit: Visit, dark: bool, request: gr.Request) -> list[Any]:
        wanted = request.query_params.get("lang") or request.headers.get("accept-language", "")
        if not self.explorer.keeps(visit.key):  # the page was opened long after the server had started
            self.opening = self._open(examples()[0])
            visit = self.opening
        visit = replace(visit, language=texts_in(wanted).language, dark=bool(dark))
        return [visit.language, *self._change_language(visit, visit.language)]

    # What is shown.

    def _moved_to(self, visit: Visit, key: str, pixel: tuple[int, int] | None = None) -> list[Any]:
        """Show another analysis: at ``pixel``, or at the same relative place as before."""
        trace = self.explorer.analysis(key).trace
        seen = trace.geometry.crop_box
        middle = (int((seen.left + seen.right) / 2), int((seen.top + seen.bottom) / 2))
        names = [block.name for block in wording.inspectable(trace)]
        block = visit.block if visit.block in names else names[0]
        if visit.key != key and visit.key != self.opening.key:
            self.explorer.forget(visit.key)
        return self._show(replace(visit, key=key, block=block, pixel=pixel or middle))

    def _show(self, visit: Visit) -> list[Any]:
        """Updates of everything that depends on the visit, in the order of ``_outputs``."""
        say, analysis = texts_in(visit.language), self.explorer.analysis(visit.key)
        trace = analysis.trace
        block = trace.block(visit.block)
        token = trace.geometry.pixel_to_token(*visit.pixel, block)
        warning = wording.notice(analysis, self.explorer.predictor(analysis.source).card.trained, say)
        return [
            visit,
            gr.update(visible=False),
            gr.update(value=warning, visible=bool(warning)),
            self._picture_of(analysis, visit.block, token),
            gr.update(choices=wording.block_choices(trace, say), value=visit.block),
            gr.update(value=token[0] if token else None, maximum=block.grid[0] - 1),
            gr.update(value=token[1] if token else None, maximum=block.grid[1] - 1),
            wording.place(block, token, say),
            gr.update(value=wording.predictions(trace, say), label=wording.predictions_label(trace, say)),
            wording.status(analysis, say),
            *(update for panel in self.panels for update in self._fill(panel, analysis, visit, say)),
        ]

    def _fill(self, panel: Panel, analysis: Analysis, visit: Visit, say: Texts) -> list[Any]:
        folder = self.explorer.folder(visit.key)
        return fill(panel, analysis, visit.block, visit.pixel, folder, say, visit.dark)

    def _picture_of(self, analysis: Analysis, block: str, token: tuple[int, int] | None) -> Image.Image:
        if token is None:
            return analysis.picture
        return draw_windows(windows_at(analysis.trace, block, token), analysis.picture, analysis.scale)

    # The beginning and the end of a visit.

    def _open(self, example: Example) -> Visit:
        """A visit that shows an example with the opening model."""
        key = self.explorer.analyse(example.path, self.explorer.opening_source, SIZES[0], "crop", _relative(example))
        block = next(block.name for block in wording.inspectable(self.explorer.analysis(key).trace))
        return Visit(key, block, example.focus[0])

    def _leave(self, visit: Visit) -> None:
        if visit.key != self.opening.key:
            self.explorer.forget(visit.key)


def _relative(example: Example) -> str:
    """The example's path from the project's folder, for Python lines."""
    return f"assets/examples/{example.path.name}"
