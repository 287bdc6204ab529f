"""The kernel wall: the dynamic kernel of every kernel set at one token."""

import math

import numpy as np
import plotly.graph_objects as go

from viz import theme
from viz.figures.style import bare_axes, titled
from viz.results import Array
from viz.results.kernels import TokenKernels
from viz.texts import Texts


def kernel_wall(kernels: Array, columns: int, say: Texts) -> tuple[Array, np.ndarray]:
    """Kernels (G, K, K) in rows, with an empty cell between them: their weights (NaN where empty) and hover texts."""
    sets, size = kernels.shape[:2]
    rows, step = math.ceil(sets / columns), size + 1
    wall = np.full((rows * step - 1, columns * step - 1), np.nan, np.float32)
    names = np.full(wall.shape, "", object)
    for g, kernel in enumerate(kernels):
        top, left = g // columns * step, g % columns * step
        wall[top : top + size, left : left + size] = kernel
        for u in range(size):
            for v in range(size):
                names[top + u, left + v] = say("kernels.cell", set=g, row=u - size // 2, column=v - size // 2)
    return wall, names


def draw_kernels(result: TokenKernels, say: Texts, dark: bool = False) -> go.Figure:
    """All kernels of a token on one signed scale centred on zero, whose range the whole picture shares."""
    sets = len(result.kernels)
    columns = math.ceil(math.sqrt(2 * sets))
    wall, names = kernel_wall(result.kernels, columns, say)
    figure = go.Figure(
        go.Heatmap(
            z=wall,
            customdata=names,
            zmin=-result.limit,
            zmax=result.limit,
            colorscale=theme.DIVERGING,
            colorbar={"title": {"text": say("kernels.weight"), "side": "right"}, "thickness": 12},
            hovertemplate="%{customdata}<br><b>%{z:.3f}</b><extra></extra>",
            hoverongaps=False,
        )
    )
    bare_axes(figure)
    return titled(figure, say, result.place, dark, height=120 + 52 * math.ceil(sets / columns))
