"""The dynamic kernel of every kernel set at one token."""

from viz.analysis.kernels import kernels_at
from viz.figures.kernels import draw_kernels
from viz.views.view import View

VIEW = View(
    name="kernels",
    kinds=("ls", "dynamic"),
    analyse=lambda subject, values: kernels_at(subject.trace, subject.block, subject.token),
    draw=draw_kernels,
    code="kernels_at(trace, block, token)",
    imports="from viz.analysis.kernels import kernels_at",
)
