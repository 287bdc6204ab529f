"""A lesson's file: Markdown, each step of which shows a state of the app.

A lesson in one language is ``assets/lessons/<number>-<slug>.<language>.md``. Its front matter, TOML between two lines
``+++``, has a ``title``, how many ``minutes`` it takes, and a line for every step that names the step and its state::

    [steps]
    two-boxes = { img = "coffee", block = "blocks2.3", px = [218, 280], tab = "large_field", set = { show = "steps" } }

A step that opens a view (``tab``) is about its figure, another one about the photo. ``look`` says if it is rather about
another part of the inspector: one of :data:`LOOKS`, which is brought into sight.

Each step is then a heading of the second level with the same name, a text, one thing to try, and perhaps a question
with its answer. A heading of the first level begins the worksheet, which has questions and answers alone::

    ## Two boxes on a photo {#two-boxes}

    The green box is …

    > Follow the rim of the cup with the mouse.

    ? Which of the boxes shows that this handle belongs to a cup?

    ! The green one: …

    # Worksheet

    ? …

    ! …

A paragraph without a mark belongs to the part that it follows. Formulas stand between dollar signs, and names between
double braces, such as ``{{grid}}``, stand for numbers that are computed when a text is shown (:mod:`viz.quantities`).
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

Setting = str | int | float | bool

#: Parts of the page that a step can be about: the photo, the wall of kernels, the sum written out, the same place mixed
#: in three ways, the figure of a view.
LOOKS = ("picture", "kernels", "equation", "ways", "figure")

_FILE = re.compile(r"(?P<number>\d+)-(?P<slug>[a-z0-9-]+)\.[\w-]+\.md")
_HEADING = re.compile(r"## (?P<title>\S.*?) \{#(?P<name>[a-z0-9-]+)\}")
_FENCE = "+++"


@dataclass(frozen=True)
class State:
    """A state of the app. What is None is as the page opens.

    Attributes:
        img: id of a bundled photo.
        block: name of a block.
        px: (x, y) of the pinned pixel, in the photo's own pixels.
        model: weights, as :func:`lsnet.load_predictor` takes them.
        view: how the inspector colours the picture.
        tab: name of the open view.
        settings: of that view, by name; those that are missing are as the view opens.
    """

    img: str
    block: str
    px: tuple[int, int]
    model: str | None = None
    view: str | None = None
    tab: str | None = None
    settings: Mapping[str, Setting] = field(default_factory=dict)

    def parameters(self, language: str | None = None) -> dict[str, str]:
        """What a link that opens this state says; settings are called ``set.<name>``."""
        values: dict[str, Setting | None] = {
            "img": self.img,
            "model": self.model,
            "block": self.block,
            "px": f"{self.px[0]},{self.px[1]}",
            "view": self.view,
            "tab": self.tab,
            **{f"set.{name}": value for name, value in self.settings.items()},
            "lang": language,
        }
        return {name: _written(value) for name, value in values.items() if value is not None}

    def query(self, language: str | None = None) -> str:
        """The part of a link that opens this state, from ``?`` on."""
        return f"?{urlencode(self.parameters(language), safe=',/')}"


@dataclass(frozen=True)
class Step:
    """One screen of a lesson. Texts are Markdown with formulas and placeholders.

    Attributes:
        name: the same in all languages, for links and for remembering what was done.
        title: of the step.
        text: what there is to see.
        state: what the app shows meanwhile.
        look: which part of it this is about, one of :data:`LOOKS`.
        try_this: one thing to do.
        question: something to predict before the answer is looked at; None for nothing.
        answer: to the question; None where there is none.
    """

    name: str
    title: str
    text: str
    state: State
    look: str
    try_this: str
    question: str | None = None
    answer: str | None = None


@dataclass(frozen=True)
class Exercise:
    """One question of a worksheet, with its answer, which is printed apart."""

    question: str
    answer: str


@dataclass(frozen=True)
class Lesson:
    """One lesson in one language.

    Attributes:
        slug: its name in links, the same in all languages.
        number: 1, 2, 3, …
        title: of the lesson.
        minutes: how long it takes.
        steps: in their order.
        worksheet: questions to print.
    """

    slug: str
    number: int
    title: str
    minutes: int
    steps: tuple[Step, ...]
    worksheet: tuple[Exercise, ...]


def read_lesson(path: Path) -> Lesson:
    """Read one file.

    Raises:
        ValueError: it is malformed; the message starts with the file's name and a line.
    """
    name = _FILE.fullmatch(path.name)
    if name is None:
        raise ValueError(f"{path.name}:1: expected a file called <number>-<slug>.<language>.md")
    page = _Page(path.name, path.read_text(encoding="utf-8").splitlines())
    front = _front_matter(page)
    steps, worksheet = _body(page, front["steps"])
    return Lesson(name["slug"], int(name["number"]), front["title"], front["minutes"], steps, worksheet)


@dataclass(frozen=True)
class _Part:
    """A marked paragraph, and those without a mark that follow it: ``">"``, ``"?"``, ``"!"`` or ``""``."""

    mark: str
    line: int
    text: str


class _Page:
    """The lines of a file. Line numbers count from one."""

    def __init__(self, name: str, lines: list[str]) -> None:
        self.name = name
        self.lines = lines
        fences = [number for number, line in enumerate(lines, 1) if line == _FENCE]
        if fences[:1] != [1] or len(fences) < 2:
            raise self.error(1, f"expected front matter between two lines {_FENCE}")
        self.body = fences[1] + 1

    def error(self, line: int, problem: str) -> ValueError:
        return ValueError(f"{self.name}:{line}: {problem}")

    def line_of(self, key: str) -> int:
        """Where the front matter sets a key; its first line for a key that it lacks."""
        found = (n for n in range(2, self.body) if self.lines[n - 1].partition("=")[0].strip() == key)
        return next(found, 1)

    def parts(self, first: int, after: int) -> list[_Part]:
        """The parts of lines ``first`` to ``after``, which is not included."""
        parts: list[_Part] = []
        for line, paragraph in self._paragraphs(first, after):
            mark = paragraph[0] if paragraph[:2] in ("> ", "? ", "! ") else ""
            text = re.sub(r"^> ", "", paragraph, flags=re.MULTILINE) if mark == ">" else paragraph[2 * len(mark) :]
            if mark or not parts:
                parts.append(_Part(mark, line, text))
            else:
                before = parts.pop()
                parts.append(_Part(before.mark, before.line, f"{before.text}\n\n{text}"))
        return parts

    def _paragraphs(self, first: int, after: int) -> list[tuple[int, str]]:
        """(line, text) of what stands between empty lines."""
        paragraphs: list[tuple[int, str]] = []
        for line in range(first, after):
            text = self.lines[line - 1].rstrip()
            if text and line > first and self.lines[line - 2].strip():
                start, before = paragraphs.pop()
                paragraphs.append((start, f"{before}\n{text}"))
            elif text:
                paragraphs.append((line, text))
        return paragraphs


def _front_matter(page: _Page) -> dict[str, Any]:
    """Title, minutes and, by their names, what the front matter says of the steps: (state, look)."""
    # Behind an empty line for the fence, so that the parser counts lines as the file does.
    text = "\n".join(["", *page.lines[1 : page.body - 2]])
    try:
        front = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        told = re.search(r"line (\d+)", str(error))
        raise page.error(int(told[1]) if told else page.body - 1, f"expected TOML: {error}") from error
    _check_keys(page, 1, front, {"title": str, "minutes": int, "steps": dict}, {})
    shows = {}
    for name, values in front["steps"].items():
        line = page.line_of(name)
        if not isinstance(values, dict):
            raise page.error(line, f"expected a state {{ … }} for the step {name!r}, got {values!r}")
        look = values.pop("look", "figure" if "tab" in values else "picture")
        if look not in LOOKS or (look == "figure" and "tab" not in values):
            raise page.error(line, f"expected look to be one of {', '.join(LOOKS)}, the last with a tab, got {look!r}")
        shows[name] = _state(page, line, values), look
    return front | {"steps": shows}


def _state(page: _Page, line: int, values: dict[str, Any]) -> State:
    needed, free = {"img": str, "block": str, "px": list}, {"model": str, "view": str, "tab": str, "set": dict}
    _check_keys(page, line, values, needed, free)
    if len(values["px"]) != 2 or not all(type(value) is int and value >= 0 for value in values["px"]):
        raise page.error(line, f"expected px = [x, y] in whole pixels, got {values['px']}")
    settings = values.pop("set", {})
    for name, value in settings.items():
        if not isinstance(value, Setting):
            raise page.error(line, f"expected a string, a number, true or false for set.{name}, got {value!r}")
    if settings and "tab" not in values:
        raise page.error(line, "expected a tab with the settings")
    return State(**values | {"px": tuple(values["px"]), "settings": settings})


def _check_keys(
    page: _Page, line: int, values: Mapping[str, Any], needed: Mapping[str, type], free: Mapping[str, type]
) -> None:
    """Every needed key is there, no unknown one is, and their values are of the right types."""
    for key in needed.keys() - values.keys():
        raise page.error(line, f"expected {key!r}, which is missing")
    for key, value in values.items():
        kind = {**needed, **free}.get(key)
        if kind is None:
            raise page.error(line, f"expected {', '.join((*needed, *free))}, got {key!r}")
        if type(value) is not kind:
            raise page.error(line, f"expected {key} to be of type {kind.__name__}, got {value!r}")


def _body(page: _Page, shows: Mapping[str, tuple[State, str]]) -> tuple[tuple[Step, ...], tuple[Exercise, ...]]:
    """Steps and worksheet."""
    last = len(page.lines) + 1
    sections = [n for n in range(page.body, last) if re.match(r"##? ", page.lines[n - 1])]
    if page.parts(page.body, (sections or [last])[0]):
        raise page.error(page.body, "expected a heading after the front matter")
    worksheets = [n for n in sections if page.lines[n - 1].startswith("# ")]
    if len(worksheets) != 1 or worksheets != sections[-1:]:
        line = (worksheets or [last - 1])[0]
        raise page.error(line, f"expected one heading '# …' for the worksheet after all steps, got {len(worksheets)}")
    ends = dict(zip(sections, [*sections[1:], last], strict=True))
    names = iter([*shows, None])
    steps = tuple(_step(page, n, ends[n], next(names), shows) for n in sections[:-1])
    if (missing := next(names)) is not None:
        raise page.error(page.line_of(missing), f"expected a heading '## … {{#{missing}}}' for this step")
    return steps, _worksheet(page, page.parts(worksheets[0] + 1, last), worksheets[0])


def _step(page: _Page, line: int, end: int, expected: str | None, shows: Mapping[str, tuple[State, str]]) -> Step:
    heading = _HEADING.fullmatch(page.lines[line - 1].rstrip())
    if heading is None or heading["name"] != expected:
        wanted = f"'## … {{#{expected}}}', the next step of the front matter" if expected else "no further step"
        raise page.error(line, f"expected {wanted}, got {page.lines[line - 1]!r}")
    parts = page.parts(line + 1, end)
    marks = [part.mark for part in parts]
    if marks not in (["", ">"], ["", ">", "?", "!"]):
        wanted = "a text, '>' one thing to try, and perhaps '?' a question and '!' its answer"
        raise page.error(line, f"expected {wanted}, got {_outline(marks)}")
    name, title = heading["name"], heading["title"]
    return Step(name, title, parts[0].text, *shows[name], *(part.text for part in parts[1:]))


def _worksheet(page: _Page, parts: Sequence[_Part], line: int) -> tuple[Exercise, ...]:
    if not parts:
        raise page.error(line, "expected '?' a question in the worksheet, got nothing")
    for part, mark in zip(parts, "?!" * len(parts), strict=False):
        if part.mark != mark:
            raise page.error(part.line, f"expected {mark!r} here, got {_outline([part.mark])}")
    if len(parts) % 2:
        raise page.error(parts[-1].line, "expected '!' an answer after this question, got nothing")
    return tuple(Exercise(ask.text, answer.text) for ask, answer in zip(parts[::2], parts[1::2], strict=True))


def _outline(marks: Sequence[str]) -> str:
    return ", ".join(repr(mark) if mark else "a text" for mark in marks) or "nothing"


def _written(value: Setting) -> str:
    """As TOML and JSON write it, without quotes."""
    return str(value).lower() if isinstance(value, bool) else str(value)
