"""What the page is made of: pictures and settings on top, the inspector below them, then one tab per view."""

from collections.abc import Callable

import gradio as gr
from gradio.blocks import Block

from viz.texts import LANGUAGES, entries, texts_in
from viz.ui import wording
from viz.ui.inputs import Inputs
from viz.ui.inspector import inspector_html
from viz.ui.lesson_drawer import LessonDrawer
from viz.ui.localize import Localizer
from viz.ui.places import inspector_at
from viz.ui.service import Explorer
from viz.ui.tabs import ViewTabs
from viz.ui.takehome import page_writer
from viz.ui.variant import VariantBuilder
from viz.ui.visit import Visit, Visiting


class Parts:
    """The components of the page, already showing an analysis.

    Attributes:
        visit: a :class:`Visiting` per session.
        dark: whether the browser shows the page dark.
        problem: what went wrong.
        notice: what a visitor must know before believing anything.
        localize: which component shows which text.
    """

    def __init__(self, explorer: Explorer, opening: Visit, leave: Callable[[Visit], None]) -> None:
        """Build them, inside a ``gr.Blocks``.

        Args:
            explorer: what computes and keeps.
            opening: what is shown before any event.
            leave: told where a visit was when it is over.
        """
        say = texts_in("en")
        self.localize = Localizer()
        self.visit = gr.State(Visiting(opening, leave), time_to_live=7200)
        self.dark = gr.Checkbox(visible=False)
        with gr.Row(elem_id="heading"):
            gr.Markdown(f"# {say('app.title')}", elem_id="title")
            self.lessons = LessonDrawer(explorer)
        self.problem = gr.Markdown(visible=False, elem_id="problem")
        warning = wording.notice(explorer.analysis(opening.key), say)
        self.notice = gr.Markdown(warning, visible=bool(warning), elem_id="notice")  # honest before any event
        self.inputs = Inputs(self.localize, say, explorer.networks.sources, explorer.networks.opening)
        self.variant = VariantBuilder(self.localize, say)
        self.inspector = inspector_html(
            {language: entries(language) for language in LANGUAGES},
            inspector_at(explorer, opening),
            page_writer(explorer),
        )
        self.localize(gr.Markdown(say("views.lead"), elem_id="views-lead"), value="views.lead")
        self.tabs = ViewTabs(explorer, self.localize, say)
        for key in ("app.privacy.space" if explorer.on_space else "app.privacy", "app.source"):
            self.localize(gr.Markdown(say(key), elem_classes="small"), value=key)

    @property
    def told(self) -> list[Block]:
        """What a change of place changes: little, and no picture."""
        return [self.visit, self.problem, *self.inputs.settings]

    @property
    def shown(self) -> list[Block]:
        """What another analysis changes."""
        return [*self.told, self.notice, self.inputs.status, self.inspector]

    @property
    def worded(self) -> list[Block]:
        """What another language changes; the settings are among those with words."""
        return [self.visit, self.problem, self.notice, self.inputs.status, *self.localize.components]
