"""The photos that come with the project."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

EXAMPLES_DIR = Path(__file__).resolve().parent.parent / "assets" / "examples"


@dataclass(frozen=True)
class Example:
    """One bundled photo.

    Attributes:
        id: short name, as in links.
        path: the file.
        title: by language.
        alt: text alternative, by language.
        author, licence, source_url: where it comes from.
        focus: picture pixels (x, y) worth looking at, from the object to the background.
    """

    id: str
    path: Path
    title: dict[str, str]
    alt: dict[str, str]
    author: str
    licence: str
    source_url: str
    focus: tuple[tuple[int, int], ...]

    @property
    def about(self) -> dict[str, Any]:
        """What a payload says of it: arguments of :func:`viz.payload.encode_payload`."""
        return {"title": self.title, "alt": self.alt, "focus": self.focus, "example": self.id}


@cache
def examples() -> tuple[Example, ...]:
    """All bundled photos; the first one opens with the page."""
    return tuple(_example(**entry) for entry in json.loads((EXAMPLES_DIR / "examples.json").read_text("utf-8")))


def _example(file: str, focus: list[list[int]], **fields: Any) -> Example:
    return Example(path=EXAMPLES_DIR / file, focus=tuple((x, y) for x, y in focus), **fields)
