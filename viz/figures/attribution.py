"""An attribution beside the picture that the network saw, and below it the check of it."""

import base64
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from viz import theme
from viz.figures.panels import outline, title_above
from viz.figures.style import bare_axes, titled
from viz.results import Array
from viz.results.attribution import SHARED_OUT, Attribution, FaithfulAttribution, RandomisedAttribution
from viz.texts import Texts

# Share of a pixel map's cells that its colours tell apart; the few strongest would make all others pale.
IN_RANGE = 0.99

KEPT = 0.2  # the share of the patches, the highest, that is left bright in the last picture

# Between panels of a row, and left of those with axes for their labels, as shares of the figure's width.
GAP, LABELS = 0.04, 0.08
# Heights in CSS pixels: a map at most, its title and colour bar, curves, their title of two lines, their axis.
MAP, ABOVE_MAP, ABOVE_PICTURE, CURVES, ABOVE_CURVES, AXIS = 230, 58, 24, 190, 56, 50
BAR = 130  # length of a colour bar in CSS pixels


class Row(NamedTuple):
    """Subplots side by side, by their numbers; those that have axes; pixels above, of and below them."""

    numbers: Sequence[int]
    axes: Sequence[int]
    above: int
    height: int
    below: int


def draw_attribution(result: Attribution, say: Texts, dark: bool = False) -> go.Figure:
    """The picture and the map; where pixels are shares, their sums over patches and the picture's highest patches.

    Below, the check, if there is one.
    """
    tone = theme.DARK if dark else theme.LIGHT
    maps = 4 if result.method in SHARED_OUT and not result.empty else 2
    rows = _map_rows(result, maps)
    checks = (maps + 1, maps + 2)
    if isinstance(result, FaithfulAttribution):
        rows.append(Row(checks, checks, ABOVE_CURVES, CURVES, AXIS))
    elif isinstance(result, RandomisedAttribution):
        rows.append(Row(checks, checks[1:], ABOVE_MAP, MAP, AXIS))
    figure = make_subplots(max(max(row.numbers) for row in rows), 1)
    total = _arrange(figure, rows)

    unit = say(f"attribution.unit.{result.kind}")
    _draw_picture(figure, result, 1, say("attribution.seen"))
    _draw_map(figure, result, say, 2, result.map, result.cell, say(f"attribution.map.{_extent(result)}", unit=unit))
    if maps == 4:
        title = say("attribution.map.patch", unit=unit, side=result.patch)
        _draw_map(figure, result, say, 3, result.patches, result.patch, title)
        _draw_picture(figure, result, 4, say("attribution.kept", share=f"{KEPT:.0%}"))
        _shade(figure, result, 4)
    if isinstance(result, FaithfulAttribution):
        _draw_curves(figure, result, say, maps + 1, tone)
    elif isinstance(result, RandomisedAttribution):
        # In its own range: the numbers of two networks do not compare, their patterns do.
        title = say("attribution.map.randomised", unit=unit)
        _draw_map(figure, result, say, maps + 1, result.randomised, result.cell, title)
        _draw_cascade(figure, result, say, maps + 2, tone)
    titled(figure, say, result.place, dark, total + 8 + 54)
    figure.update_layout(margin={"l": 8, "r": 8, "t": 8})
    return figure


def _extent(result: Attribution) -> str:
    """What a cell of the map stands for."""
    return "token" if result.layer else "window" if result.method == "occlusion" else "pixel"


def _map_rows(result: Attribution, maps: int) -> list[Row]:
    """Two maps side by side; one below the other where the picture is much wider than high."""
    height, width = result.size
    if width > 2 * height:
        side = max(36, min(MAP, round(1000 * height / width)))
        return [Row([n], [], ABOVE_PICTURE if n in (1, 4) else ABOVE_MAP, side, 12) for n in range(1, maps + 1)]
    side = min(MAP, round(500 * height / width))
    return [Row([n, n + 1], [], ABOVE_MAP, side, 12) for n in range(1, maps + 1, 2)]


def _arrange(figure: go.Figure, rows: list[Row]) -> int:
    """Give every subplot its place; returns the height of all in CSS pixels."""
    total = sum(row.above + row.height + row.below for row in rows)
    y = 0
    for row in rows:
        y += row.above
        width = (1 - GAP * (len(row.numbers) - 1)) / len(row.numbers)
        for place, number in enumerate(row.numbers):
            left = place * (width + GAP)
            figure.update_xaxes(domain=[left + LABELS * (number in row.axes), left + width], row=number)
            figure.update_yaxes(domain=[1 - (y + row.height) / total, 1 - y / total], row=number)
        y += row.height + row.below
    return total


def _draw_picture(figure: go.Figure, result: Attribution, number: int, title: str) -> None:
    """What the network saw."""
    height, width = result.size
    # A trace holds the panel open; the picture itself lies below it.
    nothing = go.Scatter(x=[0], y=[0], mode="markers", opacity=0, hoverinfo="skip", showlegend=False)
    figure.add_trace(nothing, number, 1)
    figure.add_layout_image(
        source=f"data:image/jpeg;base64,{base64.b64encode(result.seen).decode()}",
        **{"x": -0.5, "y": -0.5, "sizex": width, "sizey": height, "sizing": "stretch", "layer": "below"},
        **{"row": number, "col": 1},
    )
    _frame(figure, result, number, title)


def _shade(figure: go.Figure, result: Attribution, number: int) -> None:
    """Leave only the highest patches of a picture bright."""
    dim = (result.patches <= np.quantile(result.patches, 1 - KEPT)).astype(np.uint8)
    scale = [(0.0, _transparent(theme.SHADE, 0)), (1.0, _transparent(theme.SHADE, 0.85))]
    veil = go.Heatmap(
        z=dim, **_cells(result.patch), colorscale=scale, zmin=0, zmax=1, showscale=False, hoverinfo="skip"
    )
    figure.add_trace(veil, number, 1)


def _draw_map(figure: go.Figure, result: Attribution, say: Texts, number: int, z: Array, cell: int, title: str) -> None:
    """A signed map in pixels of the model's input, with its own colour bar above."""
    _frame(figure, result, number, title)
    figure.layout.annotations[-1].yshift = ABOVE_MAP - 22  # the colour bar stands between
    strength = np.abs(z)
    limit = float(np.quantile(strength, IN_RANGE) if cell == 1 else strength.max()) or float(strength.max())
    x_axis, y_axis = figure.get_subplot(number, 1)
    left, right = x_axis.domain
    edge = f"{limit:.2g}".replace("e-0", "e−").replace("e-", "e−")
    bar = {
        **{"orientation": "h", "thickness": 9, "lenmode": "pixels", "len": BAR, "x": (left + right) / 2, "xpad": 0},
        **{"y": y_axis.domain[1], "yanchor": "bottom", "ypad": 3, "ticklabelposition": "outside top"},
        **{"tickvals": [-limit, 0, limit], "ticktext": [f"−{edge}", "0", edge]},
        **{"tickfont": {"size": 11}, "ticklabeloverflow": "allow", "outlinewidth": 0},
    }
    hover = say("attribution.pixel", x="%{x:.0f}", y="%{y:.0f}")
    drawn = go.Heatmap(
        z=z,
        **_cells(cell),
        zmin=-(limit or 1),
        zmax=limit or 1,
        colorscale=theme.DIVERGING,
        showscale=limit > 0,
        colorbar=bar,
        hovertemplate=f"{hover}<br><b>%{{z:.3g}}</b><extra></extra>",
    )
    figure.add_trace(drawn, number, 1)
    if not limit:
        figure.add_annotation(title_above(say("attribution.empty"), number) | {"y": 0.5})


def _cells(side: int) -> dict[str, float]:
    """Where square cells lie on axes whose unit is a pixel of the model's input, 0 the centre of the first."""
    return {"x0": (side - 1) / 2, "dx": side, "y0": (side - 1) / 2, "dy": side}


def _frame(figure: go.Figure, result: Attribution, number: int, title: str) -> None:
    """Axes in pixels of the model's input, a title, and the windows of the token whose kernel is explained."""
    height, width = result.size
    bare_axes(figure, row=number, col=1)
    figure.update_xaxes(range=[-0.5, width - 0.5], row=number, col=1)
    figure.update_yaxes(
        range=[height - 0.5, -0.5], autorange=False, constraintoward="top", row=number, col=1
    )  # the map hangs from its title also where the page is narrow
    figure.add_annotation(title_above(title, number))
    if result.place.token is None:
        return
    windows = ((result.kernel_large, theme.PERCEPTION), (result.kernel_small, theme.AGGREGATION))
    row, column = result.place.token
    for side, colour in windows:
        reach, stride = side // 2, result.place.stride
        left, top = (max(stride * (at - reach), 0) - 0.5 for at in (column, row))
        right = min(stride * (column + reach + 1), width) - 0.5
        bottom = min(stride * (row + reach + 1), height) - 0.5
        for shape in outline((left, top, right, bottom), colour, number):
            figure.add_shape(shape)


def _draw_curves(figure: go.Figure, result: FaithfulAttribution, say: Texts, first: int, tone: dict[str, str]) -> None:
    """Deletion and insertion on one range, over the band of random orders and their mean."""
    unit = say(f"attribution.score.{result.kind}")
    lowest, highest = (
        float(edge([edge(curves) for curves in (result.deletion, result.insertion, result.random)]))
        for edge in (np.min, np.max)
    )
    low, margin = min(lowest, 0.0), 0.04 * ((highest - min(lowest, 0.0)) or 1)
    curves = {
        # A random order and its reverse are equally random: insertion is deletion read backwards.
        "deletion": (result.deletion, result.random, result.deletion_area),
        "insertion": (result.insertion, result.random[:, ::-1], result.insertion_area),
    }
    x = result.fractions
    for number, (name, (curve, random, area)) in enumerate(curves.items(), start=first):
        band = np.concatenate([random.max(0), random.min(0)[::-1]])
        quiet = {"hoverinfo": "skip", "showlegend": False, "mode": "none", "fill": "toself", "opacity": 0.3}
        figure.add_trace(
            go.Scatter(x=np.concatenate([x, x[::-1]]), y=band, fillcolor=tone["muted"], **quiet), number, 1
        )
        lines = (
            (random.mean(0), tone["muted"], "dot", say("attribution.random")),
            (curve, tone["accent"], "solid", say("attribution.order")),
        )
        for y, colour, dash, label in lines:
            drawn = go.Scatter(
                x=x,
                y=y,
                mode="lines",
                line={"color": colour, "width": 2.5, "dash": dash},
                showlegend=False,
                hovertemplate=f"{label}<br>%{{x:.0%}} → <b>%{{y:.3g}}</b><extra></extra>",
            )
            figure.add_trace(drawn, number, 1)
        own = _coloured(say("attribution.area", area=f"{area:.2g}"), tone["accent"])
        others = _coloured(say("attribution.area.random", area=f"{result.random_areas.mean():.2g}"), tone["muted"])
        figure.add_annotation(title_above(f"{say(f'attribution.{name}')}<br>{own} · {others}", number))
        axis = {"gridcolor": tone["line"], "zeroline": False, "automargin": True, "tickfont": {"size": 11}}
        share = {"text": say(f"attribution.{name}.share"), "standoff": 4, "font": {"size": 11}}
        figure.update_xaxes(**axis, range=[0, 1], tickvals=[0, 0.5, 1], tickformat=".0%", title=share, row=number)
        figure.update_yaxes(**axis, range=[low - margin, highest + margin], row=number)
        if number == first:
            figure.update_yaxes(title={"text": unit, "standoff": 4, "font": {"size": 11}}, row=number)


def _draw_cascade(
    figure: go.Figure, result: RandomisedAttribution, say: Texts, number: int, tone: dict[str, str]
) -> None:
    """Rank correlation with the map of the whole network, while more and more of it is started anew."""
    names = [say("attribution.part.none"), *(say(f"attribution.part.{part}") for part in result.parts)]
    places = np.arange(len(names))
    lines = (
        (result.signed, tone["accent"], "solid", say("attribution.signed")),
        (result.magnitudes, theme.DIVERGING[6][1], "dot", say("attribution.magnitudes")),
    )
    for values, colour, dash, label in lines:
        drawn = go.Scatter(
            x=places,
            y=[1.0, *values.tolist()],
            customdata=names,
            mode="lines+markers",
            line={"color": colour, "width": 2.5, "dash": dash},
            marker={"size": 7},
            showlegend=False,
            hovertemplate=f"{label}<br>%{{customdata}}: <b>%{{y:.2f}}</b><extra></extra>",
        )
        figure.add_trace(drawn, number, 1)
    title = f"{say('attribution.correlation')}<br>" + " · ".join(
        _coloured(label, colour) for _, colour, _, label in lines
    )
    figure.add_annotation(title_above(title, number))
    axis = {"gridcolor": tone["line"], "automargin": True, "tickfont": {"size": 11}}
    order = {"text": say("attribution.cascade"), "standoff": 4, "font": {"size": 11}}
    figure.update_xaxes(**axis, tickvals=places, ticktext=names, zeroline=False, title=order, row=number)
    lowest = min(float(result.signed.min()), float(result.magnitudes.min()), 0.0)
    figure.update_yaxes(**axis, range=[lowest - 0.08, 1.08], zerolinecolor=tone["muted"], row=number)


def _coloured(text: str, colour: str) -> str:
    return f'<span style="color:{colour};font-size:11px">{text}</span>'


def _transparent(colour: str, opacity: float) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity})"
