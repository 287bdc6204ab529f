"""A picture, the kernels at a token and their context, clean and corrupted; the answer; all severities."""

import base64
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from viz import theme
from viz.figures.answers import AFTER, CLASS, add_answers, key_to, short_name
from viz.figures.kernels import kernel_wall
from viz.figures.panels import heading_at, outline, title_above
from viz.figures.style import bare_axes, titled
from viz.results import Array
from viz.results.corruption import CorruptionEffect
from viz.texts import Texts

COLUMNS = 3  # clean, corrupted, change
WIDE = 3  # so many times as wide as high
# Heights in CSS pixels: a row of maps at most, its titles, the colour bar, the answer's title, curves, theirs, an axis.
MAP, TITLE, BAR, KEYS, CURVES, CURVES_TITLE, AXIS = 190, 38, 52, 46, 190, 84, 50
ROWS = ("input", "kernels", "context")
SEVERITIES = (0, 1, 2, 3, 4, 5)  # 0 is the clean picture


def draw_corruption(result: CorruptionEffect, say: Texts, dark: bool = False) -> go.Figure:
    """Three rows of what is clean, what is corrupted and where it changed; bars of the answer; curves by severity."""
    tone = theme.DARK if dark else theme.LIGHT
    line = [{"colspan": 6}, *[None] * 5]
    maps = [line] * _map_rows(result) if _wide(result) else [[{"colspan": 2}, None] * COLUMNS] * _map_rows(result)
    below = [line, [{"colspan": 3}, None, None] * 2]
    figure = make_subplots(len(maps) + 2, 2 * COLUMNS, specs=maps + below, horizontal_spacing=0.025)
    total, (answer_top, curves_top) = _arrange(figure, result)

    where = say("figure.token", row="%{y}", column="%{x}")
    for column, photo in enumerate((result.seen, result.seen_corrupted)):
        _draw_picture(figure, result, photo, column)
    walls, names = zip(*(kernel_wall(one, _in_a_row(result), say) for one in _kernels(result)), strict=True)
    limits = {
        "kernels": _draw_pair(figure, result, 1, walls, names, "%{customdata}"),
        "context": _draw_pair(figure, result, 2, (result.context, result.context_corrupted), (None, None), where),
    }
    _draw_changes(figure, result, where)
    bars = {say("corruption.clean"): (result.before, tone["muted"]), say("corruption.corrupted"): (result.after, AFTER)}
    add_answers(figure, result.classes, bars, say, len(maps) + 1)
    _draw_curves(figure, result, say, tone)

    titled(figure, say, result.place, dark, total + 8 + 54)
    keys = "　".join(key_to(name, colour) for name, (_, colour) in bars.items())
    lines = "　".join(key_to(say(f"corruption.line.{name}"), colour) for name, colour in _colours(tone).items())
    headings = [
        heading_at(say("corruption.answer"), 1 - answer_top / total) | {"align": "left"},
        heading_at(say("corruption.severities"), 1 - curves_top / total) | {"align": "left"},
    ]
    for heading, key in zip(headings, (keys, lines), strict=True):
        heading["text"] += f"<br>{key}"
    figure.layout.annotations = [*_titles(result, limits, say), *headings, *figure.layout.annotations]
    figure.update_layout(shapes=_windows(result), margin={"l": 8, "r": 8, "t": 8})
    return figure


def _arrange(figure: go.Figure, result: CorruptionEffect) -> tuple[int, list[int]]:
    """Give every row its height; the height of all, and where answer and curves start, in CSS pixels."""
    rows = [(TITLE, _map_height(result), 8)] * _map_rows(result)
    rows[-1] = (*rows[-1][:2], BAR)
    rows += [(KEYS, max(len(result.classes), 2) * CLASS, AXIS), (CURVES_TITLE, CURVES, AXIS)]
    total, y, starts = sum(map(sum, rows)), 0, []
    for row, (above, height, below) in enumerate(rows, start=1):
        starts.append(y)
        figure.update_yaxes(domain=[1 - (y + above + height) / total, 1 - (y + above) / total], row=row)
        y += above + height + below
    return total, starts[-2:]


def _wide(result: CorruptionEffect) -> bool:
    """Whether the picture is so wide that its maps stand one below the other."""
    height, width = result.extent
    return width > WIDE * height


def _map_rows(result: CorruptionEffect) -> int:
    return len(ROWS) * COLUMNS if _wide(result) else len(ROWS)


def _map_height(result: CorruptionEffect) -> int:
    height, width = result.extent
    return max(24, min(MAP, round((1050 if _wide(result) else 345) * height / width)))


def _in_a_row(result: CorruptionEffect) -> int:
    """How many kernels stand side by side: the wall is about as wide, for its height, as the picture."""
    height, width = result.extent
    sets = len(result.kernels)
    return min(sets, max(1, math.ceil(math.sqrt(sets * width / height))))


def _kernels(result: CorruptionEffect) -> tuple[Array, Array]:
    return result.kernels, result.kernels_corrupted


def _at(result: CorruptionEffect, row: int, column: int) -> dict[str, int]:
    """A panel among the maps, counted from 0."""
    if _wide(result):
        return {"row": row * COLUMNS + column + 1, "col": 1}
    return {"row": row + 1, "col": 2 * column + 1}


def _draw_picture(figure: go.Figure, result: CorruptionEffect, photo: bytes, column: int) -> None:
    height, width = result.extent
    # A trace holds the panel open; the picture itself lies below it.
    nothing = go.Scatter(x=[0], y=[0], mode="markers", opacity=0, hoverinfo="skip", showlegend=False)
    figure.add_trace(nothing, **_at(result, 0, column))
    figure.add_layout_image(
        source=f"data:image/jpeg;base64,{base64.b64encode(photo).decode()}",
        **{"x": -0.5, "y": -0.5, "sizex": width, "sizey": height, "sizing": "stretch", "layer": "below"},
        **_at(result, 0, column),
    )
    _cut(figure, result, 0, column)


def _draw_pair(
    figure: go.Figure,
    result: CorruptionEffect,
    row: int,
    maps: Sequence[Array],
    names: Sequence[np.ndarray | None],
    where: str,
) -> float:
    """Clean and corrupted on one signed range, which is returned."""
    limit = max(float(np.nanmax(np.abs(values))) for values in maps)
    for column, (values, cells) in enumerate(zip(maps, names, strict=True)):
        drawn = go.Heatmap(
            z=values,
            customdata=cells,
            zmin=-(limit or 1),
            zmax=limit or 1,
            colorscale=theme.DIVERGING,
            showscale=False,
            hovertemplate=f"{where}<br><b>%{{z:.3f}}</b><extra></extra>",
            hoverongaps=False,
        )
        figure.add_trace(drawn, **_at(result, row, column))
        bare_axes(figure, **_at(result, row, column))
        figure.update_yaxes(constraintoward="top", **_at(result, row, column))
    return limit


def _draw_changes(figure: go.Figure, result: CorruptionEffect, where: str) -> None:
    """The last column: where pixels, kernels and context changed, on one range from zero."""
    maps = (result.input_map, result.kernel_map, result.context_map)
    for row, values in enumerate(maps):
        drawn = go.Heatmap(
            z=values, coloraxis="coloraxis", hovertemplate=f"{where}<br><b>%{{z:.1%}}</b><extra></extra>"
        )
        figure.add_trace(drawn, **_at(result, row, 2))
        _cut(figure, result, row, 2)
    for column in range(2):
        _cut(figure, result, 2, column)
    bottom = next(figure.select_yaxes(**_at(result, len(ROWS) - 1, COLUMNS - 1))).domain[0]
    bar = {
        **{"orientation": "h", "thickness": 9, "lenmode": "pixels", "len": 220, "x": 1, "xanchor": "right", "xpad": 8},
        **{"y": bottom, "yanchor": "top", "ypad": 4, "tickformat": ".0%", "nticks": 5, "outlinewidth": 0},
    }
    limit = max(float(values.max()) for values in maps) or 1.0  # nothing changed: all at the dark end
    figure.update_layout(coloraxis={"colorscale": theme.SEQUENTIAL, "cmin": 0, "cmax": limit, "colorbar": bar})


def _cut(figure: go.Figure, result: CorruptionEffect, row: int, column: int) -> None:
    """Square tokens, the first row on top, as far as the network's input reaches."""
    height, width = result.extent
    bare_axes(figure, **_at(result, row, column))
    figure.update_xaxes(range=[-0.5, width - 0.5], **_at(result, row, column))
    figure.update_yaxes(range=[height - 0.5, -0.5], autorange=False, constraintoward="top", **_at(result, row, column))


def _windows(result: CorruptionEffect) -> list[dict[str, Any]]:
    """The token's two windows on the pictures, the token itself on the maps."""
    assert result.place.token is not None
    row, column = result.place.token
    height, width = result.extent
    shapes = []
    for panel in (1, 2, 3, 6, 7, 8, 9):
        sides = ((result.kernel_large, theme.PERCEPTION), (result.kernel_small, theme.AGGREGATION))
        for side, colour in sides if panel < COLUMNS else ((1, theme.AGGREGATION),):
            reach = side / 2
            left, top = max(column - reach, -0.5), max(row - reach, -0.5)
            right, bottom = min(column + reach, width - 0.5), min(row + reach, height - 0.5)
            shapes += outline((left, top, right, bottom), colour, panel)
    return shapes


def _draw_curves(figure: go.Figure, result: CorruptionEffect, say: Texts, tone: dict[str, str]) -> None:
    """Left how far it moved by severity, beside what a shuffle of places would do; right the clean class."""
    severities = [0, *result.severities.astype(int).tolist()]
    at, last = severities.index(result.severity), _map_rows(result) + 2
    curves = {
        "input": (result.input_changes, None),
        "kernels": (result.kernel_changes, result.kernel_shuffled),
        "context": (result.context_changes, result.context_shuffled),
    }
    for name, (values, shuffled) in curves.items():
        colour, label = _colours(tone)[name], say(f"corruption.line.{name}")
        drawn = go.Scatter(
            x=severities,
            y=[0.0, *values.tolist()],
            mode="lines+markers",
            line={"color": colour, "width": 2.5},
            marker={"size": [10 if i == at else 6 for i in range(len(severities))]},
            showlegend=False,
            hovertemplate=f"{label} · {say('corruption.severity')} %{{x}}<br><b>%{{y:.1%}}</b><extra></extra>",
        )
        figure.add_trace(drawn, last, 1)
        if shuffled is not None:
            drawn = go.Scatter(
                x=[0, SEVERITIES[-1]],
                y=[shuffled, shuffled],
                mode="lines",
                line={"color": colour, "width": 1.5, "dash": "dot"},
                showlegend=False,
                hovertemplate=f"{label} · {say('corruption.shuffled')}<br><b>%{{y:.1%}}</b><extra></extra>",
            )
            figure.add_trace(drawn, last, 1)
    kept = [True, *(result.kept > 0)]
    drawn = go.Scatter(
        x=severities,
        y=[float(result.before[0]), *result.probabilities.tolist()],
        mode="lines+markers",
        line={"color": tone["text"], "width": 2},
        marker={
            "size": [12 if i == at else 8 for i in range(len(severities))],
            "symbol": ["circle" if yes else "circle-open" for yes in kept],
            "color": tone["text"],
            "line": {"color": tone["text"], "width": 2},
        },
        customdata=[say("corruption.kept" if yes else "corruption.lost") for yes in kept],
        hovertemplate=f"{say('corruption.severity')} %{{x}}<br><b>%{{y:.1%}}</b><br>%{{customdata}}<extra></extra>",
        showlegend=False,
        cliponaxis=False,
    )
    figure.add_trace(drawn, last, 4)
    # Numbers stand inside, left of the first point: beside the panels they would take their width.
    inside = {"ticklabelposition": "inside top", "tickformat": ".0%", "nticks": 5, "rangemode": "tozero"}
    axis = {"gridcolor": tone["line"], "zeroline": False, "tickfont": {"size": 11, "color": tone["muted"]}}
    title = {"text": say("corruption.severity"), "standoff": 4, "font": {"size": 11}}
    for column in (1, 4):
        x_axis, y_axis = figure.get_subplot(last, column)
        x_axis.update(**axis, tickvals=SEVERITIES, range=[-1.2, 5.25], title=title)
        y_axis.update(**axis, **inside)
    figure.update_yaxes(range=[0, 1.1], row=last, col=4)
    figure.update_xaxes(gridcolor=tone["line"], zerolinecolor=tone["line"], row=last - 1)


def _colours(tone: dict[str, str]) -> dict[str, str]:
    return {"input": tone["muted"], "kernels": AFTER, "context": theme.PERCEPTION}


def _titles(result: CorruptionEffect, limits: dict[str, float], say: Texts) -> list[dict[str, Any]]:
    """Above every map, two lines at most; above the curves, what they are of."""
    titles = []
    kind = say(f"view.corruption.set.corruption.{result.corruption}")
    for row, name in enumerate(ROWS):
        below = f"±{limits[name]:.2g}" if name in limits else ""
        for column, state in enumerate(("clean", "corrupted", "change")):
            lines = [say(f"corruption.{name}.{state}", kind=kind, severity=result.severity)]
            lines += [below] if below and state != "change" else []
            titles.append(title_above("<br>".join(lines), row * COLUMNS + column + 1))
    curves = len(ROWS) * COLUMNS + 2
    first = short_name(say.of(result.classes[0]))
    titles.append(title_above(say("corruption.changes"), curves))
    titles.append(title_above(f"{say('corruption.probability')}<br>{first}", curves + 1))
    return titles
