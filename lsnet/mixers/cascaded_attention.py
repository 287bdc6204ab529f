"""Cascaded group attention: heads on channel groups, each fed by the one before."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from lsnet.layers import ConvNorm
from lsnet.mixers.msa import relative_offsets
from lsnet.mixers.taps import BlockKind, Tap
from lsnet.mixers.windows import Windows


class CascadedGroupAttention(nn.Module):
    """Attention inside windows whose heads see one channel group each, and what the head before made of its own.

    Without the residual connection.

    Args:
        dim: channels C, divisible by ``num_heads``.
        num_heads: heads; each has C / num_heads value channels.
        key_dim: query and key channels per head.
        window: side of a window in tokens.
        kernel_size: side of the depthwise convolution on q, in tokens.

    Source: Liu et al., "EfficientViT: Memory Efficient Vision Transformer with Cascaded Group Attention", CVPR 2023,
    section 3.1; heads, key channels and kernels of its M0. timm's module gives the same numbers (a test
    compares them), but shows no attention and keeps a bias that loaded weights leave stale. In the LSNet paper:
    table 5, "CGA".
    """

    kind: ClassVar[BlockKind] = "attention"
    attention_bias_idxs: Tensor

    def __init__(self, dim: int, num_heads: int = 4, key_dim: int = 16, window: int = 7, kernel_size: int = 5) -> None:
        super().__init__()
        self.windows = Windows(window)
        self.scale = key_dim**-0.5
        group = dim // num_heads
        self.split = (key_dim, key_dim, group)
        self.qkvs = nn.ModuleList(ConvNorm(group, sum(self.split)) for _ in range(num_heads))
        self.dws = nn.ModuleList(ConvNorm(key_dim, key_dim, kernel_size, groups=key_dim) for _ in range(num_heads))
        self.attend = nn.Identity()
        self.proj = nn.Sequential(nn.ReLU(), ConvNorm(dim, dim, norm_weight=0))
        self.attention_biases = nn.Parameter(torch.zeros(num_heads, window**2))
        self.register_buffer("attention_bias_idxs", relative_offsets(window, window), persistent=False)

    @property
    def taps(self) -> Mapping[str, Tap]:
        return {"attention": Tap("attend", arrange=self.windows.spread)}

    def forward(self, x: Tensor) -> Tensor:
        size = self.windows.size
        height, width = x.shape[2:]
        part = self.windows.partition(height, width, x.device)
        inside = part.split(x.flatten(2).transpose(1, 2)).transpose(1, 2)  # (B · windows, C, n)
        groups = inside.unflatten(2, (size, size)).chunk(len(self.qkvs), dim=1)
        present = (part.index >= 0).repeat(len(x), 1)[:, None].unflatten(2, (size, size))  # padding adds nothing to q
        bias = self.attention_biases[:, self.attention_bias_idxs]  # (heads, n, n)
        if part.mask is not None:
            bias = bias + part.mask.to(bias.dtype)[:, None].repeat(len(x), 1, 1, 1)  # (B · windows, heads, n, n)
        mixed, attentions = torch.zeros_like(groups[0]), []
        outputs = []
        for head, (qkv, dw, group) in enumerate(zip(self.qkvs, self.dws, groups, strict=True)):
            q, k, v = qkv(group + mixed).split(self.split, dim=1)
            q = q * present
            q, k, v = (t.flatten(2) for t in (dw(q), k, v))  # (B · windows, d, n)
            attention = (q.transpose(-2, -1) @ k * self.scale + bias.select(-3, head)).softmax(dim=-1)
            mixed = (v @ attention.transpose(-2, -1)).unflatten(2, (size, size))
            attentions.append(attention)
            outputs.append(mixed)
        self.attend(torch.stack(attentions, dim=1))  # (B · windows, heads, n, n), collected only to be seen
        together = self.proj(torch.cat(outputs, dim=1))
        return part.join(together.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(x.shape)
