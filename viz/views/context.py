"""The large-field context that kernels are predicted from."""

from viz.analysis.context import context_map
from viz.figures.context import draw_context
from viz.views.view import View

VIEW = View(
    name="context",
    kind="ls",
    analyse=lambda trace, block, token: context_map(trace, block),
    draw=draw_context,
    code="context_map(trace, block)",
    imports="from viz.analysis.context import context_map",
)
