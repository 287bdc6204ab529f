"""The inspector as a Gradio component: one page of HTML, CSS and JavaScript that explores a payload by itself."""

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData

from viz.bundle import bundle
from viz.theme import inspector_theme

ASSETS = Path(__file__).resolve().parents[2] / "assets" / "inspector"
ENTRY = "inspector.js"

_TURNS = itertools.count()


def inspector_html(
    strings: Mapping[str, Mapping[str, str]],
    value: dict[str, Any] | None = None,
    standalone: Callable[[dict[str, Any]], dict[str, str]] | None = None,
) -> gr.HTML:
    """The component. Update it with values of :func:`inspector_value`, and with ``show_progress="hidden"``.

    Args:
        strings: the page's texts by language and key; those whose keys start with ``inspector.`` are sent along.
        value: what to show at first.
        standalone: writes a page to take home; see :func:`viz.ui.takehome.page_writer`.

    Its ``select`` event fires when the visitor switches the language, with ``{"lang": "en" | "zh-CN"}``.
    """
    own = {
        lang: {key: text for key, text in texts.items() if key.startswith("inspector.")}
        for lang, texts in strings.items()
    }
    component = gr.HTML(
        value=value or {},
        html_template=(ASSETS / "inspector.html").read_text(encoding="utf-8"),
        css_template=(ASSETS / "inspector.css").read_text(encoding="utf-8"),
        js_on_load=f"{bundle(ASSETS / ENTRY)}\nstartInspector({{ element, props, watch, trigger, server }});\n",
        apply_default_css=False,
        elem_id="inspector",
        server_functions=[standalone] if standalone else None,
        strings=own,
        theme=inspector_theme(),
    )
    # The script says "inputs", which gr.HTML takes for an event of that name and for one of its own settings at once:
    # then every request for the page would copy all that hangs on the component, networks included.
    component.inputs = None  # type: ignore[attr-defined]
    return component


def inspector_value(payload_path: Path, **meta: Any) -> dict[str, Any]:
    """A value that makes the inspector show a payload.

    Args:
        payload_path: a file by :func:`viz.payload.write_payload`, in Gradio's cache or under its ``allowed_paths``.
        **meta: JSON values. ``at``, with ``x`` and ``y`` in pixels of the original picture, is where a picture that is
            new to the inspector opens; ``go``, a :func:`place_to_go`, is followed in any case; ``key`` is told when
            the place changes; the others it ignores.
    """
    return {**meta, "file": FileData(path=str(payload_path)).model_dump()}


def place_to_go(block: str, pixel: tuple[int, int], colouring: str) -> dict[str, Any]:
    """Where an inspector should go, wherever the visitor is; without it, it opens where it thinks best.

    Args:
        block: name of a block.
        pixel: (x, y), in pixels of the original picture.
        colouring: how the picture is coloured, ``"none"`` for not at all.
    """
    # Gradio passes on what differs: the number makes it go there again.
    return {"block": block, "px": {"x": pixel[0], "y": pixel[1]}, "view": colouring, "turn": next(_TURNS)}
