"""Worksheets to print: every lesson, both languages, and the answers apart."""

import html
import re
from pathlib import Path

import pytest

from lsnet import InputError
from viz.lesson_html import render
from viz.lessons import lessons
from viz.texts import LANGUAGES
from viz.worksheets import main, worksheet_page

ALL = [(lesson.number, language) for language in LANGUAGES for lesson in lessons(language)]


@pytest.mark.parametrize(("number", "language"), ALL)
def test_questions_come_first_and_the_answers_apart(number: int, language: str) -> None:
    lesson = lessons(language)[number - 1]
    page = worksheet_page(number, language)
    questions, answers = page.split('<section class="sheet answers">')
    assert html.escape(lesson.title) in questions
    assert f'<html lang="{language}">' in questions
    for exercise in lesson.worksheet:
        assert render(exercise.question) in questions
        assert render(exercise.answer) in answers
        assert render(exercise.answer) not in questions
    assert questions.count("<li>") == answers.count("<li>") == len(lesson.worksheet)
    assert ".answers { break-before: page; }" in page


@pytest.mark.parametrize(("number", "language"), ALL)
def test_nothing_is_left_unset_and_nothing_is_fetched(number: int, language: str) -> None:
    page = worksheet_page(number, language)
    body = page.split("</style>")[1]
    assert not re.search(r"\$|\{\{|\}\}|\\[a-z]+", body)
    assert "<script" not in page
    assert not re.search(r"(?:src|href)=|url\((?!\"data:font/woff2;base64,)|@import", page)
    formulas = [one for one in lessons(language)[number - 1].worksheet if "$" in one.question + one.answer]
    assert body.count("<math") >= len(formulas) > 0


def test_there_is_more_room_for_a_longer_answer() -> None:
    items = re.findall(r"<li>.*?</li>", worksheet_page(1, "en", answers=False), re.DOTALL)
    room = [item.count("<i></i>") for item in items]
    lengths = [len(exercise.answer) for exercise in lessons("en")[0].worksheet]
    assert room[lengths.index(max(lengths))] == max(room)
    assert room[lengths.index(min(lengths))] == min(room) >= 3


def test_without_answers_there_are_none() -> None:
    page = worksheet_page(2, "en", answers=False)
    assert 'class="sheet answers"' not in page
    assert 'with-answers" checked' not in page
    assert "of a linear layer" not in page  # out of the last answer


def test_a_lesson_that_is_not_there_is_told() -> None:
    with pytest.raises(InputError) as told:
        worksheet_page(99, "en")
    assert told.value.code == "takehome.lesson"


@pytest.mark.parametrize("inside", [False, True])
def test_a_place_that_cannot_be_written_to_is_told(tmp_path: Path, inside: bool) -> None:
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(SystemExit, match=r"^error: .*taken.* cannot be written to: "):
        main([str(tmp_path / "taken" / "sheets" if inside else tmp_path / "taken")])
    assert (tmp_path / "taken").read_text() == "mine"


def test_the_command_writes_all_of_them(tmp_path: Path) -> None:
    main([str(tmp_path / "sheets")])
    written = {path.name for path in (tmp_path / "sheets").iterdir()}
    expected = {
        f"worksheet-{one.number}-{one.slug}.{language}.html" for language in LANGUAGES for one in lessons(language)
    }
    assert written == expected
    assert len(written) == 12
