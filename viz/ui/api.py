"""The programmatic interface: ``/analyze`` for ``gradio_client``."""

import tempfile
from typing import Any

import gradio as gr
from gradio.components import Component

from lsnet import InputError
from viz.texts import texts_in
from viz.ui import wording
from viz.ui.service import SIZES, Explorer


def add_api(explorer: Explorer) -> None:
    """Add the endpoint to the page that is being built."""

    def analyze(image: str | None, model: str | None, size: Any, mode: str) -> tuple[dict[str, Any], str]:
        """Trace a picture. Returns a summary, and all tensors as one file (layout: viz/payload.py)."""
        try:
            whole = int(size) if isinstance(size, float) and size.is_integer() else size
            key = explorer.analyse(image, model or explorer.networks.opening, whole, mode, exact=True)
        except InputError as error:
            sentence = wording.problem(error, texts_in("en"), markdown=False)
            raise gr.Error(sentence, print_exception=False) from error  # what a program asks for is nothing to log
        analysis = explorer.analysis(key)
        trace = analysis.trace
        summary = {
            "model": analysis.source,
            "weights": trace.weights,
            "trained": analysis.trained,
            "label_set": dict(trace.label_set),
            "top": [
                {"id": label.id, "en": label.en, "zh": label.zh, "probability": probability}
                for label, probability in trace.topk(5)
            ],
            "blocks": [
                {
                    "name": block.name,
                    "kind": block.kind,
                    "stage": block.stage,
                    "stride": block.stride,
                    "grid": block.grid,
                }
                for block in trace.blocks.values()
            ],
            "device": trace.device,
            "seconds": trace.seconds,
        }
        with tempfile.NamedTemporaryFile(dir=explorer.folders.uploads, suffix=".lsnx", delete=False) as copy:
            copy.write(explorer.folders.payload(key).read_bytes())
        explorer.forget(key)  # a program that looks at many pictures does not take visitors' place
        return summary, copy.name

    # Invisible components, so that the endpoint takes a file and gives one, as gradio_client hands them over.
    inputs: list[Component] = [
        gr.File(visible=False, label="image"),  # as it came: gr.Image would open and convert it before we see it
        gr.Textbox(visible=False, label="model"),
        gr.Number(SIZES[0], visible=False, label="size"),
        gr.Textbox("crop", visible=False, label="mode"),
    ]
    outputs: list[Component] = [gr.JSON(visible=False, label="summary"), gr.File(visible=False, label="payload")]
    trigger = gr.Button(visible=False)
    trigger.click(analyze, inputs, outputs, api_name="analyze", concurrency_id="model", concurrency_limit=1)
