"""What the page answers: each handler is given the visit as it is, and says which parts change."""

import functools
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import gradio as gr
from gradio.blocks import Block

from lsnet import InputError
from viz.examples import examples
from viz.texts import Texts, texts_in
from viz.ui import wording
from viz.ui.parts import Parts
from viz.ui.places import follow_link, inspector_at, moved, place_in
from viz.ui.received import received
from viz.ui.service import Explorer
from viz.ui.visit import Visit, Visiting

log = logging.getLogger(__name__)

# Analyses before the one that is shown: a browser on a busy machine may still be reading them.
OUTDATED_KEPT = 2
FRAME_SECONDS = 10.0  # that a camera's picture may take to the browser before the next one is looked at all the same

Updates = dict[Block, Any]


class Answers:
    """Answers the events of a page."""

    def __init__(self, explorer: Explorer, parts: Parts) -> None:
        """For a page that is made of ``parts``."""
        self.explorer = explorer
        self.parts = parts

    def guarded(self, handler: Callable[..., Updates]) -> Callable[..., Updates]:
        """On an error, leave everything as it is and say in the visitor's language what went wrong.

        The handler is given the visit as it is now; of the one that it answers, only what it changed is taken over.
        """

        @functools.wraps(handler)
        def answer(visiting: Visiting, *arguments: Any) -> Updates:
            visit = visiting.now
            try:
                updates = handler(visit, *arguments)
                visiting.change(visit, updates.get(self.parts.visit, visit))
                return {**updates, self.parts.visit: visiting}
            except Exception as error:
                if not isinstance(error, InputError):
                    log.exception("while answering %s", handler.__name__)
                sentence = wording.problem(error, texts_in(visit.language))
                return {self.parts.problem: gr.update(value=sentence, visible=True), **self._settings_of(visit)}

        return answer

    def bring(self, visit: Visit, picture: Mapping[str, Any] | None, model: str, size: int, mode: str) -> Updates:
        """The visitor's own picture: a file as Gradio describes it, which has not looked into it."""
        if picture is None:  # cleared, or overtaken on its way by another: what is shown stays
            return {self.parts.visit: visit}
        own = received(picture, self.explorer.folders.uploads)
        return self._show(visit, self.explorer.analyse(own, model, size, mode))

    def follow_camera(self, visit: Visit, frame: Mapping[str, Any] | None, model: str, size: int, mode: str) -> Updates:
        """The camera's latest frame, at the place that was looked at in the one before."""
        if frame is None:
            return {self.parts.visit: visit}
        picture = received(frame, self.explorer.folders.uploads)
        key = self.explorer.analyse(picture, model, size, mode, streamed=True)
        before = self.explorer.find(visit.key)
        pixel = visit.pixel if before is not None and not before.example else None
        following = moved(self.explorer, self._outdated(visit), key, pixel, visit.block)
        following = replace(following, sent=time.monotonic())
        value = {**inspector_at(self.explorer, following), "live": True}
        return {self.parts.visit: following, self.parts.problem: gr.update(visible=False), self.parts.inspector: value}

    def frame_has_arrived(self, visit: Visit, event: gr.EventData) -> Updates:
        return {self.parts.visit: replace(visit, sent=0.0) if event._data.get("key") == visit.key else visit}

    def choose_example(self, visit: Visit, model: str, size: int, mode: str, event: gr.SelectData) -> Updates:
        return self._show(visit, self.explorer.analyse_example(examples()[event.index], model, size, mode))

    def change_setting(self, visit: Visit, model: str, size: int, mode: str) -> Updates:
        """The same picture again, through another network or framed otherwise."""
        return self._show(visit, self.explorer.analyse_again(visit.key, model, size, mode), visit.pixel)

    def open_variant(self, visit: Visit, size: int, mode: str, *choices: Any) -> Updates:
        """The same picture through the network that the visitor has built."""
        key = self.explorer.analyse_again(visit.key, self.parts.variant.source(*choices), size, mode)
        return {**self._show(visit, key, visit.pixel), **self._settings_of(replace(visit, key=key))}

    def look_at(self, visit: Visit, event: gr.EventData) -> Updates:
        """The inspector's block or pinned pixel has changed: the views follow."""
        key = str(event._data.get("key"))
        if key not in (visit.key, *visit.outdated):
            raise InputError("session.expired", "this page's analysis is no longer kept; analyse the picture again")
        trace, seen = self.explorer.analysis(visit.key).trace, self.explorer.analysis(key).trace
        block, pixel = place_in(event._data, trace.geometry.frame.picture)
        if block not in trace.blocks or seen.geometry.frame != trace.geometry.frame:
            return {self.parts.visit: visit}  # a place in a picture that another one is about to replace
        return {self.parts.visit: replace(visit, block=block, pixel=pixel)}

    def switch_language(self, visit: Visit, event: gr.EventData) -> Updates:
        return self._worded(replace(visit, language=texts_in(str(event._data.get("lang"))).language))

    def arrive(self, visit: Visit, dark: bool, request: gr.Request) -> Updates:
        """What the address asks for: a language, a picture, a network, a place, a view and its settings."""
        parts = self.parts
        query = dict(request.query_params)
        step = parts.lessons.asked(query)
        if query.get("tab", step.get("tab")) != step.get("tab"):
            step = {name: value for name, value in step.items() if not name.startswith("set.")}
        asked = {**step, **query}  # the rest of the address says where one has wandered from the step
        opened = self._followed(visit, asked)
        language = texts_in(asked.get("lang") or request.headers.get("accept-language")).language
        opened = parts.tabs.linked(opened, asked)
        answer = self._worded(replace(opened, language=language, dark=bool(dark), arrived=True))
        # Without a link's word for it, the tabs stay: a visitor may have opened one while the page was on its way.
        answer[parts.tabs.container] = gr.update(selected=opened.view) if opened.view != visit.view else gr.skip()
        for control, value in parts.tabs.set_by(opened).items():
            answer[control]["value"] = value
        if step:
            answer[parts.inspector] = inspector_at(self.explorer, opened, asked.get("view", "none"))
        elif opened.key != visit.key:  # the page came with the first example in it already
            answer[parts.inspector] = inspector_at(self.explorer, opened)
        answer[parts.problem] = self._refusal(opened.key, asked.get("model"), texts_in(language))
        return answer

    def show_step(self, visit: Visit, event: gr.EventData, request: gr.Request) -> Updates:
        """A step of a lesson wants to be seen: the page shows its state, and what that leaves open as at first."""
        parts = self.parts
        parts.tabs.runs.overtake(str(request.session_hash))
        asked = parts.lessons.asked(event._data)
        opened = parts.tabs.linked(parts.tabs.reset(self._followed(visit, asked)), asked)
        return {
            **self._told(opened),
            **self._settings_of(opened),
            parts.tabs.container: gr.update(selected=opened.view),
            **{control: gr.update(value=value) for control, value in parts.tabs.set_by(opened).items()},
            parts.inspector: inspector_at(self.explorer, opened, asked.get("view", "none")),
        }

    # What is shown.

    def _show(self, visit: Visit, key: str, pixel: tuple[int, int] | None = None) -> Updates:
        """Show another analysis, at ``pixel`` or at the first place worth a look, in the same block if it has that."""
        if visit.key == key:
            return {**self._told(visit), self.parts.inspector: gr.skip()}  # it is there, and so is the visitor
        visit = self._outdated(visit)
        visit = moved(self.explorer, visit, key, pixel, visit.block)
        return {**self._told(visit), self.parts.inspector: inspector_at(self.explorer, visit)}

    def _told(self, visit: Visit) -> Updates:
        """The visit, and what the page says about its analysis."""
        say = texts_in(visit.language)
        return {
            self.parts.visit: visit,
            self.parts.problem: gr.update(visible=False),
            self.parts.notice: self._notice(visit, say),
            self.parts.inputs.status: wording.status(self.explorer.analysis(visit.key), say),
        }

    def _worded(self, visit: Visit) -> Updates:
        """Everything with words in it, in the visit's language."""
        parts, say = self.parts, texts_in(visit.language)
        return {
            parts.visit: visit,
            parts.notice: self._notice(visit, say),
            parts.inputs.status: wording.status(self.explorer.analysis(visit.key), say),
            **dict(zip(parts.localize.components, parts.localize.updates(say), strict=True)),
            parts.inputs.model: gr.update(
                label=say("input.model"), **self._menu(self.explorer.analysis(visit.key).source, say)
            ),
        }

    def _notice(self, visit: Visit, say: Texts) -> Any:
        analysis = self.explorer.analysis(visit.key)
        sentence = wording.notice(analysis, say)
        return gr.update(value=sentence, visible=bool(sentence))

    def _settings_of(self, visit: Visit) -> Updates:
        """Put the menus back to what is shown: a choice that failed is not in force."""
        shown = self.explorer.find(visit.key)
        if shown is None:
            return {}
        values = {self.parts.inputs.size: shown.asked, self.parts.inputs.mode: shown.mode}
        updates = {setting: gr.update(value=value) for setting, value in values.items()}
        return updates | {self.parts.inputs.model: self._menu(shown.source, texts_in(visit.language))}

    def _menu(self, source: str, say: Texts) -> Any:
        """The menu of networks with this one chosen, which a visitor may have built."""
        sources = list(dict.fromkeys([*self.explorer.networks.sources, source]))
        return gr.update(choices=wording.model_choices(sources, say), value=source)

    def _refusal(self, key: str, model: str | None, say: Texts) -> Any:
        """Why the analysis is not by the network that a link asks for; nothing where it is."""
        try:
            if model and model != self.explorer.analysis(key).source:
                self.explorer.networks.predictor(model)
        except InputError as error:
            return gr.update(value=wording.problem(error, say), visible=True)
        return gr.skip()

    def _followed(self, visit: Visit, asked: Mapping[str, str]) -> Visit:
        """The visit where a link leads, with its analysis behind it if that is another one."""
        opened = follow_link(self.explorer, visit, asked)
        return opened if opened.key == visit.key else replace(opened, outdated=self._outdated(visit).outdated)

    def _outdated(self, visit: Visit) -> Visit:
        """The visit with its analysis behind it; earlier ones than the last few are forgotten."""
        outdated = (*visit.outdated, visit.key)
        for key in outdated[:-OUTDATED_KEPT]:
            self.explorer.forget(key)
        return replace(visit, outdated=outdated[-OUTDATED_KEPT:], sent=0.0)


def at_the_browsers_pace(handler: Callable[..., Updates]) -> Callable[..., Updates]:
    """Begin with a camera's picture once the one before is there; what comes meanwhile, Gradio leaves out."""

    @functools.wraps(handler)
    def paced(visiting: Visiting, *arguments: Any) -> Updates:
        while visiting.now.sent and time.monotonic() - visiting.now.sent < FRAME_SECONDS:
            time.sleep(0.02)
        return handler(visiting, *arguments)

    return paced


def leave(explorer: Explorer, visit: Visit) -> None:
    """Forget what a visit that is over has left, with the next sweep."""
    for key in (visit.key, *visit.outdated):
        explorer.forget_soon(key)
