"""A lesson's step as a page to take home."""

import html

from PIL import Image

from lsnet import Predictor, load_predictor
from viz.capture import trace_warm
from viz.examples import Example, examples
from viz.images import load_picture
from viz.lesson_file import Lesson, Step
from viz.lesson_html import render
from viz.lessons import known_step
from viz.quantities import filled
from viz.standalone.page import Lead, Place, standalone_page
from viz.texts import LANGUAGES, Texts, texts_in
from viz.trace import ForwardTrace


def step_page(number: int, name: str, language: str | None = None, predictor: Predictor | None = None) -> str:
    """A lesson's step as one HTML page: its texts in all languages above its state in the inspector.

    Args:
        number: of the lesson.
        name: of the step.
        language: to open in; the reader's browser's by default.
        predictor: the network that the step's state asks for; loaded by default.

    Raises:
        InputError: there is no such lesson or step; the sentence says which there are.
    """
    _, step = known_step(str(number), name)
    source = step.state.model or "bundled"
    predictor = predictor or load_predictor(source)
    picture = load_picture(photo_of(step).path)
    trace = trace_warm(predictor, picture)
    return page_of_step(number, name, language, trace, picture, source=source, trained=predictor.card.trained)


def page_of_step(
    number: int,
    name: str,
    language: str | None,
    trace: ForwardTrace,
    picture: Image.Image,
    *,
    source: str,
    trained: bool,
) -> str:
    """:func:`step_page` where the step's photo was traced already, in the network that its state asks for."""
    told = {lang: known_step(str(number), name, lang) for lang in LANGUAGES}
    _, step = told["en"]
    return standalone_page(
        trace,
        picture,
        source=source,
        trained=trained,
        example=photo_of(step),
        place=Place(step.state.block, step.state.px, step.state.view, language),
        lead=Lead(
            {lang: f"{step.title} · {lesson.title}" for lang, (lesson, step) in told.items()},
            {lang: _lead(*told[lang], trace, texts_in(lang)) for lang in LANGUAGES},
        ),
    )


def photo_of(step: Step) -> Example:
    """The bundled photo that a step is about."""
    return next(example for example in examples() if example.id == step.state.img)


def _lead(lesson: Lesson, step: Step, trace: ForwardTrace, say: Texts) -> str:
    """A step's texts: what there is to see, something to try, and a question whose answer unfolds."""

    def text(markdown: str) -> str:
        return render(filled(markdown, trace, step.state))

    def heading(key: str) -> str:
        return f"<h2>{html.escape(say(key))}</h2>"

    tasks = f'<div class="page-try">{heading("takehome.try")}{text(step.try_this)}</div>'
    if step.question and step.answer:
        reveal = f"<details><summary>{html.escape(say('takehome.answer'))}</summary>{text(step.answer)}</details>"
        tasks += f'<div class="page-ask">{heading("takehome.question")}{text(step.question)}{reveal}</div>'
    if step.state.tab:
        elsewhere = say("takehome.view", view=say(f"view.{step.state.tab}.title"))
        tasks += f'<p class="page-elsewhere">{html.escape(elsewhere)}</p>'
    where = html.escape(say("takehome.lesson", number=lesson.number, title=lesson.title))
    return (
        f'<article class="page-step"><p class="page-where">{where}</p><h1>{html.escape(step.title)}</h1>'
        f'<div class="page-columns"><div>{text(step.text)}</div><div>{tasks}</div></div></article>'
    )
