"""Large-kernel perception: its steps, its learned weights, its field."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from viz import theme
from viz.figures.effective_field import draw_field
from viz.figures.panels import heading_at, outline, title_above
from viz.figures.style import bare_axes, titled
from viz.results.large_field import EffectiveField, LearnedKernels, PerceptionSteps
from viz.texts import Texts

# Standard deviations of the first component that fill the colour range of the three-component pictures.
COMPONENT_RANGE = 2.0

COLUMNS = 3
# Heights in CSS pixels: a row of maps at most, its titles, a heading over rows, the colour bar.
MAP, STEP_TITLE, HEADING, STEP_BAR = 164, 40, 26, 50

SHOWN_KERNELS = 32
KERNELS_PER_ROW = 8
# Heights in CSS pixels: the wall, its colour bar with the next title, the curve, its axis.
WALL, WALL_BAR, CURVE, AXIS = 250, 84, 180, 44


def draw_large_field(
    result: EffectiveField | PerceptionSteps | LearnedKernels, say: Texts, dark: bool = False
) -> go.Figure:
    """The figure that belongs to each of the three looks."""
    if isinstance(result, PerceptionSteps):
        return draw_steps(result, say, dark)
    if isinstance(result, LearnedKernels):
        return draw_weights(result, say, dark)
    return draw_field(result, say, dark)


def draw_steps(result: PerceptionSteps, say: Texts, dark: bool = False) -> go.Figure:
    """Every step twice: one signed map, centred on zero, and three principal components as red, green and blue."""
    figure = make_subplots(4, COLUMNS, horizontal_spacing=0.03)
    hover = say("figure.token", row="%{y}", column="%{x}")
    limits = [float(np.abs(drawn).max()) for drawn in result.maps]
    for i, (drawn, limit) in enumerate(zip(result.maps, limits, strict=True)):
        cells = go.Heatmap(
            z=drawn,
            zmin=-(limit or 1),
            zmax=limit or 1,
            colorscale=theme.DIVERGING,
            showscale=i == 0,
            hovertemplate=f"{hover}<br><b>%{{z:.3f}}</b><extra></extra>",
        )
        figure.add_trace(cells, 1 + i // COLUMNS, 1 + i % COLUMNS)
    for i, scores in enumerate(result.components):
        colours = np.clip(scores / (2 * COMPONENT_RANGE) + 0.5, 0, 1) * 255
        cells = go.Image(z=colours.round().astype(np.uint8), hovertemplate=f"{hover}<extra></extra>")
        figure.add_trace(cells, 3 + i // COLUMNS, 1 + i % COLUMNS)
    bare_axes(figure)
    figure.update_yaxes(constraintoward="top")
    names = [say(f"large_field.step.{step}", side=result.kernel_large) for step in result.steps]
    shares = [" · ".join(f"{100 * share:.0f}" for share in explained) for explained in result.explained]
    titles = [f"{name}<br>±{limit:.3g}" for name, limit in zip(names, limits, strict=True)]
    titles += [f"{name}<br>{share} %" for name, share in zip(names, shares, strict=True)]
    row = min(MAP, max(36, round(345 * result.maps.shape[1] / result.maps.shape[2])))
    half, total = HEADING + 2 * (STEP_TITLE + row), 2 * (HEADING + 2 * (STEP_TITLE + row)) + STEP_BAR
    starts = [HEADING + STEP_TITLE, HEADING + 2 * STEP_TITLE + row]  # of the rows, from the top of each half
    for line, start in enumerate([*starts, *(half + STEP_BAR + start for start in starts)], start=1):
        figure.update_yaxes(domain=[1 - (start + row) / total, 1 - start / total], row=line)
    figure.data[0].colorbar = {
        "orientation": "h",
        "thickness": 10,
        "len": 0.5,
        "y": 1 - (half + 10) / total,
        "yanchor": "top",
        "ypad": 0,
        "tickvals": [figure.data[0].zmin, 0, figure.data[0].zmax],
        "ticktext": ["−max", "0", "+max"],
    }
    figure.update_layout(
        shapes=_windows(result),
        annotations=[
            heading_at(_heading(result, say), 1),
            heading_at(say("large_field.maps.components"), 1 - (half + STEP_BAR) / total),
            *(title_above(title, panel) for panel, title in enumerate(titles, start=1)),
        ],
    )
    return titled(figure, say, result.place, dark, total + 34 + 54)


def _heading(result: PerceptionSteps, say: Texts) -> str:
    """What the signed maps show."""
    if result.channel is None:
        return say("large_field.maps.mean")
    kernel_set, row, column = result.tap
    return say("large_field.maps.channel", channel=result.channel, set=kernel_set, row=row, column=column)


def _windows(result: PerceptionSteps) -> list[dict[str, Any]]:
    """The token on every map; on two of them also the window that is read there: by SKA, and by the large kernel."""
    assert result.place.token is not None
    row, column = result.place.token
    height, width = result.maps.shape[1:]

    def cells(side: int) -> tuple[float, float, float, float]:
        reach = side / 2
        left, top = max(column - reach, -0.5), max(row - reach, -0.5)
        return left, top, min(column + reach, width - 0.5), min(row + reach, height - 0.5)

    shapes = []
    for panel, step in enumerate(2 * result.steps, start=1):
        shapes += outline(cells(1), theme.CHALK, panel)
        if step == "inputs":
            shapes += outline(cells(result.kernel_small), theme.AGGREGATION, panel)
        if step == "reduced":
            shapes += outline(cells(result.kernel_large), theme.PERCEPTION, panel)
    return shapes


def draw_weights(result: LearnedKernels, say: Texts, dark: bool = False) -> go.Figure:
    """The strongest large kernels on one signed range, and their mean magnitude by distance from the centre."""
    tone = theme.DARK if dark else theme.LIGHT
    channels, side = result.kernels.shape[:2]
    height = WALL + WALL_BAR + CURVE + AXIS
    shown = result.order[:SHOWN_KERNELS]
    figure = make_subplots(2, 1)
    step, columns = side + 1, min(KERNELS_PER_ROW, len(shown))  # one empty cell between kernels
    rows = -(-len(shown) // columns)
    wall = np.full((rows * step - 1, columns * step - 1), np.nan, np.float32)
    cells = np.full(wall.shape, "", object)
    for i, channel in enumerate(shown):
        top, left = i // columns * step, i % columns * step
        wall[top : top + side, left : left + side] = result.kernels[channel]
        for u in range(side):
            for v in range(side):
                cells[top + u, left + v] = say(
                    "large_field.cell", channel=int(channel), row=u - side // 2, column=v - side // 2
                )
    limit = float(np.abs(result.kernels).max()) or 1.0
    figure.add_trace(
        go.Heatmap(
            z=wall,
            customdata=cells,
            zmin=-limit,
            zmax=limit,
            colorscale=theme.DIVERGING,
            colorbar={
                "title": {"text": say("large_field.weight"), "side": "bottom", "font": {"size": 11}},
                "orientation": "h",
                "thickness": 10,
                "len": 0.5,
                "y": 1 - (WALL + 10) / height,
                "yanchor": "top",
                "ypad": 0,
            },
            hovertemplate="%{customdata}<br><b>%{z:.3f}</b><extra></extra>",
            hoverongaps=False,
        ),
        1,
        1,
    )
    bare_axes(figure, row=1, col=1)
    _draw_falloff(figure, result, say, tone)
    figure.update_layout(
        yaxis={"domain": [1 - WALL / height, 1], "constraintoward": "top"},
        yaxis2_domain=[AXIS / height, (AXIS + CURVE) / height],
        annotations=[
            title_above(say("large_field.strongest", shown=len(shown), channels=channels), 1),
            title_above(say("large_field.falloff"), 2),
        ],
    )
    return titled(figure, say, result.place, dark, height + 34 + 54)


def _draw_falloff(figure: go.Figure, result: LearnedKernels, say: Texts, tone: dict[str, str]) -> None:
    """Mean |w| at each distance over all channels, in a band from the first to the third quartile of channels."""
    around = np.concatenate([result.distances, result.distances[::-1]])
    band = np.concatenate([result.quartiles[1], result.quartiles[0][::-1]])
    quiet = {"hoverinfo": "skip", "showlegend": False}
    figure.add_trace(
        go.Scatter(x=around, y=band, fill="toself", mode="none", fillcolor=theme.PERCEPTION, opacity=0.25, **quiet),
        2,
        1,
    )
    figure.add_trace(
        go.Scatter(
            x=result.distances,
            y=result.profile,
            mode="lines+markers",
            line={"color": theme.PERCEPTION, "width": 2.5},
            showlegend=False,
            hovertemplate=say("large_field.distance", distance="%{x:.2f}") + "<br><b>%{y:.3f}</b><extra></extra>",
        ),
        2,
        1,
    )
    grid = {"gridcolor": tone["line"], "zeroline": False}
    title = {"text": say("large_field.tokens_away"), "standoff": 4, "font": {"size": 12}}
    figure.update_xaxes(title=title, **grid, row=2, col=1)
    figure.update_yaxes(rangemode="tozero", **grid, row=2, col=1)
