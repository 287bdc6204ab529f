"""Worksheets: the questions of a lesson on a page to print, with room to write, and the answers on a page of their own.

``python -m viz.worksheets OUT`` writes those of all lessons in all languages.
"""

import argparse
import html
import math
import re
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from string import Template

from viz.lesson_file import Exercise, Lesson
from viz.lesson_html import render
from viz.lessons import known_lesson, lessons
from viz.math_font import math_font
from viz.texts import LANGUAGES, Texts, texts_in

ASSETS = Path(__file__).resolve().parent.parent / "assets" / "worksheet"

# Room to write: handwriting fits about this much of an answer on a line, in widths of a Latin letter.
_WIDTHS_PER_LINE = 50
_FEWEST_LINES, _MOST_LINES = 3, 8
_WIDE = re.compile(r"[\u2e80-\u9fff\uff00-\uffef]")  # a Chinese character takes the room of two letters


@cache
def worksheet_page(number: int, language: str, answers: bool = True) -> str:
    """The worksheet of a lesson as one HTML page, which needs no other file and no script.

    Args:
        number: of the lesson.
        language: one of :data:`viz.texts.LANGUAGES`.
        answers: whether they follow, after a page break.

    Raises:
        InputError: there is no such lesson.
        ValueError: there is no such language.
    """
    lesson = known_lesson(str(number), language)
    say = texts_in(language)
    words = {key: say(f"worksheet.{key}") for key in ("worksheet", "name", "date", "print")}
    parts = {
        "title": lesson.title,
        "lesson": say("worksheet.lesson", number=lesson.number),
        "language": language,
        **words,
    }
    return Template((ASSETS / "worksheet.html").read_text(encoding="utf-8")).substitute(
        {name: html.escape(text) for name, text in parts.items()},
        style=f"{math_font()}\n{(ASSETS / 'worksheet.css').read_text(encoding='utf-8')}",
        switch=_switch(say) if answers else "",
        questions="\n".join(map(_question, lesson.worksheet)),
        answers=_answers(lesson, say) if answers else "",
    )


def _switch(say: Texts) -> str:
    """Lets a teacher leave the answers out of the print; the style sheet does the rest."""
    return (
        f'<input type="checkbox" id="with-answers" checked>'
        f'<label for="with-answers">{html.escape(say("worksheet.with_answers"))}</label>'
    )


def _question(exercise: Exercise) -> str:
    lines = "<i></i>" * _lines_for(exercise.answer)
    return f'<li>{render(exercise.question)}<div class="lines" aria-hidden="true">{lines}</div></li>'


def _answers(lesson: Lesson, say: Texts) -> str:
    heading = html.escape(say("worksheet.answers", number=lesson.number, title=lesson.title))
    items = "\n".join(f"<li>{render(exercise.answer)}</li>" for exercise in lesson.worksheet)
    return f'<section class="sheet answers"><h2>{heading}</h2><ol>\n{items}\n</ol></section>'


def _lines_for(answer: str) -> int:
    widths = len(answer) + len(_WIDE.findall(answer))
    return min(max(math.ceil(widths / _WIDTHS_PER_LINE) + 1, _FEWEST_LINES), _MOST_LINES)


def main(arguments: Sequence[str] | None = None) -> None:
    """``python -m viz.worksheets``."""
    parser = argparse.ArgumentParser(
        prog="python -m viz.worksheets", description="Write the worksheets of all lessons."
    )
    parser.add_argument("out", type=Path, help="the folder to write them to")
    parser.add_argument("--without-answers", action="store_true", help="questions alone")
    given = parser.parse_args(arguments)
    try:
        given.out.mkdir(parents=True, exist_ok=True)
        for language in LANGUAGES:
            for lesson in lessons(language):
                page = worksheet_page(lesson.number, language, not given.without_answers)
                path = given.out / f"worksheet-{lesson.number}-{lesson.slug}.{language}.html"
                path.write_text(page, encoding="utf-8")
    except OSError as error:
        sys.exit(f"error: {given.out} cannot be written to: {error.strerror}")


if __name__ == "__main__":
    main()
