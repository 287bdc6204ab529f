"""One tab per view: the figure, its explanation, its numbers, and the lines that reproduce it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from gradio.components import Component

from viz.texts import Texts
from viz.ui.localize import Localizer
from viz.ui.service import Analysis
from viz.views import View


@dataclass(frozen=True)
class Panel:
    """The components of one view."""

    view: View
    remark: gr.Markdown
    plot: gr.Plot
    numbers: gr.DownloadButton
    code: gr.Code

    @property
    def components(self) -> list[Component]:
        """What :func:`fill` updates, in its order."""
        return [self.remark, self.plot, self.numbers, self.code]


def build_panel(view: View, localize: Localizer, say: Texts) -> Panel:
    """Build the tab of a view, inside a ``gr.Tabs``."""
    title, explain = f"view.{view.name}.title", f"view.{view.name}.explain"
    with localize(gr.Tab(say(title), id=view.name), label=title):
        remark = gr.Markdown(visible=False)
        plot = gr.Plot(show_label=False, elem_id=f"plot-{view.name}")
        localize(gr.Markdown(say(explain), elem_classes="explain"), value=explain)
        numbers = gr.DownloadButton(say("view.numbers"), size="sm", elem_id=f"numbers-{view.name}")
        with localize(gr.Accordion(say("view.code"), open=False), label="view.code"):
            code = gr.Code(language="python", show_label=False, interactive=False)
    return Panel(view, remark, plot, numbers, code)


def fill(
    panel: Panel, analysis: Analysis, block: str, pixel: tuple[int, int], folder: Path, say: Texts, dark: bool
) -> list[Any]:
    """Updates of a panel's components for a chosen block and picture pixel; numbers are written into ``folder``."""
    view, trace = panel.view, analysis.trace
    shown = view.block_for(trace, block)
    if shown is None:
        return _remark_alone(say("view.none"))
    token = trace.geometry.pixel_to_token(*pixel, trace.blocks[shown])
    if token is None:
        return _remark_alone(say("explore.cropped"))
    result = view.analyse(trace, shown, token)
    numbers = folder / f"{view.name}.npz"
    np.savez_compressed(numbers, allow_pickle=False, **result.arrays())
    return [
        gr.update(value=say("view.elsewhere", block=shown), visible=shown != block),
        gr.update(value=view.draw(result, say, dark), visible=True),
        gr.update(value=str(numbers), label=say("view.numbers"), visible=True),
        gr.update(
            value=view.python_lines(analysis.weights, analysis.name, analysis.size, analysis.mode, shown, token),
            visible=True,
        ),
    ]


def _remark_alone(sentence: str) -> list[Any]:
    """Updates that say why there is nothing to show."""
    return [gr.update(value=sentence, visible=True), *[gr.update(visible=False)] * 3]
