"""The font of formulas: a part of STIX Two Math, because brackets and roots grow only in a font made for formulas.

Few phones and not all computers have one. The part was cut with fonttools' ``pyftsubset`` from the font in the npm
package ``@fontsource/stix-two-math`` 5.3.0; its licence, the SIL Open Font License, lies beside it.
"""

import base64
from functools import cache
from pathlib import Path
from urllib.parse import quote

FONT = Path(__file__).resolve().parent.parent / "assets" / "fonts" / "stix-two-math.woff2"


@cache
def math_font(served_at: str | None = None) -> str:
    """A CSS rule that brings the font under its own name.

    Args:
        served_at: where a server hands out files, as the beginning of an address; None puts the font into the rule, for
            pages that need no other file.
    """
    if served_at is None:
        source = f"data:font/woff2;base64,{base64.b64encode(FONT.read_bytes()).decode()}"
    else:
        source = f"{served_at}{quote(str(FONT))}"
    return f'@font-face {{ font-family: "STIX Two Math"; src: url("{source}") format("woff2"); font-display: swap; }}'
