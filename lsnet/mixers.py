"""Token mixers: LSNet's own, and those that it is compared with.

Every mixer maps (B, C, H, W) to (B, C, H, W), residual connection included. Attribute names such as ``cv1`` or
``m`` are keys of the released checkpoints and stay as they are.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lsnet.config import LSNetConfig, MixerName
from lsnet.layers import ConvNorm, Residual
from lsnet.ops import ska


class LKP(nn.Module):
    """Large-kernel perception: reads a wide context and predicts one small kernel per pixel and kernel set.

    Args:
        dim: channels C of the input.
        kernel_large: K_L, the side of the depthwise kernel in tokens; 1 leaves the depthwise step out.
        kernel_small: K_S, the side of the predicted kernels in tokens.
        num_sets: G, how many kernels are predicted per pixel.

    Source: paper, equation (7). The group norm, over the K_S² taps of each set and the whole extent of the picture,
    follows the authors' released code; there is no softmax, so kernels are signed and do not sum to one.
    """

    def __init__(self, dim: int, kernel_large: int, kernel_small: int, num_sets: int) -> None:
        super().__init__()
        self.kernel_large = kernel_large
        self.kernel_small = kernel_small
        self.num_sets = num_sets
        self.cv1 = ConvNorm(dim, dim // 2)
        self.act = nn.ReLU()
        self.cv2 = ConvNorm(dim // 2, dim // 2, kernel_large, groups=dim // 2) if kernel_large > 1 else nn.Identity()
        self.cv3 = ConvNorm(dim // 2, dim // 2)
        self.act3 = nn.ReLU()
        self.cv4 = nn.Conv2d(dim // 2, num_sets * kernel_small**2, 1)
        self.norm = nn.GroupNorm(num_sets, num_sets * kernel_small**2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to kernels (B, G, K_S², H, W)."""
        context = self.cv2(self.act(self.cv1(x)))  # (B, C/2, H, W)
        kernels = self.norm(self.cv4(self.act3(self.cv3(context))))
        return kernels.unflatten(1, (self.num_sets, -1))  # (B, G, K*K, H, W)


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

    def __init__(self, dim: int, kernel_large: int = 7, kernel_small: int = 3, channels_per_set: int = 8) -> None:
        super().__init__()
        self.lkp = LKP(dim, kernel_large, kernel_small, dim // channels_per_set)
        self.ska = SKA()
        self.bn = nn.BatchNorm2d(dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.ska(x, self.lkp(x))) + x


class RepVggDw(nn.Module):
    """Depthwise 3×3 and 1×1 branches and the identity, which fold into one depthwise convolution for inference."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv = ConvNorm(dim, dim, 3, groups=dim)
        self.conv1 = ConvNorm(dim, dim, 1, groups=dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) + self.conv1(x) + x

    @torch.no_grad()
    def fuse(self) -> nn.Conv2d:
        fused, pointwise = self.conv.fuse(), self.conv1.fuse()
        assert fused.bias is not None
        assert pointwise.bias is not None
        fused.weight[:, :, 1, 1] += pointwise.weight[:, :, 0, 0] + 1
        fused.bias += pointwise.bias
        return fused


class StaticConv(nn.Module):
    """Depthwise convolution with one fixed kernel per channel: an LS conv whose kernels are not dynamic."""

    def __init__(self, dim: int, kernel_size: int = 3) -> None:
        super().__init__()
        self.conv = ConvNorm(dim, dim, kernel_size, groups=dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) + x


class MSA(nn.Module):
    """Multi-head self-attention over all tokens of the grid, with a learned bias by relative position.

    Args:
        dim: channels C.
        num_heads: heads; each has ``key_dim`` query and key channels and C / num_heads value channels.
        key_dim: query and key channels per head.
        grid: (height, width) of the token grid for which biases are stored without interpolation.

    Source: paper, equations (2) and (3); the depthwise convolution on q and the bias follow the released code.
    """

    attention_bias_idxs: Tensor

    def __init__(self, dim: int, num_heads: int, key_dim: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.scale = key_dim**-0.5
        self.grid = grid
        qk_dim = num_heads * key_dim
        self.split = (qk_dim, qk_dim, dim)
        self.qkv = ConvNorm(dim, sum(self.split))
        self.dw = ConvNorm(qk_dim, qk_dim, 3, groups=qk_dim)
        self.attend = nn.Identity()
        self.proj = nn.Sequential(nn.ReLU(), ConvNorm(dim, dim, norm_weight=0))
        self.attention_biases = nn.Parameter(torch.zeros(num_heads, grid[0] * grid[1]))
        self.register_buffer("attention_bias_idxs", relative_offsets(*grid))
        self.register_load_state_dict_pre_hook(_resize_stored_biases)

    def bias(self, height: int, width: int) -> Tensor:
        """Attention bias (heads, N, N) of a height × width grid; interpolated where that is not the stored grid."""
        if (height, width) == self.grid:
            return self.attention_biases[:, self.attention_bias_idxs]
        table = resize_bias_table(self.attention_biases, self.grid, (height, width))
        return table[:, relative_offsets(height, width, table.device)]

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        q, k, v = self.qkv(x).split(self.split, dim=1)
        q = self.dw(q)
        q, k, v = (t.reshape(len(x), self.num_heads, -1, height * width) for t in (q, k, v))  # (B, heads, d, N)
        logits = q.transpose(-2, -1) @ k * self.scale + self.bias(height, width)
        attention = self.attend(logits.softmax(dim=-1))  # (B, heads, N, N); rows sum to one
        mixed = (v @ attention.transpose(-2, -1)).reshape(len(x), -1, height, width)
        return self.proj(mixed)


def relative_offsets(height: int, width: int, device: torch.device | None = None) -> Tensor:
    """Index (N, N) into a row-major table of absolute offsets (|Δrow|, |Δcolumn|), for every pair of tokens."""
    rows = torch.arange(height, device=device).repeat_interleave(width)
    columns = torch.arange(width, device=device).repeat(height)
    return (rows[:, None] - rows).abs() * width + (columns[:, None] - columns).abs()


def resize_bias_table(table: Tensor, grid: tuple[int, int], target: tuple[int, int]) -> Tensor:
    """Interpolate a bias table (heads, h·w) over its two offset dimensions, so that the farthest offsets meet."""
    pictures = table.unflatten(1, grid).unsqueeze(0)  # (1, heads, h, w)
    return F.interpolate(pictures, target, mode="bilinear", align_corners=True)[0].flatten(1)


def _resize_stored_biases(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Let a checkpoint with biases for another square grid load (detection files store 14×14)."""
    assert isinstance(module, MSA)
    stored = state.get(f"{prefix}attention_biases")
    if stored is None or stored.shape == module.attention_biases.shape:
        return
    side = round(stored.shape[-1] ** 0.5)
    if side * side == stored.shape[-1]:
        state[f"{prefix}attention_biases"] = resize_bias_table(stored, (side, side), module.grid)
        state[f"{prefix}attention_bias_idxs"] = module.attention_bias_idxs


def _attention(config: LSNetConfig, stage: int, drop_path: float) -> nn.Module:
    i = stage - 1
    return Residual(MSA(config.dims[i], config.num_heads[i], config.key_dim, config.grid(stage)), drop_path)


def _ls_conv(config: LSNetConfig, stage: int, drop_path: float) -> nn.Module:
    return LSConv(config.dims[stage - 1], config.kernel_large, config.kernel_small, config.channels_per_set)


def _small(config: LSNetConfig, stage: int, drop_path: float) -> nn.Module:
    return _ls_conv(replace(config, kernel_large=1), stage, drop_path)


def _static(config: LSNetConfig, stage: int, drop_path: float) -> nn.Module:
    return StaticConv(config.dims[stage - 1], config.kernel_small)


def _none(config: LSNetConfig, stage: int, drop_path: float) -> nn.Module:
    return nn.Identity()


# Builders of a network's mixer for a stage (1 to 4), with the block's rate of stochastic depth.
MIXERS: Mapping[MixerName, Callable[[LSNetConfig, int, float], nn.Module]] = {
    "ls": _ls_conv,
    "none": _none,
    "static": _static,
    "small": _small,
    "attention": _attention,
}
