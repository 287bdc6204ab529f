"""A bounded memory that knows what lies idle in it."""

import threading
import time
from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """A bounded dictionary that forgets what was not used for longest. Safe to share between threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
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
            excess = [key for key, _ in zip(self._values, range(len(self._values) - self._limit), strict=False)]
            for old in excess:
                del self._values[old], self._used[old]
            return excess

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
