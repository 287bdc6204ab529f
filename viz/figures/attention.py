"""What a token attends to, what that adds up to, what it is made of, how wide it spreads, and at other resolutions."""

import math

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from viz import theme
from viz.figures.style import bare_axes, titled
from viz.figures.token_maps import TokenMap, draw_maps
from viz.results import Result
from viz.results.attention import AttentionBias, AttentionHeads, AttentionRollout, AttentionRows, AttentionSizes
from viz.texts import Texts

HEAD_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "pentagon", "star")


def draw_attention(result: Result, say: Texts, dark: bool = False) -> go.Figure:
    """The figure that fits the result."""
    if isinstance(result, AttentionRows):
        return draw_rows(result, say, dark)
    if isinstance(result, AttentionRollout):
        return draw_rollout(result, say, dark)
    if isinstance(result, AttentionBias):
        return draw_bias(result, say, dark)
    if isinstance(result, AttentionHeads):
        return draw_heads(result, say, dark)
    assert isinstance(result, AttentionSizes)
    return draw_sizes(result, say, dark)


def draw_rows(result: AttentionRows, say: Texts, dark: bool = False) -> go.Figure:
    """One map per head and their mean, on one range from zero; the token itself is marked."""
    token = result.place.token
    maps = [
        TokenMap(say("attention.head", head=head), row, result.extent, token) for head, row in enumerate(result.rows)
    ]
    maps.append(TokenMap(say("attention.mean"), result.mean, result.extent, token))
    if result.photo is not None:
        maps.insert(0, TokenMap(say("attention.token"), None, result.extent, token))
    limit, unit = float(result.rows.max()), say("attention.weight")
    return draw_maps(maps, result.photo, limit, unit, "%{z:.2%}", ".2~%", say, result.place, dark)


def draw_rollout(result: AttentionRollout, say: Texts, dark: bool = False) -> go.Figure:
    """One map per MSA block of the stage. The range is that of the other tokens; the token's own share is written."""
    token = result.place.token
    assert token is not None
    others = result.maps.copy()
    others[:, token[0], token[1]] = 0
    maps = []
    for name, values in zip(result.blocks, result.maps, strict=True):
        title = say("attention.rollout.block", block=name, own=f"{values[token]:.0%}")
        chosen = name == result.place.block
        maps.append(TokenMap(f"<b>{title}</b>" if chosen else title, values, result.extent, token))
    if result.photo is not None:
        maps.insert(0, TokenMap(say("attention.token"), None, result.extent, token))
    limit = float(others.max()) or float(result.maps.max())  # a grid of one token has no others
    unit = say("attention.weight")
    return draw_maps(maps, result.photo, limit, unit, "%{z:.2%}", ".2~%", say, result.place, dark)


def draw_sizes(result: AttentionSizes, say: Texts, dark: bool = False) -> go.Figure:
    """The mean over heads at each resolution, relative to uniform attention, on one range."""
    means = [values.mean(0) for values in result.maps]
    maps = [
        TokenMap(
            say(
                "attention.size",
                size=size,
                grid=say("attention.grid", rows=mean.shape[0], columns=mean.shape[1]),
            ),
            mean,
            extent,
            token,
        )
        for size, mean, extent, token in zip(result.sizes, means, result.extents, result.tokens, strict=True)
    ]
    limit, unit = max(float(mean.max()) for mean in means), say("attention.relative")
    return draw_maps(maps, result.photo, limit, unit, "%{z:.2f}", "", say, result.place, dark)


def draw_bias(result: AttentionBias, say: Texts, dark: bool = False) -> go.Figure:
    """The table of every head on one signed range; below, how much biases and products vary in the logits."""
    heads = len(result.table)
    wide = min(heads, 4)
    lines = math.ceil(heads / wide)
    figure = make_subplots(
        lines + 1,
        wide,
        specs=[[{}] * wide] * lines + [[{"colspan": wide}, *[None] * (wide - 1)]],
        subplot_titles=[
            *(say("attention.head", head=head) for head in range(heads)),
            *[""] * (lines * wide - heads),
            say("attention.bias.spread"),
        ],
        horizontal_spacing=0.04,
        vertical_spacing=0.36 / (lines + 1),
    )
    figure.update_annotations(font_size=12)
    limit = float(np.abs(result.table).max()) or 1.0  # a table of zeros is drawn in the middle of the scale
    hover = say("attention.bias.offset", row="%{y}", column="%{x}") + "<br><b>%{z:.3f}</b><extra></extra>"
    for head, table in enumerate(result.table):
        place = {"row": head // wide + 1, "col": head % wide + 1}
        figure.add_trace(go.Heatmap(z=table, coloraxis="coloraxis", hovertemplate=hover), **place)
        bare_axes(figure, **place)
        figure.update_yaxes(constraintoward="top", **place)
    ticks = {
        "visible": True,
        "showgrid": False,
        "zeroline": False,
        "nticks": 5,
        "tickformat": "d",
        "title_standoff": 4,
        "title_font_size": 12,
    }
    figure.update_xaxes(**ticks, title_text=say("attention.bias.columns"), row=1, col=1)
    figure.update_yaxes(**ticks, title_text=say("attention.bias.rows"), row=1, col=1)
    names = [
        f"{say('attention.head', head=head)}<br>{share:.1%}".replace("-", "−")
        for head, share in enumerate(result.share)
    ]
    for key, colour, values in (
        ("products", theme.KIND_COLOURS["msa"], result.products_spread),
        ("bias", theme.DIVERGING[6][1], result.bias_spread),
    ):
        part = say(f"attention.bias.{key}")
        hover = f"%{{x}}<br>{part} <b>%{{y:.3f}}</b><extra></extra>"
        bar = go.Bar(x=names, y=values, name=part, marker_color=colour, hovertemplate=hover)
        figure.add_trace(bar, lines + 1, 1)
    tone = theme.DARK if dark else theme.LIGHT
    figure.update_yaxes(rangemode="tozero", gridcolor=tone["line"], zerolinecolor=tone["line"], row=lines + 1, col=1)
    bottom, top = (
        figure.layout[f"yaxis{(lines - 1) * wide + 1}"].domain[0],
        figure.layout[f"yaxis{heads + 1}"].domain[1],
    )
    unit = {"text": say("attention.bias.unit"), "side": "top", "font": {"size": 12}}
    bar = {"title": unit, "thickness": 10, "orientation": "h", "lenmode": "pixels", "len": 200, "nticks": 5}
    corner = {"x": 1, "xanchor": "right", "y": bottom, "yanchor": "top"}
    scale = {"colorscale": theme.DIVERGING, "cmin": -limit, "cmax": limit}
    figure.update_layout(
        coloraxis=scale | {"colorbar": bar | corner},
        legend={"x": 1, "xanchor": "right", "y": top, "yanchor": "top", "bgcolor": "rgba(0,0,0,0)"},
    )
    titled(figure, say, result.place, dark, 200 * (lines + 1) + 120)
    figure.layout.margin.b += 34
    figure.layout.annotations[-1].yshift -= 34  # below the names of the heads
    return figure


def draw_heads(result: AttentionHeads, say: Texts, dark: bool = False) -> go.Figure:
    """Entropy and mean distance of every head, block by block, each with what uniform attention would have."""
    titles = [say("attention.entropy"), say("attention.distance")]
    figure = make_subplots(2, 1, subplot_titles=titles, shared_xaxes=True, vertical_spacing=0.14)
    figure.update_annotations(font_size=12)
    which, head = result.block.astype(int), result.head.astype(int)
    heads = int(head.max()) + 1
    pixels = result.distance * result.strides[which]
    tone = theme.DARK if dark else theme.LIGHT
    references = (result.limits, result.uniform * result.strides)
    for row, (key, values, reference) in enumerate(
        zip(("entropy", "distance"), (result.entropy, pixels), references, strict=True), start=1
    ):
        uniform = go.Scatter(
            x=np.stack([np.arange(len(reference)) + side for side in (-0.42, 0.42, np.nan)], 1).ravel(),
            y=np.repeat(reference, 3),  # one short line per block; NaN parts them
            mode="lines",
            line={"dash": "dot", "color": tone["muted"], "width": 2},
            name=say("attention.uniform"),
            showlegend=row == 1,
            hovertemplate=f"{say('attention.uniform')}<br><b>%{{y:.2f}}</b><extra></extra>",
        )
        figure.add_trace(uniform, row, 1)
        for number in range(heads):
            mine = head == number
            name = say("attention.head", head=number)
            value = say(f"attention.{key}.hover", value="%{y:.2f}", tokens="%{customdata[1]:.2f}")
            points = go.Scatter(
                x=which[mine] + 0.6 * ((number + 0.5) / heads - 0.5),
                y=values[mine],
                customdata=[
                    (result.blocks[i], span) for i, span in zip(which[mine], result.distance[mine], strict=True)
                ],
                mode="markers",
                marker={
                    "symbol": HEAD_SYMBOLS[number % len(HEAD_SYMBOLS)],
                    "size": 9,
                    "color": theme.STAGE_COLOURS[number % len(theme.STAGE_COLOURS)],
                },
                name=name,
                legendgroup=name,
                showlegend=row == 1,
                hovertemplate=f"%{{customdata[0]}} · {name}<br>{value}<extra></extra>",
            )
            figure.add_trace(points, row, 1)
    lines = [name.replace("blocks", "blocks<br>") for name in result.blocks]  # narrow enough for a phone
    names = [
        f"<b>{name}</b>" if block == result.place.block else name
        for name, block in zip(lines, result.blocks, strict=True)
    ]
    figure.update_xaxes(
        tickvals=list(range(len(names))),
        ticktext=names,
        tickangle=0,
        range=[-0.55, len(names) - 0.45],
        gridcolor="rgba(0,0,0,0)",
        zeroline=False,
    )
    figure.update_yaxes(rangemode="tozero", gridcolor=tone["line"], zerolinecolor=tone["line"])
    titled(figure, say, result.place, dark, 520)
    figure.update_layout(legend={"orientation": "h", "x": 0, "y": 1.07, "yanchor": "bottom"})
    figure.layout.margin.update(t=84, b=100)
    figure.layout.annotations[-1].yshift -= 46  # below the names of the blocks
    return figure
