"""The attention of one token, head by head."""

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from viz import theme
from viz.figures.style import bare_axes, titled
from viz.results import AttentionRows
from viz.texts import Texts


def draw_attention(result: AttentionRows, say: Texts, dark: bool = False) -> go.Figure:
    """One map per head and their mean, on one range from zero; the token itself is marked."""
    heads = len(result.rows)
    titles = [*(say("attention.head", head=head) for head in range(heads)), say("attention.mean")]
    figure = make_subplots(1, heads + 1, subplot_titles=titles, horizontal_spacing=0.02)
    limit = float(np.max(result.rows))
    hover = f"{say('figure.token', row='%{y}', column='%{x}')}<br><b>%{{z:.1%}}</b><extra></extra>"
    for column, row in enumerate([*result.rows, result.mean], start=1):
        figure.add_trace(go.Heatmap(z=row, coloraxis="coloraxis", hovertemplate=hover), 1, column)
        if result.place.token is not None:
            y, x = result.place.token
            box = {"x0": x - 0.5, "x1": x + 0.5, "y0": y - 0.5, "y1": y + 0.5}
            figure.add_shape(type="rect", **box, line={"color": theme.AGGREGATION, "width": 2}, row=1, col=column)
    figure.update_layout(
        coloraxis={
            "colorscale": theme.SEQUENTIAL,
            "cmin": 0,
            "cmax": limit,
            "colorbar": {
                "title": {"text": say("attention.weight"), "side": "right"},
                "thickness": 12,
                "tickformat": ".0%",
            },
        }
    )
    bare_axes(figure)
    return titled(figure, say, result.place, dark, height=300)
