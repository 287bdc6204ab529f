"""What the page does with figures by itself: it fits their heights to its width, and leaves them to a finger."""

from pathlib import Path

import gradio as gr

from viz.bundle import bundle

SCRIPT = Path(__file__).resolve().parents[2] / "assets" / "figures" / "figures.js"


def watched_figures() -> gr.HTML:
    """An empty component that watches over all figures of the page."""
    script = f"{bundle(SCRIPT)}\nwatchFigures(document.body);\n"
    return gr.HTML("", js_on_load=script, container=False, padding=False, elem_id="fit-figures")
