"""Which pixels a class, or a weight of a dynamic kernel, rests on, and whether to trust the map."""

from collections.abc import Iterator, Sequence
from typing import cast, get_args

from lsnet.config import LSNetConfig
from lsnet.model import BlockKind
from viz.analysis.attribution import Layer, Method
from viz.analysis.explained import PREDICTED, Target
from viz.analysis.faithfulness import Check, explain
from viz.figures.attribution import draw_attribution
from viz.results.attribution import (
    WITH_BASELINE,
    Attribution,
    BaselineName,
    FaithfulAttribution,
    MethodName,
    RandomisedAttribution,
    TargetKind,
)
from viz.subject import Subject
from viz.texts import Texts
from viz.views.settings import Choice, Number, Values
from viz.views.view import View


def analyse(subject: Subject, values: Values) -> Iterator[Attribution]:
    """The map at once, its check after it."""
    target = Target(
        subject.block,
        subject.token,
        cast("TargetKind", values["target"]),
        str(values["label"]),
        int(cast("str", values["set"])),
        int(cast("str", values["tap"])),
    )
    method = Method(
        cast("MethodName", values["method"]),
        cast("BaselineName", values["baseline"]),
        int(cast("float", values["steps"])),
        cast("Layer", values["layer"]),
    )
    check = cast("Check", values["check"])
    return explain(subject.predictor, subject.picture, subject.trace, target, method, check, subject.progress)


def labels(subject: Subject, say: Texts) -> Sequence[tuple[str, str]]:
    """The predicted class, then all classes, the most probable first."""
    trace = subject.trace
    ranked = trace.topk(len(trace.classes)) if trace.classes else []
    named = [
        (say("attribution.label", name=say.of({"en": label.en, "zh": label.zh}), share=f"{share:.1%}"), label.id)
        for label, share in ranked
    ]
    return [(say("attribution.predicted"), PREDICTED), *named]


def kernel_sets(subject: Subject, say: Texts) -> Sequence[tuple[str, str]]:
    """The kernel sets of the chosen block, or one that stands for none."""
    kernels = subject.block_trace.kernels
    sets = 1 if kernels is None else len(kernels)
    return [(str(g), str(g)) for g in range(sets)]


def taps(subject: Subject, say: Texts) -> Sequence[tuple[str, str]]:
    """The taps of the chosen block's kernels, by their place around the token, the centre first."""
    side = subject.block_trace.kernel_small or LSNetConfig.kernel_small
    centre = side * side // 2
    order = sorted(range(side * side), key=lambda tap: tap != centre)
    offsets = {tap: (tap // side - side // 2, tap % side - side // 2) for tap in order}
    return [(say("attribution.tap", row=f"{u:+d}", column=f"{v:+d}"), str(tap)) for tap, (u, v) in offsets.items()]


def tell(result: Attribution, say: Texts) -> str:
    """The explained number, what the map adds up to, and what the check found."""
    lines = [_number(result, say), _method(result, say)]
    if result.empty:
        lines.append(say(f"attribution.empty.{result.empty}"))
    if isinstance(result, FaithfulAttribution):
        lines.append(_removal(result, say))
    if isinstance(result, RandomisedAttribution):
        signed, magnitudes = (round(float(values[-1]), 2) + 0.0 for values in (result.signed, result.magnitudes))
        last = {"signed": f"{signed:.2f}", "magnitudes": f"{magnitudes:.2f}"}  # "+ 0.0" takes the minus from a zero
        lines.append(say("attribution.tell.randomised", **last))
    return "\n\n".join(lines)


def _number(result: Attribution, say: Texts) -> str:
    value = f"{result.value:.3g}"
    if result.probability is not None:
        share = f"{result.probability:.1%}"
        return say("attribution.tell.class", name=say.of(result.name), value=value, probability=share)
    side = result.kernel_small
    where = {"row": result.tap // side - side // 2, "column": result.tap % side - side // 2}
    return say("attribution.tell.tap", set=result.kernel_set, value=value, **where)


def _method(result: Attribution, say: Texts) -> str:
    values: dict[str, str | int] = {
        "total": f"{result.total:.3g}",
        "steps": result.steps,
        "layer": result.layer,
    }
    if result.baseline_value is not None:
        difference = result.value - result.baseline_value
        values |= {
            "baseline": say(f"view.attribution.set.baseline.{result.baseline}"),
            "start": f"{result.baseline_value:.3g}",
            "difference": f"{difference:.3g}",
        }
        error = result.completeness_error
        if error is not None:
            relative = f"{error / abs(difference):.1%}" if difference else "–"
            values |= {"error": f"{error:.2g}", "relative": relative}
    key = f"attribution.tell.{result.method}"
    if result.method == "grad_cam":
        key += ".tap" if result.kind == "tap" else ""
    return say(key, **values)


def _removal(result: FaithfulAttribution, say: Texts) -> str:
    random = result.random_areas
    wins = int(result.deletion_area < random.min()) + int(result.insertion_area > random.max())
    verdict = say(f"attribution.verdict.{('neither', 'one', 'both')[wins]}", orders=len(random))
    areas = say(
        "attribution.tell.removal",
        deletion=f"{result.deletion_area:.3g}",
        insertion=f"{result.insertion_area:.3g}",
        mean=f"{random.mean():.3g}",
        low=f"{random.min():.3g}",
        high=f"{random.max():.3g}",
    )
    return f"{areas} **{verdict}**"


VIEW = View(
    name="attribution",
    kinds=get_args(BlockKind),  # a class can be explained wherever one looks
    analyse=analyse,
    draw=draw_attribution,
    code="""list(
    explain(
        predictor,
        picture,
        trace,
        Target(block, token, {target!r}, {label!r}, kernel_set={set}, tap={tap}),
        Method({method!r}, baseline={baseline!r}, steps={steps!r}, layer={layer!r}),
        check={check!r},
    )
)[-1]""",
    imports="""from viz.analysis.attribution import Method
from viz.analysis.explained import Target
from viz.analysis.faithfulness import explain""",
    settings=(
        Choice("method", get_args(MethodName)),
        Choice("target", get_args(TargetKind)),
        Choice("label", labels, default=PREDICTED, when={"target": ("class",)}),
        Choice("set", kernel_sets, when={"target": ("tap",)}),
        Choice("tap", taps, when={"target": ("tap",)}),
        Number("steps", 8, 128, 16, 8, when={"method": ("integrated_gradients",)}),
        Choice("layer", get_args(Layer), when={"method": ("grad_cam",), "target": ("class",)}),
        Choice("check", get_args(Check)),
        # What is removed for the check is replaced by the baseline, whatever the method.
        Choice("baseline", get_args(BaselineName), when=({"method": WITH_BASELINE}, {"check": ("faithfulness",)})),
    ),
    tell=tell,
)
