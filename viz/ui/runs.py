"""Computations that report while they run: one at a time on the networks, one for each visitor."""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from viz.progress import Cancelled, Progress

T = TypeVar("T")
Compute = Callable[[Progress], Iterator[T]]


class Runs(Generic[T]):
    """Runs each visitor's latest computation in a thread of its own; an earlier one that still runs is stopped.

    Networks are shared, and whoever records what happens inside them hangs hooks on them: so a computation holds
    ``lock`` while it works.
    """

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        self._stops: dict[str, threading.Event] = {}
        self._guard = threading.Lock()

    def start(self, visitor: str, compute: Compute[T]) -> Iterator[float | T]:
        """Yield what a computation reports: the share that is done (0…1), and its results as they get complete.

        Ends early, without an error, when it is stopped. Errors of the computation are raised here.
        """
        stop = self._take_over(visitor)
        news: queue.SimpleQueue[float | T | BaseException | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, args=(compute, stop, news), daemon=True).start()
        try:
            while (item := news.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                if not stop.is_set():
                    yield item
        finally:
            self._leave(visitor, stop)

    def stop(self, visitor: str) -> None:
        """Stop what this visitor waits for, at its next report."""
        with self._guard:
            if visitor in self._stops:
                self._stops.pop(visitor).set()

    def _take_over(self, visitor: str) -> threading.Event:
        self.stop(visitor)
        with self._guard:
            stop = self._stops[visitor] = threading.Event()
        return stop

    def _leave(self, visitor: str, stop: threading.Event) -> None:
        stop.set()
        with self._guard:
            if self._stops.get(visitor) is stop:
                del self._stops[visitor]

    def _work(
        self,
        compute: Compute[T],
        stop: threading.Event,
        news: "queue.SimpleQueue[float | T | BaseException | None]",
    ) -> None:
        def go_on() -> None:
            if stop.is_set():
                raise Cancelled

        def progress(share: float) -> None:
            go_on()
            news.put(share)

        try:
            while not self._lock.acquire(timeout=0.05):
                go_on()
            try:
                for result in compute(progress):
                    go_on()
                    news.put(result)
            finally:
                self._lock.release()
        except Cancelled:
            pass
        except BaseException as error:  # told where it is waited for
            news.put(error)
        news.put(None)
