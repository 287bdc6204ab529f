"""Fair timing: alternatives take turns, so that a noisy machine is noisy for all. Throughput as the paper has it."""

import copy
import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from lsnet.model import LSNet

# Where the search for the largest batch starts: on a GPU more brings no speed, on a CPU it would take for ever.
MOST_PICTURES = {"cuda": 2048, "cpu": 16}


@dataclass(frozen=True)
class Timing:
    """How long one alternative took.

    Attributes:
        case: what was computed, such as a shape.
        name: the alternative.
        median_ms: median over the rounds.
        low_ms, high_ms: first and third quartile.
        ratio: median of the baseline divided by this median: above 1 is faster than the baseline.
        baseline: name of the alternative that ratios refer to.
    """

    case: str
    name: str
    median_ms: float
    low_ms: float
    high_ms: float
    ratio: float
    baseline: str


def compare(
    case: str, alternatives: Mapping[str, Callable[[], object]], baseline: str, seconds: float = 1.0
) -> list[Timing]:
    """Time alternatives in turns: at least five rounds of each, and about ``seconds`` in total."""
    for call in alternatives.values():  # compile, allocate, warm caches
        call()
        call()
    runs: dict[str, list[float]] = {name: [] for name in alternatives}
    end = time.perf_counter() + seconds
    while len(runs[baseline]) < 5 or time.perf_counter() < end:
        for name, call in alternatives.items():
            _synchronize()
            start = time.perf_counter()
            call()
            _synchronize()
            runs[name].append((time.perf_counter() - start) * 1e3)
    reference = statistics.median(runs[baseline])
    timings = []
    for name, values in runs.items():
        low, median, high = statistics.quantiles(values, n=4)
        timings.append(Timing(case, name, median, low, high, reference / median, baseline))
    return timings


@dataclass(frozen=True)
class Throughput:
    """Pictures a second in the manner of the paper's table 1.

    Attributes:
        pictures_per_second: batch size over the mean time of a pass.
        batch_size: pictures at a time.
        passes: how many were timed.
    """

    pictures_per_second: float
    batch_size: int
    passes: int


@torch.inference_mode()
def throughput(
    model: LSNet, size: int, warm_up: float = 5.0, seconds: float = 10.0, most: int | None = None
) -> Throughput:
    """Time a network as the authors' ``speed.py`` does: random pictures, float32, norms folded, eager.

    Passes run for ``warm_up`` seconds, then until the timed ones add up to ``seconds``; each is waited for.

    Args:
        model: plain, on the device to be timed; a copy of it is fused.
        size: side of the pictures in pixels.
        warm_up, seconds: of passes before and while the clock counts.
        most: the largest batch to try, a power of two; :data:`MOST_PICTURES` of the device by default. The batch is
            the largest power of two up to it that fits into the device's memory.

    Raises:
        torch.OutOfMemoryError: not even one picture fits.
    """
    fused = copy.deepcopy(model).eval().fuse()
    device = next(fused.parameters()).device
    batch = _largest_batch(fused, size, most or MOST_PICTURES[device.type])
    end = time.perf_counter() + warm_up
    while time.perf_counter() < end:
        fused(batch)
        _synchronize()
    runs: list[float] = []
    while not runs or sum(runs) < seconds:
        start = time.perf_counter()
        fused(batch)
        _synchronize()
        runs.append(time.perf_counter() - start)
    return Throughput(len(batch) / statistics.mean(runs), len(batch), len(runs))


def _largest_batch(model: LSNet, size: int, most: int) -> torch.Tensor:
    """Random pictures, as many as fit."""
    while True:
        try:
            return _that_fits(model, torch.Size((most, 3, size, size)))
        except torch.OutOfMemoryError:
            if most == 1:
                raise
        most //= 2
        torch.cuda.empty_cache()


def _that_fits(model: LSNet, shape: torch.Size) -> torch.Tensor:
    """A batch, tried out. A function of its own: what a failed attempt allocated goes with its frame."""
    parameter = next(model.parameters())
    batch = torch.randn(shape, device=parameter.device, dtype=parameter.dtype)
    model(batch)
    _synchronize()
    return batch


def machine() -> dict[str, str | int]:
    """What a measurement was made on."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "gpu": gpu,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def report(timings: Sequence[Timing], json_path: Path | None = None) -> None:
    """Print a table; write JSON with the machine's name where a path is given."""
    print(" · ".join(f"{name} {value}" for name, value in machine().items()))
    width = max(len(t.name) for t in timings)
    case = None
    for t in timings:
        if t.case != case:
            case = t.case
            print(f"\n{case}")
        spread = f"{t.low_ms:.3g}…{t.high_ms:.3g}"
        print(f"  {t.name:{width}}  {t.median_ms:9.3f} ms  ({spread})  {t.ratio:7.2f} × as fast as {t.baseline}")
    if json_path is not None:
        json_path.parent.mkdir(parents=True, exist_ok=True)
        content = {"machine": machine(), "timings": [asdict(t) for t in timings]}
        json_path.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")


def _synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
