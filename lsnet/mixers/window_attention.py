"""Self-attention inside windows."""

from collections.abc import Mapping
from typing import ClassVar

from timm.models import swin_transformer
from torch import Tensor, nn

from lsnet.mixers.taps import BlockKind, Tap
from lsnet.mixers.windows import Windows


class WindowAttention(nn.Module):
    """(Shifted-)window self-attention: perception and aggregation inside one window. Without the residual connection.

    Args:
        dim: channels C, divisible by ``num_heads``.
        num_heads: heads of C / num_heads channels.
        window: side of a window in tokens.
        shifted: whether windows are shifted by half their side, as in every second block of the original.

    Source: Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows", ICCV 2021, section
    3.2; the attention is timm's. In the LSNet paper: table 5, "(S)W-SA".
    """

    kind: ClassVar[BlockKind] = "attention"

    def __init__(self, dim: int, num_heads: int, window: int = 7, shifted: bool = False) -> None:
        super().__init__()
        self.windows = Windows(window, shifted)
        self.norm = nn.LayerNorm(dim)
        self.attn = swin_transformer.WindowAttention(dim, num_heads, window_size=window)
        self.attn.fused_attn = False  # type: ignore[misc]  # the fused kernel does not show its attention

    @property
    def taps(self) -> Mapping[str, Tap]:
        return {"attention": Tap("attn.attn_drop", arrange=self.windows.spread)}

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        part = self.windows.partition(height, width, x.device)
        tokens = self.norm(x.flatten(2).transpose(1, 2))  # (B, N, C)
        mask = None if part.mask is None else part.mask.to(tokens.dtype)
        mixed = part.join(self.attn(part.split(tokens), mask))
        return mixed.transpose(1, 2).reshape(x.shape)
