"""Every colour scale and layout constant. The inspector's JavaScript and all figures read them from here.

Scales are lists of (position 0…1, colour) as plotly wants them; between two stops, colours are mixed linearly in sRGB.
"""

from typing import Any

Scale = list[tuple[float, str]]

# Signed values, centred on zero: blue is negative, orange positive. Told apart with every common colour blindness.
DIVERGING: Scale = [
    (0.0, "#0b3c73"),
    (0.125, "#1f66ad"),
    (0.25, "#5a9bd0"),
    (0.375, "#a9cde6"),
    (0.5, "#f7f6f3"),
    (0.625, "#f9cf9f"),
    (0.75, "#ee9a49"),
    (0.875, "#c9641a"),
    (1.0, "#7f3508"),
]

# Magnitudes, from nothing to most: viridis.
SEQUENTIAL: Scale = [
    (0.0, "#440154"),
    (0.125, "#472d7b"),
    (0.25, "#3b528b"),
    (0.375, "#2c728e"),
    (0.5, "#21918c"),
    (0.625, "#28ae80"),
    (0.75, "#5ec962"),
    (0.875, "#addc30"),
    (1.0, "#fde725"),
]

# Directions, clockwise from the right (x grows to the right, y down); equally light all the way round.
CYCLIC: Scale = [
    (0.0, "#c8743a"),
    (0.125, "#b98a1c"),
    (0.25, "#7fa02f"),
    (0.375, "#2fa877"),
    (0.5, "#1f9fb4"),
    (0.625, "#5b8de0"),
    (0.75, "#a172dc"),
    (0.875, "#d0619c"),
    (1.0, "#c8743a"),
]

# Stages 1 to 4: Paul Tol's "bright" set.
STAGE_COLOURS: list[str] = ["#4477aa", "#228833", "#b89a1e", "#aa3377"]

# Kinds without an order: colours of Paul Tol's sets. Under normal vision and each of the three colour blindnesses, any
# two of the first eight are at least 19 apart in CIELAB, any two of all sixteen at least 10.
QUALITATIVE: list[str] = [
    "#0077bb",
    "#eecc66",
    "#cc3311",
    "#66ccee",
    "#994455",
    "#aaaa00",
    "#ee8866",
    "#dddddd",
    "#44aa99",
    "#228833",
    "#ee3377",
    "#6699cc",
    "#ffaabb",
    "#aa3377",
    "#aa4499",
    "#bbcc33",
]

# What a block mixes tokens with.
KIND_COLOURS: dict[str, str] = {
    "dw": "#8b95a5",
    "ls": "#5566d6",
    "dynamic": "#257e8b",
    "msa": "#a44fa8",
    "attention": "#a44fa8",
    "global": "#a8862c",
    "none": "#c4c9d1",
}

# The two windows of "see large, focus small", the same wherever they are drawn.
PERCEPTION = "#17a99b"
AGGREGATION = "#e83e7f"

# The two pinned pixels.
PINS: dict[str, str] = {"A": "#f2b807", "B": "#7c6cf2"}

# Neutral colours of surfaces, lines and text.
LIGHT: dict[str, str] = {
    "paper": "#ffffff",
    "panel": "#f7f8fa",
    "line": "#e2e5ea",
    "muted": "#636b78",
    "text": "#1b1f27",
    "accent": "#3f51c7",
    "warning": "#9a5b00",
}
DARK: dict[str, str] = {
    "paper": "#14161b",
    "panel": "#1c1f26",
    "line": "#31363f",
    "muted": "#a0a8b5",
    "text": "#eceef2",
    "accent": "#97a5ff",
    "warning": "#f3b85c",
}

# What is written or drawn on colours and on photos, in light and dark pages alike. Black and white, since on any colour
# whatever one of these two has the contrast of 4.5 that small text needs.
INK = "#000000"
CHALK = "#ffffff"
SHADE = "#0a0d14"

FONT_FAMILY = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'Noto Sans CJK SC', sans-serif"

# Inspector: how dark the picture is outside of the perception window, and how opaque a colouring starts, 0…1.
SHADE_OPACITY = 0.5
COLOURING_OPACITY = 0.65


def inspector_theme() -> dict[str, Any]:
    """What the inspector's JavaScript needs of this file, as JSON-ready values."""
    return {
        "diverging": DIVERGING,
        "sequential": SEQUENTIAL,
        "cyclic": CYCLIC,
        "stages": STAGE_COLOURS,
        "kinds": KIND_COLOURS,
        "perception": PERCEPTION,
        "aggregation": AGGREGATION,
        "pins": PINS,
        "ink": INK,
        "chalk": CHALK,
        "shade": SHADE,
        "light": LIGHT,
        "dark": DARK,
        "font": FONT_FAMILY,
        "shadeOpacity": SHADE_OPACITY,
        "colouringOpacity": COLOURING_OPACITY,
    }
