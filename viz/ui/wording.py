"""Sentences that the page composes from what was computed."""

from collections.abc import Sequence

import torch

from lsnet.errors import InputError
from viz.caveats import caveats
from viz.texts import Texts
from viz.ui.service import Analysis
from viz.ui.variant import variant_name


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
    return " ".join(filter(None, (caveats(analysis.source, analysis.trained, say), smaller)))


def problem(error: Exception, say: Texts) -> str:
    """One sentence for the visitor. What they cannot mend is told without its innards."""
    if isinstance(error, InputError) and f"error.{error.code}" in say:
        return say(f"error.{error.code}", **error.details)
    return say("error.internal")
