"""Studies of kernels by ``lsnet.tools.studies``: rows of its CSV to figures, one for the blocks of each stride."""

from collections.abc import Mapping, Sequence
from statistics import mean

import numpy as np
import plotly.graph_objects as go
from plotly.colors import hex_to_rgb, sample_colorscale
from plotly.subplots import make_subplots

from viz import theme
from viz.figures.axes import with_axes
from viz.results import Place
from viz.texts import Texts

# A line of the CSV by column, as ``csv.DictReader`` gives it.
Row = Mapping[str, str]


def draw_shift(rows: Sequence[Row], stride: int, say: Texts, dark: bool = False) -> go.Figure:
    """How kernels follow a picture that moves, and one that is mirrored: means over pictures and directions.

    Args:
        rows: of the CSV of ``lsnet.tools.studies shift``.
        stride: the blocks to draw, by pixels per token.

    Raises:
        ValueError: no block has this stride.
    """
    chosen, blocks = _of_stride(rows, stride)
    tone = theme.DARK if dark else theme.LIGHT
    panels = ("cosine", "relative_error")
    figure = make_subplots(
        2, 1, shared_xaxes=True, vertical_spacing=0.1, subplot_titles=[say(f"studies.{name}") for name in panels]
    )
    shifts = sorted({int(row["shift"]) for row in chosen if row["axis"] != "mirror"})
    last = shifts[-1] if shifts else 0
    aside = last + max(stride / 2, last / 12)  # where the mirrored picture stands
    for panel, column in enumerate(panels, start=1):
        for block, colour in blocks.items():
            mine = [row for row in chosen if row["block"] == block]
            moved = [_mean(column, [r for r in mine if r["axis"] != "mirror" and int(r["shift"]) == s]) for s in shifts]
            hover = f"{block}<br>{say('studies.shift', shift='%{x}')}<br><b>%{{y:.3f}}</b><extra></extra>"
            figure.add_trace(_line(shifts, moved, block, colour, panel == 1, hover), panel, 1)
            flipped = [_mean(column, [row for row in mine if row["axis"] == "mirror"])]
            hover = f"{block}<br>{say('studies.mirrored')}<br><b>%{{y:.3f}}</b><extra></extra>"
            point = _line([aside], flipped, block, colour, False, hover)
            figure.add_trace(point.update(mode="markers", marker={"symbol": "diamond", "size": 9}), panel, 1)
        apart = _mean({"cosine": "unrelated_cosine", "relative_error": "unrelated_error"}[column], chosen)
        figure.add_hline(apart, line={"color": tone["muted"], "dash": "dash", "width": 1.5}, row=panel, col=1)
        figure.add_annotation(
            text=say("studies.unrelated"),
            x=0,
            y=apart,
            xanchor="left",
            yanchor="bottom" if column == "cosine" else "top",
            showarrow=False,
            font={"size": 11, "color": tone["muted"]},
            row=panel,
            col=1,
        )
    tokens = list(range(0, last + 1, stride))
    figure.update_xaxes(tickvals=[*tokens, aside], ticktext=[*map(str, tokens), say("studies.mirrored.short")])
    figure.update_xaxes(title=say("studies.axis.shift", stride=stride), title_font_size=12, row=2, col=1)
    figure.update_yaxes(rangemode="tozero")
    return with_axes(figure, say, _place(chosen, blocks, stride), dark, height=640, legend=True)


def draw_resolution(rows: Sequence[Row], stride: int, say: Texts, dark: bool = False) -> go.Figure:
    """How far kernels are from those of the whole window, on crops and at other sizes: means over pictures.

    Solid lines are the kernels as they are; dotted ones what they would be with the norm of the whole window.

    Args:
        rows: of the CSV of ``lsnet.tools.studies resolution``.
        stride: the blocks to draw, by pixels per token.

    Raises:
        ValueError: no block has this stride.
    """
    chosen, blocks = _of_stride(rows, stride)
    changes = ("crop", "size")
    figure = make_subplots(2, 1, vertical_spacing=0.2, subplot_titles=[say(f"studies.{name}") for name in changes])
    for panel, change in enumerate(changes, start=1):
        for block, colour in blocks.items():
            mine = [row for row in chosen if row["block"] == block and row["change"] == change]
            sides = sorted({int(row["side"]) for row in mine})
            for column, dash in (("relative_error", "solid"), ("same_norm_error", "dot")):
                errors = [_mean(column, [row for row in mine if int(row["side"]) == side]) for side in sides]
                what = f"{block}<br>{say(f'studies.{column}')}"
                hover = f"{what}<br>{say('studies.side', side='%{x}')}<br><b>%{{y:.3f}}</b><extra></extra>"
                name = block if dash == "solid" else say("studies.same_norm")
                # One dotted line stands for all in the legend.
                named = panel == 1 and (dash == "solid" or block == list(blocks)[-1])
                line = _line(sides, errors, name, colour, named, hover)
                figure.add_trace(line.update(line_dash=dash), panel, 1)
        measured = sorted({int(row["side"]) for row in chosen if row["change"] == change})
        title = {"text": say(f"studies.axis.{change}"), "font": {"size": 12}, "standoff": 4}
        figure.update_xaxes(tickvals=measured, tickfont_size=11, tickangle=0, title=title, row=panel, col=1)
    figure.update_yaxes(rangemode="tozero", matches="y")
    return with_axes(figure, say, _place(chosen, blocks, stride), dark, height=640, legend=True)


def _of_stride(rows: Sequence[Row], stride: int) -> tuple[list[Row], dict[str, str]]:
    """The rows of a stride's blocks, and a colour for each of those, lighter with depth."""
    chosen = [row for row in rows if int(row["stride"]) == stride]
    names = list(dict.fromkeys(row["block"] for row in chosen))
    if not names:
        strides = sorted({int(row["stride"]) for row in rows})
        raise ValueError(f"expected a stride out of {strides}, got {stride}")
    scale = [[position, f"rgb{hex_to_rgb(colour)}"] for position, colour in theme.SEQUENTIAL]
    colours = sample_colorscale(scale, np.linspace(0.32, 0.8, len(names)).tolist())
    return chosen, dict(zip(names, colours, strict=True))


def _place(rows: Sequence[Row], blocks: Mapping[str, str], stride: int) -> Place:
    return Place(", ".join(blocks), stride, None, ", ".join(dict.fromkeys(row["weights"] for row in rows)))


def _mean(column: str, rows: Sequence[Row]) -> float:
    return mean(float(row[column]) for row in rows)


def _line(x: Sequence[float], y: Sequence[float], name: str, colour: str, in_legend: bool, hover: str) -> go.Scatter:
    return go.Scatter(
        x=x,
        y=y,
        name=name,
        mode="lines+markers",
        line={"color": colour, "width": 2.5},
        marker={"color": colour, "size": 5},
        showlegend=in_legend,
        legendgroup=name,
        hovertemplate=hover,
    )
