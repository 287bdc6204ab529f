"""The networks that all visitors share, loaded when somebody asks for them."""

import threading

import torch
from PIL import Image

from lsnet import InputError, Predictor, load_predictor
from lsnet.preprocess import FrameMode
from lsnet.registry import HUB_REPOSITORIES
from lsnet.untrained import Variant
from lsnet.weights import known_sources
from viz.capture import trace_image
from viz.trace import ForwardTrace
from viz.ui.config import AppConfig
from viz.ui.kept import Kept
from viz.ui.threads import faster_thread_count
from viz.ui.zero_gpu import on_borrowed_gpu

KEPT_PREDICTORS = 8
LONGEST_NAME = 200  # characters of a source; all options of a variant take fewer


class Networks:
    """Loads networks on demand and looks at pictures with them.

    Attributes:
        opening: the source of the network that the page opens with.
        sources: all that are offered, that one first.
        lock: held by whoever computes; recording what happens inside hangs hooks on the shared networks.
    """

    def __init__(self, config: AppConfig) -> None:
        """Load the opening network and settle on a number of threads.

        Raises:
            InputError: the device, the model or the weights asked for cannot be used.
        """
        # Where a GPU can only be borrowed, networks live on the CPU, and a picture's way through one goes to the GPU.
        borrowed = on_borrowed_gpu(self._traced_on_gpu, self._traced)
        self._trace = borrowed or self._traced
        self._device = "cpu" if borrowed else config.device
        self._predictors: Kept[Predictor] = Kept(KEPT_PREDICTORS)
        self._on_gpu: Kept[Predictor] = Kept(KEPT_PREDICTORS)  # used in the process that has a borrowed one only
        self._guard = threading.Lock()
        self._loading: dict[str, threading.Lock] = {}
        self.lock = threading.Lock()
        opening = str(config.weights) if config.weights else config.model
        self._file = opening  # if it is one
        predictor = load_predictor(opening, self._device)
        self.opening = _public_name(opening, predictor)
        self._predictors.put(self.opening, predictor)
        self.sources = list(dict.fromkeys([self.opening, *known_sources()]))
        torch.set_num_threads(config.threads or faster_thread_count(predictor))

    def predictor(self, source: str) -> Predictor:
        """The network of one of :attr:`sources`, or a variant of one (:mod:`lsnet.untrained`), loaded when asked for.

        Raises:
            InputError: it is not offered, or its weights cannot be used. What was loaded before stays.
        """
        base, asks, _ = str(source).partition("?")
        variant = (
            bool(asks) and base.startswith("untrained/") and len(source) <= LONGEST_NAME
        )  # only these have options
        if (base if variant else source) not in self.sources:
            name = str(source)[:LONGEST_NAME]
            raise InputError("input.model", f"expected one of {self.sources}, got {name!r}", name=name)
        if variant:
            # One name for each, however it is written: what is kept by name stays bounded.
            source = f"untrained/{Variant.read(source.removeprefix('untrained/')).name}"
        with self._guard:
            loading = self._loading.setdefault(source, threading.Lock())
        with loading:  # whoever asks for the same network at the same time waits for it
            predictor = self._predictors.get(source)
            if predictor is None:
                predictor = load_predictor(self._file_of(source), self._device)
                self._predictors.put(source, predictor)
            return predictor

    def trace(
        self, source: str, picture: Image.Image, size: int, mode: FrameMode, streamed: bool = False
    ) -> ForwardTrace:
        """A picture's way through a network; for a streamed one, no GPU is borrowed."""
        return (self._traced if streamed else self._trace)(source, picture, size, mode)

    def _traced(self, source: str, picture: Image.Image, size: int, mode: FrameMode) -> ForwardTrace:
        """Here, when nobody else computes."""
        predictor = self.predictor(source)
        with self.lock:
            return trace_image(predictor, picture, size=size, mode=mode)

    def _traced_on_gpu(self, source: str, picture: Image.Image, size: int, mode: FrameMode) -> ForwardTrace:
        """In the process that has the GPU, for which nobody here waits.

        It began as a copy of this one at any moment: locks may be held there for ever, and hooks may hang on networks.
        So it has networks of its own.
        """
        predictor = self._on_gpu.get(source)
        if predictor is None:
            predictor = load_predictor(self._file_of(source))
            self._on_gpu.put(source, predictor)
        return trace_image(predictor, picture, size=size, mode=mode)

    def _file_of(self, source: str) -> str:
        """What is loaded: of weights that were given at start, where they lie."""
        return self._file if source.startswith("file/") else source


def _public_name(source: str, predictor: Predictor) -> str:
    """A source as visitors may know it: never a path on this machine."""
    if source == "bundled" or source.startswith("untrained/"):
        return predictor.card.source  # which default that was, or the variant's one name
    named = source in HUB_REPOSITORIES or source.startswith("bundled/")
    return source if named else f"file/{predictor.card.source}"


def loadable(source: str) -> str:
    """A source as :func:`lsnet.load_predictor` takes it; of a file's, the name without its folder."""
    return source.removeprefix("file/")
