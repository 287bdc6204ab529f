"""What token mixing costs: by resolution, by block, and in the paper's tables."""

from collections.abc import Iterator
from typing import cast, get_args

from lsnet.model import BlockKind
from viz.analysis.cost import Show, cost, timed
from viz.figures.axes import UNITS, si
from viz.figures.cost import draw_cost
from viz.results.cost import COMPARED, MixerScaling, ModelCosts, PaperResults, Quantity
from viz.subject import Subject
from viz.texts import Texts
from viz.views.settings import Choice, Values
from viz.views.view import View

Looked = MixerScaling | ModelCosts | PaperResults

# Ω of a block's own mixer with symbols, then with numbers; the terms' values are put in by name.
FORMULAS = {
    "ls": (
        r"\tfrac{HWC}{4}\,\bigl(3C + 2K_L^2 + (2G + 4)K_S^2\bigr)",
        r"\tfrac{%(H)d \cdot %(W)d \cdot %(C)d}{4}\,"
        r"\bigl(3 \cdot %(C)d + 2 \cdot %(K_L)d^2 + (2 \cdot %(G)d + 4) \cdot %(K_S)d^2\bigr)",
    ),
    "dw": (r"HWC \cdot K^2", r"%(H)d \cdot %(W)d \cdot %(C)d \cdot %(K)d^2"),
    "msa": (
        r"N\,(2C^2 + 2CD + 9D) + N^2\,(C + D)",
        r"%(N)d\,(2 \cdot %(C)d^2 + 2 \cdot %(C)d \cdot %(D)d + 9 \cdot %(D)d) + %(N)d^2\,(%(C)d + %(D)d)",
    ),
}


def analyse(subject: Subject, values: Values) -> Iterator[Looked]:
    """The counted costs at once; times, which take a while, after them."""
    show, quantity = cast("Show", values["show"]), cast("Quantity", values["quantity"])
    result = cost(subject.predictor, subject.trace, subject.block, show, quantity, str(values["table"]))
    yield result
    if isinstance(result, MixerScaling):
        yield from timed(result, subject.predictor, subject.progress)


def tell(result: Looked, say: Texts) -> str:
    """The formula with this block's numbers, a network's totals, or where a table comes from."""
    if isinstance(result, ModelCosts):
        return _tell_model(result, say)
    if isinstance(result, PaperResults):
        return _tell_paper(result, say)
    return "\n\n".join(part for part in (_formula(result, say), *_scaling(result, say)) if part)


def _formula(result: MixerScaling, say: Texts) -> str:
    name = say(f"cost.mixer.{result.kind}")
    counted = say("cost.tell.counted", block=result.place.block, mixer=name, macs=f"{result.own_macs:,}")
    if result.kind not in FORMULAS:
        return counted
    symbols, numbers = FORMULAS[result.kind]
    terms = dict(result.terms) | {"N": result.terms["H"] * result.terms["W"]}
    value = f"{result.own_macs:,}".replace(",", r"\,")
    steps = r" \\ ".join((rf"\Omega &= {symbols}", rf"&= {numbers % terms}", rf"&= {value}"))
    formula = rf"$$\begin{{aligned}} {steps} \end{{aligned}}$$"
    return f"{counted} {say(f'cost.tell.terms.{result.kind}')}" + f"\n\n{formula}"


def _scaling(result: MixerScaling, say: Texts) -> Iterator[str]:
    ls, _, msa = COMPARED
    here = dict(zip(COMPARED, result.here, strict=True))
    side = result.turning_point**0.5
    yield say("cost.tell.turning", tokens=f"{result.turning_point:,.0f}", pixels=f"{side * result.place.stride:,.0f}")
    yield say("cost.tell.ratio", ratio=f"{here[msa] / here[ls]:.2f}", height=result.grid[0], width=result.grid[1])
    for first, second, tokens, value in result.crossings:
        names = {"first": say(f"cost.mixer.{first}"), "second": say(f"cost.mixer.{second}")}
        yield say("cost.tell.equal", **names, tokens=f"{tokens:,.1f}", value=si(value, UNITS[result.quantity]))
    if not result.crossings:
        yield say("cost.tell.apart")
    timed_here = {run.mixer: run.median_ms for run in result.times.runs if run.grid == result.grid}
    if timed_here:
        times = " · ".join(f"{say(f'cost.mixer.{mixer}')} {ms:.3g} ms" for mixer, ms in timed_here.items())
        yield say("cost.tell.time", times=times)
        if msa not in timed_here:
            yield say("cost.tell.untimed")


def _tell_model(result: ModelCosts, say: Texts) -> str:
    totals = say(
        "cost.tell.model",
        height=result.size[0],
        width=result.size[1],
        macs=si(float(result.macs.sum())),
        parameters=f"{result.parameters.sum() / 1e6:.2f} M",
        training=f"{result.training_parameters / 1e6:.2f} M",
        bytes=si(float(result.bytes.sum()), UNITS["bytes"]),
        bits=8 * result.per_number,
    )
    mixing = say(
        "cost.tell.mixing",
        macs=f"{result.macs[:, 0].sum() / result.macs.sum():.1%}",
        parameters=f"{result.parameters[:, 0].sum() / result.parameters.sum():.1%}",
    )
    here = result.parts.index(result.place.block)
    own = say(
        "cost.tell.own",
        block=result.place.block,
        macs=si(float(result.macs[here].sum())),
        share=f"{result.macs[here].sum() / result.macs.sum():.1%}",
        mixer=si(float(result.macs[here, 0])),
    )
    return f"{totals} {mixing} {own}"


def _tell_paper(result: PaperResults, say: Texts) -> str:
    table = result.table
    parts = [say("cost.tell.cited", number=table.number, caption=table.caption, source=result.source)]
    if result.closed_forms:
        names = result.closed_forms
        printed = dict(zip(table.models, table.column(table.cost), strict=True))
        pairs = " · ".join(f"{name} {names[name]:.3f} ({printed[name]:g})" for name in names)
        parts.append(say("cost.tell.closed", side=table.input, pairs=pairs))
    for model, numbers in table.released.items():
        pairs = " · ".join(f"{say(f'cost.column.{column}')} {value:g}" for column, value in numbers.items())
        parts.append(say("cost.tell.released", model=model, pairs=pairs))
    return "\n\n".join(parts)


VIEW = View(
    name="cost",
    kinds=get_args(BlockKind),  # everything costs something
    analyse=analyse,
    draw=draw_cost,
    code="cost(predictor, trace, block, {show!r}, {quantity!r}, {table!r})",
    imports="from viz.analysis.cost import cost",
    settings=(
        Choice("show", ("scaling", "model", "paper")),
        Choice("quantity", ("macs", "bytes"), when={"show": ("scaling",)}),
        Choice("table", tuple(str(number) for number in range(1, 10)), when={"show": ("paper",)}),
    ),
    tell=tell,
)
