"""Cost: mixers against resolution, a network part by part, and the paper's accuracy against cost."""

import plotly.graph_objects as go
from plotly.colors import hex_to_rgb
from plotly.subplots import make_subplots

from viz import theme
from viz.figures.axes import UNITS, si, with_axes
from viz.figures.paper_table import draw_paper
from viz.figures.scaling import draw_scaling
from viz.results.cost import Counts, MixerScaling, ModelCosts, PaperResults
from viz.texts import Texts


def draw_cost(result: MixerScaling | ModelCosts | PaperResults, say: Texts, dark: bool = False) -> go.Figure:
    """The figure that belongs to each of the three looks."""
    if isinstance(result, ModelCosts):
        return draw_model(result, say, dark)
    if isinstance(result, PaperResults):
        return draw_paper(result, say, dark)
    return draw_scaling(result, say, dark)


def draw_model(result: ModelCosts, say: Texts, dark: bool = False) -> go.Figure:
    """Bars for every part in order of computation: token mixing in the colour of its kind, everything else paler."""
    tone = theme.DARK if dark else theme.LIGHT
    quantities = (("macs", result.macs), ("parameters", result.parameters), ("bytes", result.bytes))
    titles = [f"{say(f'cost.{name}')}: <b>{si(float(values.sum()), UNITS[name])}</b>" for name, values in quantities]
    figure = make_subplots(3, 1, shared_xaxes=True, vertical_spacing=0.07, subplot_titles=titles)
    kinds = [kind for kind in dict.fromkeys(result.kinds) if kind is not None]
    colours = {kind: theme.KIND_COLOURS.get(kind, theme.KIND_COLOURS["none"]) for kind in kinds}
    for row, (name, values) in enumerate(quantities, start=1):
        for kind in kinds:
            figure.add_trace(_bars(result, name, values, kind, 0, say, colours[kind]), row, 1)
        for kind in kinds:
            figure.add_trace(_bars(result, name, values, kind, 1, say, _pale(colours[kind])), row, 1)
        figure.add_trace(_bars(result, name, values, None, 1, say, tone["muted"]), row, 1)
        figure.update_yaxes(tickformat="~s", ticksuffix=UNITS[name], nticks=4, row=row, col=1)
    here = result.parts.index(result.place.block)
    figure.add_vrect(
        here - 0.5, here + 0.5, fillcolor=tone["accent"], opacity=0.18, line_width=0, layer="below", row="all", col=1
    )
    places = list(range(len(result.parts)))
    figure.update_xaxes(
        tickvals=places,
        ticktext=[_short_name(part, say) for part in result.parts],
        tickangle=-90,
        tickfont_size=10,
        showgrid=False,
        range=[-0.6, len(places) - 0.4],
    )
    figure.update_xaxes(title=say("cost.axis.parts"), title_font_size=12, row=3, col=1)
    figure.update_layout(barmode="stack", bargap=0.2)
    return with_axes(figure, say, result.place, dark, height=760, legend=True, below=72)


def _bars(
    result: ModelCosts,
    quantity: str,
    values: Counts,
    kind: str | None,
    share: int,
    say: Texts,
    colour: str,
) -> go.Bar:
    """One colour of one panel: the parts of a kind, and their token mixing (0) or all the rest (1)."""
    chosen = [place for place, own in enumerate(result.kinds) if own == kind]
    own, total = values[chosen, share], values.sum()
    what = say("cost.frame") if kind is None else say(f"cost.share.{share}")
    # One entry of the legend stands for the paler half of all kinds.
    legend = say("cost.paler") if kind and share else say(f"cost.mixer.{kind}") if kind else what
    first = next(kind for kind in result.kinds if kind is not None)
    marker = {"color": colour, "line": {"width": 0}}
    if kind is None:
        marker["pattern"] = {"shape": "/", "fillmode": "replace", "size": 5}
    return go.Bar(
        x=chosen,
        y=own,
        customdata=[
            [_part_name(result.parts[place], say), value / total] for place, value in zip(chosen, own, strict=True)
        ],
        marker=marker,
        name=legend,
        showlegend=quantity == "macs" and (not kind or not share or kind == first),
        hovertemplate=f"%{{customdata[0]}}<br>{what}<br><b>%{{y:.4~s}}{UNITS[quantity]}</b>, "
        "%{customdata[1]:.1%}<extra></extra>",
    )


def _pale(colour: str) -> str:
    red, green, blue = hex_to_rgb(colour)
    return f"rgba({red}, {green}, {blue}, 0.4)"


def _short_name(part: str, say: Texts) -> str:
    return f"↓{part.removeprefix('down')}" if part.startswith("down") else _part_name(part, say).removeprefix("blocks")


def _part_name(part: str, say: Texts) -> str:
    if part.startswith("down"):
        return say("cost.part.down", stage=part.removeprefix("down"))
    return part if part.startswith("blocks") else say(f"cost.part.{part}")
