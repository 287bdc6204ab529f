"""The paper's accuracy against cost."""

import math
from collections import defaultdict

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from viz import theme
from viz.figures.axes import with_axes
from viz.paper import PaperTable
from viz.results.cost import PaperResults
from viz.texts import Texts

# Tables of at most so many rows have all of their points named; in larger ones, hovering does.
NAMED_ROWS = 8

# A range of costs wider than this is drawn on a logarithmic axis.
WIDE_RANGE = 5


def draw_paper(result: PaperResults, say: Texts, dark: bool = False) -> go.Figure:
    """One panel per score of the table, against cost; up is better everywhere."""
    tone, table = theme.DARK if dark else theme.LIGHT, result.table
    columns = min(2, len(table.scores))
    rows = -(-len(table.scores) // columns)
    titles = [_score_name(table, score, say) for score in table.scores]
    figure = make_subplots(rows, columns, subplot_titles=titles, horizontal_spacing=0.14, vertical_spacing=0.14)
    for i, score in enumerate(table.scores):
        place = {"row": i // columns + 1, "col": i % columns + 1}
        for mark in ("", "*"):
            figure.add_trace(_line(table, score, mark), **place)
        for ours in (False, True):
            figure.add_trace(_points(result, score, ours, say, tone), **place)
        scores = [value for value in table.column(score) if value is not None]
        low, high = min(scores), max(scores)
        margin = 0.1 * (high - low)  # for the names of points
        figure.update_yaxes(
            range=[high + margin, low - margin] if score == "mce" else [low - margin, high + margin], **place
        )
        if i + columns >= len(table.scores):
            figure.update_xaxes(title=say("cost.axis.flops", side=table.input), title_font_size=12, **place)
    costs = [value for value in table.column(table.cost) if value is not None]
    if max(costs) > WIDE_RANGE * min(costs):
        figure.update_xaxes(type="log", tickvals=[0.2, 0.5, 1, 2, 5, 10, 20], exponentformat="none")
        figure.update_xaxes(range=[math.log10(min(costs) / 1.5), math.log10(max(costs) * 1.5)])
    else:
        margin = 0.25 * (max(costs) - min(costs))
        figure.update_xaxes(range=[min(costs) - margin, max(costs) + margin], nticks=5)
    with_axes(figure, say, result.place, dark, height=160 + 280 * rows if rows > 1 else 540, below=64)
    # Nothing here was measured at a block: the caption says where the numbers come from instead.
    figure.layout.annotations[-1].text = say("cost.cited", number=table.number)
    return figure


def _line(table: PaperTable, score: str, mark: str) -> go.Scatter:
    """From LSNet-T to S and B, all trained plainly or all with distillation (``*``), where the table has them."""
    names = [f"LSNet-{variant}{mark}" for variant in "TSB"]
    rows = [table.models.index(name) for name in names if name in table.models]
    costs, scores = table.column(table.cost), table.column(score)
    return go.Scatter(
        x=[costs[row] for row in rows],
        y=[scores[row] for row in rows],
        mode="lines",
        line={"color": theme.KIND_COLOURS["ls"], "width": 1.5},
        hoverinfo="skip",
    )


def _points(result: PaperResults, score: str, ours: bool, say: Texts, tone: dict[str, str]) -> go.Scatter:
    """The rows that are LSNet's, or all others. Rows at one place are one point, so that none hides another."""
    table = result.table
    together: dict[tuple[float, float], list[int]] = defaultdict(list)
    for row, (name, cost, value) in enumerate(
        zip(table.models, table.column(table.cost), table.column(score), strict=True)
    ):
        if cost is not None and value is not None and (name in table.ours) == ours:
            together[cost, value].append(row)
    named = ours or len(table.rows) <= NAMED_ROWS
    variants = ours and "LSNet-S" in table.models
    short = variants and len(table.scores) > 1  # panels are narrow
    names = [
        ", ".join(table.models[row].removeprefix("LSNet-" if short else "") for row in rows)
        for rows in together.values()
    ]
    colour = theme.KIND_COLOURS["ls"] if ours else tone["muted"]
    return go.Scatter(
        x=[cost for cost, _ in together],
        y=[value for _, value in together],
        mode="markers+text" if named else "markers",
        text=names,
        textposition=_text_places(len(names), ours, variants),
        textfont={"size": 11, "color": colour},
        cliponaxis=False,
        marker={"symbol": "star" if ours else "circle", "size": 15 if ours else 9, "color": colour},
        customdata=["<br><br>".join(_row_text(table, row, say) for row in rows) for rows in together.values()],
        hovertemplate="%{customdata}<extra></extra>",
    )


def _text_places(count: int, ours: bool, variants: bool) -> str | list[str]:
    """Where names stand: the line of LSNet's variants climbs to the right, so that there is room on the left."""
    if ours:
        return "top left" if variants else "top center"
    return ["top center" if i % 2 else "bottom center" for i in range(count)]


def _row_text(table: PaperTable, row: int, say: Texts) -> str:
    """All that a table prints about a model."""
    name, values = table.rows[row]
    lines = [
        f"{say(f'cost.column.{column}')}: {value:g}"
        for column, value in zip(table.columns[1:], values, strict=True)
        if value is not None
    ]
    return f"<b>{name}</b><br>{'<br>'.join(lines)}<br>{say('cost.table', number=table.number)}"


def _score_name(table: PaperTable, score: str, say: Texts) -> str:
    name = say(f"cost.column.{score}")
    return say("cost.epochs", score=name, epochs=table.epochs) if table.epochs else name
