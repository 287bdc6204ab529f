"""What all visitors share: the networks, and a bounded memory of what was computed with them."""

import logging
import math
import secrets
import shutil
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from hashlib import blake2s
from pathlib import Path

from PIL import Image

from lsnet import InputError
from lsnet.preprocess import MIN_SIDE, FrameMode
from viz.examples import Example
from viz.images import load_picture
from viz.payload import MAX_BYTES, write_payload
from viz.progress import Progress
from viz.results import Result
from viz.subject import Subject, Token
from viz.ui.analysis import Analysis, Picture
from viz.ui.config import AppConfig
from viz.ui.folders import Folders, bytes_in
from viz.ui.kept import Kept
from viz.ui.networks import Networks, loadable
from viz.views import View
from viz.views.settings import Values

log = logging.getLogger(__name__)

SIZES = (224, 320, 448)  # what the page offers
MAX_SIZE = 512  # what it accepts, so that one visitor cannot hold up all others

KEPT_BYTES = 2**27  # of all analyses, as their payloads are; in memory they take several times as much
KEPT_RESULTS = 64
KEPT_HOME_BYTES = 2**29  # of files to take home that lie ready: hundreds of results, some of them megabytes
UNUSED_SECONDS = 7200  # after which an analysis is forgotten
SWEEP_SECONDS = 60
KEPT_PICTURE_BYTES = 2**28  # of decoded pictures; each pin of a visitor asks for the same one again


class Explorer:
    """Looks at visitors' pictures and keeps what was computed, by unguessable keys.

    Attributes:
        networks: what computes.
        folders: where the files about a kept analysis lie.
        on_space: whether this runs as a Hugging Face Space.
    """

    def __init__(self, config: AppConfig) -> None:
        """Load the opening network.

        Raises:
            InputError: the device, the model or the weights asked for cannot be used.
        """
        self.networks = Networks(config)
        self.folders = Folders()
        self.on_space = config.on_space
        self._analyses: Kept[Analysis] = Kept(KEPT_BYTES, lambda analysis: analysis.payload_bytes)
        self._results: Kept[Result] = Kept(KEPT_RESULTS)
        self._pictures: Kept[Image.Image] = Kept(KEPT_PICTURE_BYTES, lambda picture: 3 * math.prod(picture.size))
        self._decoding = threading.Lock()
        self._leaving: deque[str] = deque()
        self._examples: dict[str, str] = {}
        self._first = threading.Lock()  # held by whoever looks at an example for the first time
        self._kept_for_good: dict[str, Analysis] = {}
        self._homes: Kept[Path] = Kept(KEPT_HOME_BYTES, bytes_in)

    def analyse(
        self,
        picture: Picture | None,
        source: str,
        size: int,
        mode: str,
        example: Example | None = None,
        exact: bool = False,
        streamed: bool = False,
    ) -> str:
        """Trace a picture; keep the trace, and write it as a payload for the browser.

        A wide picture seen whole by a large network may need more than MAX_BYTES of :mod:`viz.payload`: then it is
        looked at again at a smaller size, down to the smallest that the page offers.

        Args:
            picture: whatever :func:`viz.images.load_picture` accepts.
            source: one of the networks' sources.
            size: the shorter side of the network's input, in pixels.
            mode: ``"crop"`` or ``"whole"``.
            example: the bundled photo that it is.
            exact: whether it must be this size, however large the payload.
            streamed: whether it is one of a camera's many, for each of which no GPU is borrowed.

        Returns:
            A key for :meth:`analysis` and :attr:`folders`.

        Raises:
            InputError: anything that the visitor can mend.
        """
        if picture is None:
            raise InputError("image.none", "expected a picture, got none")
        if isinstance(size, bool) or not isinstance(size, int) or not MIN_SIDE <= size <= MAX_SIZE:
            message = f"expected a size of {MIN_SIDE} to {MAX_SIZE} pixels, got {size!r}"
            raise InputError("input.size", message, low=MIN_SIDE, high=MAX_SIZE)
        if mode not in ("crop", "whole"):
            raise InputError("input.mode", f"expected mode 'crop' or 'whole', got {mode!r}")
        frame: FrameMode = "crop" if mode == "crop" else "whole"
        predictor = self.networks.predictor(source)
        loaded = load_picture(picture)
        about = example.about if example else {}  # of a visitor's own picture: nothing
        key = secrets.token_urlsafe(16)
        fitting = size
        with self.folders.making(key):
            while True:
                trace = self.networks.trace(source, loaded, fitting, frame, streamed)
                file = write_payload(
                    self.folders.payload(key), trace, loaded, model=source, source=loadable(source), **about
                )
                written = file.stat().st_size
                excess = written / MAX_BYTES
                if excess <= 1 or exact or fitting <= SIZES[0]:
                    break
                fitting = max(SIZES[0], int(fitting / math.sqrt(excess)) // 32 * 32)
            if not example and not isinstance(picture, Image.Image):
                picture = Path(shutil.copyfile(picture, self.folders.copy(key)))  # the upload is swept away sooner
        kept = Analysis(trace, source, fitting, frame, predictor.card.trained, picture, example, size, written)
        for forgotten in self._analyses.put(key, kept):
            self._forget(forgotten)
        return key

    def analyse_example(self, example: Example, source: str, size: int, mode: str) -> str:
        """Trace a bundled photo; see :meth:`analyse`.

        With the opening model and the first settings this happens once and is kept for good, so that a class that
        opens the page at the same moment asks for no computation at all.
        """
        if (source, size, mode) != (self.networks.opening, SIZES[0], "crop"):
            return self.analyse(example.path, source, size, mode, example)
        with self._first:
            if example.id not in self._examples:
                key = self.analyse(example.path, source, size, mode, example)
                self._kept_for_good[key] = self.analysis(key)
                self._analyses.drop(key)
                self._examples[example.id] = key
            return self._examples[example.id]

    def analyse_again(self, key: str, source: str, size: int, mode: str) -> str:
        """The same picture through another network, or framed otherwise; see :meth:`analyse`."""
        before = self.analysis(key)
        if before.example:
            return self.analyse_example(before.example, source, size, mode)
        return self.analyse(before.picture, source, size, mode)

    def subject(self, key: str, block: str, token: Token) -> Subject:
        """What a view looks at, at a place in a kept analysis."""
        analysis = self.analysis(key)
        predictor = self.networks.predictor(analysis.source).framed(analysis.size, analysis.mode)
        return Subject(predictor, self.picture(key), analysis.trace, block, token, self.networks.predictor)

    def picture(self, key: str) -> Image.Image:
        """The picture of a kept analysis. One is decoded at a time: a large one takes hundreds of megabytes."""
        with self._decoding:
            picture = self._pictures.get(key)
            if picture is None:
                picture = load_picture(self.analysis(key).picture)
                self._pictures.put(key, picture)
            return picture

    def known(self, key: str, view: View, subject: Subject, values: Values) -> Result | None:
        """The complete result of a view, where it was computed before."""
        return self._results.get(_place(key, view, subject, values))

    def results(self, key: str, view: View, subject: Subject, values: Values, progress: Progress) -> Iterator[Result]:
        """The results of a view, each more complete than the one before; a complete one is kept for the next time.

        The caller holds the lock of :attr:`networks`.
        """
        result = self.known(key, view, subject, values)
        if result is not None:
            yield result
            return
        for result in view.results(replace(subject, progress=progress), values):
            yield result
        if result is not None:
            self._results.put(_place(key, view, subject, values), result)

    def analysis(self, key: str) -> Analysis:
        """A kept analysis.

        Raises:
            InputError: it was forgotten, or never was.
        """
        found = self.find(key)
        if found is None:
            raise InputError("session.expired", "this analysis is no longer kept; analyse the picture again")
        return found

    def find(self, key: str) -> Analysis | None:
        """A kept analysis, or None."""
        return self._kept_for_good.get(key) or self._analyses.get(key)

    def forget(self, key: str) -> None:
        """Drop a visitor's analysis and its files; what is kept for good stays, and an unknown key does nothing."""
        if self._analyses.get(key):
            self._analyses.drop(key)
            self._forget(key)

    def forget_soon(self, key: str) -> None:
        """:meth:`forget` with the next sweep: for a finalizer, which may run while its thread holds any lock."""
        self._leaving.append(key)

    def _forget(self, key: str) -> None:
        """Drop all that was made of an analysis that is no longer kept."""
        self._pictures.drop(key)
        for kept in (self._results, self._homes):
            for place in kept.under(f"{key}/"):
                kept.drop(place)
        self.folders.remove(key)

    def sweep(self) -> None:
        """Forget what visitors have left, and what nobody has used for long: a program goes without a word."""
        while self._leaving:
            self.forget(self._leaving[0])
            self._leaving.popleft()  # once its files are gone
        for key in self._analyses.idle(UNUSED_SECONDS):
            self.forget(key)
        self.folders.sweep_uploads()

    def keep_sweeping(self) -> None:
        """Sweep from now on, for as long as the program runs."""

        def sweep_forever() -> None:
            while True:
                time.sleep(SWEEP_SECONDS)
                try:
                    self.sweep()
                except Exception:  # the next sweep comes, whatever kept this one
                    log.exception("while sweeping")

        threading.Thread(target=sweep_forever, name="sweeper", daemon=True).start()

    def home(self, key: str, view: View, subject: Subject, values: Values) -> Path:
        """Where a result's files to take home lie: apart from those of other places, which other visitors may fetch."""
        home = self.folders.of(key) / blake2s(_place(key, view, subject, values).encode(), digest_size=8).hexdigest()
        home.mkdir(exist_ok=True)
        for old in self._homes.put(f"{key}/{home.name}", home):
            shutil.rmtree(self.folders.served / old, ignore_errors=True)
        return home


def _place(key: str, view: View, subject: Subject, values: Values) -> str:
    return f"{key}/{view.name}/{subject.block}/{subject.token}/{sorted(values.items())}"
