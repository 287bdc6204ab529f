"""All lessons, and how one is found among them."""

from functools import cache
from pathlib import Path

from lsnet import InputError
from viz.lesson_file import Lesson, Step, read_lesson
from viz.texts import LANGUAGES

LESSONS_DIR = Path(__file__).resolve().parent.parent / "assets" / "lessons"


@cache
def lessons(language: str) -> tuple[Lesson, ...]:
    """All lessons in one of :data:`viz.texts.LANGUAGES`, in their order.

    Raises:
        ValueError: there are none in this language, or a file is malformed; the message names file and line.
    """
    if language not in LANGUAGES:
        raise ValueError(f"expected one of {', '.join(LANGUAGES)}, got {language!r}")
    return tuple(sorted(map(read_lesson, LESSONS_DIR.glob(f"*.{language}.md")), key=lambda lesson: lesson.number))


def find_step(lesson: str, step: str | None = None, language: str = "en") -> tuple[Lesson, Step] | None:
    """What a link names: a lesson by its number or slug, and a step; None where there is no such lesson.

    Without a step, or with an unknown one, it is the lesson's first.
    """
    found = _find_lesson(lesson, language)
    if found is None:
        return None
    return found, next((one for one in found.steps if one.name == step), found.steps[0])


def known_lesson(lesson: str, language: str = "en") -> Lesson:
    """The lesson of a number or slug.

    Raises:
        InputError: there is none; the sentence says which there are.
    """
    found = _find_lesson(lesson, language)
    if found is None:
        numbers = ", ".join(str(one.number) for one in lessons(language))
        raise InputError("takehome.lesson", f"expected lesson {numbers}, got {lesson}", known=numbers)
    return found


def known_step(lesson: str, step: str, language: str = "en") -> tuple[Lesson, Step]:
    """A lesson, by its number or slug, and a step by its name.

    Raises:
        InputError: there is no such lesson or step; the sentence says which there are.
    """
    found = known_lesson(lesson, language)
    named = next((one for one in found.steps if one.name == step), None)
    if named is None:
        names = ", ".join(one.name for one in found.steps)
        raise InputError("takehome.step", f"expected a step out of {names}, got {step!r}", known=names)
    return found, named


def _find_lesson(lesson: str, language: str) -> Lesson | None:
    return next((one for one in lessons(language) if lesson in (one.slug, str(one.number))), None)
