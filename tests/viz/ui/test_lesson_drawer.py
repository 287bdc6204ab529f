"""The drawer of lessons: its script as the page gets it, what it asks the page for, and its texts."""

import re
import shutil
import subprocess
import threading
import time
from pathlib import Path

import gradio as gr
import pytest

from tests.viz.test_standalone import header_of
from viz.bundle import bundle
from viz.lesson_file import LOOKS
from viz.lessons import lessons
from viz.texts import LANGUAGES, entries
from viz.ui.config import AppConfig
from viz.ui.lesson_drawer import DRAWER, WEIGHTS, LessonDrawer, worksheet
from viz.ui.service import Explorer
from viz.ui.takehome import written

NODE = shutil.which("node")


@pytest.fixture(scope="module")
def drawer() -> LessonDrawer:
    """Of a page that was opened with other weights than the lessons are about."""
    with gr.Blocks():
        return LessonDrawer(Explorer(AppConfig(device="cpu", model="untrained/lsnet_n", threads=1)))


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_the_script_is_one_valid_function_body(tmp_path: Path) -> None:
    script = tmp_path / "bundle.cjs"
    script.write_text(f"'use strict'; (element) => {{\n{bundle(DRAWER / 'drawer.js')}\n}}", encoding="utf-8")
    assert subprocess.run([NODE or "node", "--check", str(script)], check=False, timeout=60).returncode == 0


def test_only_what_the_server_has_rendered_is_taken_for_html() -> None:
    code = {path.name: path.read_text(encoding="utf-8") for path in DRAWER.glob("*.js")}
    assert {name: text.count("innerHTML") for name, text in code.items() if "HTML" in text} == {"drawer.js": 1}
    assert not any(re.search(r"#[0-9a-fA-F]{6}\b", path.read_text()) for path in DRAWER.glob("*.css"))
    words = re.sub(r"<[^>]*>", " ", (DRAWER / "drawer.html").read_text(encoding="utf-8"))
    assert words.split() == []  # everything comes from the texts


def test_every_text_that_is_named_exists_and_every_one_is_named() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (*DRAWER.glob("*.js"), DRAWER / "drawer.html"))
    named = set(re.findall(r'data-(?:text|label|tip)="([\w.]+)"', sources))
    named |= {key for call in re.findall(r"\bsay\(([^;]*)\)", sources) for key in re.findall(r'"([\w.]+)"', call)}
    named |= set(re.findall(r'\bproblem\("([\w.]+)"', sources))
    named |= {"nextLesson", "allLessons", *(f"look.{look}" for look in LOOKS)}
    for language in LANGUAGES:
        own = {key.removeprefix("lessons.") for key in entries(language) if key.startswith("lessons.")}
        assert named == own


def test_a_step_asks_for_its_state_in_the_weights_that_it_talks_about(drawer: LessonDrawer) -> None:
    step = lessons("en")[5].steps[0]
    asked = drawer.asked({"lesson": "6", "step": step.name})
    assert asked == {"model": WEIGHTS, **step.state.parameters()}
    assert asked["set.show"] == "scaling"
    assert drawer.asked({"lesson": "6"}) == asked
    assert drawer.asked({"lang": "en"}) == drawer.asked({"lesson": "0"}) == {}


def test_texts_hold_numbers_of_those_weights_and_are_kept(drawer: LessonDrawer) -> None:
    texts = drawer.texts("one-pixel-one-kernel", "which-set")
    assert texts is not None
    assert set(texts) == set(LANGUAGES)
    for language in LANGUAGES:
        assert set(texts[language]) == {"text", "try", "question", "answer"}
        assert "128" in texts[language]["text"]  # channels of LSNet-T in this block; LSNet-N has 96
        assert "{{" not in "".join(texts[language].values())
    assert drawer.texts("one-pixel-one-kernel", "which-set") is texts
    assert drawer.texts("no-such-lesson", "which-set") is None


def test_a_step_to_take_home_is_of_those_weights_and_a_lesson_that_is_not_there_is_told(drawer: LessonDrawer) -> None:
    page = drawer.page("one-pixel-one-kernel", "which-set", "zh-CN")
    assert header_of(page)["source"] == WEIGHTS
    assert lessons("zh-CN")[1].steps[3].title in page
    assert drawer.page("one-pixel-one-kernel", "which-set", "zh-CN") is page  # for a class that asks together
    ask = drawer._page_server()
    assert ask({"lesson": "no", "step": "which-set", "language": "en"}) == {
        "problem": "There is no such lesson; there are 1, 2, 3, 4, 5, 6."
    }
    assert "nine-inputs" in ask({"lesson": "2", "step": "no", "language": "en"})["problem"]


def test_few_wait_for_their_pages_since_each_holds_a_thread() -> None:
    go, answers = threading.Event(), []

    def slow(language: str) -> str:
        go.wait(60)
        return language

    waiting = [threading.Thread(target=lambda: answers.append(written(slow, "en"))) for _ in range(12)]
    for one in waiting:
        one.start()
    while sum(one.is_alive() for one in waiting) > 6:  # the others are told at once
        time.sleep(0.01)
    go.set()
    for one in waiting:
        one.join(60)
    assert sum("page" in answer for answer in answers) == 6
    assert sum(answer.get("problem", "").startswith("Many pages") for answer in answers) == 6


def test_a_worksheet_in_the_language_that_is_asked_for() -> None:
    for language in LANGUAGES:
        assert lessons(language)[0].title in worksheet({"number": 1, "language": language})
