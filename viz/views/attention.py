"""Self-attention: rows, rollout, position bias, the width of heads, other resolutions."""

import math

import numpy as np

from viz.analysis.attention import attention
from viz.figures.attention import draw_attention
from viz.results import Result
from viz.results.attention import AttentionBias, AttentionHeads, AttentionRollout, AttentionRows, AttentionSizes
from viz.subject import Subject
from viz.texts import Texts
from viz.views.settings import Choice, Switch, Values
from viz.views.view import View


def _analyse(subject: Subject, values: Values) -> Result:
    return attention(
        subject.predictor,
        subject.picture,
        subject.trace,
        subject.block,
        subject.token,
        show=values["show"],  # type: ignore[arg-type]
        overlay=bool(values["overlay"]),
        progress=subject.progress,
    )


def _tell(result: Result, say: Texts) -> str:
    if isinstance(result, AttentionRows):
        return _tell_rows(result, say)
    if isinstance(result, AttentionRollout):
        maps, token = result.maps, result.place.token
        assert token is not None
        own, uniform = maps[-1][token], 1 / maps[-1].size
        return say("attention.tell.rollout", block=result.blocks[-1], own=f"{own:.1%}", uniform=f"{uniform:.1%}")
    if isinstance(result, AttentionBias):
        return _tell_bias(result, say)
    if isinstance(result, AttentionHeads):
        return _tell_heads(result, say)
    assert isinstance(result, AttentionSizes)
    return _tell_sizes(result, say)


def _tell_rows(result: AttentionRows, say: Texts) -> str:
    head, row, column = np.unravel_index(result.rows.argmax(), result.rows.shape)
    sharpest = int(result.entropy.argmin())
    return say(
        "attention.tell.rows",
        head=int(head),
        row=int(row),
        column=int(column),
        share=f"{result.rows.max():.1%}",
        sharpest=sharpest,
        bits=f"{result.entropy[sharpest]:.2f}",
        limit=f"{math.log2(result.mean.size):.2f}",
        distance=f"{result.distance.mean():.1f}",
        pixels=round(float(result.distance.mean()) * result.place.stride),
    )


def _tell_bias(result: AttentionBias, say: Texts) -> str:
    sentences = []
    if result.table.any():
        low, high = (f"{share:.1%}".replace("-", "−") for share in (result.share.min(), result.share.max()))
        sentences.append(say("attention.tell.bias", low=low, high=high))
    else:
        sentences.append(say("attention.tell.bias.zero"))
    stored = result.table.shape[1:]
    if stored != result.grid:
        sentences.append(
            say(
                "attention.tell.stretched",
                stored=say("attention.grid", rows=stored[0], columns=stored[1]),
                grid=say("attention.grid", rows=result.grid[0], columns=result.grid[1]),
            )
        )
    return " ".join(sentences)


def _tell_heads(result: AttentionHeads, say: Texts) -> str:
    which = result.block.astype(int)
    share = result.entropy / np.maximum(result.limits[which], np.finfo(np.float32).tiny)  # a grid of one token: 0 of 0
    sharp, wide = int(share.argmin()), int(share.argmax())
    names = {
        key: say("attention.tell.one", block=result.blocks[which[at]], head=int(result.head[at]))
        for key, at in (("sharp", sharp), ("wide", wide))
    }
    bits = {f"{key}_bits": f"{result.entropy[at]:.2f}" for key, at in (("sharp", sharp), ("wide", wide))}
    limits = {f"{key}_limit": f"{result.limits[which[at]]:.2f}" for key, at in (("sharp", sharp), ("wide", wide))}
    return say("attention.tell.heads", **names, **bits, **limits)


def _tell_sizes(result: AttentionSizes, say: Texts) -> str:
    parts = [
        say("attention.tell.size", size=size, bits=f"{bits:.2f}", limit=f"{limit:.2f}")
        for size, bits, limit in zip(result.sizes, result.entropy, result.limits, strict=True)
    ]
    grid = say("attention.grid", rows=result.stored[0], columns=result.stored[1])
    sentences = [say("attention.tell.sizes", sizes=" · ".join(parts), grid=grid)]
    sentences += [say("attention.tell.left_out", size=size) for size in result.left_out]
    return " ".join(sentences)


VIEW = View(
    name="attention",
    kinds=("msa", "attention"),
    analyse=_analyse,
    draw=draw_attention,
    code="attention(predictor, picture, trace, block, token, show={show!r}, overlay={overlay!r})",
    imports="from viz.analysis.attention import attention",
    settings=(
        Choice("show", ("rows", "rollout", "bias", "heads", "resolution")),
        Switch("overlay", default=True, when={"show": ("rows", "rollout", "resolution")}),
    ),
    tell=_tell,
)
