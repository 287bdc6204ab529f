"""The large-field context map of an LS block."""

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from viz import theme
from viz.figures.style import bare_axes, titled
from viz.results import ContextMap
from viz.texts import Texts

# Standard deviations of the first component that fill the colour range of the three-component picture.
COMPONENT_RANGE = 2.0


def draw_context(result: ContextMap, say: Texts, dark: bool = False) -> go.Figure:
    """The channel mean on a signed scale, and the first three principal components as red, green and blue."""
    shares = " · ".join(f"{share:.0%}" for share in result.explained)
    titles = (say("context.mean"), say("context.components", shares=shares))
    figure = make_subplots(1, 2, subplot_titles=titles, horizontal_spacing=0.14)
    limit = float(np.abs(result.mean).max())
    figure.add_trace(
        go.Heatmap(
            z=result.mean,
            zmin=-limit,
            zmax=limit,
            colorscale=theme.DIVERGING,
            colorbar={"x": 0.44, "thickness": 12, "title": {"text": say("context.activation"), "side": "right"}},
            hovertemplate=f"{say('figure.token', row='%{y}', column='%{x}')}<br><b>%{{z:.3f}}</b><extra></extra>",
        ),
        1,
        1,
    )
    colours = np.clip(result.components / (2 * COMPONENT_RANGE) + 0.5, 0, 1) * 255
    figure.add_trace(
        go.Image(
            z=colours.round().astype(np.uint8),
            hovertemplate=f"{say('figure.token', row='%{y}', column='%{x}')}<extra></extra>",
        ),
        1,
        2,
    )
    bare_axes(figure)
    return titled(figure, say, result.place, dark, height=380)
