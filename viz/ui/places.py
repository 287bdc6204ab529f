"""Where a visit can be: at an example, or where a link or a step of a lesson leads."""

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lsnet import InputError
from viz.examples import Example, examples
from viz.images import Geometry
from viz.ui.inspector import inspector_value, place_to_go
from viz.ui.service import SIZES, Explorer
from viz.ui.visit import Visit

Pixel = tuple[int, int]

_PX = re.compile(r"(\d{1,5}),(\d{1,5})")


def open_example(explorer: Explorer, example: Example, source: str) -> Visit:
    """A visit that begins at a bundled photo."""
    return visit_at(explorer, explorer.analyse_example(example, source, SIZES[0], "crop"))


def visit_at(explorer: Explorer, key: str, pixel: Pixel | None = None, block: str = "") -> Visit:
    """A visit to an analysis; the place defaults to its first focus point, the block to the first with kernels."""
    analysis = explorer.analysis(key)
    blocks = analysis.trace.blocks
    seen_into = ([b.name for b in blocks.values() if b.tensors().keys() & {what}] for what in ("kernels", "attention"))
    first = next((names[0] for names in seen_into if names), next(iter(blocks)))
    if pixel is None:
        seen = analysis.trace.geometry.crop_box
        middle = int((seen.left + seen.right) / 2), int((seen.top + seen.bottom) / 2)
        pixel = analysis.example.focus[0] if analysis.example else middle
    return Visit(key, block if block in blocks else first, _seen(analysis.trace.geometry, pixel))


def moved(explorer: Explorer, visit: Visit, key: str, pixel: Pixel | None = None, block: str = "") -> Visit:
    """The visit at another analysis or place; see :func:`visit_at`."""
    at = visit_at(explorer, key, pixel, block)
    return replace(visit, key=at.key, block=at.block, pixel=at.pixel)


def follow_link(explorer: Explorer, visit: Visit, asked: Mapping[str, str]) -> Visit:
    """The visit at the picture, network, block and pixel of a link (``img``, ``model``, ``block``, ``px``).

    What the link does not say, or what is not to be had here, is as the page opens.
    """
    at = _picture_of_link(explorer, visit, asked)
    px = _PX.fullmatch(asked.get("px", ""))
    if at.key == visit.key and not px and not asked.get("block"):
        return visit  # a visitor may have pinned a pixel while the page was on its way
    analysis = explorer.analysis(at.key)
    here = px and analysis.example and analysis.example.id == asked.get("img")
    pixel = (int(px[1]), int(px[2])) if px and here else None
    return moved(explorer, visit, at.key, pixel, asked.get("block", ""))


def inspector_at(explorer: Explorer, visit: Visit, colouring: str | None = None) -> dict[str, Any]:
    """The inspector's value at a visit's analysis; with a colouring, it goes there wherever the visitor is."""
    place: dict[str, Any] = {"at": {"x": visit.pixel[0], "y": visit.pixel[1]}}
    if colouring is not None:
        place["go"] = place_to_go(visit.block, visit.pixel, colouring)
    return inspector_value(explorer.folders.payload(visit.key), key=visit.key, **place)


def place_in(told: Mapping[str, Any], picture: tuple[int, int]) -> tuple[str, Pixel]:
    """Block and pixel out of what a browser tells (``block``, ``pixel``), the pixel kept inside the picture."""
    x, y = (min(max(int(told["pixel"][axis]), 0), side - 1) for axis, side in zip("xy", picture, strict=True))
    return str(told["block"]), (x, y)


def _picture_of_link(explorer: Explorer, visit: Visit, asked: Mapping[str, str]) -> Visit:
    example = next((example for example in examples() if example.id == asked.get("img")), examples()[0])
    model = asked.get("model", "")
    source = model or explorer.networks.opening
    shown = explorer.find(visit.key)
    if shown and (shown.example, shown.source, shown.size, shown.mode) == (example, source, SIZES[0], "crop"):
        return visit
    try:
        return open_example(explorer, example, source)
    except InputError:  # the link names a network that cannot be had here
        return open_example(explorer, example, explorer.networks.opening)


def _seen(geometry: Geometry, pixel: Pixel) -> Pixel:
    """The nearest pixel whose middle the network sees, as the inspector chooses it."""
    box, (width, height) = geometry.crop_box, geometry.frame.picture
    x = min(max(pixel[0], math.ceil(box.left - 0.5), 0), math.ceil(box.right - 0.5) - 1, width - 1)
    y = min(max(pixel[1], math.ceil(box.top - 0.5), 0), math.ceil(box.bottom - 0.5) - 1, height - 1)
    return x, y
