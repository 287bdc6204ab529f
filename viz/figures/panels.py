"""What stands on and above the panels of a figure: headings, titles that stay with their picture, boxes.

All functions give parts of a layout, because a figure takes many at once far faster than one by one.
"""

from typing import Any

from viz import theme


def axes_of(panel: int, suffix: str = "") -> dict[str, str]:
    """Where a shape or annotation of a subplot refers to; subplots count row by row from 1."""
    number = "" if panel == 1 else panel
    return {"xref": f"x{number}{suffix}", "yref": f"y{number}{suffix}"}


def heading_at(text: str, y: float) -> dict[str, Any]:
    """An annotation over rows of panels, from the figure's left edge; ``y`` is its top, 0…1 of the plotted height."""
    place = {"x": 0, "y": y, "xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "top"}
    return {"text": f"<b>{text}</b>", "showarrow": False, "font": {"size": 12}, **place}


def title_above(text: str, panel: int) -> dict[str, Any]:
    """A short annotation right above a panel, also where square cells leave a part of the subplot empty."""
    place = {"x": 0.5, "y": 1, **axes_of(panel, " domain"), "yanchor": "bottom", "yshift": 2}
    return {"text": text, "showarrow": False, "font": {"size": 12}, **place}


def outline(
    box: tuple[float, float, float, float], colour: str, panel: int, dash: str = "solid"
) -> list[dict[str, Any]]:
    """Shapes for a (left, top, right, bottom) box in the panel's own units: a line of a colour, cased in shade."""
    left, top, right, bottom = box
    corners = {"x0": left, "y0": top, "x1": right, "y1": bottom, **axes_of(panel)}
    return [
        {"type": "rect", **corners, "line": {"color": theme.SHADE, "width": 4}, "opacity": 0.6},
        {"type": "rect", **corners, "line": {"color": colour, "width": 2, "dash": dash}},
    ]
