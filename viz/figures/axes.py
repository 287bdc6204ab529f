"""Figures that have axes: grid lines, numbers with prefixes, and a caption that stands below the axis titles."""

import plotly.graph_objects as go

from viz import theme
from viz.figures.style import titled
from viz.results import Place
from viz.texts import Texts

# What follows a prefix, in every language.
UNITS = {"macs": "", "parameters": "", "bytes": "B"}


def si(value: float, unit: str = "") -> str:
    """A magnitude with three digits and a prefix, such as ``"316 M"``."""
    for step, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= step:
            scaled = value / step
            return f"{scaled:.{2 if scaled < 9.995 else 1 if scaled < 99.95 else 0}f} {prefix}{unit}"
    return f"{value:.3g}{f' {unit}' if unit else ''}"


def with_axes(
    figure: go.Figure, say: Texts, place: Place, dark: bool, height: int, legend: bool = False, below: int = 56
) -> go.Figure:
    """Finish a figure that has axes: the caption goes ``below`` pixels down, under ticks and the axis title."""
    figure.update_annotations(font_size=13, selector={"yanchor": "bottom", "showarrow": False, "xref": "paper"})
    titled(figure, say, place, dark, height)
    figure.layout.annotations[-1].yshift = -below
    figure.update_layout(
        margin={"l": 8, "r": 16, "t": 34, "b": below + 44},
        showlegend=legend,
        legend={
            "orientation": "h",
            "yanchor": "bottom",
            "y": 1.06,
            "x": 0,
            "font": {"size": 11},
            "traceorder": "normal",
        },
        hoverlabel={"align": "left"},
    )
    tone = theme.DARK if dark else theme.LIGHT
    figure.update_xaxes(gridcolor=tone["line"], zeroline=False, automargin=True)
    figure.update_yaxes(gridcolor=tone["line"], zeroline=False, automargin=True)
    return figure
