"""Figures of the kernel studies: what is drawn are means of the CSV's numbers, in either language."""

import json
from dataclasses import asdict
from statistics import mean

import plotly.graph_objects as go
import pytest

from lsnet.tools.studies import ResolutionRow, ShiftRow
from viz.figures.studies import Row, draw_resolution, draw_shift
from viz.texts import LANGUAGES, texts_in


def table(*rows: ShiftRow | ResolutionRow, picture: str = "a.jpg") -> list[Row]:
    """Lines as a CSV reader gives them."""
    return [
        {"picture": picture, "weights": "lsnet_n · untrained"} | {k: str(v) for k, v in asdict(r).items()} for r in rows
    ]


SHIFT = table(
    ShiftRow("blocks2.3", 16, "mirror", 0, 0, 16, 0.3, 1.2, 0.6, 0.9),
    ShiftRow("blocks2.3", 16, "x", 0, 0, 16, 1.0, 0.0, 0.6, 0.9),
    ShiftRow("blocks2.3", 16, "x", 16, 0, 12, 0.9, 0.4, 0.6, 0.9),
    ShiftRow("blocks2.3", 16, "y", 16, 0, 12, 0.7, 0.2, 0.6, 0.9),
    ShiftRow("blocks3.3", 32, "x", 16, 16, 4, 0.5, 0.5, 0.5, 0.5),
) + table(ShiftRow("blocks2.3", 16, "x", 16, 0, 12, 0.8, 0.3, 0.4, 0.7), picture="b.jpg")

RESOLUTION = table(
    ResolutionRow("blocks2.3", 16, "crop", 64, 16, 0.8, 0.5, 0.25, 0.9),
    ResolutionRow("blocks2.3", 16, "crop", 128, 64, 1.0, 0.0, 0.0, 1.0),
    ResolutionRow("blocks2.5", 16, "size", 160, 64, 0.9, 0.3, 0.2, 1.0),
)


def drawn(figure: go.Figure, axis: str) -> list[go.Scatter]:
    return [trace for trace in figure.data if trace.yaxis == axis]


def test_shifts_are_means_over_pictures_and_directions() -> None:
    figure = draw_shift(SHIFT, 16, texts_in("en"))
    line, mirror = drawn(figure, "y")
    assert list(line.x) == [0, 16]
    assert line.y == pytest.approx([1.0, mean([0.9, 0.7, 0.8])])
    assert mirror.y == (0.3,)
    assert drawn(figure, "y2")[0].y[1] == pytest.approx(0.3)
    assert set(figure.layout.xaxis.ticktext) == {"0", "16", "mirrored"}
    dashed = [shape.y0 for shape in figure.layout.shapes]
    assert dashed == pytest.approx([mean([0.6] * 4 + [0.4]), mean([0.9] * 4 + [0.7])])


def test_resolution_shows_both_norms_on_one_range() -> None:
    figure = draw_resolution(RESOLUTION, 16, texts_in("en"))
    crops = {trace.line.dash: trace for trace in drawn(figure, "y") if trace.x}
    assert list(crops["solid"].y) == [0.5, 0.0]
    assert list(crops["dot"].y) == [0.25, 0.0]
    assert figure.layout.yaxis2.matches == "y"
    assert {trace.name for trace in drawn(figure, "y2") if trace.x} >= {"blocks2.5"}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("dark", [False, True])
def test_captions_name_blocks_and_weights(language: str, dark: bool) -> None:
    for figure in (
        draw_shift(SHIFT, 16, texts_in(language), dark),
        draw_resolution(RESOLUTION, 16, texts_in(language), dark),
    ):
        caption = json.loads(figure.to_json())["layout"]["annotations"][-1]["text"]
        assert "blocks2.3" in caption
        assert "untrained" in caption
        assert "blocks3.3" not in caption


def test_a_stride_without_blocks_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected a stride out of \[16, 32\], got 8"):
        draw_shift(SHIFT, 8, texts_in("en"))
