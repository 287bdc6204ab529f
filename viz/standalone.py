"""A picture to take home: one HTML file with the inspector in it, which opens from disk with no server and no network.

``python -m viz.standalone photo.jpg page.html`` makes one of a picture, and
``python -m viz.standalone --lesson 1 --step two-boxes page.html`` one of a lesson's step, to hand out.

The page runs the same JavaScript as the app's inspector on the same payload (:mod:`viz.payload`), which it carries
gzipped, in base64. A content security policy in the page itself forbids it to ask anything of any host.
"""

import argparse
import base64
import gzip
import html
import json
import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from string import Template
from urllib.parse import urlencode

from PIL import Image

from lsnet import InputError, Predictor, load_predictor
from viz.bundle import bundle
from viz.capture import trace_image
from viz.caveats import caveats
from viz.examples import Example, examples
from viz.images import load_picture
from viz.lesson_html import render
from viz.lessons import Lesson, Step, lessons
from viz.math_font import math_font
from viz.payload import encode_payload
from viz.quantities import filled
from viz.texts import LANGUAGES, Texts, entries, texts_in
from viz.theme import AGGREGATION, DARK, FONT_FAMILY, LIGHT, PERCEPTION, inspector_theme
from viz.trace import ForwardTrace

ASSETS = Path(__file__).resolve().parent.parent / "assets"
MAX_BYTES = 5_000_000
_HEADER_BYTES = 100_000  # more than the header of any payload


@dataclass(frozen=True)
class Place:
    """Where a page opens. What is None is as the inspector itself would choose.

    Attributes:
        block: name of a block.
        pixel: (x, y), in pixels of the original picture.
        colouring: how the picture is coloured, such as ``"similarity"``.
        language: one of :data:`viz.texts.LANGUAGES`; the reader's browser's where it is None.
    """

    block: str | None = None
    pixel: tuple[int, int] | None = None
    colouring: str | None = None
    language: str | None = None


def standalone_page(
    trace: ForwardTrace,
    picture: Image.Image,
    *,
    source: str,
    trained: bool,
    example: Example | None = None,
    title: str | None = None,
    place: Place | None = None,
    lead: Mapping[str, str] | None = None,
) -> str:
    """An analysed picture as one HTML page of at most :data:`MAX_BYTES` in UTF-8.

    Where that is too little for all blocks, the place's block and as many others as fit are kept, small ones first; the
    page says which are left out.

    Args:
        trace: what happened inside the network.
        picture: the whole picture, RGB and upright, as :func:`viz.images.load_picture` gives it.
        source: what :func:`lsnet.load_predictor` was given, for the Python lines in the page.
        trained: whether the weights are; the page warns where they are not.
        example: the bundled photo that it is, which brings its title and its licence along.
        title: what to call any other picture; "Your picture" by default.
        place: where the page opens.
        lead: HTML to stand above the inspector, by language.

    Raises:
        InputError: the place's block alone is too large.
        KeyError: the trace has no such block.
        ValueError: the picture is not the one that was traced, judging by its size.
    """
    place = place or Place()
    blocks = trace.blocks.values()
    opening = next((block for block in blocks if block.kernels is not None), next(iter(blocks)))
    first = trace.block(place.block) if place.block else opening
    sizes = {block.name: sum(tensor.numel() for tensor in block.tensors().values()) for block in blocks}
    order = sorted(sizes, key=lambda name: (name != first.name, sizes[name]))
    about = dict(example.about) if example else {"title": dict.fromkeys(LANGUAGES, title)} if title else {}
    above = {
        lang: (lead or {}).get(lang, "") + _warning(caveats(source, trace.weights, trained, texts_in(lang)))
        for lang in LANGUAGES
    }

    def page(count: int) -> str | None:
        kept = {name: block for name, block in trace.blocks.items() if name in order[:count]}
        left = replace(trace, blocks=kept)
        payload = encode_payload(left, picture, model=source, max_bytes=MAX_BYTES * 3 // 4, **about)
        notes = {lang: _notes(texts_in(lang), example, list(trace.blocks), kept, payload) for lang in LANGUAGES}
        written = _written(about.get("title", {}), _address(place, example), place.language, above, notes, payload)
        return written if len(written.encode()) <= MAX_BYTES else None

    return _largest(page, len(order))


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
    told = {lang: _step(number, name, lang) for lang in LANGUAGES}
    _, step = told["en"]
    source = step.state.model or "bundled"
    predictor = predictor or load_predictor(source)
    example = next(example for example in examples() if example.id == step.state.img)
    picture = load_picture(example.path)
    trace = _traced(predictor, picture)
    return standalone_page(
        trace,
        picture,
        source=source,
        trained=predictor.card.trained,
        example=example,
        place=Place(step.state.block, step.state.px, step.state.view, language),
        lead={lang: _lead(*told[lang], trace, texts_in(lang)) for lang in LANGUAGES},
    )


def _traced(predictor: Predictor, picture: Image.Image) -> ForwardTrace:
    """What happens inside, with the time of a second pass: the first one of a process compiles, too."""
    trace_image(predictor, picture)
    return trace_image(predictor, picture)


def _largest(page: Callable[[int], str | None], most: int) -> str:
    """The page with the largest number of blocks that fits."""
    low, high, best = 1, most, None
    count = most  # nearly always everything fits
    while low <= high:
        if (written := page(count)) is not None:
            low, best = count + 1, written
        else:
            high = count - 1
        count = (low + high) // 2
    if best is None:
        raise InputError("takehome.size", "This block is too large to take home; choose one of a later stage.")
    return best


# What stands in the page.


def _written(
    title: Mapping[str, str],
    address: str,
    language: str | None,
    above: Mapping[str, str],
    notes: Mapping[str, str],
    payload: bytes,
) -> str:
    says = {lang: texts_in(lang) for lang in LANGUAGES}
    titles = {lang: " · ".join(filter(None, (title.get(lang), say("app.title")))) for lang, say in says.items()}
    own = ("inspector.", "takehome.problem")
    data = {
        "strings": {lang: {k: v for k, v in entries(lang).items() if k.startswith(own)} for lang in LANGUAGES},
        "theme": inspector_theme(),
        "address": address,
        "titles": titles,
    }
    shown = language or LANGUAGES[0]  # until the script knows better
    return Template((ASSETS / "standalone" / "standalone.html").read_text(encoding="utf-8")).substitute(
        language=shown,
        title=html.escape(titles[shown]),
        style=f"{math_font()}\n{_style()}" if any("<math" in text for text in above.values()) else _style(),
        lead=_spoken(above, shown),
        noscript=html.escape(" ".join(say("takehome.noscript") for say in says.values())),
        inspector=(ASSETS / "inspector" / "inspector.html").read_text(encoding="utf-8"),
        foot=_spoken(notes, shown),
        payload=base64.b64encode(gzip.compress(payload, mtime=0)).decode(),
        script=_script(),
        data=json.dumps(data, ensure_ascii=False).replace("<", r"\u003c"),  # no text ends the script
    )


def _spoken(texts: Mapping[str, str], shown: str) -> str:
    """HTML in every language, of which one is shown."""
    return "\n".join(
        f'<div data-language="{lang}" lang="{lang}"{"" if lang == shown else " hidden"}>{text}</div>'
        for lang, text in texts.items()
    )


def _address(place: Place, example: Example | None) -> str:
    """The place as the inspector reads it: like the query of a link."""
    pixel = f"{place.pixel[0]},{place.pixel[1]}" if place.pixel else None
    values = {
        "img": example.id if example else None,
        "block": place.block,
        "px": pixel,
        "view": place.colouring,
        "lang": place.language,
    }
    return f"?{urlencode({name: value for name, value in values.items() if value is not None})}"


def _warning(caveat: str) -> str:
    return f'<div class="page-notice">{render(caveat)}</div>' if caveat else ""


def _notes(say: Texts, example: Example | None, blocks: Sequence[str], kept: Collection[str], payload: bytes) -> str:
    """Where the page comes from, and what it leaves out."""
    sentences = [html.escape(say("takehome.about"))]
    if example:
        credit = html.escape(say("takehome.photo", author=example.author, licence=example.licence))
        link = html.escape(example.source_url)
        sentences.append(f'{credit} <a href="{link}">{html.escape(say("takehome.source"))}</a>')
    if left := [name for name in blocks if name not in kept]:
        told = say("takehome.left_out", count=len(left), all=len(blocks), blocks=", ".join(left))
        sentences.append(f"<b>{html.escape(told)}</b>")
    if b'"f24"' in payload[:_HEADER_BYTES]:
        sentences.append(html.escape(say("takehome.rounded")))
    return "".join(f"<p>{sentence}</p>" for sentence in sentences)


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


def _step(number: int, name: str, language: str) -> tuple[Lesson, Step]:
    known = lessons(language)
    lesson = next((lesson for lesson in known if lesson.number == number), None)
    if lesson is None:
        numbers = ", ".join(str(lesson.number) for lesson in known)
        raise InputError("takehome.lesson", f"expected lesson {numbers}, got {number}", known=numbers)
    step = next((step for step in lesson.steps if step.name == name), None)
    if step is None:
        names = ", ".join(step.name for step in lesson.steps)
        raise InputError("takehome.step", f"expected a step out of {names}, got {name!r}", known=names)
    return lesson, step


@cache
def _style() -> str:
    def tokens(colours: Mapping[str, str]) -> str:
        return " ".join(f"--page-{name}: {value};" for name, value in colours.items())

    fixed = {"perception": PERCEPTION, "aggregation": AGGREGATION, "font": FONT_FAMILY}
    sheets = [ASSETS / "inspector" / "inspector.css", ASSETS / "standalone" / "standalone.css"]
    dark = f"@media (prefers-color-scheme: dark) {{ :root {{ {tokens(DARK)} }} }}"
    return "\n".join(
        [f":root {{ {tokens({**LIGHT, **fixed})} }}", dark, *(sheet.read_text("utf-8") for sheet in sheets)]
    )


@cache
def _script() -> str:
    """The inspector's modules and the page's own, written so that nothing in them ends the script element."""
    code = bundle(ASSETS / "standalone" / "standalone.js")
    return re.sub(r"<(?=/script|!--)", r"\\x3c", code, flags=re.IGNORECASE)


def main(arguments: Sequence[str] | None = None) -> None:
    """``python -m viz.standalone``."""
    parser = argparse.ArgumentParser(prog="python -m viz.standalone", description="Write a picture to take home.")
    parser.add_argument("files", nargs="+", metavar="FILE", help="the picture, where no lesson is named, and the page")
    parser.add_argument("--model", default="bundled", help="what load_predictor takes: bundled, lsnet_t, a file, …")
    parser.add_argument("--size", type=int, help="side of the network's input in pixels")
    parser.add_argument("--mode", choices=("crop", "whole"), help="the centre, or the whole picture")
    parser.add_argument("--title", help="what to call the picture")
    parser.add_argument("--block", help="the block to open at, such as blocks2.3")
    parser.add_argument("--pixel", type=_pixel, help="the place to open at, X,Y in pixels of the picture")
    parser.add_argument("--colouring", help="how to colour the picture, as 'view' in the app's links")
    parser.add_argument("--lang", choices=LANGUAGES, help="language to open in; the reader's by default")
    parser.add_argument("--lesson", type=int, help="number of a lesson, whose --step is written")
    parser.add_argument("--step", help="name of the step")
    given = parser.parse_intermixed_args(arguments)
    try:
        if (given.lesson is None) != (given.step is None) or len(given.files) != (1 if given.step else 2):
            parser.error("expected PICTURE PAGE, or --lesson NUMBER --step NAME PAGE")
        page = step_page(given.lesson, given.step, given.lang) if given.step else _picture_page(given)
    except InputError as error:
        sys.exit(f"error: {error}")
    Path(given.files[-1]).write_text(page, encoding="utf-8")


def _picture_page(given: argparse.Namespace) -> str:
    predictor = load_predictor(given.model)
    picture = load_picture(given.files[0])
    trace = _traced(predictor.framed(given.size, given.mode), picture)
    if given.block and given.block not in trace.blocks:
        known = ", ".join(trace.blocks)
        raise InputError("takehome.block", f"expected a block out of {known}, got {given.block!r}", known=known)
    example = next((example for example in examples() if Path(given.files[0]).resolve() == example.path), None)
    return standalone_page(
        trace,
        picture,
        source=Path(given.model).name if Path(given.model).is_file() else given.model,
        trained=predictor.card.trained,
        example=example,
        title=given.title,
        place=Place(given.block, given.pixel, given.colouring, given.lang),
    )


def _pixel(text: str) -> tuple[int, int]:
    x, y = map(int, text.split(","))
    return x, y


if __name__ == "__main__":
    main()
