"""Copies of a network that an analysis may change, while others use the network itself."""

import copy
from typing import TypeVar

from torch import nn

from lsnet.layers import fuse

M = TypeVar("M", bound=nn.Module)


def private_copy(module: M) -> M:
    """A copy that shares nothing with a network or a part of it: neither tensors, nor hooks that hang on it now."""
    private = copy.deepcopy(module)
    for part in private.modules():
        part._forward_hooks.clear()
        part._forward_pre_hooks.clear()
    return private


def folded_copy(model: M) -> M:
    """A private copy for gradients with respect to the input: its parameters want none.

    Its batch norms are folded: the same function, with gradients in about three fifths of the time.
    """
    private = private_copy(model)
    fuse(private)
    return private.requires_grad_(False)
