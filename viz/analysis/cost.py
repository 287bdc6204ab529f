"""What token mixing costs: closed forms, counts and measured times."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from typing import Literal

import numpy as np
import torch
from torch import nn

from lsnet.complexity import Cost, Grid, counted_cost, ls_conv, model_cost, self_attention, static_conv
from lsnet.config import VARIANTS
from lsnet.layers import Residual, fuse
from lsnet.mixers import MSA, LSConv, RepVggDw, StaticConv
from lsnet.model import Block, LSNet
from lsnet.predictor import Predictor
from lsnet.seeding import seeded
from lsnet.tools.timing import compare, machine
from viz.analysis.place import place_at
from viz.paper import lsnet_paper
from viz.progress import Progress, silent
from viz.results.cost import COMPARED, Mixer, MixerScaling, MixerTime, ModelCosts, PaperResults, Quantity, Times
from viz.trace import ForwardTrace

Show = Literal["scaling", "model", "paper"]

# Sides of the square inputs, in pixels, between which costs are drawn.
SMALLEST_INPUT, LARGEST_INPUT = 64, 2048
SAMPLES_PER_OCTAVE = 8

# What is timed: square inputs of these sides, and attention of at most so many weights, for the sake of memory.
TIMED_INPUTS = (64, 128, 256, 512, 1024)
TIMED_WEIGHTS = 2**23
TIMED_SECONDS = 1.4
SECONDS_PER_GRID = 0.08
CALLS_PER_GRID = 7  # at the least: two to warm up, five to measure


def cost(
    predictor: Predictor,
    trace: ForwardTrace,
    block: str,
    show: Show = "scaling",
    quantity: Quantity = "macs",
    table: str = "1",
) -> MixerScaling | ModelCosts | PaperResults:
    """One of three looks at cost: by resolution, by block, or the paper's table of a number. No times."""
    if show == "model":
        return model_costs(predictor, trace, block)
    if show == "paper":
        return paper_results(trace, block, int(table))
    return mixer_scaling(predictor, trace, block, quantity)


def mixer_scaling(predictor: Predictor, trace: ForwardTrace, block: str, quantity: Quantity = "macs") -> MixerScaling:
    """LS convolution, static depthwise convolution and self-attention with a block's channels, at every resolution.

    Each has the block's own kernel sizes, kernel sets and heads where the block is of its kind, and else those of the
    network's configuration. What counts is told in :class:`lsnet.complexity.Cost`.

    Args:
        predictor: the network.
        trace: a trace of a picture in it.
        block: name of a block.
        quantity: ``"macs"`` for multiply–accumulates, ``"bytes"`` for bytes moved.
    """
    place, grid = place_at(trace, block), trace.block(block).grid
    mixers = _Mixers.of(predictor.lsnet, block)
    per_number = next(predictor.model.parameters()).element_size()

    def quantify(cost: Cost) -> int:
        return cost.macs if quantity == "macs" else cost.bytes(per_number)

    coefficients = np.array([_quadratic([quantify(mixers.cost(m, (1, n))) for n in (0, 1, 2)]) for m in COMPARED])
    octaves = math.log2(LARGEST_INPUT / SMALLEST_INPUT)
    sides = np.geomspace(SMALLEST_INPUT, LARGEST_INPUT, round(octaves * SAMPLES_PER_OCTAVE) + 1) / place.stride
    tokens = sides**2
    attention = coefficients[COMPARED.index("msa")]
    own = predictor.lsnet.get_submodule(block)
    assert isinstance(own, Block)
    counted = counted_cost(own.mixer, (1, mixers.dim, *grid), fused=True)
    return MixerScaling(
        place=place,
        quantity=quantity,
        kind=mixers.kind_of(own, grid, counted),
        grid=grid,
        terms=mixers.terms(own.kind, grid),
        own_macs=counted.macs,
        own=float(quantify(counted)),
        tokens=tokens,
        costs=coefficients @ np.stack([tokens**0, tokens, tokens**2]),
        coefficients=coefficients,
        here=np.array([quantify(mixers.cost(m, grid)) for m in COMPARED], np.float64),
        crossings=tuple(_crossings(coefficients)),
        turning_point=float(attention[1] / attention[2]),
        times=Times((), *_timed_on(predictor)),
    )


def timed(scaling: MixerScaling, predictor: Predictor, progress: Progress = silent) -> Iterator[MixerScaling]:
    """Measure what was counted, on the predictor's device: this grid first, then as large ones as the time allows.

    Each mixer is built anew, because weights do not matter for time, and folded for inference. The mixers take turns,
    so that a busy machine is busy for all of them.

    Args:
        scaling: costs by resolution.
        predictor: the network they belong to.
        progress: hears the share of the grids that is done.

    Yields:
        The same costs with the times so far.
    """
    mixers = _Mixers.of(predictor.lsnet, scaling.place.block)
    sides = (side // scaling.place.stride for side in TIMED_INPUTS)
    others = ((side, side) for side in sides if side and (side, side) != scaling.grid)
    grids = [scaling.grid, *others]
    end = time.perf_counter() + TIMED_SECONDS
    largest: dict[Mixer, MixerTime] = {}
    runs: list[MixerTime] = []
    for done, grid in enumerate(grids, start=1):
        left = end - time.perf_counter()
        chosen = [m for m in COMPARED if m not in largest or _expected(mixers, largest[m], grid) < left]
        for run in _time(mixers, chosen, grid, predictor):
            runs.append(run)
            if run.mixer not in largest or math.prod(grid) > math.prod(largest[run.mixer].grid):
                largest[run.mixer] = run
        progress(done / len(grids))
        yield replace(scaling, times=replace(scaling.times, runs=tuple(runs)))


def model_costs(predictor: Predictor, trace: ForwardTrace, block: str) -> ModelCosts:
    """Multiply–accumulates, parameters and bytes moved of every part of a network on the traced input."""
    config, (width, height) = predictor.lsnet.config, trace.geometry.frame.size
    per_number = next(predictor.model.parameters()).element_size()
    kinds = {name: member.kind for name, _, member in predictor.lsnet.named_blocks()}
    parts: dict[str, list[Cost]] = {}
    for name, part_cost in model_cost(config, (height, width), fused=True).items():
        part, share = _part(name)
        parts.setdefault(part, [Cost(), Cost()])[share] += part_cost
    return ModelCosts(
        place=place_at(trace, block),
        size=(height, width),
        parts=tuple(parts),
        kinds=tuple(kinds.get(part) for part in parts),
        macs=np.array([[share.macs for share in part] for part in parts.values()], np.float64),
        parameters=np.array([[share.parameters for share in part] for part in parts.values()], np.float64),
        bytes=np.array([[share.bytes(per_number) for share in part] for part in parts.values()], np.float64),
        training_parameters=_total(model_cost(config)).parameters,
        per_number=per_number,
    )


def paper_results(trace: ForwardTrace, block: str, table: int) -> PaperResults:
    """One of the paper's tables (1 to 9), with the closed forms of its own networks."""
    paper = lsnet_paper()
    printed = paper.tables[table]
    size = (printed.input, printed.input)
    networks = {f"LSNet-{variant.upper()}": VARIANTS[variant] for variant in ("t", "s", "b")}
    closed = {name: _total(model_cost(config, size, fused=True)).macs / 1e9 for name, config in networks.items()}
    return PaperResults(
        place=place_at(trace, block),
        table=printed,
        source=paper.source,
        closed_forms={name: macs for name, macs in closed.items() if name in printed.models},
    )


@dataclass(frozen=True)
class _Mixers:
    """The mixers that are compared, with one block's channels."""

    dim: int
    kernel_large: int
    kernel_small: int
    num_sets: int
    kernel_static: int
    num_heads: int
    key_dim: int
    stored_grid: Grid

    @classmethod
    def of(cls, model: LSNet, name: str) -> "_Mixers":
        config, (stage, block) = model.config, next((s, b) for n, s, b in model.named_blocks() if n == name)
        dim, mixer = config.dims[stage - 1], block.mixer
        lkp = mixer.lkp if isinstance(mixer, LSConv) else None
        attention = mixer.m if isinstance(mixer, Residual) and isinstance(mixer.m, MSA) else None
        return cls(
            dim=dim,
            kernel_large=lkp.kernel_large if lkp else config.kernel_large,
            kernel_small=lkp.kernel_small if lkp else config.kernel_small,
            num_sets=lkp.num_sets if lkp else dim // config.channels_per_set,
            kernel_static=3 if isinstance(mixer, RepVggDw | nn.Conv2d) else config.kernel_small,
            num_heads=attention.num_heads if attention else config.num_heads[3],
            key_dim=config.key_dim,
            stored_grid=attention.grid if attention else config.grid(stage),
        )

    def cost(self, mixer: str, grid: Grid) -> Cost:
        if mixer == "ls":
            sets = self.dim // self.num_sets
            return ls_conv(self.dim, grid, self.kernel_large, self.kernel_small, sets, fused=True)
        if mixer == "msa":
            return self_attention(self.dim, grid, self.num_heads, self.key_dim, self.stored_grid, fused=True)
        return static_conv(self.dim, grid, self.kernel_static, fused=True) if mixer == "dw" else Cost()

    def kind_of(self, block: Block, grid: Grid, counted: Cost) -> str:
        """The block's kind, if the closed form of that kind is what was counted."""
        return block.kind if self.cost(block.kind, grid) == counted else "other"

    def terms(self, kind: str, grid: Grid) -> dict[str, int]:
        size = {"H": grid[0], "W": grid[1], "C": self.dim}
        if kind == "ls":
            large = self.kernel_large if self.kernel_large > 1 else 0  # K_L = 1 is no depthwise step at all
            return size | {"K_L": large, "K_S": self.kernel_small, "G": self.num_sets}
        if kind == "msa":
            return size | {"D": self.num_heads * self.key_dim}
        return size | {"K": self.kernel_static}

    def module(self, mixer: Mixer, grid: Grid) -> nn.Module | None:
        """One of :data:`COMPARED`, folded, its biases stored for the grid; None where it would take too much memory."""
        with seeded(0):  # building draws weights, which is nobody else's business
            if mixer == "ls":
                built: nn.Module = LSConv(self.dim, self.kernel_large, self.kernel_small, self.dim // self.num_sets)
            elif mixer == "dw":
                built = StaticConv(self.dim, self.kernel_static)
            elif self.dim % self.num_heads or self.num_heads * math.prod(grid) ** 2 > TIMED_WEIGHTS:
                return None
            else:
                built = Residual(MSA(self.dim, self.num_heads, self.key_dim, grid))
        fuse(built.eval())
        return built


def _time(mixers: _Mixers, chosen: list[Mixer], grid: Grid, predictor: Predictor) -> list[MixerTime]:
    """Time mixers in turns on one grid, with a batch of one."""
    dtype = next(predictor.model.parameters()).dtype
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, mixers.dim, *grid, generator=generator).to(predictor.device, dtype)
    built = {mixer: mixers.module(mixer, grid) for mixer in chosen}
    calls: dict[str, Callable[[], object]] = {
        mixer: partial(module.to(predictor.device, dtype), x) for mixer, module in built.items() if module is not None
    }
    if not calls:
        return []
    with torch.inference_mode():
        timings = compare("", calls, baseline=next(iter(calls)), seconds=SECONDS_PER_GRID)
    timed_mixers = [mixer for mixer in chosen if mixer in calls]
    return [
        MixerTime(mixer, grid, t.median_ms, t.low_ms, t.high_ms) for mixer, t in zip(timed_mixers, timings, strict=True)
    ]


def _expected(mixers: _Mixers, run: MixerTime, grid: Grid) -> float:
    """Seconds that it will take to time a mixer on another grid, if time grows as the counted work does."""
    growth = mixers.cost(run.mixer, grid).macs / mixers.cost(run.mixer, run.grid).macs
    return CALLS_PER_GRID * run.low_ms / 1e3 * growth


def _timed_on(predictor: Predictor) -> tuple[str, int]:
    """Name of the device, and its threads where it is the processor."""
    if predictor.device.type == "cuda":
        return torch.cuda.get_device_name(predictor.device), 0
    if predictor.device.type == "cpu":
        return str(machine()["processor"]), torch.get_num_threads()
    return str(predictor.device), 0


def _quadratic(values: list[int]) -> tuple[float, float, float]:
    """(a, b, c) of a + bN + cN², from its values at N = 0, 1 and 2."""
    second = values[2] - 2 * values[1] + values[0]
    return values[0], values[1] - values[0] - second / 2, second / 2


def _crossings(coefficients: np.ndarray) -> Iterator[tuple[Mixer, Mixer, float, float]]:
    for first, second in combinations(range(len(COMPARED)), 2):
        difference = coefficients[first] - coefficients[second]
        for root in np.roots(np.trim_zeros(difference[::-1], "f")):
            if abs(root.imag) < 1e-9 and root.real >= 1:
                n = float(root.real)
                value = float(coefficients[first] @ (1, n, n * n))
                yield COMPARED[first], COMPARED[second], n, value


def _part(name: str) -> tuple[str, int]:
    """The part that a module belongs to, and whether it mixes tokens (0) or not (1)."""
    stage, _, rest = name.partition(".")
    if stage == "patch_embed":
        return "stem", 1
    if stage.startswith("head"):
        return "head", 1
    if rest in ("0", "1"):
        return f"down{stage.removeprefix('blocks')}", 1
    block, _, what = name.rpartition(".")
    return block, 0 if what == "mixer" else 1


def _total(costs: dict[str, Cost]) -> Cost:
    return sum(costs.values(), Cost())
