"""A table of pictures: one row per mixer, with what it perceives, reads and writes."""

import math
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from viz import theme
from viz.figures.panels import outline
from viz.figures.style import titled
from viz.figures.token_maps import TokenMap, add_map
from viz.results import Array
from viz.results.comparison import Comparison, Mixing
from viz.texts import Texts

CELL = 128  # CSS pixels of a row of panels: a compromise between a wide page and a phone
HEADING = 26  # above each row
HEADS = 24  # above the first heading: names of the columns
BARS = 62  # below the panels: colour bars
SIGNED_RANGE = 3.0  # root mean squares
OVER_PHOTO = 0.85  # opacity of weights on the picture
LONGEST = 24  # characters of a class's name in a heading

_DIMMED = [(0.0, "rgba(10,13,20,0.68)"), (1.0, "rgba(10,13,20,0)")]  # theme.SHADE, and the picture as it is


def draw_comparison(result: Comparison, say: Texts, dark: bool = False) -> go.Figure:
    """Four columns of panels. All weights share one range from zero, all signed panels one range in their own unit.

    Columns: the tokens that decide the weights; the tokens that are read, and with which weight; then, inside one
    network, the weights of every set and the written feature, and between networks feature and attribution.
    """
    between = result.rows[0].network is not None
    last = ("feature", "attribution") if between else ("weights", "feature")
    height_over_width = result.rows[0].extent[0] / result.rows[0].extent[1]
    cell = max(min(CELL, round(260 * height_over_width)), 36)
    count = len(result.rows)
    plot = count * (cell + HEADING) - HEADING
    figure = make_subplots(count, 4, horizontal_spacing=0.02, vertical_spacing=HEADING / plot if count > 1 else 0)
    boxes = []
    for row, mixing in enumerate(result.rows, start=1):
        boxes += _outline(mixing, mixing.perceives, theme.PERCEPTION, panel=4 * row - 3)
        boxes += _outline(mixing, mixing.reads, theme.AGGREGATION, panel=4 * row - 2)
        _add_perception(figure, mixing, result.photo, say, row)
        _add_reading(figure, mixing, result.photo, say, row)
        for column, name in enumerate(last, start=3):
            if name == "weights":
                _add_wall(figure, mixing, say, row, column)
            else:
                _add_signed(figure, getattr(mixing, name), mixing, say, row, column, cells=name == "attribution")
        top = 1 - (row - 1) * (cell + HEADING) / plot
        figure.add_annotation(
            **{"text": _heading(mixing, say), "x": 0, "y": top, "yshift": 3, "xref": "paper", "yref": "paper"},
            **{"xanchor": "left", "yanchor": "bottom", "showarrow": False, "font": {"size": 12}},
        )
    figure.layout.shapes = boxes
    tone = theme.DARK if dark else theme.LIGHT
    for column, name in enumerate(("perceives", "reads", *last)):
        figure.add_annotation(
            **{"text": say(f"comparison.column.{name}"), "x": (column + 0.5) / 4, "y": 1, "yshift": HEADING},
            **{"xref": "paper", "yref": "paper", "xanchor": "center", "yanchor": "bottom", "showarrow": False},
            font={"size": 12, "color": tone["muted"]},
        )
    titled(figure, say, result.place, dark, plot)
    _add_bars(figure, max(float(mixing.shares.max()) for mixing in result.rows), say)
    margin = figure.layout.margin
    margin.update(t=HEADS + HEADING + 4, b=margin.b + BARS)
    figure.layout.annotations[-1].yshift -= BARS
    figure.layout.height = plot + margin.t + margin.b
    return figure


def _heading(mixing: Mixing, say: Texts) -> str:
    name = f"<b>{say(f'comparison.mixer.{mixing.mixer}')}</b>"
    trained = say("comparison.trained" if mixing.trained else "comparison.untrained")
    if mixing.network is None:
        about = say("comparison.mean") if mixing.mixer == "static" else mixing.place.block
        return f"{name} · {about} · {trained}"
    label, probability = mixing.network.top[0]
    short = say.of(label).split(",")[0]
    short = short if len(short) <= LONGEST else f"{short[: LONGEST - 1]}…"
    return f"{name} · {trained} · {short} {probability:.1%}"


def _add_perception(figure: go.Figure, mixing: Mixing, photo: bytes, say: Texts, row: int) -> None:
    """The picture, dark where tokens play no part in the weights."""
    text = {1: say("comparison.perceived"), 0: say("comparison.unperceived")}
    _add_spotlight(figure, mixing.perceives, mixing, photo, say, text, row, column=1)


def _add_reading(figure: go.Figure, mixing: Mixing, photo: bytes, say: Texts, row: int) -> None:
    """The picture, dark where tokens are not read, and coloured by weight where they are."""
    text = {1: "", 0: say("comparison.unread")}
    _add_spotlight(figure, mixing.reads, mixing, photo, say, text, row, column=2)
    where = say("figure.token", row="%{y}", column="%{x}")
    figure.add_trace(
        go.Heatmap(
            z=np.where(mixing.reads, mixing.shares, np.nan),
            coloraxis="coloraxis",
            opacity=OVER_PHOTO,
            hoverongaps=False,
            hovertemplate=f"{where}<br><b>%{{z:.2%}}</b><extra></extra>",
        ),
        row,
        2,
    )


def _add_spotlight(
    figure: go.Figure,
    lit: np.ndarray,
    mixing: Mixing,
    photo: bytes,
    say: Texts,
    text: dict[int, str],
    row: int,
    column: int,
) -> None:
    add_map(figure, TokenMap("", lit.astype(np.float32), mixing.extent), photo, "", say, row, column)
    where = say("figure.token", row="%{y}", column="%{x}")
    figure.data[-1].update(
        coloraxis=None,
        colorscale=_DIMMED,
        zmin=0,
        zmax=1,
        showscale=False,
        opacity=1,
        text=np.where(lit, text[1], text[0]),
        hovertemplate=f"{where}<br>%{{text}}<extra></extra>",
    )
    if column == 2 and not lit.all():
        return  # the middle of the window; its colour is to be seen
    y, x = mixing.place.token or (0, 0)
    marker = {"size": 5, "color": theme.CHALK, "line": {"color": theme.SHADE, "width": 1}}
    figure.add_trace(
        go.Scatter(x=[x], y=[y], mode="markers", marker=marker, showlegend=False, hoverinfo="skip"), row, column
    )


def _outline(mixing: Mixing, lit: np.ndarray, colour: str, panel: int) -> list[dict[str, Any]]:
    """A box around the tokens of a window, as far as the picture goes; none around none."""
    if not lit.any():
        return []
    rows, columns = np.flatnonzero(lit.any(1)), np.flatnonzero(lit.any(0))
    bottom, right = (min(last[-1] + 1, end) for last, end in zip((rows, columns), mixing.extent, strict=True))
    return outline((columns[0] - 0.5, rows[0] - 0.5, right - 0.5, bottom - 0.5), colour, panel)


def _add_signed(
    figure: go.Figure, values: Array | None, mixing: Mixing, say: Texts, row: int, column: int, cells: bool
) -> None:
    """A signed map; of ``cells`` of 8 × 8 pixels, or of the block's tokens."""
    assert values is not None
    height, width = mixing.extent
    scale = mixing.place.stride / 8 if cells else 1
    add_map(figure, TokenMap("", values, (height * scale, width * scale)), None, "%{z:.2f}", say, row, column)
    figure.data[-1].update(coloraxis="coloraxis2")


def _add_wall(figure: go.Figure, mixing: Mixing, say: Texts, row: int, column: int) -> None:
    """The weights of all sets or heads, side by side."""
    assert mixing.weights is not None
    count, high, wide = mixing.weights.shape
    across = math.ceil(math.sqrt(count * high / wide))
    down = math.ceil(count / across)
    wall = np.full((down * (high + 1) - 1, across * (wide + 1) - 1), np.nan, np.float32)
    names = np.full(wall.shape, "", object)
    key = "comparison.head" if mixing.mixer == "attention" else "comparison.set"
    for i, weights in enumerate(mixing.weights):
        top, left = i // across * (high + 1), i % across * (wide + 1)
        wall[top : top + high, left : left + wide] = weights
        names[top : top + high, left : left + wide] = say(key, number=i)
    figure.add_trace(
        go.Heatmap(
            z=wall,
            text=names,
            coloraxis="coloraxis2",
            hoverongaps=False,
            hovertemplate="%{text}<br><b>%{z:.2f}</b><extra></extra>",
        ),
        row,
        column,
    )
    look = {"visible": False, "constrain": "domain", "row": row, "col": column}
    figure.update_xaxes(range=[-0.5, wall.shape[1] - 0.5], **look)
    figure.update_yaxes(range=[wall.shape[0] - 0.5, -0.5], constraintoward="top", **look)
    axis = next(figure.select_yaxes(row=row, col=column))
    axis.scaleanchor = axis.anchor


def _add_bars(figure: go.Figure, most: float, say: Texts) -> None:
    """Two colour bars below the panels."""
    look = {"orientation": "h", "thickness": 10, "len": 0.46, "y": 0, "yanchor": "top", "xpad": 0, "nticks": 4}
    for key, x, scale in (
        ("share", 0, {"colorscale": theme.SEQUENTIAL, "cmin": 0, "cmax": most}),
        ("signed", 0.54, {"colorscale": theme.DIVERGING, "cmin": -SIGNED_RANGE, "cmax": SIGNED_RANGE}),
    ):
        title = {"text": say(f"comparison.{key}"), "side": "top", "font": {"size": 12}}
        bar = {**look, "x": x, "xanchor": "left", "title": title, "tickformat": ".0%" if key == "share" else ""}
        figure.update_layout({"coloraxis" if key == "share" else "coloraxis2": {**scale, "colorbar": bar}})
