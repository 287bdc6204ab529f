"""The inspector as a Gradio component: one page of HTML, CSS and JavaScript that explores a payload by itself."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData

from viz.theme import inspector_theme

ASSETS = Path(__file__).resolve().parents[2] / "assets" / "inspector"
ENTRY = "inspector.js"

_IMPORT = re.compile(r'^import\s+(?:\{[^}]*\}|\* as \w+)\s+from\s+"\./([\w.]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const|let)\b)", re.MULTILINE)
_TOP_LEVEL = re.compile(r"^(?:async )?(?:function\*?|class|const|let)\s+(\w+)", re.MULTILINE)


def inspector_html(strings: Mapping[str, Mapping[str, str]], value: dict[str, Any] | None = None) -> gr.HTML:
    """The component. Update it with values of :func:`inspector_value`, and with ``show_progress="hidden"``.

    Args:
        strings: the page's texts by language and key; those whose keys start with ``inspector.`` are sent along.
        value: what to show at first.

    Its ``select`` event fires when the visitor switches the language, with ``{"lang": "en" | "zh-CN"}``.
    """
    own = {
        lang: {key: text for key, text in texts.items() if key.startswith("inspector.")}
        for lang, texts in strings.items()
    }
    return gr.HTML(
        value=value or {},
        html_template=(ASSETS / "inspector.html").read_text(encoding="utf-8"),
        css_template=(ASSETS / "inspector.css").read_text(encoding="utf-8"),
        js_on_load=f"{bundle(ASSETS / ENTRY)}\nstartInspector({{ element, props, watch, trigger }});\n",
        apply_default_css=False,
        elem_id="inspector",
        strings=own,
        theme=inspector_theme(),
    )


def inspector_value(payload_path: Path, **meta: Any) -> dict[str, Any]:
    """A value that makes the inspector show a payload.

    Args:
        payload_path: a file by :func:`viz.payload.write_payload`, in Gradio's cache or under its ``allowed_paths``.
        **meta: JSON values for the page's own use; the inspector ignores them.
    """
    return {**meta, "file": FileData(path=str(payload_path)).model_dump()}


@cache
def bundle(entry: Path) -> str:
    """Join an ES module and all that it imports into one script, in order of dependency.

    Modules import by name from files beside them, and export declarations. Joined, they share one scope, so a name
    may be declared at top level in one module only.

    Raises:
        ValueError: modules import each other in a circle, or declare the same name.
    """
    done: dict[str, str] = {}
    _add(entry, done, ())
    owners: dict[str, str] = {}
    for name, code in done.items():
        for declared in _TOP_LEVEL.findall(code):
            if declared in owners:
                raise ValueError(f"expected one declaration of {declared}, got them in {owners[declared]} and {name}")
            owners[declared] = name
    return "\n".join(f"// {name}\n{code}" for name, code in done.items())


def _add(path: Path, done: dict[str, str], waiting: tuple[str, ...]) -> None:
    if path.name in waiting:
        raise ValueError(f"expected no circle of imports, got {' → '.join((*waiting, path.name))}")
    if path.name in done:
        return
    code = path.read_text(encoding="utf-8")
    for imported in _IMPORT.findall(code):
        _add(path.with_name(imported), done, (*waiting, path.name))
    done[path.name] = _EXPORT.sub("", _IMPORT.sub("", code))
