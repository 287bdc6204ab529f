"""What a token mixer lets be seen: the common form y = A(P(x), x), as names for tensors and places to find them.

A mixer declares ``kind``, what can be seen inside, and ``taps``, where. Whatever is shown is the input or the output
of a submodule, so that a hook can read it and the mixer need not know who looks.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, Protocol, runtime_checkable

from torch import Tensor, nn

from lsnet.layers import Residual

# "ls": an LS conv, with kernels for every token out of a large-field context. "dynamic": kernels of another making, for
# every token or for the picture. "msa": LSNet's self-attention. "attention": other attention between tokens. "dw": a
# static convolution. "global": mixes all tokens at once, without weights of a token's own. "none": mixes no tokens.
BlockKind = Literal["dw", "ls", "msa", "none", "dynamic", "attention", "global"]
Side = Literal["input", "output"]
Grid = tuple[int, int]


@dataclass(frozen=True)
class Tap:
    """Where a tensor is found.

    The names of the common form are ``inputs`` and ``aggregated``, (B, C, H, W), what A reads and writes; ``kernels``,
    (B, G, K², H, W), of which channel c uses set ``c % G``; ``context``, (B, D, H, W), what kernels are predicted
    from; ``attention``, (B, heads, N, N), whose rows sum to one; ``filters``, (B, C, H, W), one kernel as large as
    the picture for each channel, applied circularly, centred on its first entry.

    Attributes:
        path: name of a submodule; empty for the module itself.
        side: whether the tensor goes in there, as the first argument, or comes out.
        arrange: turns the tensor as it is found there into the form above, given (height, width) of the token grid;
            None where it has that form already.
    """

    path: str
    side: Side = "output"
    arrange: Callable[[Tensor, Grid], Tensor] | None = None


@runtime_checkable
class Mixer(Protocol):
    """A module that says what it lets be seen. ``taps`` are relative to the module."""

    @property
    def kind(self) -> BlockKind: ...

    @property
    def taps(self) -> Mapping[str, Tap]: ...


@runtime_checkable
class Windowed(Protocol):
    """A mixer that perceives one window around a token and aggregates another; sides in tokens, 0 for no window."""

    @property
    def kernel_large(self) -> int: ...

    @property
    def kernel_small(self) -> int: ...


def kind_of(mixer: nn.Module) -> BlockKind:
    """What can be seen inside a mixer, which may sit in a :class:`Residual`; ``"none"`` for other modules."""
    inner, _ = _unwrap(mixer)
    return inner.kind if isinstance(inner, Mixer) else "none"


def taps_of(mixer: nn.Module, path: str) -> dict[str, Tap]:
    """The taps of a mixer that is found at ``path``, by name; none for other modules."""
    inner, step = _unwrap(mixer)
    taps = inner.taps if isinstance(inner, Mixer) else {}
    return {name: replace(tap, path=".".join(filter(None, (path, step, tap.path)))) for name, tap in taps.items()}


def windows_of(mixer: nn.Module) -> tuple[int, int]:
    """Sides of the windows of perception and of aggregation, in tokens; 0 where there is no such window.

    A static convolution perceives nothing, also when it is all that is left of a mixer that was folded into it.
    """
    inner, _ = _unwrap(mixer)
    if isinstance(inner, nn.Conv2d):
        return 0, inner.kernel_size[0]
    return (inner.kernel_large, inner.kernel_small) if isinstance(inner, Windowed) else (0, 0)


def _unwrap(mixer: nn.Module) -> tuple[nn.Module, str]:
    return (mixer.m, "m") if isinstance(mixer, Residual) else (mixer, "")
