"""What one visitor has chosen."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

from viz.views import VIEWS


@dataclass(frozen=True)
class Visit:
    """Where a visitor is, without any tensor.

    Attributes:
        key: of the analysis that is shown.
        block: name of the block that the views show.
        pixel: (x, y) of the place that they show, in pixels of the original picture.
        language: one of :data:`viz.texts.LANGUAGES`.
        dark: whether the page is dark.
        view: name of the open tab.
        settings: what was set in each view, by its name and the setting's.
        outdated: keys of the analyses before the one that is shown, the oldest first.
        sent: when the camera's picture that is shown was sent, in seconds of ``time.monotonic``; 0 once it has arrived.
        arrived: whether the page has said hello; it has not where its visit is forgotten and another has begun.
    """

    key: str
    block: str
    pixel: tuple[int, int]
    language: str = "en"
    dark: bool = False
    view: str = VIEWS[0].name
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    outdated: tuple[str, ...] = ()
    sent: float = 0.0
    arrived: bool = False


class Visiting:
    """A visit as it goes on: what Gradio keeps for a session, the same object for all of its handlers.

    It is over when nobody holds it any more. Gradio drops what it keeps in two ways, an hour after a page was closed or
    when too many others have come, and tells only of the first.

    Attributes:
        now: where the visit is.
        turn: number of the latest request to fill a view.
    """

    _changing: ClassVar = threading.Lock()  # one for all: Gradio copies what a session begins with, and no lock lets it

    def __init__(self, now: Visit, leave: Callable[[Visit], None] = lambda visit: None) -> None:
        """Begin a visit.

        Args:
            now: where it begins.
            leave: told where it was when it is over, in any thread and at any time.
        """
        self.now = now
        self.turn = 0
        self._leave = leave
        self._went_on = False

    def __deepcopy__(self, memo: object) -> "Visiting":
        """Another visit that begins here: each session of Gradio begins with a copy."""
        return Visiting(self.now, self._leave)

    def __del__(self) -> None:
        if self._went_on:  # otherwise it has nothing of its own, as a copy that was made for anything else
            self._leave(self.now)

    def take_turn(self) -> int:
        """The number of a request, by which it knows whether a later one has come."""
        with self._changing:
            self.turn += 1
            return self.turn

    def change(self, before: Visit, after: Visit) -> None:
        """Take over what a handler changed; what others have changed while it worked stays.

        Another analysis brings its place along: one that was chosen in the analysis before means nothing in it.
        """
        names = [item.name for item in fields(Visit)]
        changed = {name: getattr(after, name) for name in names if getattr(after, name) != getattr(before, name)}
        if after.key != before.key:
            changed |= {"block": after.block, "pixel": after.pixel}
        with self._changing:
            if after.key not in (before.key, self.now.key) and self.now.key != before.key:  # shown in the meantime
                changed["outdated"] = (*after.outdated, self.now.key)
            self.now = replace(self.now, **changed)
            self._went_on = True
