"""Computations that report while they run: one at a time on the networks, one for each visitor."""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from viz.progress import Cancelled, Overtaken, Progress

T = TypeVar("T")
PATIENCE = 0.4  # seconds without a word
Compute = Callable[[Progress], Iterator[T]]


class _Run:
    """What ends a computation early, once it is set."""

    def __init__(self) -> None:
        self.end: Cancelled | None = None

    def go_on(self) -> None:
        if self.end is not None:
            raise self.end


class Runs(Generic[T]):
    """Runs each visitor's latest computation in a thread of its own; an earlier one that still runs is stopped.

    Networks are shared, and whoever records what happens inside them hangs hooks on them: so a computation holds
    ``lock`` while it works.
    """

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        self._latest: dict[str, _Run] = {}
        self._guard = threading.Lock()

    def start(self, visitor: str, compute: Compute[T]) -> Iterator[float | T]:
        """Yield what a computation reports: the share that is done (0…1), and its results as they get complete.

        Raises:
            Cancelled: it was stopped; Overtaken, by a later computation of the same visitor.
            Exception: whatever the computation raised.
        """
        run = _Run()
        self._end(visitor, Overtaken(), run)
        news: queue.SimpleQueue[float | T | BaseException | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, args=(compute, run, news), daemon=True).start()
        try:
            patience: float | None = PATIENCE
            while True:
                try:
                    item = news.get(timeout=patience)
                except queue.Empty:  # it waits for the networks: that is told too
                    item = 0.0
                patience = None
                if item is None:
                    return
                if isinstance(item, BaseException):
                    raise item
                run.go_on()
                yield item
        finally:
            run.end = run.end or Cancelled()
            with self._guard:
                if self._latest.get(visitor) is run:
                    del self._latest[visitor]

    def stop(self, visitor: str) -> None:
        """Stop what this visitor waits for, at its next report."""
        self._end(visitor, Cancelled())

    def overtake(self, visitor: str) -> None:
        """Stop it because the visitor has gone elsewhere, so that what is there need not wait for the networks."""
        self._end(visitor, Overtaken())

    def _end(self, visitor: str, why: Cancelled, successor: _Run | None = None) -> None:
        with self._guard:
            earlier = self._latest.pop(visitor, None)
            if earlier is not None:
                earlier.end = why
            if successor is not None:
                self._latest[visitor] = successor

    def _work(
        self, compute: Compute[T], run: _Run, news: "queue.SimpleQueue[float | T | BaseException | None]"
    ) -> None:
        def progress(share: float) -> None:
            run.go_on()
            news.put(share)

        try:
            while not self._lock.acquire(timeout=0.05):
                run.go_on()
            try:
                for result in compute(progress):
                    run.go_on()
                    news.put(result)
            finally:
                self._lock.release()
        except BaseException as error:  # told where it is waited for
            news.put(error)
        news.put(None)
