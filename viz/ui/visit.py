"""What one visitor has chosen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from viz.views import VIEWS


@dataclass(frozen=True)
class Visit:
    """Kept in gradio's session state, without any tensor.

    Attributes:
        key: of the analysis that is shown.
        block: name of the block that the views show.
        pixel: (x, y) of the place that they show, in pixels of the original picture.
        language: one of :data:`viz.texts.LANGUAGES`.
        dark: whether the page is dark.
        view: name of the open tab.
        settings: what was set in each view, by its name and the setting's.
        outdated: keys of the analyses before the one that is shown, the oldest first.
    """

    key: str
    block: str
    pixel: tuple[int, int]
    language: str = "en"
    dark: bool = False
    view: str = VIEWS[0].name
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    outdated: tuple[str, ...] = ()
