"""How far a place in the network can see: the windows of its layers, by their real sizes, strides and paddings."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce

from timm.layers import SqueezeExcite
from torch import Tensor, nn

from lsnet.mixers import MSA, BlockKind, LSConv, RepVggDw
from lsnet.model import Block, LSNet
from viz.analysis.lkp_steps import lkp_of
from viz.results.large_field import PixelBox, Target, TheoreticalField
from viz.trace import BlockTrace

# Kinds of block whose windows are known: other mixers of a comparison shift, pool or transform what they read.
COUNTED: tuple[BlockKind, ...] = ("ls", "dw", "msa", "none")


@dataclass(frozen=True)
class Window:
    """What an output reads along one axis: output i reads ``size`` inputs, from ``i · stride − padding`` on."""

    size: int = 1
    stride: int = 1
    padding: int = 0

    def then(self, later: "Window") -> "Window":
        """This layer followed by a later one, as one layer."""
        size = self.size + (later.size - 1) * self.stride
        return Window(size, self.stride * later.stride, self.padding + later.padding * self.stride)

    def beside(self, other: "Window") -> "Window":
        """What two parallel branches of one stride read together."""
        padding = max(self.padding, other.padding)
        return Window(padding + max(self.size - self.padding, other.size - other.padding), self.stride, padding)

    def reads(self, index: int, extent: int) -> tuple[int, int]:
        """First input that output ``index`` reads, and the one after the last, without the zero padding."""
        start = index * self.stride - self.padding
        return max(start, 0), min(start + self.size, extent)


def window_of(module: nn.Module) -> Window:
    """The window of a module's convolutions, plain or fused. Global statistics and attention do not count here."""
    if isinstance(module, nn.Conv2d):
        return Window(module.kernel_size[0], module.stride[0], int(module.padding[0]))
    if isinstance(module, RepVggDw):
        return window_of(module.conv).beside(window_of(module.conv1))
    if isinstance(module, LSConv):
        small = module.lkp.kernel_small
        return window_of(module.lkp).beside(Window(small, 1, small // 2))
    # Everything else in an LSNet computes its children in their order, or has none.
    return reduce(Window.then, map(window_of, module.children()), Window())


def modules_before(model: LSNet, block: str) -> Iterator[tuple[str, nn.Module]]:
    """Name and module of everything that is computed before a block, in order.

    Raises:
        KeyError: there is no such block; the message lists those that are there.
    """
    names = [name for name, _, _ in model.named_blocks()]
    if block not in names:
        raise KeyError(f"no block {block!r}; there are {', '.join(names)}")
    yield "patch_embed", model.patch_embed
    for stage, modules in enumerate(model.stages, start=1):
        for index, module in modules.named_children():
            name = f"blocks{stage}.{index}"
            if name == block:
                return
            yield name, module


def features_before(model: LSNet, block: str, x: Tensor) -> Tensor:
    """Picture (B, in_chans, H, W) to what a block reads, (B, C, h, w). Differentiable; later blocks cost nothing."""
    for _, module in modules_before(model, block):
        x = module(x)
    return x


def theoretical_field(
    model: LSNet, block: str, token: tuple[int, int], size: tuple[int, int], target: Target = "kernel"
) -> TheoreticalField:
    """The pixels that a token's kernels, or a block's output at a token, can depend on.

    Two answers, because there are two ways to depend on a pixel. Convolutions reach a square. Squeeze-and-excitation
    and LKP's group norm take statistics over the whole picture, and so does each earlier block that has one: through
    them every pixel has some, mostly weak, influence. Attention reads everything.

    Args:
        model: plain or fused.
        block: name of a block; for its kernels, an LS block.
        token: (row, column) in the block's grid.
        size: (height, width) of the input in pixels.
        target: ``"kernel"`` and ``"tap"`` ask about the kernels, ``"output"`` about the block's output.

    Raises:
        KeyError: there is no such block.
        ValueError: the block has no kernels, or a mixer on the way reads in a way that is not counted here.
    """
    before = list(modules_before(model, block))
    last: nn.Module = model.get_submodule(block)
    if target != "output":
        block, last = f"{block}.mixer.lkp", lkp_of(model, block)
    path = [*before, (block, last)]
    for name, module in path:
        if isinstance(module, Block) and module.kind not in COUNTED:
            raise ValueError(f"expected convolutions, LS convs and self-attention before {block!r}, got {name!r}")
    window = reduce(Window.then, (window_of(module) for _, module in path), Window())
    everywhere = [
        (f"{name}.{inner}" if inner else name, module)
        for name, outer in path
        for inner, module in outer.named_modules()
        if isinstance(module, SqueezeExcite | nn.GroupNorm | MSA)
    ]
    (top, bottom), (left, right) = (window.reads(i, extent) for i, extent in zip(token, size, strict=True))
    box = (left, top, right, bottom)
    if any(isinstance(module, MSA) for _, module in everywhere):
        box = (0, 0, size[1], size[0])
    return TheoreticalField(window.size, box, tuple(name for name, _ in everywhere))


def cells_around(block: BlockTrace, token: tuple[int, int], side: int, size: tuple[int, int]) -> PixelBox:
    """The cells of the ``side`` × ``side`` tokens around a token, cut at the edge of an input of (height, width)."""
    reach, stride = side // 2, block.stride
    (top, left), (bottom, right) = ([stride * (i + offset) for i in token] for offset in (-reach, reach + 1))
    return max(left, 0), max(top, 0), min(right, size[1]), min(bottom, size[0])
