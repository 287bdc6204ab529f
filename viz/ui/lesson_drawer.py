"""The lessons as a Gradio component: a drawer beside the page, which shows what each step is about."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from lsnet.weights import bundled_names
from viz.bundle import bundle
from viz.images import load_picture
from viz.lesson_file import Lesson, Step
from viz.lesson_html import render
from viz.lessons import find_step, known_step, lessons
from viz.quantities import filled, quantities_in
from viz.standalone import page_of_step, photo_of
from viz.texts import LANGUAGES, entries, texts_in
from viz.ui.analysis import Analysis
from viz.ui.kept import Kept
from viz.ui.service import SIZES, Explorer
from viz.ui.takehome import written
from viz.worksheets import worksheet_page

DRAWER = Path(__file__).resolve().parents[2] / "assets" / "lesson_drawer"

# Lessons tell what trained weights do, so they show these, whatever the page was opened with.
WEIGHTS = f"bundled/{bundled_names()[0]}"

KEPT_PAGE_BYTES = 2**26  # of pages to take home, which a class asks for together

StepTexts = dict[str, dict[str, str]]


class LessonDrawer:
    """The lessons, and the component that shows them.

    Attributes:
        component: its ``input`` event says which step the page should show; :meth:`asked` reads it.
    """

    def __init__(self, explorer: Explorer) -> None:
        """Build the component, inside a ``gr.Blocks``."""
        self.explorer = explorer
        self._texts: dict[tuple[str, str], StepTexts] = {}
        self._filling = threading.Lock()
        self._pages: Kept[str] = Kept(KEPT_PAGE_BYTES, len)
        self.component = gr.HTML(
            html_template=(DRAWER / "drawer.html").read_text(encoding="utf-8"),
            css_template=(DRAWER / "drawer.css").read_text(encoding="utf-8"),
            js_on_load=f"{bundle(DRAWER / 'drawer.js')}\nstartLessons({{ element, props, server, trigger }});\n",
            apply_default_css=False,
            elem_id="lessons",
            server_functions=[self._step_server(), worksheet, self._page_server()],
            strings={language: _own_texts(language) for language in LANGUAGES},
            outline={language: [_outline(lesson) for lesson in lessons(language)] for language in LANGUAGES},
        )

    def asked(self, names: Mapping[str, str]) -> dict[str, str]:
        """What a link would say that opens a step's state; nothing where no lesson is named.

        Args:
            names: ``lesson`` (number or slug) and ``step``, as in a link.
        """
        found = find_step(str(names.get("lesson", "")), names.get("step"))
        if found is None:
            return {}
        return {"model": WEIGHTS, **found[1].state.parameters()}

    def texts(self, lesson: str, step: str) -> StepTexts | None:
        """A step's texts as HTML by language and part, their numbers computed; None where there is no such step.

        Parts are ``text``, ``try``, ``question`` and ``answer``, as far as the step has them.
        """
        found = find_step(lesson, step)
        if found is None:
            return None
        key = (found[0].slug, found[1].name)
        if key not in self._texts:
            with self._filling:  # a class that opens a step together has it computed once
                if key not in self._texts:
                    self._texts[key] = {language: self._filled(*key, language) for language in LANGUAGES}
        return self._texts[key]

    def _filled(self, lesson: str, step: str, language: str) -> dict[str, str]:
        found = find_step(lesson, step, language)
        assert found is not None  # all languages have the same steps
        parts = _parts(found[1])
        if any(map(quantities_in, parts.values())):
            trace = self._analysis(found[1]).trace
            parts = {name: filled(text, trace, found[1].state) for name, text in parts.items()}
        return {name: render(text) for name, text in parts.items()}

    def page(self, lesson: str, step: str, language: str) -> str:
        """A step as an HTML page to take home, which opens in a language.

        Raises:
            InputError: there is no such lesson or step.
        """
        found, named = known_step(lesson, step)
        key = f"{found.slug}/{named.name}/{language}"
        page = self._pages.get(key)
        if page is None:
            analysis, picture = self._analysis(named), load_picture(photo_of(named).path)
            about: dict[str, Any] = {"source": analysis.weights, "trained": analysis.trained}
            page = page_of_step(found.number, named.name, language, analysis.trace, picture, **about)
            self._pages.put(key, page)
        return page

    def _analysis(self, step: Step) -> Analysis:
        key = self.explorer.analyse_example(photo_of(step), step.state.model or WEIGHTS, SIZES[0], "crop")
        analysis = self.explorer.analysis(key)
        self.explorer.forget(key)  # no visitor looks at it
        return analysis

    def _step_server(self) -> Callable[[dict[str, str]], StepTexts | None]:
        """What the browser calls as ``server.step``."""

        def step(names: dict[str, str]) -> StepTexts | None:
            return self.texts(str(names.get("lesson")), str(names.get("step")))

        return step

    def _page_server(self) -> Callable[[dict[str, str]], dict[str, str]]:
        """What the browser calls as ``server.take_home``."""

        def take_home(asked: dict[str, str]) -> dict[str, str]:
            lesson, step = str(asked.get("lesson")), str(asked.get("step"))
            return written(lambda language: self.page(lesson, step, language), asked.get("language"))

        return take_home


def worksheet(asked: dict[str, Any]) -> str:
    """What the browser calls as ``server.worksheet``: a page to print, by ``number`` and ``language``."""
    return worksheet_page(int(asked["number"]), texts_in(str(asked["language"])).language)


def _parts(step: Step) -> dict[str, str]:
    parts = {"text": step.text, "try": step.try_this, "question": step.question, "answer": step.answer}
    return {name: text for name, text in parts.items() if text is not None}


def _own_texts(language: str) -> dict[str, str]:
    return {key: text for key, text in entries(language).items() if key.startswith("lessons.")}


def _outline(lesson: Lesson) -> dict[str, Any]:
    """What the list shows of a lesson."""
    steps = [{"name": step.name, "title": step.title, "look": step.look} for step in lesson.steps]
    return {
        "slug": lesson.slug,
        "number": lesson.number,
        "title": lesson.title,
        "minutes": lesson.minutes,
        "steps": steps,
    }
