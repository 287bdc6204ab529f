"""Kernels over many pictures: prototypes and who uses them, a token's neighbours, and how dynamic each block is."""

import math

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from viz import theme
from viz.figures.axes import with_axes
from viz.figures.patch_sheet import COLUMNS, PatchSheet
from viz.figures.style import titled
from viz.figures.token_maps import TokenMap, add_map
from viz.results import Result
from viz.results.atlas import Dynamics, Neighbours, Patches, Prototypes
from viz.texts import Texts

MARGINS = 34 + 54  # CSS pixels above and below the plotting area
HEADING = 36  # of a line of text between rows
HEAD = 62  # of the table of prototypes
ROW = 76  # of a prototype
PATCH = 104  # of a neighbour, with its number
PICTURE = 176  # of the pictures above
KERNELS = (0.03, 0.24)  # where their column begins and ends, as shares of the width


def draw_atlas(result: Result, say: Texts, dark: bool = False) -> go.Figure:
    """The figure that fits the result."""
    if isinstance(result, Prototypes):
        return draw_prototypes(result, say, dark)
    if isinstance(result, Neighbours):
        return draw_neighbours(result, say, dark)
    assert isinstance(result, Dynamics)
    return draw_dynamics(result, say, dark)


def draw_prototypes(result: Prototypes, say: Texts, dark: bool = False) -> go.Figure:
    """The picture, bare and coloured by prototype; below, a row for each prototype.

    A row holds the prototype's colour, its kernel, on one signed range for all, its share of the kernels, and the
    patches of those who use it most.
    """
    count = len(result.kernels)
    top = _picture_height(result.extent)
    height = top + HEAD + ROW * count
    table = ROW * count / height  # the table's part of the plotting area, from its bottom
    figure = make_subplots(2, 2, subplot_titles=_map_titles(result, say), horizontal_spacing=0.03)
    figure.update_annotations(font_size=12)
    _add_picture(figure, result, say, 1 - top / height)
    _add_kernels(figure, result, say, table)
    edge = PatchSheet(5, (0, table), ROW * count, 0, 1, say)  # the prototypes' colours, left of their kernels
    sheet = PatchSheet(4, (0, table), ROW * count, KERNELS[1], 1 + COLUMNS, say)
    for p, share in enumerate(result.shares):
        colour = theme.QUALITATIVE[p % len(theme.QUALITATIVE)]
        edge.bar((0, p * ROW + 8, 0.012, (p + 1) * ROW - 8), colour)
        sheet.text(say("atlas.row", number=p + 1, share=f"{share:.0%}"), 0.1, p * ROW + 53)
        sheet.bar((0.1, p * ROW + 56, 0.1 + 0.8 * float(share / result.shares.max()), p * ROW + 64), colour)
        sheet.patches(result.users[p], "atlas.used", left=1, top=p * ROW + 3, size=ROW - 6)
    sheet.lay_on(figure)
    edge.lay_on(figure)
    patches = KERNELS[1] + (1 - KERNELS[1]) / (1 + COLUMNS)
    for text, x, up in ((say("atlas.kernel"), KERNELS[0], 32), (say("atlas.users", side=result.window), patches, 4)):
        figure.add_annotation(
            **{"text": text, "x": x, "y": table, "yshift": up, "xref": "paper", "yref": "paper", "xanchor": "left"},
            **{"yanchor": "bottom", "showarrow": False, "font": {"size": 12}},
        )
    return titled(figure, say, result.place, dark, height + MARGINS)


def _picture_height(extent: tuple[float, float]) -> int:
    """CSS pixels of two pictures side by side; less where they are wide."""
    return max(min(PICTURE, round(500 * extent[0] / extent[1])), 36)


def _map_titles(result: Prototypes, say: Texts) -> list[str]:
    if result.kernel_set is None:
        return [say("atlas.picture"), say("atlas.map.majority")]
    return [say("atlas.picture"), say("atlas.map.set", set=result.kernel_set)]


def _add_picture(figure: go.Figure, result: Prototypes, say: Texts, bottom: float) -> None:
    """The bare picture, and the picture coloured by prototype."""
    add_map(figure, TokenMap("", None, result.extent), result.photo, "", say, 1, 1)
    hover = say("atlas.assigned", number="%{z}", share="%{customdata:.0%}")
    add_map(figure, TokenMap("", result.assigned + 1, result.extent), result.photo, hover, say, 1, 2)
    figure.data[-1].update(customdata=result.agreement, opacity=0.78)
    count = len(result.kernels)
    steps = [(edge / count, theme.QUALITATIVE[p % len(theme.QUALITATIVE)]) for p in range(count) for edge in (p, p + 1)]
    figure.update_layout(
        coloraxis={"colorscale": steps, "cmin": 0.5, "cmax": count + 0.5, "showscale": False},
    )
    figure.update_yaxes(domain=[bottom, 1], row=1)


def _add_kernels(figure: go.Figure, result: Prototypes, say: Texts, table: float) -> None:
    """All prototypes in one column, four cells to a row of the table, on one signed range."""
    count, size = result.kernels.shape[:2]
    step = size + 1
    column = np.full((count * step, size), np.nan, np.float32)
    for p, kernel in enumerate(result.kernels):
        column[p * step : p * step + size] = kernel
    limit = float(np.abs(result.kernels).max()) or 1.0
    figure.add_trace(
        go.Heatmap(
            z=column,
            zmin=-limit,
            zmax=limit,
            colorscale=theme.DIVERGING,
            colorbar={
                "orientation": "h",
                "thickness": 8,
                "len": KERNELS[1] - KERNELS[0],
                "x": sum(KERNELS) / 2,
                "y": table,
                "yanchor": "bottom",
                "xpad": 0,
                "ypad": 4,
                "nticks": 4,
                "tickfont": {"size": 11},
            },
            hovertemplate=f"<b>%{{z:.3f}}</b><extra>{say('atlas.weight')}</extra>",
            hoverongaps=False,
        ),
        2,
        1,
    )
    figure.update_layout(
        xaxis3={"domain": KERNELS, "constrain": "domain", "constraintoward": "left", "visible": False},
        yaxis3={
            "domain": [0, table],
            "range": [count * step - 1, -1],
            "scaleanchor": "x3",
            "constrain": "domain",
            "visible": False,
        },
    )


def draw_neighbours(result: Neighbours, say: Texts, dark: bool = False) -> go.Figure:
    """How similar the tokens of the picture are, from the least to 1; below, the nearest ones here and elsewhere."""
    top = _picture_height(result.extent)
    rows = 1 + math.ceil(len(result.elsewhere.images) / COLUMNS)
    height = top + 2 * HEADING + rows * PATCH
    figure = make_subplots(
        1,
        2,
        subplot_titles=[say("atlas.similarity"), say("atlas.token")],
        column_widths=[0.58, 0.42],
        horizontal_spacing=0.16,
    )
    figure.update_annotations(font_size=12)
    similar = TokenMap("", result.similarity, result.extent, result.place.token)
    add_map(figure, similar, result.photo, f"{say('atlas.cosine')} %{{z:.3f}}", say, 1, 1)
    figure.update_layout(
        coloraxis={
            "colorscale": theme.SEQUENTIAL,
            "cmin": float(result.similarity.min()),
            "cmax": 1,
            "colorbar": {
                "thickness": 12,
                "xpad": 6,
                "x": figure.layout.xaxis.domain[1],
                "y": 1,
                "yanchor": "top",
                "len": top,
                "lenmode": "pixels",
            },
        }
    )
    figure.update_yaxes(domain=[1 - top / height, 1])
    place = np.array([[0, *(result.place.token or (0, 0))]])
    own = PatchSheet(2, (1 - top / height, 1), top, figure.layout.xaxis2.domain[0], 1, say)
    own.patches(Patches(place, np.ones(1, np.float32), (result.patch,)), "atlas.similar", left=0, top=0, size=top)
    own.lay_on(figure)
    sheet = PatchSheet(3, (0, 1 - top / height), height - top, 0, COLUMNS, say)
    y = HEADING
    for key, patches in (("here", result.here), ("elsewhere", result.elsewhere)):
        empty = "" if patches.images else f" – {say('atlas.none')}"
        sheet.text(say(f"atlas.{key}") + empty, 0.04, y - 6)
        sheet.patches(patches, "atlas.similar", left=0, top=y, size=PATCH - 24, pitch=PATCH)
        for i, cosine in enumerate(patches.scores):
            sheet.text(f"{cosine:.3f}", i % COLUMNS + 0.5, y + (i // COLUMNS + 1) * PATCH - 6, "center")
        y += HEADING + PATCH
    sheet.lay_on(figure)
    return titled(figure, say, result.place, dark, height + MARGINS)


def draw_dynamics(result: Dynamics, say: Texts, dark: bool = False) -> go.Figure:
    """Bars from 0 to 100 %: the mean over kernel sets in each LS block, and every kernel set of the chosen block."""
    chosen = result.blocks.index(result.place.block)
    titles = [say("atlas.blocks"), say("atlas.sets", block=result.place.block)]
    figure = make_subplots(2, 1, subplot_titles=titles, vertical_spacing=0.2)
    figure.update_annotations(font_size=12)
    names = [f"<b>{name}</b>" if i == chosen else name for i, name in enumerate(result.blocks)]
    for key, shares, colour in (
        ("one", result.one_picture, theme.KIND_COLOURS["ls"]),
        ("all", result.all_pictures, theme.KIND_COLOURS["dw"]),
    ):
        name = say(f"atlas.static.{key}", pictures=result.pictures)
        bar = {"name": name, "marker_color": colour, "legendgroup": key}
        means = [float(sets.mean()) for sets in shares]
        hover = f"<b>%{{y:.1%}}</b><extra>{name}</extra>"
        figure.add_trace(go.Bar(x=names, y=means, hovertemplate=f"%{{x}}<br>{hover}", **bar), 1, 1)
        numbers = list(range(len(shares[chosen])))
        where = say("atlas.set", set="%{x}")
        sets = go.Bar(x=numbers, y=shares[chosen], hovertemplate=f"{where}<br>{hover}", showlegend=False, **bar)
        figure.add_trace(sets, 2, 1)
    figure.update_layout(barmode="group")
    figure.update_xaxes(title={"text": say("atlas.set.axis"), "standoff": 4, "font": {"size": 12}}, row=2)
    with_axes(figure, say, result.place, dark, 500, legend=True)
    figure.update_yaxes(range=[0, 1], tickformat=".0%")
    figure.update_layout(legend_y=1.1, margin_t=96)
    return figure
