"""Operations on a live forward pass: dynamic kernels, or attention, replaced on the way.

An operation is what a forward hook is in torch: the module, what went in and what came out, to what shall come out
instead. For kernels the module is the block's LKP and what comes out is (B, G, K², h, w); for attention it is
``attend`` and (B, heads, N, N).

    with operated(model, [Surgery("blocks3.3", mean_kernel)]) as patched:
        logits = patched(batch)
"""

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from lsnet.mixers import LKP
from lsnet.model import Block, BlockKind, LSNet

M = TypeVar("M", bound=nn.Module)
Operation = Callable[[nn.Module, Tensor, Tensor], Tensor]

# Where a block of each kind is operated on: a submodule, whose output is replaced.
SITES: dict[BlockKind, str] = {"ls": "mixer.lkp", "msa": "mixer.m.attend"}


@dataclass(frozen=True)
class Surgery:
    """One operation on one block.

    Attributes:
        block: name of an LS or MSA block, such as ``"blocks3.3"``.
        operation: what it does; one of this module's, or your own.
        sets: which kernel sets (of an MSA block: heads) it replaces; None for all.
    """

    block: str
    operation: Operation
    sets: tuple[int, ...] | None = None


@contextmanager
def operated(model: LSNet, surgeries: Iterable[Surgery]) -> Iterator[LSNet]:
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


def private_copy(module: M) -> M:
    """A copy that shares nothing with a network or a part of it: neither tensors, nor hooks that hang on it now."""
    private = copy.deepcopy(module)
    for part in private.modules():
        part._forward_hooks.clear()
        part._forward_pre_hooks.clear()
    return private


@contextmanager
def attached(model: LSNet, surgeries: Iterable[Surgery]) -> Iterator[None]:
    """Operate on a network that nobody else uses, inside the ``with`` block; see :func:`operated`."""
    with ExitStack() as hooks:
        for surgery in surgeries:
            hooks.callback(_attach(model, surgery).remove)
        yield


def _attach(model: LSNet, surgery: Surgery) -> torch.utils.hooks.RemovableHandle:
    blocks: dict[str, Block] = {name: block for name, _, block in model.named_blocks()}
    if surgery.block not in blocks:
        raise KeyError(f"no block {surgery.block!r}; there are {', '.join(blocks)}")
    block = blocks[surgery.block]
    if block.kind not in SITES:
        raise ValueError(f"expected a block with kernels or attention, got {surgery.block!r} of kind {block.kind!r}")

    def replace(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return _within(surgery.sets, surgery.operation(module, args[0], output), output)

    return block.get_submodule(SITES[block.kind]).register_forward_hook(replace)


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
    convolution = next(module for module in narrow.cv2.modules() if isinstance(module, nn.Conv2d))
    centre = lkp.kernel_large // 2
    with torch.no_grad():
        kept = convolution.weight[:, :, centre, centre].clone()
        convolution.weight.zero_()
        convolution.weight[:, :, centre, centre] = kept
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
