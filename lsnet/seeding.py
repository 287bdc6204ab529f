"""Random weights that are always the same, whatever else the process does."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_DRAWING = threading.RLock()  # torch's generator is one for all threads


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Build networks inside: what torch draws on the CPU follows from ``seed``, and its generator stays as it was.

    One thread at a time; so whoever builds a network while others may, draws inside, even to overwrite what is drawn.
    """
    with _DRAWING, torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        yield
