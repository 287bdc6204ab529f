"""The views in their tabs: the open one follows the visitor's picture, block and pinned pixel."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.events import Dependency

from lsnet import InputError
from viz.progress import Cancelled, Overtaken
from viz.results import Result
from viz.subject import Subject
from viz.texts import Texts, texts_in
from viz.ui import wording
from viz.ui.figures import watched_figures
from viz.ui.localize import Localizer
from viz.ui.panel import Panel, build_panel, done, emptied, prepared, shown, stopped, waiting
from viz.ui.runs import Runs
from viz.ui.service import Explorer
from viz.ui.visit import Visit, Visiting
from viz.views import VIEWS
from viz.views.settings import Values, checked

log = logging.getLogger(__name__)

# The name of the view whose tab is open, in the browser.
_OPEN = "document.querySelector('#views button[role=tab][aria-selected=true]')?.id.replace(/^tab-|-button$/g, '')"

# It stands in the address, so that a copied link opens it again; a link's settings are those of its own view.
_KEEP_TAB = f"""() => {{
  const address = new URL(window.location);
  const query = address.searchParams;
  const own = query.get('tab');
  if (own && own !== {_OPEN}) for (const key of [...query.keys()]) if (key.startsWith('set.')) query.delete(key);
  query.set('tab', {_OPEN});
  history.replaceState(history.state, '', address);
}}"""

# Events that are answered at once; of several that come meanwhile, the last.
QUICK: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "trigger_mode": "always_last"}


class ViewTabs:
    """Builds one tab per view and fills the one that is open.

    Attributes:
        container: the tabs as one component.
        panels: what is in each, by the view's name.
    """

    def __init__(self, explorer: Explorer, localize: Localizer, say: Texts) -> None:
        """Build the tabs, inside a ``gr.Blocks``."""
        self.explorer = explorer
        self.runs: Runs[Result] = Runs(explorer.networks.lock)
        with gr.Tabs(elem_id="views") as self.container:
            self.panels = {view.name: build_panel(view, localize, say) for view in VIEWS}
        self.open = gr.Textbox(visible=False)
        watched_figures()

    def follow(self, visit: gr.State, changes: Sequence[Dependency]) -> None:
        """Fill the open tab after each of these events, and whenever a tab is opened or set otherwise."""
        # One event for all tabs: a page that opens at a link selects two of them, and the last one must win.
        opened = self.container.select(self._open, visit, visit, **QUICK)
        opened.then(None, js=_KEEP_TAB, api_visibility="private")
        own = [opened]
        for panel in self.panels.values():
            controls = list(panel.controls.values())
            for control in controls:
                moved = control.release if isinstance(control, gr.Slider) else control.input  # type: ignore[attr-defined]
                own.append(moved(self._set(panel), [visit, *controls], visit, **QUICK))
            panel.cancel.click(self._stop, None, None, queue=False, **QUICK)
        outputs = [component for panel in self.panels.values() for component in panel.components]
        for event in (*changes, *own):
            event.then(
                self._fill,
                [visit, self.open],
                outputs,
                # The tabs know best: an answer on its way while a tab was clicked brings the visit of before the click.
                js=f"(visit) => [visit, {_OPEN} ?? '']",
                api_visibility="private",
                show_progress="hidden",
                trigger_mode="multiple",
                concurrency_id="views",  # one queue for all: what was asked for last comes last
                concurrency_limit=16,  # they wait for the networks by themselves, and give way to later ones
            )

    def linked(self, visit: Visit, query: Mapping[str, str]) -> Visit:
        """The visit with the view that a link asks for (``tab``) and its settings (``set.<name>``)."""
        panel = self.panels.get(query.get("tab", ""))
        if panel is None:
            return visit
        view = panel.view
        read = {s.name: s.read(query[f"set.{s.name}"]) for s in view.settings if f"set.{s.name}" in query}
        given = {name: value for name, value in read.items() if value is not None}
        return replace(visit, view=view.name, settings={**visit.settings, view.name: given})

    def reset(self, visit: Visit) -> Visit:
        """The visit with the view that is open at first, as nobody has set it."""
        view = next(iter(self.panels))
        return replace(visit, view=view, settings={**visit.settings, view: {}})

    @property
    def controls(self) -> list[Block]:
        """Everything that a visitor can set, in all views."""
        return [control for panel in self.panels.values() for control in panel.controls.values()]

    def set_by(self, visit: Visit) -> dict[Block, Any]:
        """What the open view's controls show: what was set, else what they show at first."""
        controls, given = self.panels[visit.view].controls, visit.settings.get(visit.view, {})
        return {control: given.get(name, control.value) for name, control in controls.items()}

    def _open(self, visiting: Visiting, event: gr.SelectData) -> Visiting:
        visit = visiting.now
        visiting.change(visit, replace(visit, view=list(self.panels)[event.index]))
        return visiting

    def _set(self, panel: Panel) -> Callable[..., Visiting]:
        def keep(visiting: Visiting, *given: Any) -> Visiting:
            visit = visiting.now
            settings = {**visit.settings, panel.view.name: panel.values(given)}
            visiting.change(visit, replace(visit, settings=settings))
            return visiting

        return keep

    def _stop(self, request: gr.Request) -> None:
        self.runs.stop(str(request.session_hash))

    def _fill(self, visiting: Visiting, opened: str, request: gr.Request) -> Iterator[dict[Block, Any]]:
        """Show the open view at the visit's place: at once where it is known, else as it gets computed."""
        turn, visit = visiting.take_turn(), visiting.now
        visit = replace(visit, view=opened if opened in self.panels else visit.view)
        say, panel = texts_in(visit.language), self.panels[visit.view]
        told: dict[Block, dict[str, Any]] = {}
        try:
            for updates in self._filled(visit, panel, say, str(request.session_hash)):
                if visiting.turn != turn:
                    return  # what is asked for now fills the tab
                yield _with(told, updates)
        except Overtaken:
            return
        except Cancelled:
            ending = stopped(panel, say("view.stopped"))
        except Exception as error:
            if not isinstance(error, InputError):
                log.exception("while computing %s", visit.view)
            ending = stopped(panel, wording.problem(error, say))
        else:
            return
        if visiting.turn == turn:
            yield _with(told, ending)

    def _filled(self, visit: Visit, panel: Panel, say: Texts, visitor: str) -> Iterator[dict[Block, Any]]:
        if not visit.arrived:
            raise InputError("session.expired", "this page's visit is no longer kept; analyse the picture again")
        view, analysis = panel.view, self.explorer.analysis(visit.key)
        block = view.block_for(analysis.trace, visit.block)
        if block is None:
            yield emptied(panel, say("view.none"))
            return
        token = analysis.trace.geometry.pixel_to_token(*visit.pixel, analysis.trace.blocks[block])
        if token is None:
            yield emptied(panel, say("explore.cropped"))
            return
        subject = self.explorer.subject(visit.key, block, token)
        values = checked(view.settings, visit.settings.get(view.name, {}), view.name, subject, say)
        yield prepared(panel, subject, values, say)
        remark = say("view.elsewhere", block=block) if block != visit.block else ""
        result = self.explorer.known(visit.key, view, subject, values)
        if result is not None:
            self.runs.overtake(visitor)
            now = shown(panel, result, say, visit.dark, remark)
            yield now | self._taken_home(visit, panel, subject, values, result)
            return
        for news in self.runs.start(
            visitor, lambda progress: self.explorer.results(visit.key, view, subject, values, progress)
        ):
            if isinstance(news, Result):
                result = news
                yield shown(panel, result, say, visit.dark, remark)
            else:
                yield waiting(panel, news, say)
        assert result is not None  # a computation that is not stopped has one
        yield self._taken_home(visit, panel, subject, values, result)

    def _taken_home(
        self, visit: Visit, panel: Panel, subject: Subject, values: Values, result: Result
    ) -> dict[Block, Any]:
        """Updates that offer a result's numbers and Python lines."""
        analysis = self.explorer.analysis(visit.key)
        code = panel.view.python_lines(
            analysis.weights, analysis.name, analysis.size, analysis.mode, subject.block, subject.token, values
        )
        return done(panel, result, code, self.explorer.home(visit.key, panel.view, subject, values))


def _with(told: dict[Block, dict[str, Any]], updates: dict[Block, Any]) -> dict[Block, Any]:
    """Everything that was told and what is new, which ``told`` takes up.

    Gradio's client turns one answer into the next in place, also while it waits to be drawn: a browser that lags behind
    finds only the last one in all of them.
    """
    for component, update in updates.items():
        told[component] = {**told.get(component, {}), **update}
    return {component: dict(update) for component, update in told.items()}  # Gradio empties what it is given
