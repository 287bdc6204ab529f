"""What a view is: a question about a place in a network, its answer as numbers, and the picture of that answer."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from lsnet.model import BlockKind
from viz.results import Result
from viz.subject import Subject, Token
from viz.texts import Texts
from viz.trace import ForwardTrace
from viz.views.settings import Setting, Values, check_conditions


@dataclass(frozen=True)
class View:
    """One tab of the interface.

    Attributes:
        name: key of its texts, ``view.<name>.title`` and ``view.<name>.explain``, and of its files.
        kinds: the kinds of block that it looks into.
        analyse: subject and settings to a result, or to results that each replace the one before, for a computation
            that has something to show before it is done.
        draw: result, texts and whether the page is dark to a figure.
        code: the expression that computes the result from ``predictor``, ``picture``, ``trace``, ``block`` and
            ``token``; settings stand in it as ``{name!r}``.
        imports: what the expression needs, as lines of Python.
        settings: what a visitor can set.
        tell: what the numbers say in words, as Markdown in the visitor's language; empty for nothing.
    """

    name: str
    kinds: tuple[BlockKind, ...]
    analyse: Callable[[Subject, Values], Result | Iterator[Result]]
    draw: Callable[[Any, Texts, bool], go.Figure]
    code: str
    imports: str
    settings: tuple[Setting, ...] = ()
    tell: Callable[[Any, Texts], str] = lambda result, say: ""

    def __post_init__(self) -> None:
        check_conditions(self.settings)

    def block_for(self, trace: ForwardTrace, chosen: str) -> str | None:
        """The block that this view shows while ``chosen`` is selected: itself, or the nearest one of its kinds.

        Nearest in the order of computation, later blocks first where two are equally near; None where there is none.
        """
        names = list(trace.blocks)
        here = names.index(trace.block(chosen).name)
        fitting = [i for i, name in enumerate(names) if trace.blocks[name].kind in self.kinds]
        return names[min(fitting, key=lambda i: (abs(i - here), i < here))] if fitting else None

    def results(self, subject: Subject, values: Values) -> Iterator[Result]:
        """The results of :attr:`analyse`, one or more; the last one is complete."""
        answer = self.analyse(subject, values)
        if isinstance(answer, Result):
            yield answer
        else:
            yield from answer

    def result(self, subject: Subject, values: Values) -> Result:
        """The complete result."""
        *_, complete = self.results(subject, values)
        return complete

    def python_lines(
        self, source: str, picture: str, size: int, mode: str, block: str, token: Token, values: Values
    ) -> str:
        """Lines that compute the shown result anew."""
        return "\n".join(
            (
                "from lsnet import load_predictor",
                "from viz.capture import trace_image",
                "from viz.images import load_picture",
                self.imports,
                "",
                f"predictor = load_predictor({source!r}).framed({size!r}, {mode!r})",
                f"picture = load_picture({picture!r})",
                "trace = trace_image(predictor, picture)",
                f"block, token = {block!r}, {token}",
                f"result = {self.code.format_map(values)}",
                "print(result.arrays())",
            )
        )
