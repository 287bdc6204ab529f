"""The answer to "Page as HTML"."""

import logging
import threading
from collections.abc import Callable
from typing import Any

from lsnet import InputError
from viz.standalone import Place, standalone_page
from viz.texts import texts_in
from viz.ui import wording
from viz.ui.service import Explorer

log = logging.getLogger(__name__)

# One page at a time, since each takes several times the memory of its picture. Few may wait for their turn: whoever
# waits holds one of the threads that all visitors are served by.
_writing = threading.Lock()
_waiting = threading.BoundedSemaphore(6)


def page_writer(explorer: Explorer) -> Callable[[dict[str, Any]], dict[str, str]]:
    """A function for the browser to call, which writes what it shows as a page to take home.

    It is called with the analysis's ``key`` and the place: ``block``, ``pixel`` ({x, y}), ``colouring`` and
    ``language``. For its answer see :func:`written`.
    """

    def standalone(asked: dict[str, Any]) -> dict[str, str]:
        return written(lambda language: _page(explorer, asked, language), asked.get("language"))

    return standalone


def written(write: Callable[[str], str], language: object) -> dict[str, str]:
    """What a browser that asks for a page is answered: the ``page``, or the ``problem`` in one sentence.

    Args:
        write: gives the page in a language.
        language: as the browser says.
    """
    say = texts_in(str(language))
    try:
        if not _waiting.acquire(blocking=False):
            raise InputError("takehome.busy", "many pages are being written; try again in a moment")
        try:
            with _writing:
                return {"page": write(say.language)}
        finally:
            _waiting.release()
    except Exception as error:
        if not isinstance(error, InputError):
            log.exception("while writing a page to take home")
        return {"problem": wording.problem(error, say, markdown=False)}


def _page(explorer: Explorer, asked: dict[str, Any], language: str) -> str:
    key = str(asked["key"])
    analysis = explorer.analysis(key)
    pixel = (int(asked["pixel"]["x"]), int(asked["pixel"]["y"]))
    return standalone_page(
        analysis.trace,
        explorer.picture(key),
        source=analysis.weights,
        trained=analysis.trained,
        example=analysis.example,
        place=Place(str(asked["block"]), pixel, str(asked["colouring"]), language),
    )
