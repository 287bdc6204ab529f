"""Self-attention in the last stage, head by head."""

from viz.analysis.attention import attention_at
from viz.figures.attention import draw_attention
from viz.views.view import View

VIEW = View(
    name="attention",
    kind="msa",
    analyse=attention_at,
    draw=draw_attention,
    code="attention_at(trace, block, token)",
    imports="from viz.analysis.attention import attention_at",
)
