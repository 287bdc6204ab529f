"""Before and after surgery: the answer, the features on their way to it, and each block's part in it."""

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from viz import theme
from viz.figures.answers import AFTER, CLASS, add_answers, key_to
from viz.figures.style import titled
from viz.figures.token_maps import TokenMap, add_map
from viz.results.surgery import SurgeryEffect
from viz.texts import Texts

GAP = 76  # CSS pixels between rows of panels: tick labels, the colour bar, the next titles
PROFILE_HEIGHT, MAP_HEIGHT, LINE = 150, 180, 24
LOST = theme.DIVERGING[6][1]


def draw_surgery(result: SurgeryEffect, say: Texts, dark: bool = False) -> go.Figure:
    """The likeliest classes; the change of features block by block; where it is; and every block alone."""
    tone = theme.DARK if dark else theme.LIGHT
    operation = say(f"view.surgery.set.operation.{result.operation}")
    where = say("view.surgery.set.where.all") if len(result.operated) > 1 else result.operated[0]
    keys = "　".join((key_to(say("surgery.before"), tone["muted"]), key_to(say("surgery.after"), AFTER)))
    heights = [
        max(len(result.classes), 2) * CLASS,
        PROFILE_HEIGHT,
        MAP_HEIGHT,
        max(len(result.rows), 3) * LINE,
    ]
    total = sum(heights) + GAP * (len(heights) - 1)
    last = result.blocks[-1]
    right = "surgery.agreement" if result.agreement else "surgery.top1"
    figure = make_subplots(
        4,
        2,
        specs=[[{"colspan": 2}, None], [{"colspan": 2}, None], [{}, {}], [{}, {}]],
        row_heights=heights,
        vertical_spacing=GAP / total,
        horizontal_spacing=0.06,
        subplot_titles=[
            f"{say('surgery.answer', operation=operation)}<br>{where}　{keys}",
            say("surgery.change"),
            say("surgery.map", block=result.place.block),
            say("surgery.map", block=last),
            say("surgery.divergence") + ("" if result.row_kept.all() else f"<br>{key_to(say('surgery.lost'), LOST)}"),
            say(right),
        ],
    )
    figure.update_annotations(font_size=12)
    figure.update_xaxes(gridcolor=tone["line"], zerolinecolor=tone["line"])
    figure.update_yaxes(gridcolor=tone["line"], zerolinecolor=tone["line"])
    bars = {say("surgery.before"): (result.before, tone["muted"]), say("surgery.after"): (result.after, AFTER)}
    add_answers(figure, result.classes, bars, say, 1)
    _draw_profile(figure, result, say, tone)
    _draw_maps(figure, result, say)
    _draw_rows(figure, result, say, tone)
    titled(figure, say, result.place, dark, 10)
    figure.layout.margin.update(t=56, b=figure.layout.margin.b + 24)
    figure.layout.annotations[-1].yshift -= 24  # below the numbers of the last axes
    figure.layout.height = total + figure.layout.margin.t + figure.layout.margin.b
    return figure


def _draw_profile(figure: go.Figure, result: SurgeryEffect, say: Texts, tone: dict[str, str]) -> None:
    count = len(result.blocks)
    done = [name in result.operated for name in result.blocks]
    line = go.Scatter(
        x=list(range(count)),
        y=result.feature_change,
        mode="lines+markers",
        line={"color": tone["muted"], "width": 1.5},
        marker={
            "color": [theme.KIND_COLOURS[kind] for kind in result.kinds],
            "opacity": 1,
            "size": [12 if yes else 7 for yes in done],
            "symbol": ["diamond" if yes else "circle" for yes in done],
            "line": {"color": theme.AGGREGATION, "width": [2 if yes else 0 for yes in done]},
        },
        customdata=[
            f"{name} · {say('surgery.operated')}" if yes else name
            for name, yes in zip(result.blocks, done, strict=True)
        ],
        hovertemplate="%{customdata}<br><b>%{y:.1%}</b><extra></extra>",
        showlegend=False,
        cliponaxis=False,
    )
    figure.add_trace(line, 2, 1)
    stages = [name.split(".")[0] for name in result.blocks]
    firsts = [i for i in range(count) if i == 0 or stages[i] != stages[i - 1]]
    for first in firsts[1:]:
        figure.add_vline(x=first - 0.5, line={"color": tone["line"], "width": 1}, row=2, col=1)
    middles = [(a + b - 1) / 2 for a, b in zip(firsts, [*firsts[1:], count], strict=True)]
    names = [say("surgery.stage", stage=stages[first].removeprefix("blocks")) for first in firsts]
    figure.update_xaxes(
        tickvals=middles, ticktext=names, showgrid=False, zeroline=False, range=[-0.5, count - 0.5], row=2, col=1
    )
    figure.update_yaxes(tickformat=".0%", rangemode="tozero", nticks=5, row=2, col=1)


def _draw_maps(figure: go.Figure, result: SurgeryEffect, say: Texts) -> None:
    here = TokenMap("", result.block_map, result.block_extent, result.place.token)
    there = TokenMap("", result.last_map, result.last_extent)
    for column, one in enumerate((here, there), start=1):
        add_map(figure, one, result.photo, "%{z:.2%}", say, 3, column)
    limit = float(max(result.block_map.max(), result.last_map.max())) or 1.0  # nothing changed: all at the dark end
    bottom = next(figure.select_yaxes(row=3, col=1)).domain[0]
    bar = {"thickness": 10, "orientation": "h", "lenmode": "pixels", "len": 200, "nticks": 5, "tickformat": ".2~%"}
    corner = {"x": 0.5, "xanchor": "center", "y": bottom, "yanchor": "top", "ypad": 4}
    scale = {"colorscale": theme.SEQUENTIAL, "cmin": 0, "cmax": limit}
    figure.update_layout(coloraxis=scale | {"colorbar": bar | corner})


def _draw_rows(figure: go.Figure, result: SurgeryEffect, say: Texts, tone: dict[str, str]) -> None:
    names = [say("surgery.jointly") if row == "all" else row for row in result.rows]
    places = list(range(len(names)))
    kept = [say("surgery.kept" if one else "surgery.lost") for one in result.row_kept]
    colours = [AFTER if one else LOST for one in result.row_kept]
    right = result.row_top1_change
    for column, values, unit in ((1, result.row_divergence, say("surgery.bits")), (2, right, "")):
        if column == 2 and result.agreement:
            break
        bars = go.Bar(
            x=values,
            y=places,
            orientation="h",
            marker_color=colours,
            customdata=list(zip(names, kept, strict=True)),
            hovertemplate=f"%{{customdata[0]}}<br><b>%{{x:.3f}}</b> {unit}<br>%{{customdata[1]}}<extra></extra>",
            showlegend=False,
        )
        figure.add_trace(bars, 4, column)
    if result.agreement:
        share, low, high = result.agreement.agreement.T
        points = go.Scatter(
            x=share,
            y=places,
            mode="markers",
            marker={"color": tone["text"], "size": 8},
            error_x={"array": high - share, "arrayminus": share - low, "color": tone["muted"], "thickness": 2},
            customdata=np.stack([low, high], 1),
            hovertemplate="<b>%{x:.0%}</b> [%{customdata[0]:.0%}, %{customdata[1]:.0%}]<extra></extra>",
            showlegend=False,
        )
        figure.add_trace(points, 4, 2)
        figure.update_xaxes(range=[-0.03, 1.03], tickformat=".0%", nticks=4, row=4, col=2)
    rows = {"range": [len(names) - 0.5, -0.5], "tickvals": places, "showgrid": False, "zeroline": False}
    figure.update_yaxes(**rows, ticktext=names, row=4, col=1)
    figure.update_yaxes(**rows, showticklabels=False, row=4, col=2)
    figure.update_xaxes(nticks=4, tickangle=0, tickformat=".2~g", row=4, col=1)
    figure.update_xaxes(nticks=4, tickangle=0, row=4, col=2)
