"""Surgery: dynamic kernels replaced while the network computes, and what that does to its answer."""

from collections.abc import Iterator

from viz.analysis.surgery import kernel_surgery
from viz.examples import examples
from viz.figures.surgery import draw_surgery
from viz.results import Result
from viz.results.surgery import SurgeryEffect
from viz.subject import Subject
from viz.texts import Texts
from viz.views.settings import Choice, Switch, Values
from viz.views.view import View

UNCHANGED = 1e-5  # relative change of features that rounding can make

KERNEL_OPERATIONS = ("mean", "identity", "box", "pixel", "picture", "shuffle", "surround")  # on LS blocks


def _analyse(subject: Subject, values: Values) -> Iterator[Result]:
    return kernel_surgery(
        subject.predictor,
        subject.picture,
        subject.trace,
        subject.block,
        subject.token,
        operation=values["operation"],  # type: ignore[arg-type]
        where=values["where"],  # type: ignore[arg-type]
        sets=values["sets"],  # type: ignore[arg-type]
        other=str(values["other"]),
        bundled_photos=bool(values["bundled_photos"]),
        progress=subject.progress,
    )


def _photos(subject: Subject, say: Texts) -> list[tuple[str, str]]:
    return [(say.of(example.title), example.id) for example in examples()]


def _tell(result: SurgeryEffect, say: Texts) -> str:
    sentences = []
    if result.asked != result.place.block:
        sentences.append(say("surgery.tell.elsewhere", asked=result.asked, block=result.place.block))
    replaced, count = result.sets
    first = max(range(len(result.classes)), key=lambda i: result.before[i])
    then = max(range(len(result.classes)), key=lambda i: result.after[i])
    sentences.append(
        say(
            "surgery.tell.same" if first == then else "surgery.tell.other",
            before=say.of(result.classes[first]),
            after=say.of(result.classes[then]),
            share=f"{result.before[first]:.1%}",
            share_after=f"{result.after[then]:.1%}",
            bits=f"{result.divergence:.3g}",
            change=f"{result.top1_change:+.2f}".replace("-", "−"),
            replaced=replaced,
            count=count,
        )
    )
    if result.operation == "picture" and result.feature_change.max() < UNCHANGED:
        sentences.append(say("surgery.tell.itself"))
    if result.agreement:
        done, total = result.agreement.pictures, result.agreement.total
        sentences.append(say("surgery.tell.agreement", done=done, total=total))
    return " ".join(sentences) + "\n\n" + _table(result, say)


def _table(result: SurgeryEffect, say: Texts) -> str:
    """Every block alone, and all of them jointly, as a Markdown table."""
    heads = [say(f"surgery.table.{key}") for key in ("row", "divergence", "top1", "last", "kept")]
    if result.agreement:
        heads.append(say("surgery.table.agreement"))
    lines = [heads, ["---"] * len(heads)]
    for i, row in enumerate(result.rows):
        cells = [
            say("surgery.jointly") if row == "all" else row,
            f"{result.row_divergence[i]:.3f}",
            f"{result.row_top1_change[i]:+.2f}".replace("-", "−"),
            f"{result.row_feature_change[i]:.1%}",
            say("surgery.yes" if result.row_kept[i] else "surgery.no"),
        ]
        if result.agreement:
            share, low, high = result.agreement.agreement[i]
            hits = round(float(share) * result.agreement.pictures)
            cells.append(f"{hits}/{result.agreement.pictures} [{low:.0%}, {high:.0%}]")
        lines.append(cells)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


VIEW = View(
    name="surgery",
    kinds=("ls", "msa", "dynamic"),
    analyse=_analyse,
    draw=draw_surgery,
    code=(
        "[*kernel_surgery(predictor, picture, trace, block, token, operation={operation!r}, where={where!r}, "
        "sets={sets!r}, other={other!r}, bundled_photos={bundled_photos!r})][-1]"
    ),
    imports="from viz.analysis.surgery import kernel_surgery",
    settings=(
        Choice(
            "operation",
            (*KERNEL_OPERATIONS, "uniform_attention"),
        ),
        Choice("where", ("block", "all")),
        Choice("sets", ("all", "dynamic", "static"), when={"operation": KERNEL_OPERATIONS}),
        Choice("other", _photos, default="coffee", when={"operation": ("picture",)}),
        Switch("bundled_photos"),
    ),
    tell=_tell,
)
