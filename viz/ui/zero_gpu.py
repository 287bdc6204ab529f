"""ZeroGPU, where a Space has a GPU only while a decorated function runs, in a process of its own.

Source: https://huggingface.co/docs/hub/spaces-zerogpu
"""

import functools
import logging
import os
from collections.abc import Callable
from importlib import import_module
from typing import ParamSpec, TypeVar

import torch
from gradio.context import LocalContext

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger(__name__)

SECONDS = 30  # that a call may take; short ones are served earlier


def on_borrowed_gpu(function: Callable[P, R], otherwise: Callable[P, R]) -> Callable[P, R] | None:
    """The function, which gets a GPU for as long as it runs; None where there is none to borrow at all.

    Its arguments and its answer travel between processes. Every Space has the ``spaces`` package, so that alone says
    nothing about its hardware. A build of torch that knows no GPU has no use for one, and borrowing takes quota.

    Args:
        function: runs in a process that begins as a copy of this one, whatever its other threads are doing.
        otherwise: does the same here. Nothing is lent before the page is served, nor to a visitor whose quota is used
            up, and at times there is none.
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

    @functools.wraps(function)
    def there_or_here(*args: P.args, **kwargs: P.kwargs) -> R:
        if LocalContext.event_id.get(None) is None:  # nobody has asked
            return otherwise(*args, **kwargs)
        try:
            return borrowed(*args, **kwargs)
        except Exception as error:  # of many kinds: the package's own, the network's, whatever ended the other process
            log.warning("computed without a GPU: %s: %s", type(error).__name__, error)
            return otherwise(*args, **kwargs)

    return there_or_here
