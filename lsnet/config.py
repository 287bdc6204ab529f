"""What an LSNet is made of: one frozen configuration, and the variants that have a name."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

MixerName = Literal[
    "ls",
    "none",
    "static",
    "small",
    "attention",
    "window",
    "sdta",
    "lsra",
    "repmixer",
    "cga",
    "aff",
    "condconv",
    "dyconv",
    "involution",
    "dcd",
    "cot",
    "odconv",
]

STEM_STRIDE = 8


@dataclass(frozen=True)
class LSNetConfig:
    """A complete description of one network.

    Attributes:
        dims: channels of the four stages.
        depths: blocks of the four stages. Blocks of even index mix tokens with a re-parameterizable depthwise
            convolution; those of odd index with ``mixer`` (stages 1 to 3) or self-attention (stage 4).
        num_heads: attention heads per stage; stages 1 to 3 use them only where ``mixer`` is ``"attention"``.
        key_dim: query and key channels per head.
        mixer: the token mixer of the odd blocks of stages 1 to 3, a key of :data:`lsnet.mixers.MIXERS`.
        kernel_large: K_L, the side of LKP's depthwise kernel in tokens, odd; 1 for none, as with ``mixer="small"``.
        kernel_small: K_S, the side of the aggregation window in tokens, odd.
        channels_per_set: C/G, how many channels share one dynamic kernel.
        ska: whether LS convs aggregate with dynamic kernels; else LKP's outcome goes through a static convolution.
        dw: whether blocks of even index have their depthwise convolution.
        se: whether blocks of even index have squeeze-and-excitation.
        img_size: the input (height, width) in pixels at which attention biases are stored without interpolation.
        in_chans: channels of the input.
        num_classes: outputs of the classifier; 0 for none.
        distilled: whether there is a second classifier, trained on a teacher's decisions.
        drop_path_rate: stochastic depth of the last block; earlier blocks have linearly less.

    Source: paper, sections 3.3 and 4.4 with tables 5 to 8; the authors' released code.
    """

    dims: tuple[int, int, int, int]
    depths: tuple[int, int, int, int]
    num_heads: tuple[int, int, int, int] = (3, 3, 3, 4)
    key_dim: int = 16
    mixer: MixerName = "ls"
    kernel_large: int = 7
    kernel_small: int = 3
    channels_per_set: int = 8
    ska: bool = True
    dw: bool = True
    se: bool = True
    img_size: int | tuple[int, int] = 224
    in_chans: int = 3
    num_classes: int = 1000
    distilled: bool = False
    drop_path_rate: float = 0.0

    def __post_init__(self) -> None:
        if self.mixer not in get_args(MixerName):
            raise ValueError(f"expected mixer to be one of {', '.join(get_args(MixerName))}, got {self.mixer!r}")
        if any(dim % (2 * self.channels_per_set) for dim in self.dims):
            raise ValueError(f"expected dims divisible by {2 * self.channels_per_set}, got {self.dims}")
        if self.dims[3] % self.num_heads[3]:
            raise ValueError(f"expected dims[3] divisible by {self.num_heads[3]} heads, got {self.dims[3]}")
        for name, side in (("kernel_large", self.kernel_large), ("kernel_small", self.kernel_small)):
            if side < 1 or side % 2 == 0:
                raise ValueError(f"expected {name} to be odd and positive, got {side}")
        if min(self.input_size) < 32:
            raise ValueError(f"expected img_size of at least 32 pixels, got {self.img_size}")
        if self.num_classes < 0 or self.in_chans < 1:
            raise ValueError(f"expected num_classes >= 0 and in_chans >= 1, got {self.num_classes} and {self.in_chans}")
        if not 0 <= self.drop_path_rate < 1:
            raise ValueError(f"expected drop_path_rate in [0, 1), got {self.drop_path_rate}")

    @property
    def input_size(self) -> tuple[int, int]:
        """(height, width) of the native input in pixels."""
        return (self.img_size, self.img_size) if isinstance(self.img_size, int) else self.img_size

    def stride(self, stage: int) -> int:
        """Input pixels per token in ``stage`` (1 to 4)."""
        return STEM_STRIDE * 2 ** (stage - 1)

    def grid(self, stage: int) -> tuple[int, int]:
        """(height, width) of the native token grid in ``stage`` (1 to 4)."""
        height, width = self.input_size
        return math.ceil(height / self.stride(stage)), math.ceil(width / self.stride(stage))


VARIANTS: dict[str, LSNetConfig] = {
    "t": LSNetConfig(dims=(64, 128, 256, 384), depths=(0, 2, 8, 10)),
    "s": LSNetConfig(dims=(96, 192, 320, 448), depths=(1, 2, 8, 10)),
    "b": LSNetConfig(dims=(128, 256, 384, 512), depths=(4, 6, 8, 10)),
    # Ours, not the paper's: small enough to train in minutes, with LS convs in stages 1, 2 and 3.
    "n": LSNetConfig(dims=(48, 96, 192, 256), depths=(2, 2, 4, 4)),
}
