"""Sentences that the page composes from what was computed."""

import torch

from lsnet.errors import InputError
from viz.texts import Texts
from viz.trace import BlockTrace, ForwardTrace
from viz.ui.service import MODES, Analysis


def model_choices(sources: list[str], say: Texts) -> list[tuple[str, str]]:
    """(name, source) of every network that is offered."""
    return [(model_name(source, say), source) for source in sources]


def model_name(source: str, say: Texts) -> str:
    """A source as visitors read it: ``"LSNet-T · bundled, …"``."""
    origin, _, name = source.rpartition("/")
    pretty = name.replace("lsnet_", "LSNet-").replace("_distill", "*")
    if pretty.startswith("LSNet-"):
        pretty = f"LSNet-{pretty[6:].capitalize()}"
    return say(f"model.{origin or 'hub'}", name=pretty)


def mode_choices(say: Texts) -> list[tuple[str, str]]:
    """(name, mode) of every framing."""
    return [(say(f"mode.{mode}"), mode) for mode in MODES]


def block_choices(trace: ForwardTrace, say: Texts) -> list[tuple[str, str]]:
    """(name, block) of every block that has kernels or attention."""
    return [(_block_name(block, say), block.name) for block in inspectable(trace)]


def inspectable(trace: ForwardTrace) -> list[BlockTrace]:
    """The blocks that one can look into, in order of computation."""
    return [block for block in trace.blocks.values() if block.kind in ("ls", "msa")]


def _block_name(block: BlockTrace, say: Texts) -> str:
    height, width = block.grid
    return say(f"block.{block.kind}", name=block.name, height=height, width=width, stride=block.stride)


def predictions(trace: ForwardTrace, say: Texts) -> dict[str, float]:
    """The five most probable classes by name."""
    return {say.of({"en": label.en, "zh": label.zh}): probability for label, probability in trace.topk(5)}


def predictions_label(trace: ForwardTrace, say: Texts) -> str:
    """Which set of labels the probabilities are over, so that nobody takes one for another."""
    return say("predictions.set", label_set=say.of(trace.label_set))


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


def notice(analysis: Analysis, trained: bool, say: Texts) -> str:
    """What a visitor must know about these weights before believing anything; empty where there is nothing."""
    notes = [] if trained else [say("notice.untrained")]
    if analysis.source.endswith("lsnet_n"):
        notes.append(say("notice.own_model"))
    return "\n\n".join(notes)


def place(block: BlockTrace, token: tuple[int, int] | None, say: Texts) -> str:
    """Where the chosen token is and what the two windows mean there."""
    if token is None:
        return say("explore.cropped")
    height, width = block.grid
    where = say("explore.place", row=token[0], column=token[1], height=height, width=width, stride=block.stride)
    if block.kind == "ls":
        return f"{where} {say('explore.ls_windows', large=block.kernel_large, small=block.kernel_small)}"
    return f"{where} {say('explore.msa_windows')}"


def problem(error: Exception, say: Texts) -> str:
    """One sentence for the visitor. What they cannot mend is told without its innards."""
    if isinstance(error, InputError) and f"error.{error.code}" in say:
        return say(f"error.{error.code}", **error.details)
    return say("error.internal")
