"""What mixers cost against resolution: counted, and measured."""

import math
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from viz import theme
from viz.figures.axes import UNITS, with_axes
from viz.results.cost import COMPARED, MixerScaling
from viz.texts import Texts


def draw_scaling(result: MixerScaling, say: Texts, dark: bool = False) -> go.Figure:
    """Counted costs above, measured times below, over one logarithmic axis of tokens."""
    tone = theme.DARK if dark else theme.LIGHT
    times, here = result.times, math.prod(result.grid)
    device = say("cost.cpu", device=times.device, threads=times.threads) if times.threads else times.device
    figure = make_subplots(
        2,
        1,
        shared_xaxes=True,
        vertical_spacing=0.1,
        row_heights=[0.6, 0.4],
        subplot_titles=(say(f"cost.{result.quantity}"), say("cost.time", device=device)),
    )
    for trace in (*_curves(result, say), *_marks(result, say, tone)):
        figure.add_trace(trace, 1, 1)
    for mixer in COMPARED:
        figure.add_trace(_times(result, mixer, say), 2, 1)
    if not times.runs:
        middle = {"xref": "x2 domain", "yref": "y2 domain", "x": 0.5, "y": 0.5, "showarrow": False}
        figure.add_annotation(text=say("cost.measuring"), **middle)
    figure.add_vline(here, line={"color": tone["muted"], "width": 1, "dash": "dash"})
    height, width = result.grid
    figure.add_annotation(
        text=say("cost.here", height=height, width=width),
        x=math.log10(here),
        y=0,
        yref="y domain",
        xanchor="left",
        yanchor="bottom",
        xshift=4,
        showarrow=False,
        font={"size": 11, "color": tone["muted"]},
    )
    low, high = min(here, result.tokens[0]) / 1.2, max(here, result.tokens[-1]) * 1.2
    sides = [2**power for power in range(12) if low <= 4**power <= high]
    figure.update_xaxes(
        type="log",
        range=[math.log10(low), math.log10(high)],
        tickvals=[side**2 for side in sides],
        ticktext=[f"{side}×{side}" for side in sides],
    )
    figure.update_xaxes(title=say("cost.axis.tokens", stride=result.place.stride), title_font_size=12, row=2, col=1)
    figure.update_yaxes(type="log", dtick=1)
    figure.update_yaxes(tickformat="~s", ticksuffix=UNITS[result.quantity], row=1, col=1)
    figure.update_yaxes(ticksuffix=" ms", row=2, col=1)
    return with_axes(figure, say, result.place, dark, height=720, legend=True)


def _curves(result: MixerScaling, say: Texts) -> list[go.Scatter]:
    """The cost of each mixer, and of self-attention without its quadratic term."""
    constant, linear, _ = result.coefficients[COMPARED.index("msa")]
    curves = [
        (say(f"cost.mixer.{mixer}"), costs, {"color": theme.KIND_COLOURS[mixer], "width": 3})
        for mixer, costs in zip(COMPARED, result.costs, strict=True)
    ]
    dotted = {"color": theme.KIND_COLOURS["msa"], "width": 1.5, "dash": "dot"}
    curves.append((say("cost.linear"), constant + linear * result.tokens, dotted))
    return [
        go.Scatter(
            x=result.tokens, y=costs, mode="lines", line=line, name=name, hovertemplate=_hover(name, result, say)
        )
        for name, costs, line in curves
    ]


def _marks(result: MixerScaling, say: Texts, tone: dict[str, str]) -> list[go.Scatter]:
    """The mixers on this input, the block's own among them, and the places where something changes."""
    here = math.prod(result.grid)
    marks = []

    def mark(n: float, value: float, name: str, legend: bool = True, **marker: Any) -> None:
        hover = _hover(name, result, say)
        marks.append(
            go.Scatter(
                x=[n], y=[value], mode="markers", marker=marker, name=name, showlegend=legend, hovertemplate=hover
            )
        )

    for mixer, cost in zip(COMPARED, result.here, strict=True):
        mark(here, cost, say(f"cost.mixer.{mixer}"), legend=False, size=8, color=theme.KIND_COLOURS[mixer])
    n = result.turning_point
    if result.tokens[0] < n < result.tokens[-1]:
        value = float(result.coefficients[COMPARED.index("msa")] @ (1, n, n * n))
        name = say("cost.turning", tokens=f"{n:,.0f}")
        mark(n, value, name, symbol="circle-open", size=11, color=theme.KIND_COLOURS["msa"], line={"width": 2})
    for first, second, n, value in result.crossings:
        names = {"first": say(f"cost.mixer.{first}"), "second": say(f"cost.mixer.{second}")}
        name = say("cost.equal", **names, tokens=f"{n:,.1f}")
        mark(n, value, name, symbol="square-open", size=11, color=tone["text"], line={"width": 2})
    if result.kind != "none":
        colour, outline = theme.KIND_COLOURS.get(result.kind, tone["muted"]), {"color": tone["text"], "width": 2}
        name = say("cost.block", block=result.place.block)
        mark(here, result.own, name, symbol="diamond", size=14, color=colour, line=outline)
    return marks


def _times(result: MixerScaling, mixer: str, say: Texts) -> go.Scatter:
    """Medians, with bars from the first to the third quartile."""
    runs = sorted((run for run in result.times.runs if run.mixer == mixer), key=lambda run: math.prod(run.grid))
    medians = np.array([run.median_ms for run in runs])
    return go.Scatter(
        x=[math.prod(run.grid) for run in runs],
        y=medians,
        error_y={
            "array": [run.high_ms for run in runs] - medians,
            "arrayminus": medians - [run.low_ms for run in runs],
            "thickness": 1,
            "width": 3,
        },
        customdata=[[*run.grid, run.low_ms, run.high_ms] for run in runs],
        mode="lines+markers",
        line={"color": theme.KIND_COLOURS[mixer], "width": 2},
        showlegend=False,
        hovertemplate=f"{say(f'cost.mixer.{mixer}')}<br>%{{customdata[0]}} × %{{customdata[1]}}<br>"
        "<b>%{y:.3~g} ms</b> (%{customdata[2]:.3~g} … %{customdata[3]:.3~g})<extra></extra>",
    )


def _hover(name: str, result: MixerScaling, say: Texts) -> str:
    tokens = say("cost.tokens", tokens="%{x:,.0f}")
    return f"{name}<br>{tokens}<br><b>%{{y:.4~s}}{UNITS[result.quantity]}</b><extra></extra>"
