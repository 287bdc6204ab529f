"""ZeroGPU, where a Space has a GPU only while a decorated function runs, in a process of its own.

Source: https://huggingface.co/docs/hub/spaces-zerogpu
"""

import os
from collections.abc import Callable
from importlib import import_module
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")

SECONDS = 30  # that a call may take; short ones are served earlier


def on_borrowed_gpu(function: Callable[P, R]) -> Callable[P, R] | None:
    """The function, which gets a GPU for as long as it runs; None where there is none to borrow.

    Its arguments and its answer travel between processes. Every Space has the ``spaces`` package, so that alone says
    nothing about its hardware. A build of torch that knows no GPU has no use for one, and borrowing takes quota.
    """
    if torch.version.cuda is None:
        return None
    if os.environ.get("SPACES_ZERO_GPU", "").lower() not in ("1", "t", "true"):
        return None
    try:
        spaces = import_module("spaces")
    except ImportError:
        return None
    borrowed: Callable[P, R] = spaces.GPU(function, duration=SECONDS)
    return borrowed
