"""Patches of pictures in rows, with words and bars between them, on axes of their own."""

import base64
from typing import Any

import plotly.graph_objects as go

from viz.results.atlas import Patches
from viz.texts import Texts

COLUMNS = 4  # of patches


class PatchSheet:
    """Collects what stands on a pair of axes and lays it on a figure at once, which is much faster than one by one.

    The x axis counts columns, the y axis CSS pixels from the top.

    Args:
        axes: number of the x and of the y axis.
        domain: (bottom, top) of the sheet, as shares of the figure's plotting area.
        height: of the sheet in CSS pixels.
        left: where the sheet begins, as a share of the plotting area's width; it ends on the right.
        columns: how many there are.
        say: texts in the visitor's language.
    """

    def __init__(
        self, axes: int, domain: tuple[float, float], height: float, left: float, columns: int, say: Texts
    ) -> None:
        self._axes, self._say = axes, say
        self._x = {"domain": [left, 1], "range": [0, columns], "visible": False}
        self._y = {"domain": domain, "range": [height, 0], "visible": False}
        self._images: list[dict[str, Any]] = []
        self._texts: list[dict[str, Any]] = []
        self._bars: list[dict[str, Any]] = []
        self._hover: list[tuple[float, float, str]] = []

    def patches(self, patches: Patches, score: str, left: float, top: float, size: float, pitch: float = 0) -> None:
        """Patches in rows of :data:`COLUMNS`, with their places as hover text.

        Args:
            score: key of the text that tells a patch's score.
            left, top: corner of the first one, in columns and CSS pixels.
            size: height of a patch in CSS pixels; it is square, and smaller where its column is narrower.
            pitch: from one row to the next, in CSS pixels.
        """
        for i, image in enumerate(patches.images):
            x, y = left + i % COLUMNS + 0.5, top + i // COLUMNS * pitch + size / 2
            source = f"data:image/webp;base64,{base64.b64encode(image).decode()}"
            box = {"x": x, "y": y, "sizex": 0.92, "sizey": size, "xanchor": "center", "yanchor": "middle"}
            self._images.append(self._refs() | box | {"source": source, "sizing": "contain"})
            self._hover.append((x, y, self._described(patches, i, score)))

    def text(self, text: str, x: float, bottom: float, anchor: str = "left") -> None:
        """A line of text that stands on a height of the sheet."""
        look = {"xanchor": anchor, "yanchor": "bottom", "showarrow": False, "align": "left", "font": {"size": 12}}
        self._texts.append(self._refs() | look | {"text": text, "x": x, "y": bottom})

    def bar(self, box: tuple[float, float, float, float], colour: str) -> None:
        """A filled (left, top, right, bottom) box."""
        left, top, right, bottom = box
        corners = {"x0": left, "y0": top, "x1": right, "y1": bottom}
        self._bars.append(self._refs() | corners | {"type": "rect", "fillcolor": colour, "line": {"width": 0}})

    def lay_on(self, figure: go.Figure) -> None:
        """Add the axes and everything on them."""
        figure.update_layout({f"xaxis{self._axes}": self._x, f"yaxis{self._axes}": self._y})
        figure.layout.images = [*figure.layout.images, *self._images]
        figure.layout.annotations = [*figure.layout.annotations, *self._texts]
        figure.layout.shapes = [*figure.layout.shapes, *self._bars]
        x, y, text = zip(*self._hover, strict=True) if self._hover else ((), (), ())
        figure.add_trace(
            go.Scatter(
                x=x,
                y=y,
                text=text,
                xaxis=f"x{self._axes}",
                yaxis=f"y{self._axes}",
                mode="markers",
                marker={"size": 40, "opacity": 0},
                showlegend=False,
                hovertemplate="%{text}<extra></extra>",
            )
        )

    def _refs(self) -> dict[str, Any]:
        return {"xref": f"x{self._axes}", "yref": f"y{self._axes}"}

    def _described(self, patches: Patches, i: int, score: str) -> str:
        say, (picture, row, column) = self._say, patches.places[i].tolist()
        source = say("atlas.own") if picture == 0 else say("atlas.other", number=picture)
        number = say(score, value=f"{patches.scores[i]:.3f}")
        return f"{source}<br>{say('figure.token', row=row, column=column)}<br><b>{number}</b>"
