"""The page: pictures and settings on top, the inspector below them, then one tab per view."""

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
from viz.images import load_picture
from viz.texts import LANGUAGES, Texts, entries, texts_in
from viz.ui import wording
from viz.ui.inputs import Inputs
from viz.ui.inspector import inspector_html, inspector_value, place_to_go
from viz.ui.lesson_drawer import LessonDrawer
from viz.ui.localize import Localizer
from viz.ui.places import follow_link, moved, open_example, place_in
from viz.ui.received import received
from viz.ui.service import Explorer
from viz.ui.tabs import ViewTabs
from viz.ui.takehome import page_writer
from viz.ui.variant import VariantBuilder
from viz.ui.visit import Visit, Visiting

log = logging.getLogger(__name__)

CAMERAS = 2  # that may stream at the same time
CAMERA_SECONDS = 120  # that one may stream for

# Analyses before the one that is shown: a browser on a busy machine may still be reading them.
OUTDATED_KEPT = 2
FRAME_SECONDS = 10.0  # that a camera's picture may take to the browser before the next one is looked at all the same

# A picture that comes after one that was chosen later is left out; see assets/inspector/uploads.js.
LAST_CHOSEN = "(visit, picture, ...rest) => [visit, window.lsnetUploads.arrived(picture) ? picture : null, ...rest]"


class Page:
    """Builds the page and answers its events."""

    def __init__(self, explorer: Explorer) -> None:
        self.explorer = explorer
        self.localize = Localizer()
        self.opening = open_example(explorer, examples()[0], explorer.networks.opening)

    def build(self) -> gr.Blocks:
        """The whole page, already showing the first example."""
        say = texts_in("en")
        with gr.Blocks(title=say("app.title"), analytics_enabled=False, fill_width=True) as blocks:
            self.visit = gr.State(Visiting(self.opening, self._leave), time_to_live=7200)
            self.dark = gr.Checkbox(visible=False)
            with gr.Row(elem_id="heading"):
                gr.Markdown(f"# {say('app.title')}", elem_id="title")
                self.lessons = LessonDrawer(self.explorer)
            self.problem = gr.Markdown(visible=False, elem_id="problem")
            warning = wording.notice(self.explorer.analysis(self.opening.key), say)
            self.notice = gr.Markdown(warning, visible=bool(warning), elem_id="notice")  # honest before any event
            self.inputs = Inputs(self.localize, say, self.explorer.networks.sources, self.explorer.networks.opening)
            self.variant = VariantBuilder(self.localize, say)
            self.inspector = inspector_html(
                {language: entries(language) for language in LANGUAGES},
                self._inspector_value(self.opening),
                page_writer(self.explorer),
            )
            self.localize(gr.Markdown(say("views.lead"), elem_id="views-lead"), value="views.lead")
            self.tabs = ViewTabs(self.explorer, self.localize, say)
            for key in ("app.privacy.space" if self.explorer.on_space else "app.privacy", "app.source"):
                self.localize(gr.Markdown(say(key), elem_classes="small"), value=key)
            self._connect(blocks)
        return blocks

    # What answers what.

    def _connect(self, blocks: gr.Blocks) -> None:
        inputs, settings, outputs = self.inputs, self.inputs.settings, self._outputs
        serial: dict[str, Any] = {
            "concurrency_id": "model",
            "concurrency_limit": 1,  # first come, first served
            # A second picture while the first is on its way: both, in order. "always_last" at times forgets the last.
            "trigger_mode": "multiple",
            "api_visibility": "private",
            "show_progress": "minimal",
            "show_progress_on": [self.inspector],
        }
        changes = [
            inputs.upload.upload(
                self._guarded(self._bring),
                [self.visit, inputs.upload, *settings],
                outputs,
                js=LAST_CHOSEN,
                preprocess=False,
                **serial,
            ),
            inputs.camera.input(
                self._guarded(self._bring), [self.visit, inputs.camera, *settings], outputs, preprocess=False, **serial
            ),
        ]
        changes.append(
            inputs.examples.select(self._guarded(self._choose_example), [self.visit, *settings], outputs, **serial)
        )
        for setting in (inputs.model, inputs.size, inputs.mode):
            changed = setting.input(self._guarded(self._change_setting), [self.visit, *settings], outputs, **serial)
            changes.append(changed)
        opened = self.variant.button.click(
            self._guarded(self._open_variant),
            [self.visit, inputs.size, inputs.mode, *self.variant.controls],
            outputs,
            **serial,
        )
        changes.append(opened)
        # A stream holds its place in the queue for as long as it runs, so it must not be the models' only one.
        inputs.live.stream(
            self._at_the_browsers_pace(self._guarded(self._follow_camera)),
            [self.visit, inputs.live, *settings],
            [self.visit, self.problem, *settings, self.inspector],
            stream_every=0.1,
            time_limit=CAMERA_SECONDS,
            preprocess=False,
            concurrency_limit=CAMERAS,
            api_visibility="private",
            show_progress="hidden",
        )
        quick: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "trigger_mode": "always_last"}
        told = [self.visit, self.problem, *settings]
        changes.append(self.inspector.input(self._guarded(self._look_at), self.visit, told, **quick))
        changes.append(
            self.inspector.select(self._guarded(self._switch_language), self.visit, self._worded_outputs, **quick)
        )
        shown = [*outputs, self.tabs.container, *self.tabs.controls]
        self.inspector.play(
            self._guarded(self._frame_has_arrived),
            self.visit,
            told,
            queue=False,
            **quick | {"trigger_mode": "multiple"},
        )
        step = self.lessons.component.input(self._guarded(self._show_step), self.visit, shown, **serial)
        changes.append(step)
        arrival = blocks.load(
            self._guarded(self._arrive),
            [self.visit, self.dark],
            [self.inspector, self.tabs.container, *self._worded_outputs],
            js="(visit) => [visit, document.body.classList.contains('dark')]",
            **quick,
        )
        self.tabs.follow(self.visit, [*changes, arrival])

    @property
    def _outputs(self) -> list[Block]:
        """What another analysis changes."""
        told = [self.problem, self.notice, self.inputs.status]
        return [self.visit, *told, *self.inputs.settings, self.inspector]

    @property
    def _worded_outputs(self) -> list[Block]:
        """What another language changes; the settings are among those with words."""
        return [self.visit, self.problem, self.notice, self.inputs.status, *self.localize.components]

    def _guarded(self, handler: Callable[..., dict[Block, Any]]) -> Callable[..., dict[Block, Any]]:
        """On an error, leave everything as it is and say in the visitor's language what went wrong.

        The handler is given the visit as it is now; of the one that it answers, only what it changed is taken over.
        """

        @functools.wraps(handler)
        def answer(visiting: Visiting, *arguments: Any) -> dict[Block, Any]:
            visit = visiting.now
            try:
                updates = handler(visit, *arguments)
                visiting.change(visit, updates.get(self.visit, visit))
                return {**updates, self.visit: visiting}
            except Exception as error:
                if not isinstance(error, InputError):
                    log.exception("while answering %s", handler.__name__)
                sentence = wording.problem(error, texts_in(visit.language))
                return {self.problem: gr.update(value=sentence, visible=True), **self._settings_of(visit)}

        return answer

    def _at_the_browsers_pace(self, handler: Callable[..., dict[Block, Any]]) -> Callable[..., dict[Block, Any]]:
        """Begin with a camera's picture once the one before is there; what comes meanwhile, Gradio leaves out."""

        @functools.wraps(handler)
        def paced(visiting: Visiting, *arguments: Any) -> dict[Block, Any]:
            while visiting.now.sent and time.monotonic() - visiting.now.sent < FRAME_SECONDS:
                time.sleep(0.02)
            return handler(visiting, *arguments)

        return paced

    def _settings_of(self, visit: Visit) -> dict[Block, Any]:
        """Put the menus back to what is shown: a choice that failed is not in force."""
        shown = self.explorer.find(visit.key)
        if shown is None:
            return {}
        values = {self.inputs.size: shown.asked, self.inputs.mode: shown.mode}
        updates = {setting: gr.update(value=value) for setting, value in values.items()}
        return updates | {self.inputs.model: self._menu(shown.source, texts_in(visit.language))}

    def _menu(self, source: str, say: Texts) -> Any:
        """The menu of networks with this one chosen, which a visitor may have built."""
        sources = list(dict.fromkeys([*self.explorer.networks.sources, source]))
        return gr.update(choices=wording.model_choices(sources, say), value=source)

    def _bring(
        self, visit: Visit, picture: Mapping[str, Any] | None, model: str, size: int, mode: str
    ) -> dict[Block, Any]:
        """The visitor's own picture: a file as Gradio describes it, which has not looked into it."""
        if picture is None:  # cleared, or overtaken on its way by another: what is shown stays
            return {self.visit: visit}
        file = received(picture, self.explorer.folders.uploads)
        own = load_picture(file) if isinstance(file, bytes) else file
        return self._show(visit, self.explorer.analyse(own, model, size, mode))

    def _follow_camera(
        self, visit: Visit, frame: Mapping[str, Any] | None, model: str, size: int, mode: str
    ) -> dict[Block, Any]:
        """The camera's latest frame, at the place that was looked at in the one before."""
        if frame is None:
            return {self.visit: visit}
        picture = load_picture(received(frame, self.explorer.folders.uploads))
        key = self.explorer.analyse(picture, model, size, mode)
        before = self.explorer.find(visit.key)
        pixel = visit.pixel if before is not None and not before.example else None
        following = moved(self.explorer, self._outdated(visit), key, pixel, visit.block)
        following = replace(following, sent=time.monotonic())
        value = {**self._inspector_value(following), "live": True}
        return {self.visit: following, self.problem: gr.update(visible=False), self.inspector: value}

    def _frame_has_arrived(self, visit: Visit, event: gr.EventData) -> dict[Block, Any]:
        return {self.visit: replace(visit, sent=0.0) if event._data.get("key") == visit.key else visit}

    def _choose_example(self, visit: Visit, model: str, size: int, mode: str, event: gr.SelectData) -> dict[Block, Any]:
        return self._show(visit, self.explorer.analyse_example(examples()[event.index], model, size, mode))

    def _change_setting(self, visit: Visit, model: str, size: int, mode: str) -> dict[Block, Any]:
        """The same picture again, through another network or framed otherwise."""
        return self._show(visit, self.explorer.analyse_again(visit.key, model, size, mode), visit.pixel)

    def _open_variant(self, visit: Visit, size: int, mode: str, *choices: Any) -> dict[Block, Any]:
        """The same picture through the network that the visitor has built."""
        key = self.explorer.analyse_again(visit.key, self.variant.source(*choices), size, mode)
        return {**self._show(visit, key, visit.pixel), **self._settings_of(replace(visit, key=key))}

    def _look_at(self, visit: Visit, event: gr.EventData) -> dict[Block, Any]:
        """The inspector's block or pinned pixel has changed: the views follow."""
        key = str(event._data.get("key"))
        if key not in (visit.key, *visit.outdated):
            raise InputError("session.expired", "this page's analysis is no longer kept; analyse the picture again")
        trace, seen = self.explorer.analysis(visit.key).trace, self.explorer.analysis(key).trace
        block, pixel = place_in(event._data, trace.geometry.frame.picture)
        if block not in trace.blocks or seen.geometry.frame != trace.geometry.frame:
            return {self.visit: visit}  # a place in a picture that another one is about to replace
        return {self.visit: replace(visit, block=block, pixel=pixel)}

    def _switch_language(self, visit: Visit, event: gr.EventData) -> dict[Block, Any]:
        return self._worded(replace(visit, language=texts_in(str(event._data.get("lang"))).language))

    def _arrive(self, visit: Visit, dark: bool, request: gr.Request) -> dict[Block, Any]:
        """What the address asks for: a language, a picture, a network, a place, a view and its settings."""
        query = dict(request.query_params)
        step = self.lessons.asked(query)
        if query.get("tab", step.get("tab")) != step.get("tab"):
            step = {name: value for name, value in step.items() if not name.startswith("set.")}
        asked = {**step, **query}  # the rest of the address says where one has wandered from the step
        opened = follow_link(self.explorer, visit, asked)
        language = texts_in(asked.get("lang") or request.headers.get("accept-language")).language
        opened = self.tabs.linked(opened, asked)
        if opened.key != visit.key:
            opened = replace(opened, outdated=self._outdated(visit).outdated)
        answer = self._worded(replace(opened, language=language, dark=bool(dark), arrived=True))
        # Without a link's word for it, the tabs stay: a visitor may have opened one while the page was on its way.
        answer[self.tabs.container] = gr.update(selected=opened.view) if opened.view != visit.view else gr.skip()
        for control, value in self.tabs.set_by(opened).items():
            answer[control]["value"] = value
        if step:
            answer[self.inspector] = self._inspector_value(opened, asked.get("view", "none"))
        elif opened.key != visit.key:  # the page came with the first example in it already
            answer[self.inspector] = self._inspector_value(opened)
        answer[self.problem] = self._refusal(opened.key, asked.get("model"), texts_in(language))
        return answer

    def _refusal(self, key: str, model: str | None, say: Texts) -> Any:
        """Why the analysis is not by the network that a link asks for; nothing where it is."""
        try:
            if model and model != self.explorer.analysis(key).source:
                self.explorer.networks.predictor(model)
        except InputError as error:
            return gr.update(value=wording.problem(error, say), visible=True)
        return gr.skip()

    def _show_step(self, visit: Visit, event: gr.EventData, request: gr.Request) -> dict[Block, Any]:
        """A step of a lesson wants to be seen: the page shows its state, and what that leaves open as at first."""
        self.tabs.runs.overtake(str(request.session_hash))
        asked = self.lessons.asked(event._data)
        opened = self.tabs.linked(self.tabs.reset(follow_link(self.explorer, visit, asked)), asked)
        if opened.key != visit.key:
            opened = replace(opened, outdated=self._outdated(visit).outdated)
        return {
            **self._told(opened),
            **self._settings_of(opened),
            self.tabs.container: gr.update(selected=opened.view),
            **{control: gr.update(value=value) for control, value in self.tabs.set_by(opened).items()},
            self.inspector: self._inspector_value(opened, asked.get("view", "none")),
        }

    # What is shown.

    def _show(self, visit: Visit, key: str, pixel: tuple[int, int] | None = None) -> dict[Block, Any]:
        """Show another analysis, at ``pixel`` or at the first place worth a look, in the same block if it has that."""
        if visit.key == key:
            return {**self._told(visit), self.inspector: gr.skip()}  # it is there, and so is the visitor
        visit = self._outdated(visit)
        visit = moved(self.explorer, visit, key, pixel, visit.block)
        return {**self._told(visit), self.inspector: self._inspector_value(visit)}

    def _told(self, visit: Visit) -> dict[Block, Any]:
        """The visit, and what the page says about its analysis."""
        say = texts_in(visit.language)
        return {
            self.visit: visit,
            self.problem: gr.update(visible=False),
            self.notice: self._notice(visit, say),
            self.inputs.status: wording.status(self.explorer.analysis(visit.key), say),
        }

    def _worded(self, visit: Visit) -> dict[Block, Any]:
        """Everything with words in it, in the visit's language."""
        say = texts_in(visit.language)
        return {
            self.visit: visit,
            self.notice: self._notice(visit, say),
            self.inputs.status: wording.status(self.explorer.analysis(visit.key), say),
            **dict(zip(self.localize.components, self.localize.updates(say), strict=True)),
            self.inputs.model: gr.update(
                label=say("input.model"), **self._menu(self.explorer.analysis(visit.key).source, say)
            ),
        }

    def _notice(self, visit: Visit, say: Texts) -> Any:
        analysis = self.explorer.analysis(visit.key)
        sentence = wording.notice(analysis, say)
        return gr.update(value=sentence, visible=bool(sentence))

    def _inspector_value(self, visit: Visit, colouring: str | None = None) -> dict[str, Any]:
        """The inspector at the visit's analysis; with a colouring, wherever the visitor is."""
        place: dict[str, Any] = {"at": {"x": visit.pixel[0], "y": visit.pixel[1]}}
        if colouring is not None:
            place["go"] = place_to_go(visit.block, visit.pixel, colouring)
        return inspector_value(self.explorer.folders.payload(visit.key), key=visit.key, **place)

    # The end of an analysis, and of a visit.

    def _outdated(self, visit: Visit) -> Visit:
        """The visit with its analysis behind it; earlier ones than the last few are forgotten."""
        outdated = (*visit.outdated, visit.key)
        for key in outdated[:-OUTDATED_KEPT]:
            self.explorer.forget(key)
        return replace(visit, outdated=outdated[-OUTDATED_KEPT:], sent=0.0)

    def _leave(self, visit: Visit) -> None:
        for key in (visit.key, *visit.outdated):
            self.explorer.forget_soon(key)
