"""What a view is: a question about a trace, its answer as numbers, and the picture of that answer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from lsnet.model import BlockKind
from viz.results import Result
from viz.texts import Texts
from viz.trace import ForwardTrace

Token = tuple[int, int]


@dataclass(frozen=True)
class View:
    """One tab of the interface.

    Attributes:
        name: key of its texts, ``view.<name>.title`` and ``view.<name>.explain``, and of its files.
        kind: the kind of block that it looks into.
        analyse: trace, block name and token (row, column) to a result.
        draw: result, texts and whether the page is dark to a figure.
        code: the expression that computes the result from ``trace``, ``block`` and ``token``.
        imports: what the expression needs.
    """

    name: str
    kind: BlockKind
    analyse: Callable[[ForwardTrace, str, Token], Result]
    draw: Callable[[Any, Texts, bool], go.Figure]
    code: str
    imports: str

    def block_for(self, trace: ForwardTrace, chosen: str) -> str | None:
        """The block that this view shows while ``chosen`` is selected: itself, or the nearest one of its kind.

        Nearest in the order of computation, later blocks first where two are equally near; None where there is none.
        """
        names = list(trace.blocks)
        here = names.index(trace.block(chosen).name)
        fitting = [i for i, name in enumerate(names) if trace.blocks[name].kind == self.kind]
        return names[min(fitting, key=lambda i: (abs(i - here), i < here))] if fitting else None

    def python_lines(self, source: str, picture: str, size: int, mode: str, block: str, token: Token) -> str:
        """Lines that compute the shown result anew."""
        return "\n".join(
            (
                "from lsnet import load_predictor",
                "from viz.capture import trace_image",
                self.imports,
                "",
                f"trace = trace_image(load_predictor({source!r}), {picture!r}, size={size}, mode={mode!r})",
                f"block, token = {block!r}, {token}",
                f"result = {self.code}",
                "print(result.arrays())",
            )
        )
