"""Maps over the tokens of a picture, side by side, with or without the picture behind them."""

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from viz import theme
from viz.figures.style import titled
from viz.results import Array, Place
from viz.texts import Texts

OVER_PHOTO = 0.62  # opacity of a map that lies on the picture
CELL_HEIGHT = 164  # CSS pixels of a row of maps: a compromise between a wide page and a phone
LONE_HEIGHT = 220  # the same where there is one row
TITLE_HEIGHT = 28
LINE_HEIGHT = 16
BAR_HEIGHT = 62  # CSS pixels of the colour bar below the maps


@dataclass(frozen=True)
class TokenMap:
    """One map, or the bare picture.

    Attributes:
        title: short; stands above it.
        values: (h, w), or None for the picture alone.
        extent: (height, width) of the network's input in tokens, where the map ends.
        token: (row, column) to mark, or None.
    """

    title: str
    values: Array | None
    extent: tuple[float, float]
    token: tuple[int, int] | None = None


def columns_for(count: int, extent: tuple[float, float]) -> int:
    """How many maps stand side by side: three of usual shape, fewer of a wide picture, four of a narrow one."""
    aspect = extent[1] / extent[0]
    return min(count, 4 if aspect < 0.6 else 3 if aspect < 1.9 else 2 if aspect < 4 else 1)


def row_height(rows: int, columns: int, extent: tuple[float, float]) -> int:
    """CSS pixels of one row of maps, without its title."""
    highest = LONE_HEIGHT if rows == 1 else CELL_HEIGHT
    return max(min(highest, round(1000 / columns * extent[0] / extent[1])), 36)


def draw_maps(
    maps: Sequence[TokenMap],
    photo: bytes | None,
    limit: float,
    unit: str,
    hover: str,
    tick: str,
    say: Texts,
    place: Place,
    dark: bool,
) -> go.Figure:
    """Maps in rows of up to four, all on one range from zero, with the colour bar below them.

    Args:
        maps: what to draw, all of one shape of picture.
        photo: a JPEG file that lies behind every map, or None.
        limit: upper end of the range.
        unit: title of the colour bar.
        hover: format of a value in the hover text, such as ``"%{z:.1%}"``.
        tick: d3 format of the numbers at the colour bar.
        say, place, dark: as for :func:`viz.figures.style.titled`.
    """
    columns = columns_for(len(maps), maps[0].extent)
    rows = math.ceil(len(maps) / columns)
    over = TITLE_HEIGHT + LINE_HEIGHT * max(one.title.count("<br>") for one in maps)
    height = rows * (row_height(rows, columns, maps[0].extent) + over) - over
    figure = make_subplots(
        rows,
        columns,
        subplot_titles=[one.title for one in maps],
        horizontal_spacing=0.02,
        vertical_spacing=over / height,
    )
    figure.update_annotations(font_size=12)
    for index, one in enumerate(maps):
        add_map(figure, one, photo, hover, say, index // columns + 1, index % columns + 1)
    title = {"text": unit, "side": "top", "font": {"size": 12}}
    bar = {"title": title, "tickformat": tick, "thickness": 10, "orientation": "h"}
    corner = {"x": 0, "xanchor": "left", "xpad": 0, "y": 0, "yanchor": "top", "lenmode": "pixels", "len": 260}
    scale = {"colorscale": theme.SEQUENTIAL, "cmin": 0, "cmax": limit, "colorbar": bar | corner}
    figure.update_layout(coloraxis=scale)
    titled(figure, say, place, dark, height)
    figure.layout.margin.update(t=over + 6, b=figure.layout.margin.b + BAR_HEIGHT)
    figure.layout.height = height + figure.layout.margin.t + figure.layout.margin.b
    figure.layout.annotations[-1].yshift -= BAR_HEIGHT
    return figure


def add_map(
    figure: go.Figure, one: TokenMap, photo: bytes | None, hover: str, say: Texts, row: int, column: int
) -> None:
    """Draw a map into a subplot: square cells, the first row on top, cut where the network's input ends."""
    height, width = one.extent
    if photo is not None:
        figure.add_layout_image(
            source=f"data:image/jpeg;base64,{base64.b64encode(photo).decode()}",
            x=-0.5,
            y=-0.5,
            sizex=width,
            sizey=height,
            sizing="stretch",
            layer="below",
            row=row,
            col=column,
        )
    where = say("figure.token", row="%{y}", column="%{x}")
    values = one.values
    if values is None:  # the picture alone: plotly lays out no axes without a trace
        nothing = go.Scatter(x=[0], y=[0], mode="markers", opacity=0, showlegend=False, hoverinfo="skip")
        figure.add_trace(nothing, row, column)
    else:
        figure.add_trace(
            go.Heatmap(
                z=values,
                coloraxis="coloraxis",
                opacity=1 if photo is None else OVER_PHOTO,
                hovertemplate=f"{where}<br><b>{hover}</b><extra></extra>",
            ),
            row,
            column,
        )
    if one.token is not None:
        y, x = one.token
        for colour, line in ((theme.CHALK, 4), (theme.AGGREGATION, 2)):  # on any colour, one of the two is seen
            figure.add_shape(
                type="rect",
                x0=x - 0.5,
                x1=min(x + 0.5, width - 0.5),
                y0=y - 0.5,
                y1=min(y + 0.5, height - 0.5),
                line={"color": colour, "width": line},
                row=row,
                col=column,
            )
    figure.update_xaxes(range=[-0.5, width - 0.5], visible=False, constrain="domain", row=row, col=column)
    figure.update_yaxes(
        range=[height - 0.5, -0.5],
        visible=False,
        constrain="domain",
        constraintoward="top",
        row=row,
        col=column,
    )
    axis = next(figure.select_yaxes(row=row, col=column))
    axis.scaleanchor = axis.anchor or "x"
