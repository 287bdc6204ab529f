"""One tab per view: its settings, the figure, its explanation, and everything to take home."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component

from viz.results import Result
from viz.results.files import write_csv, write_npz
from viz.subject import Subject
from viz.texts import Texts
from viz.theme import DARK, LIGHT
from viz.ui.localize import Localizer
from viz.views import View
from viz.views.settings import Choice, Number, Setting, Values, alternatives, applying

PICTURES = ("png", "svg")
MOST_BUTTONS = 5  # options that stand side by side; more make a menu
LATEX: list[dict[str, str | bool]] = [
    {"left": "$$", "right": "$$", "display": True},
    {"left": "$", "right": "$", "display": False},
]

# The page's own plotly draws the file, as it stands on the screen, at twice its size where it has pixels.
_DOWNLOAD = """() => {
  const plot = document.querySelector('#plot-%(view)s .js-plotly-plot');
  if (!plot) return;
  const dark = document.body.classList.contains('dark');
  const { width, height } = plot.getBoundingClientRect();
  const layout = { ...plot.layout, paper_bgcolor: dark ? '%(dark)s' : '%(light)s' };
  const figure = { data: plot.data, layout, config: {} };
  const options = { format: '%(format)s', width, height, scale: 2, filename: 'lsnet-%(view)s' };
  window.Plotly.downloadImage(figure, options);
}"""


# The page itself hides what does not apply; the rule is that of viz.views.settings.applying.
_APPLYING = """(...given) => {
  const values = Object.fromEntries(%(governing)s.map((name, i) => [name, given[i]]));
  const applying = new Set();
  for (const [name, conditions] of %(conditions)s) {
    const met = (condition) =>
      Object.entries(condition).every(([other, wanted]) => applying.has(other) && wanted.includes(values[other]));
    if (conditions.some(met)) applying.add(name);
  }
  return %(dependent)s.map((name) => ({ __type__: 'update', visible: applying.has(name) }));
}"""


@dataclass(frozen=True)
class Panel:
    """The components of one view.

    Attributes:
        view: what is shown.
        tab: the tab itself.
        controls: one component per setting, by name.
        remark: why something else is shown, or nothing.
        busy: the progress of a computation, with ``cancel`` beside it.
        plot, told: the figure, and what its numbers say in words.
        npz, csv, code: to take home.
    """

    view: View
    tab: gr.Tab
    controls: Mapping[str, Component]
    remark: gr.Markdown
    busy: gr.Markdown
    cancel: gr.Button
    plot: gr.Plot
    told: gr.Markdown
    npz: gr.DownloadButton
    csv: gr.DownloadButton
    code: gr.Code
    homes: tuple[gr.Button, ...] = field(default=())

    @property
    def components(self) -> list[Component]:
        """Everything that an update may change."""
        shown = [self.remark, self.busy, self.cancel, self.plot, self.told, self.npz, self.csv, self.code]
        return [*self.controls.values(), *shown, *self.homes]

    def values(self, given: tuple[Any, ...]) -> dict[str, Any]:
        """What the controls hold, by setting."""
        return dict(zip(self.controls, given, strict=True))


def build_panel(view: View, localize: Localizer, say: Texts) -> Panel:
    """Build the tab of a view, inside a ``gr.Tabs``.

    Args:
        view: what is shown.
        localize: learns which texts change with the language.
        say: texts of the language that the page starts in.
    """
    title, explain = f"view.{view.name}.title", f"view.{view.name}.explain"
    with localize(gr.Tab(say(title), id=view.name, elem_id=f"tab-{view.name}"), label=title) as tab:
        with gr.Row(elem_classes="settings", visible=bool(view.settings)):
            controls = {setting.name: _control(view, setting, localize, say) for setting in view.settings}
            _hide_what_does_not_apply(view, controls)
        remark = gr.Markdown(visible=False, elem_classes="remark")
        with gr.Row(elem_classes="busy"):
            busy = gr.Markdown(visible=False, elem_id=f"busy-{view.name}")
            cancel = gr.Button(say("view.cancel"), size="sm", visible=False, min_width=80, scale=0)
            localize(cancel, value="view.cancel")
        plot = gr.Plot(show_label=False, elem_id=f"plot-{view.name}")
        told = gr.Markdown(elem_id=f"told-{view.name}", elem_classes="told", latex_delimiters=LATEX)
        localize(gr.Markdown(say(explain), elem_classes="explain"), value=explain)
        with gr.Row(elem_classes="homes"):
            homes = tuple(_picture_button(view, kind, localize, say) for kind in PICTURES)
            npz, csv = (
                localize(
                    gr.DownloadButton(say(f"view.{kind}"), size="sm", elem_id=f"{kind}-{view.name}", visible=False),
                    label=f"view.{kind}",
                )
                for kind in ("npz", "csv")
            )
        with localize(gr.Accordion(say("view.code"), open=False), label="view.code"):
            code = gr.Code(language="python", show_label=False, interactive=False)
    return Panel(view, tab, controls, remark, busy, cancel, plot, told, npz, csv, code, homes)


def _hide_what_does_not_apply(view: View, controls: Mapping[str, Component]) -> None:
    """Let the controls of some settings follow those of others, without asking the server."""
    dependent = [setting.name for setting in view.settings if setting.when]
    conditions = {setting.name: alternatives(setting) for setting in view.settings}
    governing = sorted({name for alternative in conditions.values() for one in alternative for name in one})
    if not dependent:
        return
    script = _APPLYING % {
        "governing": json.dumps(governing),
        "dependent": json.dumps(dependent),
        "conditions": json.dumps(list(conditions.items())),
    }
    first = applying(view.settings, {name: controls[name].value for name in governing})
    for name in dependent:
        controls[name].visible = name in first
    gr.on(
        [controls[name].change for name in governing],  # type: ignore[attr-defined]
        None,
        [controls[name] for name in governing],
        [controls[name] for name in dependent],
        js=script,
        api_visibility="private",
        queue=False,
    )


def _control(view: View, setting: Setting, localize: Localizer, say: Texts) -> Component:
    label = f"view.{view.name}.set.{setting.name}"
    if isinstance(setting, Number):
        slider = gr.Slider(
            setting.low, setting.high, setting.default, step=setting.step, label=say(label), min_width=180
        )
        return localize(slider, label=label)
    if not isinstance(setting, Choice):
        return localize(gr.Checkbox(setting.default, label=say(label), min_width=180), label=label)
    if callable(setting.options):  # its options come with the first subject
        menu = gr.Dropdown([], multiselect=setting.several, label=say(label), min_width=180)
        return localize(menu, label=label)

    def named(say: Texts, options: tuple[str, ...] = setting.options) -> list[tuple[str, str]]:
        return [(say(f"{label}.{option}"), option) for option in options]

    first = setting.default if setting.default is not None else setting.options[0]
    chosen: Component
    if setting.several or len(setting.options) > MOST_BUTTONS:
        value = list(first) if isinstance(first, tuple) else first
        chosen = gr.Dropdown(named(say), value=value, multiselect=setting.several, label=say(label), min_width=220)
    else:
        chosen = gr.Radio(named(say), value=str(first), label=say(label), min_width=220)
    return localize(chosen, label=label, choices=named)


def _picture_button(view: View, kind: str, localize: Localizer, say: Texts) -> gr.Button:
    button = gr.Button(say(f"view.{kind}"), size="sm", visible=False, elem_id=f"{kind}-{view.name}")
    colours = {"light": LIGHT["paper"], "dark": DARK["paper"]}
    download = _DOWNLOAD % {"view": view.name, "format": kind, **colours}
    button.click(None, js=download, api_visibility="private")
    return localize(button, value=f"view.{kind}")


def prepared(panel: Panel, subject: Subject, values: Values, say: Texts) -> dict[Block, Any]:
    """Updates before a computation: which controls apply, and menus whose options depend on the network or the block.

    A menu that does not apply keeps what was chosen in it, for when it does again.
    """
    updates: dict[Block, Any] = {panel.busy: gr.update(value=say("view.busy.start"))}
    applies = applying(panel.view.settings, values)
    for setting in panel.view.settings:
        changes: dict[str, Any] = {"visible": setting.name in applies} if setting.when else {}
        if isinstance(setting, Choice) and callable(setting.options):
            changes["choices"] = setting.choices(panel.view.name, subject, say)
            if setting.name in applies:
                changes["value"] = values[setting.name]
        if changes:
            updates[panel.controls[setting.name]] = gr.update(**changes)
    return updates


def waiting(panel: Panel, share: float, say: Texts) -> dict[Block, Any]:
    """Updates while a computation runs."""
    sentence = say("view.busy", percent=round(100 * share)) if share else say("view.busy.start")
    return {panel.busy: gr.update(value=sentence, visible=True), panel.cancel: gr.update(visible=True)}


def shown(panel: Panel, result: Result, say: Texts, dark: bool, remark: str) -> dict[Block, Any]:
    """Updates that show a result; what could be taken home of another one goes, until :func:`done` brings its own."""
    told = panel.view.tell(result, say)
    return {
        **dict.fromkeys((panel.npz, panel.csv, panel.code), gr.update(visible=False)),
        panel.remark: gr.update(value=remark, visible=bool(remark)),
        panel.plot: gr.update(value=panel.view.draw(result, say, dark), visible=True),
        panel.told: gr.update(value=told, visible=bool(told)),
    }


def done(panel: Panel, result: Result, code: str, folder: Path) -> dict[Block, Any]:
    """Updates after the last result; its numbers are written into ``folder``."""
    updates: dict[Block, Any] = {panel.busy: gr.update(visible=False), panel.cancel: gr.update(visible=False)}
    for button, kind, write in ((panel.npz, "npz", write_npz), (panel.csv, "csv", write_csv)):
        path = folder / f"lsnet-{panel.view.name}.{kind}"
        if not path.exists():  # others who look at the same place may have it already, or be fetching it
            partial = path.with_suffix(f".{secrets.token_hex(4)}.{kind}")
            write(partial, result)
            partial.replace(path)
        updates[button] = gr.update(value=str(path), visible=True)
    updates |= {button: gr.update(visible=True) for button in panel.homes}
    return updates | {panel.code: gr.update(value=code, visible=True)}


def stopped(panel: Panel, sentence: str) -> dict[Block, Any]:
    """Updates that say why there is nothing more to show; what was shown before stays."""
    hidden: dict[Block, Any] = {panel.busy: gr.update(visible=False), panel.cancel: gr.update(visible=False)}
    return {panel.remark: gr.update(value=sentence, visible=True), **hidden}


def emptied(panel: Panel, sentence: str) -> dict[Block, Any]:
    """Updates that say why there is nothing to show at all."""
    nothing: tuple[Block, ...] = (panel.plot, panel.told, panel.npz, panel.csv, panel.code, *panel.homes)
    return stopped(panel, sentence) | dict.fromkeys(nothing, gr.update(visible=False))
