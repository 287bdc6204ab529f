"""Corruption: what noise, blur, weather and compression do to kernels, to their context and to the answer."""

from collections.abc import Iterator
from typing import cast, get_args

from viz.analysis.corruption import RANDOM, Corruption, corruption_effect
from viz.figures.corruption import draw_corruption
from viz.results import Result
from viz.results.corruption import CorruptionEffect
from viz.subject import Subject
from viz.texts import Texts
from viz.views.settings import Choice, Number, Values
from viz.views.view import View


def _analyse(subject: Subject, values: Values) -> Iterator[Result]:
    return corruption_effect(
        subject.predictor,
        subject.picture,
        subject.trace,
        subject.block,
        subject.token,
        corruption=cast("Corruption", values["corruption"]),
        severity=int(cast("int", values["severity"])),
        seed=int(cast("int", values["seed"])),
        progress=subject.progress,
    )


def _tell(result: CorruptionEffect, say: Texts) -> str:
    at = result.severities.tolist().index(result.severity)
    then = int(result.after.argmax())
    answer = say(
        "corruption.tell.same" if result.kept[at] else "corruption.tell.other",
        before=say.of(result.classes[0]),
        after=say.of(result.classes[then]),
        share=f"{result.before[0]:.1%}",
        share_after=f"{result.after[then]:.1%}",
        share_left=f"{result.after[0]:.1%}",
    )
    token = result.place.token
    assert token is not None
    moved = say(
        "corruption.tell.moved",
        input=f"{result.input_changes[at]:.0%}",
        kernels=f"{result.kernel_changes[at]:.0%}",
        context=f"{result.context_changes[at]:.0%}",
        here=f"{result.kernel_map[token]:.0%}",
        kernel_shuffled=f"{result.kernel_shuffled:.0%}",
        context_shuffled=f"{result.context_shuffled:.0%}",
    )
    return f"{answer}\n\n{moved}"


VIEW = View(
    name="corruption",
    kinds=("ls",),
    analyse=_analyse,
    draw=draw_corruption,
    code=(
        "[*corruption_effect(predictor, picture, trace, block, token, corruption={corruption!r}, "
        "severity={severity!r}, seed={seed!r})][-1]"
    ),
    imports="from viz.analysis.corruption import corruption_effect",
    settings=(
        Choice("corruption", get_args(Corruption)),
        Number("severity", 1, 5, 3),
        Number("seed", 0, 99, 0, when={"corruption": RANDOM}),
    ),
    tell=_tell,
)
