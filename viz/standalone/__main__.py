"""``python -m viz.standalone``: pages to take home, of a picture or of a lesson's step, to hand out."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lsnet import InputError, load_predictor
from viz.capture import trace_warm
from viz.examples import examples
from viz.images import load_picture
from viz.standalone import Place, standalone_page, step_page
from viz.texts import LANGUAGES, entries

_COLOURING = "inspector.colouring."
OF_A_PICTURE = ("model", "size", "mode", "title", "block", "pixel", "colouring")  # a lesson's step says these itself


def main(arguments: Sequence[str] | None = None) -> None:
    """``python -m viz.standalone photo.jpg page.html``, or with ``--lesson`` and ``--step`` instead of a picture."""
    parser = _parser()
    given = parser.parse_intermixed_args(arguments)
    if (given.lesson is None) != (given.step is None) or len(given.files) != (1 if given.step else 2):
        parser.error("expected PICTURE PAGE, or --lesson NUMBER --step NAME PAGE")
    if given.step and (useless := [name for name in OF_A_PICTURE if getattr(given, name) is not None]):
        parser.error(
            f"a lesson's step comes with its own state; leave out {', '.join(f'--{name}' for name in useless)}"
        )
    out = Path(given.files[-1])
    if out.suffix.lower() not in (".html", ".htm"):
        parser.error(f"expected a page that ends in .html, got {out.name}")
    if not out.parent.is_dir() or out.is_dir():
        parser.error(f"expected a page in a folder that is there, got {out}")
    try:
        page = step_page(given.lesson, given.step, given.lang) if given.step else _picture_page(given)
    except InputError as error:
        sys.exit(f"error: {error}")
    try:
        out.write_text(page, encoding="utf-8")
    except OSError as error:
        sys.exit(f"error: {out} cannot be written: {error.strerror}")


def _parser() -> argparse.ArgumentParser:
    colourings = [key.removeprefix(_COLOURING) for key in entries("en") if key.startswith(_COLOURING)]
    parser = argparse.ArgumentParser(prog="python -m viz.standalone", description="Write a picture to take home.")
    parser.add_argument("files", nargs="+", metavar="FILE", help="the picture, where no lesson is named, and the page")
    parser.add_argument("--model", help="what load_predictor takes: bundled (the default), lsnet_t, a file, …")
    parser.add_argument("--size", type=int, help="side of the network's input in pixels")
    parser.add_argument("--mode", choices=("crop", "whole"), help="the centre, or the whole picture")
    parser.add_argument("--title", help="what to call the picture")
    parser.add_argument("--block", help="the block to open at, such as blocks2.3")
    parser.add_argument("--pixel", type=_pixel, help="the place to open at, X,Y in pixels of the picture")
    parser.add_argument(
        "--colouring",
        choices=[name for name in colourings if "." not in name and name != "unavailable"],
        help="how to colour the picture, as 'view' in the app's links",
    )
    parser.add_argument("--lang", choices=LANGUAGES, help="language to open in; the reader's by default")
    parser.add_argument("--lesson", type=int, help="number of a lesson, whose --step is written")
    parser.add_argument("--step", help="name of the step")
    return parser


def _picture_page(given: argparse.Namespace) -> str:
    source = given.model or "bundled"
    predictor = load_predictor(source)
    picture = load_picture(given.files[0])
    if given.pixel and not (given.pixel[0] < picture.width and given.pixel[1] < picture.height):
        x, y = given.pixel
        sys.exit(f"error: expected a pixel of the picture, which has {picture.width} × {picture.height}, got {x},{y}")
    trace = trace_warm(predictor.framed(given.size, given.mode), picture)
    if given.block and given.block not in trace.blocks:
        known = ", ".join(trace.blocks)
        raise InputError("takehome.block", f"expected a block out of {known}, got {given.block!r}", known=known)
    example = next((example for example in examples() if Path(given.files[0]).resolve() == example.path), None)
    return standalone_page(
        trace,
        picture,
        source=Path(source).name if Path(source).is_file() else source,
        trained=predictor.card.trained,
        example=example,
        title=given.title,
        place=Place(given.block, given.pixel, given.colouring, given.lang),
    )


def _pixel(text: str) -> tuple[int, int]:
    x, comma, y = text.partition(",")
    if not (comma and x.isdecimal() and y.isdecimal()):
        raise argparse.ArgumentTypeError(f"expected X,Y in whole pixels, got {text!r}")
    return int(x), int(y)


if __name__ == "__main__":
    main()
