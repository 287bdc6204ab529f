"""A bounded memory that knows what lies idle in it."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """A bounded dictionary that forgets what was not used for longest. Safe to share between threads.

    Args:
        limit: how much is kept; the value put last always is.
        weigh: how much a value is.
    """

    def __init__(self, limit: int, weigh: Callable[[T], int] = lambda _: 1) -> None:
        self._limit = limit
        self._weigh = weigh
        self._values: OrderedDict[str, T] = OrderedDict()
        self._used: dict[str, float] = {}  # when, in seconds of time.monotonic()
        self._lock = threading.Lock()

    def get(self, key: str) -> T | None:
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                self._used[key] = time.monotonic()
            return self._values.get(key)

    def put(self, key: str, value: T) -> list[str]:
        """Keep a value. Returns the keys that had to go for it."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            self._used[key] = time.monotonic()
            excess = sum(map(self._weigh, self._values.values())) - self._limit
            gone = []
            while excess > 0 and len(self._values) > 1:
                old, dropped = self._values.popitem(last=False)
                del self._used[old]
                excess -= self._weigh(dropped)
                gone.append(old)
            return gone

    def drop(self, key: str) -> None:
        with self._lock:
            self._values.pop(key, None)
            self._used.pop(key, None)

    def under(self, prefix: str) -> list[str]:
        """Keys that begin so."""
        with self._lock:
            return [key for key in self._values if key.startswith(prefix)]

    def idle(self, seconds: float) -> list[str]:
        """Keys that were not used for that long."""
        now = time.monotonic()
        with self._lock:
            return [key for key, used in self._used.items() if now - used > seconds]
