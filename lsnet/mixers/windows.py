"""Square windows over a token grid of any size, shifted or not."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Partition:
    """Which token sits where in which window, for one grid.

    Attributes:
        index: (windows, n), row-major number of the token at each of a window's n places; -1 where there is none.
        place: (N,), where each token is found in the flattened windows.
        mask: (windows, n, n), 0 where a place may attend to another and -inf where not; None where all may.
    """

    index: Tensor
    place: Tensor
    mask: Tensor | None

    def split(self, tokens: Tensor) -> Tensor:
        """(B, N, C) to (B · windows, n, C), zero where there is no token."""
        return F.pad(tokens, (0, 0, 0, 1))[:, self.index].flatten(0, 1)

    def join(self, inside: Tensor) -> Tensor:
        """(B · windows, n, C) back to (B, N, C)."""
        return inside.unflatten(0, (-1, len(self.index))).flatten(1, 2)[:, self.place]

    def spread(self, attention: Tensor) -> Tensor:
        """Attention inside windows, (B · windows, heads, n, n), as attention between all tokens, (B, heads, N, N)."""
        inside = attention.unflatten(0, (-1, len(self.index))).transpose(1, 2)  # (B, heads, windows, n, n)
        count = len(self.place)
        number = self.index.where(self.index >= 0, count)
        full = attention.new_zeros(*inside.shape[:2], count + 1, count + 1)
        full[:, :, number[:, :, None], number[:, None, :]] = inside
        return full[..., :count, :count]


@dataclass(frozen=True)
class Windows:
    """How to lay windows over a grid.

    A grid that windows do not tile is padded at the right and at the bottom. Shifted windows start half a window
    further, and go round the border; tokens that only the border brings together do not attend to each other, nor
    does anything attend to padding. A grid no longer than a window is not shifted along that side.

    Attributes:
        size: side of a window in tokens.
        shifted: whether windows are shifted by half their side.

    Source: Liu et al., "Swin Transformer", ICCV 2021, section 3.2 and figure 4. The original pads without a mask, so
    that padding takes part in attention; on grids that windows tile there is no difference.
    """

    size: int
    shifted: bool = False

    def partition(self, height: int, width: int, device: torch.device | None = None) -> Partition:
        """The windows of a height × width grid."""
        shifts = [self.size // 2 if self.shifted and side > self.size else 0 for side in (height, width)]
        down, right = (-side % self.size for side in (height, width))
        numbers = torch.arange(height * width, device=device).view(height, width)
        numbers = F.pad(numbers, (0, right, 0, down), value=-1)
        # Tokens of one window belong together unless the border, or padding, lies between them.
        rows, columns = (torch.arange(side, device=device) < s for side, s in zip(numbers.shape, shifts, strict=True))
        region = (2 * rows[:, None] + columns).masked_fill(numbers < 0, -1)
        index, region = (self._cut(grid.roll((-shifts[0], -shifts[1]), (0, 1))) for grid in (numbers, region))
        mask = None
        if any(shifts) or down or right:
            apart = region[:, :, None] != region[:, None, :]
            mask = torch.zeros(apart.shape, device=device).masked_fill(apart, -torch.inf)
        place = index.flatten().argsort()[-height * width :]
        return Partition(index, place, mask)

    def spread(self, attention: Tensor, grid: tuple[int, int]) -> Tensor:
        """Attention inside the windows of a grid as attention between all its tokens, (B, heads, N, N)."""
        return self.partition(*grid, attention.device).spread(attention)

    def _cut(self, grid: Tensor) -> Tensor:
        """(height, width) to (windows, n)."""
        rows = grid.unflatten(0, (-1, self.size)).unflatten(2, (-1, self.size))
        return rows.transpose(1, 2).flatten(2).flatten(0, 1)
