"""What the kernel at a place looks at: LKP's steps, its learned weights, its receptive field."""

from collections.abc import Iterator
from typing import cast

from viz.analysis.large_field import Show, large_field
from viz.figures.large_field import draw_large_field
from viz.results import Result
from viz.results.large_field import EffectiveField, LearnedKernels, PerceptionSteps, Target
from viz.subject import Subject
from viz.texts import Texts
from viz.views.settings import Choice, Switch, Values
from viz.views.view import View

MEAN = "None"  # options of the channel are written as Python has them, and stand in the lines as they are


def _channels(subject: Subject, say: Texts) -> list[tuple[str, str]]:
    """The mean, then each channel of the large-kernel convolution."""
    context = subject.block_trace.context
    count = 0 if context is None else len(context)
    named = [(say("large_field.channel", channel=channel), str(channel)) for channel in range(count)]
    return [(say("large_field.channel.mean"), MEAN), *named]


def _analyse(subject: Subject, values: Values) -> Iterator[Result]:
    channel = str(values["channel"])
    return large_field(
        subject.predictor,
        subject.picture,
        subject.trace,
        subject.block,
        subject.token,
        show=cast(Show, values["show"]),
        target=cast(Target, values["target"]),
        channel=None if channel == MEAN else int(channel),
        bundled_photos=bool(values["bundled_photos"]),
        progress=subject.progress,
    )


def _tell(result: EffectiveField | PerceptionSteps | LearnedKernels, say: Texts) -> str:
    if isinstance(result, PerceptionSteps):
        return say("large_field.tell.steps", deviation=f"{result.deviation:.1g}")
    if isinstance(result, LearnedKernels):
        side = result.kernels.shape[1]
        shares = {"inside": f"{result.inside:.0%}", "even": f"{min(1, 9 / side**2):.0%}"}
        return say("large_field.tell.weights", side=side, **shares)
    return "\n\n".join((_table(result, say), *_sentences(result, say)))


def _table(result: EffectiveField, say: Texts) -> str:
    """The smallest areas: a row for each network, a column for each share of the contribution."""
    rows = [
        [say("large_field.tell.area"), *(f"{level:.0%}" for level in result.levels)],
        ["---"] * (1 + len(result.levels)),
    ]
    for network, areas, sides in zip(result.networks, result.areas, result.sides, strict=True):
        cells = [f"{area:.1%} ({side:.0f} px)" for area, side in zip(areas, sides, strict=True)]
        rows.append([say(f"large_field.network.{network}"), *cells])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _sentences(result: EffectiveField, say: Texts) -> Iterator[str]:
    if result.photos:
        yield say("large_field.tell.photos", done=result.photos[0], count=result.photos[1])
    if not result.totals[0]:
        yield say("large_field.tell.nothing")
        return
    aggregation, perception, reached = (f"{share:.0%}" for share in result.inside[0])
    small, large = result.kernel_small, result.kernel_large
    yield say("large_field.tell.windows", small=small, large=large, aggregation=aggregation, perception=perception)
    height, width = result.size
    if result.field.box == (0, 0, width, height):
        yield say("large_field.tell.reaches_all", side=result.field.side)
    else:
        edges = ("left", "top", "right", "bottom")
        box = dict(zip(edges, result.field.box, strict=True))
        box |= {f"picture_{edge}": round(at) for edge, at in zip(edges, result.picture_box, strict=True)}
        yield say("large_field.tell.reaches", side=result.field.side, inside=reached, **box)
    if result.field.everywhere:
        names = ", ".join(f"`{name}`" for name in result.field.everywhere)
        yield say("large_field.tell.everywhere", names=names)


VIEW = View(
    name="large_field",
    kinds=("ls",),
    analyse=_analyse,
    draw=draw_large_field,
    tell=_tell,
    code=(
        "[*large_field(predictor, picture, trace, block, token, show={show!r}, target={target!r}, "
        "channel={channel}, bundled_photos={bundled_photos!r})][-1]"
    ),
    imports="from viz.analysis.large_field import large_field",
    settings=(
        Choice("show", ("field", "steps", "weights")),
        Choice("target", ("kernel", "tap", "output"), when={"show": ("field",)}),
        Choice("channel", _channels, default=MEAN, when={"show": ("steps",)}),
        Switch("bundled_photos", when={"show": ("field",)}),
    ),
)
