"""How all figures look: transparent surfaces, one font, colours of the page they stand on."""

from typing import Any

import plotly.graph_objects as go

from viz import theme
from viz.results import Place
from viz.texts import Texts


def titled(figure: go.Figure, say: Texts, place: Place, dark: bool, height: int) -> go.Figure:
    """Finish a figure: caption with block, token and weights, size, colours. Returns the same figure.

    Args:
        figure: to be finished.
        say: texts in the visitor's language.
        place: what the caption names.
        dark: whether the page is dark.
        height: in CSS pixels.
    """
    tone = theme.DARK if dark else theme.LIGHT
    caption = say("figure.place", block=place.block, stride=place.stride)
    if place.token is not None:
        caption = f"{say('figure.token', row=place.token[0], column=place.token[1])} · {caption}"
    figure.update_layout(
        template="plotly_dark" if dark else "plotly_white",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": theme.FONT_FAMILY, "color": tone["text"], "size": 12},
        margin={"l": 16, "r": 16, "t": 34, "b": 54},
        height=height,
    )
    figure.add_annotation(
        text=f"{caption}<br>{place.weights}",
        xref="paper",
        yref="paper",
        x=0,
        y=0,
        yshift=-12,
        showarrow=False,
        xanchor="left",
        yanchor="top",
        align="left",
        font={"size": 11, "color": tone["muted"]},
    )
    return figure


def bare_axes(figure: go.Figure, **selector: Any) -> go.Figure:
    """Square cells, row 0 on top, no ticks: for pictures and grids of tokens."""
    figure.update_xaxes(visible=False, constrain="domain", **selector)
    figure.update_yaxes(visible=False, autorange="reversed", constrain="domain", **selector)
    for axis in figure.select_yaxes(**selector):
        axis.scaleanchor = axis.anchor or "x"
    return figure
