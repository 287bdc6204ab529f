"""Operations on a live forward pass: dynamic kernels, or attention, replaced on the way.

An operation is what a forward hook is in torch: the module, what went in and what came out, to what shall come out
instead. For kernels the module is the block's LKP and what comes out is (B, G, K², h, w); for attention it is
``attend`` and (B, heads, N, N).

    with operated(model, [Surgery("blocks3.3", mean_kernel)]) as patched:
        logits = patched(batch)
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from lsnet.mixers import LKP, BlockKind
from lsnet.sites import Site, sites_of
from viz.analysis.copies import private_copy
from viz.analysis.lkp_steps import narrow_perception

M = TypeVar("M", bound=nn.Module)
Operation = Callable[[nn.Module, Tensor, Tensor], Tensor]

# What is replaced in a block of each kind.
REPLACED: dict[BlockKind, str] = {"ls": "kernels", "dynamic": "kernels", "msa": "attention"}


@dataclass(frozen=True)
class Surgery:
    """One operation on one block.

    Attributes:
        block: name of a block that :func:`operable` tells of, such as ``"blocks3.3"``.
        operation: what it does; one of this module's, or your own.
        sets: which kernel sets (of an MSA block: heads) it replaces; None for all.
    """

    block: str
    operation: Operation
    sets: tuple[int, ...] | None = None


@contextmanager
def operated(model: M, surgeries: Iterable[Surgery]) -> Iterator[M]:
    """A private copy of a network that computes with the operations, in their order, inside the ``with`` block.

    The network itself, which others may be using, is only read.

    Args:
        model: plain or fused.
        surgeries: several on one block act one after the other.

    Raises:
        KeyError: there is no such block.
        ValueError: a block has neither kernels nor attention, or no such kernel set.
    """
    private = private_copy(model)
    with attached(private, surgeries):
        yield private


@contextmanager
def attached(model: nn.Module, surgeries: Iterable[Surgery]) -> Iterator[None]:
    """Operate on a network that nobody else uses, inside the ``with`` block; see :func:`operated`."""
    with ExitStack() as hooks:
        for surgery in surgeries:
            hooks.callback(_attach(model, surgery).remove)
        yield


def operable(site: Site) -> bool:
    """Whether dynamic kernels, token by token, or attention between all tokens can be replaced there."""
    tap = site.taps.get(REPLACED.get(site.kind, ""))
    return tap is not None and tap.arrange is None


def _attach(model: nn.Module, surgery: Surgery) -> torch.utils.hooks.RemovableHandle:
    sites = {site.name: site for site in sites_of(model)}
    if surgery.block not in sites:
        raise KeyError(f"no block {surgery.block!r}; there are {', '.join(sites)}")
    site = sites[surgery.block]
    if not operable(site):
        raise ValueError(f"expected a block with kernels or attention, got {surgery.block!r} of kind {site.kind!r}")

    def replace(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return _within(surgery.sets, surgery.operation(module, args[0], output), output)

    path = f"{site.name}.{site.taps[REPLACED[site.kind]].path}"
    return model.get_submodule(path).register_forward_hook(replace)


def _within(sets: tuple[int, ...] | None, replaced: Tensor, original: Tensor) -> Tensor:
    """The replaced kernels in the chosen sets, the original ones in the others."""
    if replaced.shape != original.shape:
        raise ValueError(f"expected kernels of shape {tuple(original.shape)}, got {tuple(replaced.shape)}")
    if sets is None:
        return replaced
    if sets and not 0 <= min(sets) <= max(sets) < original.shape[1]:
        raise ValueError(f"expected kernel sets from 0 to {original.shape[1] - 1}, got {sets}")
    mixed = original.clone()
    mixed[:, list(sets)] = replaced[:, list(sets)]
    return mixed


def mean_kernel(lkp: nn.Module, x: Tensor, kernels: Tensor) -> Tensor:
    """Every kernel becomes its set's mean over the picture: of all static kernels, the nearest in squared error."""
    return kernels.mean((3, 4), keepdim=True).expand_as(kernels)


def identity_kernel(lkp: nn.Module, x: Tensor, kernels: Tensor) -> Tensor:
    """No mixing: the centre tap alone, at its mean over the picture, which keeps the sign and scale that the norm
    after the aggregation was trained for."""
    centre = kernels.shape[2] // 2
    alone = torch.zeros_like(kernels)
    alone[:, :, centre] = kernels[:, :, centre].mean((2, 3), keepdim=True)
    return alone


def box_kernel(lkp: nn.Module, x: Tensor, kernels: Tensor) -> Tensor:
    """A box filter: all taps alike, with the sum that the set's kernels have on average over the picture."""
    return kernels.mean((2, 3, 4), keepdim=True).expand_as(kernels)


def without_surround(lkp: nn.Module, x: Tensor, kernels: Tensor) -> Tensor:
    """Kernels that LKP predicts from each token alone: the taps of its large kernel around the centre are zero.

    Raises:
        ValueError: this LKP has no large kernel.
    """
    assert isinstance(lkp, LKP)
    if lkp.kernel_large == 1:
        raise ValueError("expected an LKP with a large kernel, got one that perceives single tokens")
    narrow = private_copy(lkp)  # without its own hook, which led here
    narrow_perception(narrow)
    return narrow(x)


def uniform_attention(attend: nn.Module, x: Tensor, attention: Tensor) -> Tensor:
    """Every token weighs all N tokens alike."""
    return torch.full_like(attention, 1 / attention.shape[-1])


def kernel_of(row: int, column: int) -> Operation:
    """The kernels of one token for all tokens.

    Raises:
        IndexError: when it is used on a grid without this token.
    """

    def everywhere(lkp: nn.Module, x: Tensor, kernels: Tensor) -> Tensor:
        return kernels[..., row, column, None, None].expand_as(kernels)

    return everywhere


def given(kernels: Tensor) -> Operation:
    """Kernels from elsewhere: (B or 1, G, K², h, w) in place of the block's own, or attention of its own shape."""

    def instead(module: nn.Module, x: Tensor, own: Tensor) -> Tensor:
        return kernels.to(own).expand(len(own), *kernels.shape[1:])

    return instead


def shuffled(seed: int = 0) -> Operation:
    """Each token gets the kernels of another one, drawn without replacement; one permutation for all sets, and for all
    blocks of the same number of tokens."""

    def permute(lkp: nn.Module, x: Tensor, kernels: Tensor) -> Tensor:
        tokens = kernels.shape[3] * kernels.shape[4]
        order = torch.randperm(tokens, generator=torch.Generator().manual_seed(seed))
        return permuted(order)(lkp, x, kernels)

    return permute


def permuted(order: Tensor) -> Operation:
    """Token i, row-major, gets the kernels of token ``order[i]``; (h·w,), the same for all sets."""

    def permute(lkp: nn.Module, x: Tensor, kernels: Tensor) -> Tensor:
        return kernels.flatten(3)[..., order.to(kernels.device)].view_as(kernels)  # (B, G, K*K, h, w)

    return permute
