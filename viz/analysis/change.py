"""How far features, kernels or pixels have moved, relative to what they were."""

from torch import Tensor

from viz.results import Array

TINY = 1e-30  # stands for a norm of zero below a fraction bar


def change(after: Tensor, before: Tensor) -> float:
    """|f' - f| / |f|; zero where nothing moved."""
    return ((after - before).norm() / before.norm().clamp_min(TINY)).item()


def change_map(after: Tensor, before: Tensor) -> Array:
    """Change of each token relative to the root mean square over tokens, (h, w).

    Args:
        after, before: (C, h, w).
    """
    scale = before.square().sum(0).mean().sqrt().clamp_min(TINY)
    return ((after - before).norm(dim=0) / scale).float().numpy()
