"""Multi-head self-attention over the whole grid, the mixer of LSNet's last stage."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lsnet.layers import ConvNorm
from lsnet.mixers.taps import BlockKind, Tap


class MSA(nn.Module):
    """Multi-head self-attention over all tokens of the grid, with a learned bias by relative position.

    Args:
        dim: channels C.
        num_heads: heads; each has ``key_dim`` query and key channels and ⌊C / num_heads⌋ value channels.
        key_dim: query and key channels per head.
        grid: (height, width) of the token grid for which biases are stored without interpolation.

    Source: paper, equations (2) and (3); the depthwise convolution on q and the bias follow the released code.
    """

    kind: ClassVar[BlockKind] = "msa"
    taps: ClassVar[Mapping[str, Tap]] = {"attention": Tap("attend")}
    attention_bias_idxs: Tensor

    def __init__(self, dim: int, num_heads: int, key_dim: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.scale = key_dim**-0.5
        self.grid = grid
        qk_dim, v_dim = num_heads * key_dim, num_heads * (dim // num_heads)
        self.split = (qk_dim, qk_dim, v_dim)
        self.qkv = ConvNorm(dim, sum(self.split))
        self.dw = ConvNorm(qk_dim, qk_dim, 3, groups=qk_dim)
        self.attend = nn.Identity()
        self.proj = nn.Sequential(nn.ReLU(), ConvNorm(v_dim, dim, norm_weight=0))
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
