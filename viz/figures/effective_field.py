"""The effective receptive field: three networks on one scale, and the area that holds their contributions."""

import base64
import math
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from viz import theme
from viz.figures.panels import axes_of, heading_at, outline, title_above
from viz.figures.style import bare_axes, titled
from viz.results import Array
from viz.results.large_field import EffectiveField
from viz.texts import Texts

DECADES = 4  # below the strongest pixel of all; weaker ones have the scale's first colour
MOST_CELLS = 256  # drawn on the longer side, each the mean of a few pixels

# Heights in CSS pixels, from the top: heading and titles, maps, colour bar and titles, picture and curves, their axis.
HEADING, MAP, BAR, CURVES, AXIS = 44, 210, 88, 200, 44

PICTURES, CURVES_PANEL = (1, 2, 3, 4), 5  # numbers of the subplots


def draw_field(result: EffectiveField, say: Texts, dark: bool = False) -> go.Figure:
    """Contributions of every pixel in three networks on one logarithmic scale, the windows, and how areas grow."""
    names = [say(f"large_field.network.{network}") for network in result.networks]
    figure = make_subplots(2, 3, specs=[[{}, {}, {}], [{}, {"colspan": 2}, None]], horizontal_spacing=0.03)
    top = _draw_maps(figure, result, say)
    _draw_growth(figure, result, say, names, theme.DARK if dark else theme.LIGHT)

    maps = min(MAP, max(40, round(345 * result.size[0] / result.size[1])))  # no higher than three in a row are wide
    height = HEADING + maps + BAR + CURVES + AXIS
    below = 1 - (HEADING + maps) / height
    lower = [AXIS / height, (AXIS + CURVES) / height]
    figure.update_yaxes(domain=[below, 1 - HEADING / height], row=1)
    figure.update_yaxes(domain=lower, row=2)
    titles = [*names, say("large_field.picture"), say("large_field.growth")]
    figure.update_layout(
        xaxis5_domain=[0.42, 1],
        legend={"x": 0.43, "y": lower[1], "yanchor": "top", "bgcolor": "rgba(0,0,0,0)", "font": {"size": 11}},
        coloraxis=_colour_axis(top, below - 10 / height, say),
        annotations=[
            heading_at(_heading(result, say), 1),
            *(title_above(title, panel) | {"font": {"size": 11}} for panel, title in enumerate(titles, start=1)),
            *_window_names(result),
        ],
        shapes=[*_boxes(result), *_window_lines(result)],
    )
    return titled(figure, say, result.place, dark, height + 34 + 54)


def _heading(result: EffectiveField, say: Texts) -> str:
    """Whose field it is, and over which pictures."""
    kernel_set, row, column = result.tap
    whose = say(f"large_field.field_of.{result.target}", set=kernel_set, row=row, column=column)
    if result.photos is None:
        return whose
    done, count = result.photos
    return f"{whose} · {say('large_field.photos', done=done, count=count)}"


def _draw_maps(figure: go.Figure, result: EffectiveField, say: Texts) -> float:
    """Draw the maps and the picture; returns the logarithm of the strongest cell."""
    height, width = result.size
    step = math.ceil(max(result.size) / MOST_CELLS)
    shown = [coarsened(shares, step) for shares in result.contributions]
    top = math.log10(max(*(float(shares.max()) for shares in shown), float(np.finfo(np.float32).tiny)))
    hover = f"{say('large_field.pixel', x='%{x:.0f}', y='%{y:.0f}')}<br><b>10<sup>%{{z:.1f}}</sup></b><extra></extra>"
    grid = {"x0": step / 2, "y0": step / 2, "dx": step, "dy": step}
    for column, shares in enumerate(shown, start=1):
        decades = np.log10(np.maximum(shares, 10 ** (top - DECADES))).astype(np.float32)
        figure.add_trace(go.Heatmap(z=decades, coloraxis="coloraxis", hovertemplate=hover, **grid), 1, column)
    picture = f"data:image/jpeg;base64,{base64.b64encode(result.seen).decode()}"
    whole = {"x": 0, "y": 0, "sizex": width, "sizey": height, "sizing": "stretch", "layer": "below"}
    figure.add_layout_image(source=picture, **whole, row=2, col=1)
    for row, column in ((1, 1), (1, 2), (1, 3), (2, 1)):
        bare_axes(figure, row=row, col=column)
        figure.update_xaxes(range=[0, width], row=row, col=column)
        figure.update_yaxes(range=[height, 0], autorange=False, constraintoward="top", row=row, col=column)
    return top


def _boxes(result: EffectiveField) -> list[dict[str, Any]]:
    """On each of the maps and on the picture: what convolutions reach, and the two windows."""
    return [
        shape
        for panel in PICTURES
        for shape in (
            *outline(result.field.box, theme.CHALK, panel, dash="dot"),
            *outline(result.perception, theme.PERCEPTION, panel),
            *outline(result.aggregation, theme.AGGREGATION, panel),
        )
    ]


def _colour_axis(top: float, y: float, say: Texts) -> dict[str, Any]:
    ticks = list(range(math.ceil(top - DECADES), math.floor(top) + 1))
    return {
        "colorscale": theme.SEQUENTIAL,
        "cmin": top - DECADES,
        "cmax": top,
        "colorbar": {
            "orientation": "h",
            "title": {"text": say("large_field.share_per_pixel"), "side": "bottom", "font": {"size": 11}},
            "thickness": 10,
            "len": 0.72,
            "y": y,
            "yanchor": "top",
            "ypad": 0,
            "tickvals": ticks,
            "ticktext": [f"10<sup>{tick}</sup>" for tick in ticks],
        },
    }


def _draw_growth(figure: go.Figure, result: EffectiveField, say: Texts, names: list[str], tone: dict[str, str]) -> None:
    """Side of the square of equal area against the share that it holds; the two windows as lines across."""
    styles = ((tone["accent"], "solid"), (theme.DIVERGING[6][1], "solid"), (tone["muted"], "dot"))
    holds = say("large_field.holds", share="%{x:.0%}", area="%{customdata:.2%}", side="%{y:.0f}")
    for name, sides, areas, (colour, dash) in zip(names, result.sides, result.areas, styles, strict=True):
        figure.add_trace(
            go.Scatter(
                x=result.levels,
                y=sides,
                customdata=areas,
                mode="lines+markers",
                name=name,
                line={"color": colour, "width": 2.5, "dash": dash},
                marker={"size": 7},
                hovertemplate=f"<b>{name}</b><br>{holds}<extra></extra>",
            ),
            2,
            2,
        )
    share = {"text": say("large_field.share"), "standoff": 4, "font": {"size": 12}}
    lines = {"visible": True, "gridcolor": tone["line"], "zeroline": False, "tickfont": {"size": 11}}
    figure.update_xaxes(range=[0, 1.03], tickvals=result.levels, tickformat=".0%", title=share, **lines, row=2, col=2)
    whole = math.sqrt(result.size[0] * result.size[1])
    figure.update_yaxes(range=[0, 1.03 * whole], **lines, row=2, col=2)


def _windows(result: EffectiveField) -> list[tuple[float, str, int]]:
    """Side in pixels, colour and side in tokens of the two windows, cut at the picture's edge as they are."""
    sides = [
        math.sqrt((right - left) * (bottom - top))
        for left, top, right, bottom in (result.aggregation, result.perception)
    ]
    return [(sides[0], theme.AGGREGATION, result.kernel_small), (sides[1], theme.PERCEPTION, result.kernel_large)]


def _window_lines(result: EffectiveField) -> list[dict[str, Any]]:
    across = {"type": "line", "x0": 0, "x1": 1, **axes_of(CURVES_PANEL), "xref": f"x{CURVES_PANEL} domain"}
    return [
        {**across, "y0": side, "y1": side, "line": {"color": colour, "width": 2}}
        for side, colour, _ in _windows(result)
    ]


def _window_names(result: EffectiveField) -> list[dict[str, Any]]:
    place = {"x": 0.01, "xanchor": "left", "yanchor": "bottom", **axes_of(CURVES_PANEL)}
    return [
        {**place, "y": side, "text": f"{tokens} × {tokens}", "font": {"color": colour, "size": 11}, "showarrow": False}
        for side, colour, tokens in _windows(result)
    ]


def coarsened(shares: Array, step: int) -> NDArray[np.float64]:
    """A map (H, W) in cells of ``step`` × ``step`` pixels, each their mean; those at the far edges may be smaller."""
    starts = [np.arange(0, extent, step) for extent in shares.shape]
    sums = np.add.reduceat(np.add.reduceat(shares.astype(np.float64), starts[0], axis=0), starts[1], axis=1)
    rows, columns = (np.diff(start, append=extent) for start, extent in zip(starts, shares.shape, strict=True))
    return sums / np.outer(rows, columns)
