"""The likeliest classes before and after a change, as pairs of bars."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from viz import theme
from viz.results import Array
from viz.texts import Texts

LONGEST_NAME = 24  # letters of a class
AFTER = theme.KIND_COLOURS["ls"]
CLASS = 34  # CSS pixels for a class: its name, and two bars below it


def add_answers(
    figure: go.Figure,
    classes: Sequence[Mapping[str, str]],
    bars: Mapping[str, tuple[Array, str]],
    say: Texts,
    row: int,
    column: int = 1,
) -> None:
    """Draw probabilities into a subplot.

    Args:
        figure: with subplots.
        classes: their names by language, from the top down.
        bars: by their name, probabilities (classes,) and a colour.
        say: texts in the visitor's language.
        row, column: of the subplot.
    """
    places = [float(place) for place in range(len(classes))]
    for key, (values, colour) in bars.items():
        drawn = go.Bar(
            x=values,
            y=places,
            orientation="h",
            marker_color=colour,
            showlegend=False,
            customdata=[say.of(one) for one in classes],
            hovertemplate=f"%{{customdata}}<br>{key} <b>%{{x:.1%}}</b><extra></extra>",
        )
        figure.add_trace(drawn, row, column)
    x_axis, y_axis = figure.get_subplot(row, column)
    x_axis.update(tickformat=".0%", rangemode="tozero", nticks=6)
    y_axis.update(range=[len(classes) - 0.5, -0.7], visible=False)
    # Names stand on their bars, not beside them: there they would take a third of a phone.
    where = {"xref": f"{y_axis.anchor} domain", "yref": x_axis.anchor, "x": 0, "xanchor": "left", "yanchor": "middle"}
    names = [
        {"text": short_name(say.of(one)), "y": place - 0.5, "showarrow": False, "font": {"size": 11}, **where}
        for place, one in zip(places, classes, strict=True)
    ]
    figure.layout.annotations = [*figure.layout.annotations, *names]  # an update would merge them one by one
    figure.layout.bargap = 0.45


def key_to(name: str, colour: str) -> str:
    """A square of a colour and what it stands for."""
    return f'<span style="color:{colour}">■</span> {name}'


def short_name(name: str) -> str:
    """The first of a class's names, cut to what a phone can show."""
    first = name.split(",")[0]
    return first if len(first) <= LONGEST_NAME else f"{first[: LONGEST_NAME - 1]}…"
