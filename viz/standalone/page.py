"""An analysed picture as one HTML file.

The page runs the same JavaScript as the app's inspector on the same payload (:mod:`viz.payload`), which it carries
gzipped, in base64. A content security policy in the page itself forbids it to ask anything of any host.
"""

import base64
import gzip
import html
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from string import Template
from urllib.parse import urlencode

from PIL import Image

from lsnet import InputError
from viz.bundle import bundle
from viz.caveats import caveats
from viz.examples import Example
from viz.lesson_html import render
from viz.math_font import math_font
from viz.payload import encode_payload
from viz.texts import LANGUAGES, Texts, entries, texts_in
from viz.theme import AGGREGATION, DARK, FONT_FAMILY, LIGHT, PERCEPTION, inspector_theme
from viz.trace import ForwardTrace

ASSETS = Path(__file__).resolve().parents[2] / "assets"
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


@dataclass(frozen=True)
class Lead:
    """What stands above the inspector, by language.

    Attributes:
        title: what the window is called, instead of the picture's title.
        html: the texts.
    """

    title: Mapping[str, str]
    html: Mapping[str, str]


def standalone_page(
    trace: ForwardTrace,
    picture: Image.Image,
    *,
    source: str,
    trained: bool,
    example: Example | None = None,
    title: str | None = None,
    place: Place | None = None,
    lead: Lead | None = None,
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
        title: what to call the picture; by default as the example is called, any other one "Your picture".
        place: where the page opens.
        lead: what stands above the inspector.

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
    about = dict(example.about) if example else {}
    if title:
        about["title"] = dict.fromkeys(LANGUAGES, title)
    titles = lead.title if lead else about.get("title", {})
    above = {
        lang: (lead.html[lang] if lead else "") + _warning(caveats(source, trace.weights, trained, texts_in(lang)))
        for lang in LANGUAGES
    }

    def page(count: int) -> str | None:
        kept = {name: block for name, block in trace.blocks.items() if name in order[:count]}
        left = replace(trace, blocks=kept)
        payload = encode_payload(left, picture, model=source, max_bytes=MAX_BYTES * 3 // 4, **about)
        notes = {lang: _notes(texts_in(lang), example, list(trace.blocks), kept, payload) for lang in LANGUAGES}
        written = _written(titles, _address(place, example), place.language, above, notes, payload)
        return written if len(written.encode()) <= MAX_BYTES else None

    return _largest(page, len(order))


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
