"""The lessons: well-formed, alike in both languages, true to the app, and right in every number."""

import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from PIL import Image

from lsnet.config import VARIANTS
from lsnet.preprocess import Preprocess
from viz.examples import examples
from viz.images import Geometry
from viz.lesson_file import Lesson, State, Step, read_lesson
from viz.lessons import LESSONS_DIR, lessons
from viz.quantities import QUANTITIES, quantities_in
from viz.texts import LANGUAGES, entries
from viz.views import View
from viz.views.settings import Choice, Number

ROOT = LESSONS_DIR.parent.parent
COLOURINGS = re.search(
    r"COLOURINGS = \[(.*?)\]", (ROOT / "assets/inspector/colourings.js").read_text(encoding="utf-8"), re.DOTALL
)

# What lessons call by the name that it has on the page.
LABELS = (
    "input.upload",
    "inspector.colouring",
    "inspector.colouring.displacement",
    "inspector.colouring.dynamic",
    "inspector.compare.title",
    "inspector.equation.title",
    "inspector.grid",
    "large_field.network.random",
    "large_field.network.surround",
    "large_field.network.these",
    "view.attribution.title",
    "view.comparison.title",
    "view.large_field.set.target",
    "view.surgery.set.bundled_photos",
    "view.surgery.set.operation.box",
    "view.surgery.set.operation.identity",
    "view.surgery.set.operation.mean",
    "view.surgery.set.operation.shuffle",
    "view.surgery.set.operation.surround",
    "view.surgery.set.operation.uniform_attention",
    "view.surgery.title",
)

GOOD = """\
+++
title = "A lesson"
minutes = 5

[steps]
first = { img = "cat", block = "blocks2.3", px = [1, 2] }
second = { img = "cat", block = "blocks2.3", px = [1, 2], tab = "cost", set = { show = "model", on = true, n = 3 } }
+++

## The first step {#first}

A text.

Another paragraph.

> Try this
> and that.

## The second step {#second}

A text.

> Try this.

? A question?

! An answer.

$$1 + 1 = 2$$

# Worksheet

? How many?

! Two.
"""


def steps() -> Iterator[tuple[Lesson, Step]]:
    for language in LANGUAGES:
        for lesson in lessons(language):
            for step in lesson.steps:
                yield lesson, step


def texts_of(step: Step) -> list[str]:
    return [text for text in (step.text, step.try_this, step.question, step.answer) if text is not None]


def everything(lesson: Lesson) -> list[str]:
    """Every text of a lesson."""
    texts = [text for step in lesson.steps for text in (step.title, *texts_of(step))]
    return [lesson.title, *texts, *(text for one in lesson.worksheet for text in (one.question, one.answer))]


def written(tmp_path: Path, text: str, name: str = "1-a-lesson.en.md") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_is_read(tmp_path: Path) -> None:
    lesson = read_lesson(written(tmp_path, GOOD))
    assert (lesson.slug, lesson.number, lesson.title, lesson.minutes) == ("a-lesson", 1, "A lesson", 5)
    first, second = lesson.steps
    assert first.state == State("cat", "blocks2.3", (1, 2))
    assert (first.name, first.title, first.question, first.answer) == ("first", "The first step", None, None)
    assert first.text == "A text.\n\nAnother paragraph."
    assert first.try_this == "Try this\nand that."
    assert (second.question, second.answer) == ("A question?", "An answer.\n\n$$1 + 1 = 2$$")
    assert second.state.settings == {"show": "model", "on": True, "n": 3}
    assert (first.look, second.look) == ("picture", "figure")
    assert [(one.question, one.answer) for one in lesson.worksheet] == [("How many?", "Two.")]


@pytest.mark.parametrize(
    ("old", "new", "line", "problem"),
    [
        ("+++\ntitle", "title", 1, "front matter between two lines"),
        ('title = "A lesson"', "title = A lesson", 2, "expected TOML"),
        ('title = "A lesson"\n', "", 1, "expected 'title', which is missing"),
        ("minutes = 5", 'minutes = "five"', 1, "expected minutes to be of type int, got 'five'"),
        ("minutes = 5", "minutes = 5\ncolour = 1", 1, "got 'colour'"),
        ('first = { img = "cat", ', "first = { ", 6, "expected 'img', which is missing"),
        ('first = { img = "cat"', 'first = { img = "cat", zoom = 2', 6, "got 'zoom'"),
        ("px = [1, 2] }\n", "px = [1] }\n", 6, "expected px = [x, y] in whole pixels, got [1]"),
        ("px = [1, 2] }\n", "px = [1, -2] }\n", 6, "expected px = [x, y] in whole pixels"),
        ('tab = "cost", ', "", 7, "expected a tab with the settings"),
        ("px = [1, 2] }\n", 'px = [1, 2], look = "cat" }\n', 6, "expected look to be one of picture, kernels"),
        ("px = [1, 2] }\n", 'px = [1, 2], look = "figure" }\n', 6, "the last with a tab, got 'figure'"),
        ("on = true", "on = [1]", 7, "set.on, got [1]"),
        ('first = { img = "cat", block = "blocks2.3", px = [1, 2] }', "first = 3", 6, "expected a state"),
        ("\n## The first", "\nStray.\n\n## The first", 9, "expected a heading after the front matter"),
        ("{#first}", "{#last}", 10, "expected '## … {#first}'"),
        (" {#first}", "", 10, "got '## The first step'"),
        ("# Worksheet", "## Third {#third}\n\n# Worksheet", 31, "expected no further step"),
        ("> Try this\n> and that.\n", "", 10, "got a text"),
        ("? A question?\n\n", "", 19, "got a text, '>', '!'"),
        ("! An answer.\n\n$$1 + 1 = 2$$\n\n", "", 19, "got a text, '>', '?'"),
        ("> Try this.", "> Try this.\n\n> And that.", 19, "got a text, '>', '>'"),
        ("# Worksheet", "Worksheet", 35, "got 0"),
        ("# Worksheet", "# One\n\n# Worksheet", 31, "got 2"),
        ("! Two.\n", "", 33, "expected '!' an answer after this question"),
        ("? How many?\n\n! Two.\n", "", 31, "got nothing"),
        ("? How many?", "How many?", 33, "expected '?' here, got a text"),
    ],
)
def test_a_malformed_file_is_refused(tmp_path: Path, old: str, new: str, line: int, problem: str) -> None:
    assert old in GOOD
    with pytest.raises(ValueError, match=re.escape(f"1-a-lesson.en.md:{line}: ")) as refused:
        read_lesson(written(tmp_path, GOOD.replace(old, new, 1)))
    assert problem in str(refused.value)


def test_a_step_can_be_about_a_part_of_the_inspector(tmp_path: Path) -> None:
    text = GOOD.replace("px = [1, 2] }\n", 'px = [1, 2], look = "equation" }\n', 1)
    first, _ = read_lesson(written(tmp_path, text)).steps
    assert (first.look, first.state) == ("equation", State("cat", "blocks2.3", (1, 2)))


def test_a_step_without_a_heading_and_a_wrong_file_name_are_refused(tmp_path: Path) -> None:
    cut = GOOD[: GOOD.index("## The second")] + GOOD[GOOD.index("# Worksheet") :]
    with pytest.raises(ValueError, match=r":7: expected a heading '## … \{#second\}'"):
        read_lesson(written(tmp_path, cut))
    with pytest.raises(ValueError, match=r"lesson\.md:1: expected a file called"):
        read_lesson(written(tmp_path, GOOD, "lesson.md"))
    with pytest.raises(ValueError, match="expected one of en, zh-CN, got 'fr'"):
        lessons("fr")


def test_a_link_opens_the_state() -> None:
    state = State("cat", "blocks2.3", (3, 4), "bundled/lsnet_n", "glyphs", "cost", {"show": "model", "a": True, "n": 3})
    assert state.query("zh-CN") == (
        "?img=cat&model=bundled/lsnet_n&block=blocks2.3&px=3,4&view=glyphs&tab=cost"
        "&set.show=model&set.a=true&set.n=3&lang=zh-CN"
    )
    assert State("cat", "blocks2.3", (3, 4)).query() == "?img=cat&block=blocks2.3&px=3,4"


def test_links_of_all_steps_can_be_read_back() -> None:
    for lesson, step in steps():
        query = step.state.query()
        read = {key: value for key, (value,) in parse_qs(query[1:], strict_parsing=True).items()}
        x, y = map(int, read["px"].split(","))
        assert State(read["img"], read["block"], (x, y)).query() == query.split("&view")[0].split("&tab")[0], lesson
        assert read.get("tab") == step.state.tab
        given = {key: str(value).lower() for key, value in step.state.settings.items()}
        assert {key[4:]: value for key, value in read.items() if key.startswith("set.")} == given


def test_six_lessons_in_both_languages_with_the_same_steps_and_states() -> None:
    english, chinese = (lessons(language) for language in LANGUAGES)
    assert [lesson.number for lesson in english] == [1, 2, 3, 4, 5, 6]
    for one, other in zip(english, chinese, strict=True):
        assert (one.slug, one.number, one.minutes) == (other.slug, other.number, other.minutes)
        shown = [[(step.name, step.state, step.look) for step in lesson.steps] for lesson in (one, other)]
        assert shown[0] == shown[1]
        assert len(one.worksheet) == len(other.worksheet)
        for here, there in zip(one.steps, other.steps, strict=True):
            assert (here.question is None) == (there.question is None), here.name
            assert len(set(quantities_in(here.text)) ^ set(quantities_in(there.text))) == 0, here.name


def test_lessons_have_the_promised_length() -> None:
    for language in LANGUAGES:
        for lesson in lessons(language):
            assert 5 <= len(lesson.steps) <= 7
            assert 5 <= lesson.minutes <= 10
            assert 4 <= len(lesson.worksheet) <= 6
            assert len({step.name for step in lesson.steps}) == len(lesson.steps)
    for lesson in lessons("en"):
        for step in lesson.steps:
            words = [word for word in re.sub(r"\$.*?\$", " x ", step.text, flags=re.DOTALL).split() if word != "|"]
            assert 60 <= len(words) <= 140, (lesson.slug, step.name, len(words))


def test_no_text_is_empty_and_chinese_is_chinese() -> None:
    for language in LANGUAGES:
        for lesson in lessons(language):
            for text in everything(lesson):
                assert text.strip() == text != ""
                assert bool(re.search(r"[\u4e00-\u9fff]", text)) == (language == "zh-CN"), text
    for lesson in lessons("zh-CN"):
        for text in everything(lesson):
            bare = re.sub(r"\$.*?\$|`.*?`", "", text, flags=re.DOTALL)
            assert not re.search(r"[\u4e00-\u9fff][,;:!?]", bare), text  # punctuation as Chinese writes it
            assert not re.search(r"[\u4e00-\u9fff]\n[\u4e00-\u9fff]", bare), text  # would be shown as a space
            for bold in re.finditer(r"(.?)\*\*(.+?)\*\*(.?)", bare):
                # Between punctuation and a character, Markdown takes ** for two asterisks.
                before, content, after = bold.groups()
                assert content[0].isalnum() or not before.isalnum(), bold[0]
                assert content[-1].isalnum() or not after.isalnum(), bold[0]


def test_markup_is_closed() -> None:
    for language in LANGUAGES:
        for lesson in lessons(language):
            for text in everything(lesson):
                formulas = re.sub(r"\$\$.*?\$\$", "", text, flags=re.DOTALL)
                assert formulas.count("$") % 2 == 0, text
                assert formulas.count("`") % 2 == 0, text
                assert text.count("**") % 2 == 0, text
                for formula in re.findall(r"\$+(.*?)\$+", text, flags=re.DOTALL):
                    assert formula.count("{") == formula.count("}"), formula


def kind_in(variant: str, block: str) -> str | None:
    """What kind of block has this name in a variant, by the rule of the paper's figure 4; None for no block."""
    stage, index = (int(part) for part in block.removeprefix("blocks").split("."))
    depth = index - (2 if stage > 1 else 0)  # from stage 2 on, two layers of downsampling come first
    if not 0 <= depth < VARIANTS[variant].depths[stage - 1]:
        return None
    return "dw" if depth % 2 == 0 else "ls" if stage < 4 else "msa"


def view_of(tab: str) -> View:
    view = importlib.import_module(f"viz.views.{tab}").VIEW
    assert isinstance(view, View)
    assert view.name == tab
    return view


def test_every_state_exists_in_the_app() -> None:
    photos = {example.id: example for example in examples()}
    assert COLOURINGS is not None
    colourings = set(json.loads(f"[{COLOURINGS[1].strip().rstrip(',')}]"))
    for lesson, step in steps():
        state, where = step.state, (lesson.slug, step.name)
        assert state.img in photos, where
        kinds = {kind_in(variant, state.block) for variant in VARIANTS}
        assert len(kinds) == 1, where  # so that a lesson works with whatever network the page opens with
        assert None not in kinds, where
        assert state.view in colourings | {None}, where
        assert state.model is None, where


def test_every_pixel_lies_in_what_the_network_sees() -> None:
    for _, step in steps():
        with Image.open(next(example.path for example in examples() if example.id == step.state.img)) as photo:
            width, height = photo.size
        for size in (224, 320, 448):
            box = Geometry(Preprocess(size).frame(width, height)).crop_box
            x, y = step.state.px
            assert box.left < x < box.right, step.name
            assert box.top < y < box.bottom, step.name


def test_every_setting_exists_in_its_view() -> None:
    checked = 0
    for lesson, step in steps():
        if step.state.tab is None:
            continue
        settings = {setting.name: setting for setting in view_of(step.state.tab).settings}
        for name, value in step.state.settings.items():
            setting, where = settings[name], (lesson.slug, step.name, name)
            if isinstance(setting, Choice):
                assert callable(setting.options) or value in setting.options, where
            elif isinstance(setting, Number):
                assert setting.check(value) == value, where
            else:
                assert isinstance(value, bool), where
            checked += 1
    assert checked > 20


@pytest.mark.parametrize("language", LANGUAGES)
def test_things_are_called_as_on_the_page(language: str) -> None:
    told = " ".join(" ".join(text.split()) for lesson in lessons(language) for text in everything(lesson)).casefold()
    assert [label for label in LABELS if entries(language)[label].casefold() not in told] == []


def test_every_quantity_is_known_and_used() -> None:
    asked = {name for _, step in steps() for text in texts_of(step) for name in quantities_in(text)}
    assert asked == set(QUANTITIES)
    sheets = [text for language in LANGUAGES for lesson in lessons(language) for text in everything(lesson)]
    assert all(set(re.findall(r"\{\{(.*?)\}\}", text)) <= set(QUANTITIES) for text in sheets)
    worksheets = [one for language in LANGUAGES for lesson in lessons(language) for one in lesson.worksheet]
    assert not any(quantities_in(one.question + one.answer) for one in worksheets)  # printed without a picture
