"""What all visitors share: loaded networks, and a bounded memory of what was computed."""

import math
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, replace
from hashlib import blake2s
from pathlib import Path

import torch
from PIL import Image

from lsnet import InputError, Predictor, load_predictor
from lsnet.predictor import choose_device
from lsnet.preprocess import MIN_SIDE, FrameMode
from lsnet.registry import HUB_REPOSITORIES
from lsnet.weights import known_sources
from viz.capture import trace_image
from viz.examples import Example
from viz.images import load_picture
from viz.payload import MAX_BYTES, write_payload
from viz.progress import Progress
from viz.results import Result
from viz.subject import Subject, Token
from viz.trace import ForwardTrace
from viz.ui.config import AppConfig
from viz.ui.kept import Kept
from viz.ui.threads import faster_thread_count
from viz.ui.zero_gpu import on_borrowed_gpu
from viz.views import View
from viz.views.settings import Values

Picture = str | os.PathLike[str] | Image.Image
SIZES = (224, 320, 448)  # what the page offers
MAX_SIZE = 512  # what it accepts, so that one visitor cannot hold up all others

KEPT_BYTES = 2**27  # of all analyses, as their payloads are; in memory they take several times as much
KEPT_PREDICTORS = 8
KEPT_RESULTS = 64
KEPT_HOMES = 512  # results whose files to take home lie ready
UNUSED_SECONDS = 7200  # after which an analysis is forgotten
UPLOAD_SECONDS = 3000  # after which an upload is deleted: what is analysed has a copy
SWEEP_SECONDS = 60
KEPT_PICTURES = 4  # decoded; each pin of a visitor asks for the same one again


@dataclass(frozen=True)
class Analysis:
    """One picture through one network.

    Attributes:
        trace: what happened inside.
        source: which weights, as :func:`lsnet.load_predictor` takes them.
        size, mode: how the picture was framed.
        asked: the size that was asked for; larger where its payload would have been too large for the browser.
        payload_bytes: how large its payload is.
        trained: whether the weights are trained.
        picture: the picture, or a private copy of its file, to look at it again.
        example: the bundled photo that it is, or None for a visitor's own.
    """

    trace: ForwardTrace
    source: str
    size: int
    mode: FrameMode
    trained: bool
    picture: Picture
    example: Example | None
    asked: int
    payload_bytes: int

    @property
    def name(self) -> str:
        """How Python lines call the picture; never a visitor's own file name."""
        return f"assets/examples/{self.example.path.name}" if self.example else "photo.jpg"

    @property
    def weights(self) -> str:
        """How Python lines call the weights: as :func:`lsnet.load_predictor` takes them, a file without its folder."""
        return _loadable(self.source)


class Explorer:
    """Loads networks on demand and keeps what they computed, by unguessable keys."""

    def __init__(self, config: AppConfig) -> None:
        """Load the opening model and settle on a number of threads.

        Raises:
            InputError: the device, the model or the weights asked for cannot be used.
        """
        # Where a GPU can only be borrowed, networks live on the CPU, and a picture's way through one goes to the GPU.
        borrowed = on_borrowed_gpu(self._traced_on_gpu)
        self._trace = borrowed or self._traced
        self._device = "cpu" if borrowed else config.device
        self._file = config.weights
        self.on_space = config.on_space
        self._predictors: Kept[Predictor] = Kept(KEPT_PREDICTORS)
        self._analyses: Kept[Analysis] = Kept(KEPT_BYTES, lambda analysis: analysis.payload_bytes)
        self._results: Kept[Result] = Kept(KEPT_RESULTS)
        self._pictures: Kept[Image.Image] = Kept(KEPT_PICTURES)
        self._examples: dict[tuple[str, str, int, str], str] = {}
        self._kept_for_good: dict[str, Analysis] = {}
        self._homes: Kept[Path] = Kept(KEPT_HOMES)
        self._folder = tempfile.TemporaryDirectory(prefix="lsnet-explorer-")
        self._private = tempfile.TemporaryDirectory(prefix="lsnet-explorer-private-")  # visitors' pictures: not served
        self.networks = threading.Lock()  # held by whoever computes: recording hangs hooks on the shared networks
        opening = str(config.weights) if config.weights else config.model
        predictor = load_predictor(opening, self._device)
        self.opening_source = self._public_name(opening, predictor)
        self._predictors.put(self.opening_source, predictor)
        self.sources = list(dict.fromkeys([self.opening_source, *known_sources()]))
        torch.set_num_threads(config.threads or faster_thread_count(predictor))

    @staticmethod
    def _public_name(source: str, predictor: Predictor) -> str:
        """A source as visitors may know it: never a path on this machine."""
        if source == "bundled":
            return predictor.card.source  # which default that was
        named = source in HUB_REPOSITORIES or source.startswith(("bundled/", "untrained/"))
        return source if named else f"file/{predictor.card.source}"

    def predictor(self, source: str) -> Predictor:
        """The network of one of :attr:`sources`, or a variant of one (:mod:`lsnet.untrained`), loaded when asked for.

        Raises:
            InputError: it is not offered, or its weights cannot be used. What was loaded before stays.
        """
        if {source, source.partition("?")[0]}.isdisjoint(self.sources):  # untrained networks may have options
            raise InputError("input.model", f"expected one of {self.sources}, got {source!r}", name=source)
        predictor = self._predictors.get(source)
        if predictor is None:
            file = self._file if source.startswith("file/") and self._file else None
            predictor = load_predictor(file or source, self._device)
            self._predictors.put(source, predictor)
        return predictor

    def analyse(
        self,
        picture: Picture | None,
        source: str,
        size: int,
        mode: str,
        example: Example | None = None,
        exact: bool = False,
    ) -> str:
        """Trace a picture; keep the trace, and write it as a payload for the browser.

        A wide picture seen whole by a large network may need more than MAX_BYTES of :mod:`viz.payload`: then it is
        looked at again at a smaller size, down to the smallest that the page offers.

        Args:
            picture: whatever :func:`viz.images.load_picture` accepts.
            source: one of :attr:`sources`.
            size: the shorter side of the network's input, in pixels.
            mode: ``"crop"`` or ``"whole"``.
            example: the bundled photo that it is.
            exact: whether it must be this size, however large the payload.

        Returns:
            A key for :meth:`analysis`, :meth:`payload` and :meth:`folder`.

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
        predictor = self.predictor(source)
        loaded = load_picture(picture)
        about = example.about if example else {}  # of a visitor's own picture: nothing
        key = secrets.token_urlsafe(16)
        fitting = size
        while True:
            with self.networks:
                trace = self._trace(source, loaded, fitting, frame)
            self.folder(key).mkdir(exist_ok=True)
            file = write_payload(self.payload(key), trace, loaded, model=source, source=_loadable(source), **about)
            written = file.stat().st_size
            excess = written / MAX_BYTES
            if excess <= 1 or exact or fitting <= SIZES[0]:
                break
            fitting = max(SIZES[0], int(fitting / math.sqrt(excess)) // 32 * 32)
        if not example and not isinstance(picture, Image.Image):
            picture = Path(shutil.copyfile(picture, self._copy(key)))  # the upload is swept away sooner
        kept = Analysis(trace, source, fitting, frame, predictor.card.trained, picture, example, size, written)
        for forgotten in self._analyses.put(key, kept):
            self._forget(forgotten)
        return key

    def _traced(self, source: str, picture: Image.Image, size: int, mode: FrameMode) -> ForwardTrace:
        return trace_image(self.predictor(source), picture, size=size, mode=mode)

    def _traced_on_gpu(self, source: str, picture: Image.Image, size: int, mode: FrameMode) -> ForwardTrace:
        """In the process that has the GPU: it began as a copy of this one, so it knows or loads the same networks."""
        predictor, gpu = self.predictor(source), choose_device()
        there = replace(predictor, model=deepcopy(predictor.model).to(gpu), device=gpu)
        return trace_image(there, picture, size=size, mode=mode)

    def analyse_example(self, example: Example, source: str, size: int, mode: str) -> str:
        """Trace a bundled photo; see :meth:`analyse`.

        With the opening model and the first settings this happens once and is kept for good, so that a class that
        opens the page at the same moment asks for no computation at all.
        """
        wanted = (example.id, source, size, mode)
        if wanted in self._examples:
            return self._examples[wanted]
        key = self.analyse(example.path, source, size, mode, example)
        if (source, size, mode) == (self.opening_source, SIZES[0], "crop"):
            self._kept_for_good[key] = self.analysis(key)
            self._analyses.drop(key)
            self._examples[wanted] = key
        return key

    def analyse_again(self, key: str, source: str, size: int, mode: str) -> str:
        """The same picture through another network, or framed otherwise; see :meth:`analyse`."""
        before = self.analysis(key)
        if before.example:
            return self.analyse_example(before.example, source, size, mode)
        return self.analyse(before.picture, source, size, mode)

    def subject(self, key: str, block: str, token: Token) -> Subject:
        """What a view looks at, at a place in a kept analysis."""
        analysis = self.analysis(key)
        predictor = self.predictor(analysis.source).framed(analysis.size, analysis.mode)
        picture = self._pictures.get(key)
        if picture is None:
            picture = load_picture(analysis.picture)
            self._pictures.put(key, picture)
        return Subject(predictor, picture, analysis.trace, block, token, self.predictor)

    def known(self, key: str, view: View, subject: Subject, values: Values) -> Result | None:
        """The complete result of a view, where it was computed before."""
        return self._results.get(_place(key, view, subject, values))

    def results(self, key: str, view: View, subject: Subject, values: Values, progress: Progress) -> Iterator[Result]:
        """The results of a view, each more complete than the one before; a complete one is kept for the next time.

        The caller holds :attr:`networks`.
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

    def _forget(self, key: str) -> None:
        """Drop all that was made of an analysis that is no longer kept."""
        self._pictures.drop(key)
        for kept in (self._results, self._homes):
            for place in kept.under(f"{key}/"):
                kept.drop(place)
        shutil.rmtree(self.folder(key), ignore_errors=True)
        self._copy(key).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Forget what nobody has used for long: a visitor may have gone without a word, a program always does.

        Uploads go by their age, those that broke off halfway included.
        """
        for key in self._analyses.idle(UNUSED_SECONDS):
            self.forget(key)
        oldest = time.time() - UPLOAD_SECONDS
        for path in self.uploads.rglob("*"):
            with suppress(OSError):  # gone already, or a folder with something new in it
                if path.stat().st_mtime < oldest:
                    path.rmdir() if path.is_dir() else path.unlink()

    def keep_sweeping(self) -> None:
        """Sweep from now on, for as long as the program runs."""

        def sweep_forever() -> None:
            while True:
                time.sleep(SWEEP_SECONDS)
                self.sweep()

        threading.Thread(target=sweep_forever, name="sweeper", daemon=True).start()

    def folder(self, key: str) -> Path:
        """Where files about an analysis lie, under an unguessable name; deleted with it."""
        return Path(self._folder.name) / key

    @property
    def uploads(self) -> Path:
        """A folder for Gradio to put what visitors upload."""
        folder = Path(self._private.name) / "uploads"
        folder.mkdir(exist_ok=True)
        return folder

    def home(self, key: str, view: View, subject: Subject, values: Values) -> Path:
        """Where a result's files to take home lie: apart from those of other places, which other visitors may fetch."""
        home = self.folder(key) / blake2s(_place(key, view, subject, values).encode(), digest_size=8).hexdigest()
        home.mkdir(exist_ok=True)
        for old in self._homes.put(f"{key}/{home.name}", home):
            shutil.rmtree(self.files / old, ignore_errors=True)
        return home

    def _copy(self, key: str) -> Path:
        return Path(self._private.name) / key

    def payload(self, key: str) -> Path:
        """The trace as the browser reads it."""
        return self.folder(key) / "trace.lsnx"

    @property
    def files(self) -> Path:
        """The folder that holds all these folders, for the server to serve from."""
        return Path(self._folder.name)


def _place(key: str, view: View, subject: Subject, values: Values) -> str:
    return f"{key}/{view.name}/{subject.block}/{subject.token}/{sorted(values.items())}"


def _loadable(source: str) -> str:
    return source.removeprefix("file/")
