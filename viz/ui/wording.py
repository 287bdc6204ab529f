"""Sentences that the page composes from what was computed."""

import re
from collections.abc import Sequence

import torch

from lsnet.errors import InputError
from viz.caveats import caveats
from viz.texts import Texts
from viz.ui.analysis import Analysis
from viz.ui.variant import variant_name

_MARKS = re.compile(r"([\\`*\[\]()!<>#|~$&])")  # what means something in Markdown


def model_choices(sources: Sequence[str], say: Texts) -> list[tuple[str, str]]:
    """(name, source) of every network that is offered."""
    return [(model_name(source, say), source) for source in sources]


def model_name(source: str, say: Texts) -> str:
    """A source as visitors read it: ``"LSNet-T · bundled, …"``."""
    if source.startswith("untrained/"):
        plain = source.startswith("untrained/lsnet_") and "?" not in source  # other names are long enough
        return say("model.untrained" if plain else "variant.untrained", name=variant_name(source, say))
    origin, _, name = source.rpartition("/")
    pretty = name.replace("lsnet_", "LSNet-").replace("_distill", "*")
    if pretty.startswith("LSNet-"):
        pretty = f"LSNet-{pretty[6:].capitalize()}"
    return say(f"model.{origin or 'hub'}", name=pretty)


def mode_choices(say: Texts) -> list[tuple[str, str]]:
    """(name, mode) of every framing."""
    return [(say(f"mode.{mode}"), mode) for mode in ("crop", "whole")]


def status(analysis: Analysis, say: Texts) -> str:
    """Device, input, weights and time of an analysis."""
    trace = analysis.trace
    width, height = trace.geometry.frame.size
    return say(
        "status.line",
        device=trace.device,
        threads=torch.get_num_threads(),
        width=width,
        height=height,
        weights=trace.weights,
        ms=round(trace.seconds * 1000),
    )


def notice(analysis: Analysis, say: Texts) -> str:
    """What a visitor must know about this analysis before believing anything; empty where there is nothing."""
    smaller = say("notice.smaller", asked=analysis.asked, size=analysis.size) if analysis.size < analysis.asked else ""
    return " ".join(filter(None, (caveats(analysis.source, analysis.trace.weights, analysis.trained, say), smaller)))


def problem(error: Exception, say: Texts, markdown: bool = True) -> str:
    """One sentence for the visitor, as Markdown or as it is. What they cannot mend is told without its innards."""
    if not isinstance(error, InputError) or f"error.{error.code}" not in say:
        return say("error.internal")
    details = dict(error.details)
    if markdown:  # a detail may be what a link said: it is shown to the letter, and makes no link of its own
        details |= {name: _MARKS.sub(r"\\\1", text) for name, text in details.items() if isinstance(text, str)}
    return say(f"error.{error.code}", **details)
