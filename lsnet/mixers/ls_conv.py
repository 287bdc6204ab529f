"""LS convolution: large-kernel perception, small-kernel aggregation, and what is left of it without the latter."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from lsnet.layers import ConvNorm
from lsnet.mixers.taps import BlockKind, Tap
from lsnet.ops import ska


class LKP(nn.Module):
    """Large-kernel perception: reads a wide context and predicts one small kernel per pixel and kernel set.

    Args:
        dim: channels C of the input.
        kernel_large: K_L, the side of the depthwise kernel in tokens; 1 leaves the depthwise step out.
        kernel_small: K_S, the side of the predicted kernels in tokens.
        num_sets: G, how many kernels are predicted per pixel.
        per_set: values per pixel and set, K_S² unless they are not meant as kernels.

    Source: paper, equation (7). The group norm, over the K_S² taps of each set and the whole extent of the picture,
    follows the authors' released code; there is no softmax, so kernels are signed and do not sum to one.
    """

    def __init__(
        self, dim: int, kernel_large: int, kernel_small: int, num_sets: int, per_set: int | None = None
    ) -> None:
        super().__init__()
        per_set = per_set or kernel_small**2
        self.kernel_large = kernel_large
        self.kernel_small = kernel_small
        self.num_sets = num_sets
        self.cv1 = ConvNorm(dim, dim // 2)
        self.act = nn.ReLU()
        self.cv2 = ConvNorm(dim // 2, dim // 2, kernel_large, groups=dim // 2) if kernel_large > 1 else nn.Identity()
        self.cv3 = ConvNorm(dim // 2, dim // 2)
        self.act3 = nn.ReLU()
        self.cv4 = nn.Conv2d(dim // 2, num_sets * per_set, 1)
        self.norm = KernelNorm(num_sets, num_sets * per_set)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to kernels (B, G, K_S², H, W)."""
        context = self.cv2(self.act(self.cv1(x)))  # (B, C/2, H, W)
        kernels = self.norm(self.cv4(self.act3(self.cv3(context))))
        return kernels.unflatten(1, (self.num_sets, -1))  # (B, G, K*K, H, W)


class KernelNorm(nn.GroupNorm):
    """Group norm that takes a group of one value too, as K_S = 1 has it on a grid of one token: it becomes the bias.

    torch's own module refuses it, in evaluation as well.
    """

    def forward(self, x: Tensor) -> Tensor:
        return torch.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)


class SKA(nn.Module):
    """Small-kernel aggregation as a module, so that its output can be observed."""

    def forward(self, x: Tensor, kernels: Tensor) -> Tensor:
        """(B, C, H, W) and (B, G, K², H, W) to (B, C, H, W)."""
        return ska(x, kernels.to(x.dtype))  # under autocast the group norm may answer in float32


class LSConv(nn.Module):
    """LS convolution: see large (LKP), focus small (SKA).

    Args:
        dim: channels C; C is divisible by ``channels_per_set``.
        kernel_large, kernel_small: sides of perception and aggregation windows, in tokens.
        channels_per_set: C/G.

    Source: paper, equations (6) to (8), figure 3.
    """

    kind: ClassVar[BlockKind] = "ls"
    taps: ClassVar[Mapping[str, Tap]] = {
        "inputs": Tap("", "input"),
        "kernels": Tap("lkp"),
        "context": Tap("lkp.cv2"),
        "aggregated": Tap("ska"),
    }

    def __init__(self, dim: int, kernel_large: int = 7, kernel_small: int = 3, channels_per_set: int = 8) -> None:
        super().__init__()
        self.kernel_large = kernel_large
        self.kernel_small = kernel_small
        self.lkp = LKP(dim, kernel_large, kernel_small, dim // channels_per_set)
        self.ska = SKA()
        self.bn = nn.BatchNorm2d(dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.ska(x, self.lkp(x))) + x


class LKPConv(nn.Module):
    """LS convolution without SKA: a static small depthwise convolution of what large-kernel perception yields.

    Args:
        dim: channels C; C is divisible by ``channels_per_set``.
        kernel_large, kernel_small: sides of the two static windows, in tokens.
        channels_per_set: C/G, as for :class:`LSConv`: here the channels that are normalised together.

    Source: paper, section 4.4 and table 7, "w/o SKA": "we leverage a static depth-wise convolution with the kernel
    size of K_S × K_S to directly process the outcome of LKP as the output". LKP yields K_S²·C/8 values per token, and
    the output has C; how the paper meets the two is not said. Here LKP's last 1×1 convolution yields C.
    """

    kind: ClassVar[BlockKind] = "dw"
    taps: ClassVar[Mapping[str, Tap]] = {"context": Tap("lkp.cv2")}

    def __init__(self, dim: int, kernel_large: int = 7, kernel_small: int = 3, channels_per_set: int = 8) -> None:
        super().__init__()
        self.kernel_large = kernel_large
        self.kernel_small = kernel_small
        self.lkp = LKP(dim, kernel_large, kernel_small, dim // channels_per_set, per_set=channels_per_set)
        self.dw = ConvNorm(dim, dim, kernel_small, groups=dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.dw(self.lkp(x).flatten(1, 2)) + x
