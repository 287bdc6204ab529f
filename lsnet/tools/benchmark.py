"""``python -m lsnet.tools.benchmark ska | model | capture``: speed as ratios against named alternatives in one run."""

import argparse
import runpy
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lsnet.config import VARIANTS
from lsnet.mixers import SKA
from lsnet.model import LSNet
from lsnet.ops import ska
from lsnet.predictor import choose_device
from lsnet.registry import create_lsnet
from lsnet.tools.command_line import run_tool
from lsnet.tools.timing import Timing, compare, report


def ska_by_unfold(x: Tensor, w: Tensor) -> Tensor:
    """The usual formulation: ``unfold`` copies every K×K window, then one multiply and sum."""
    batch, channels, height, width = x.shape
    groups, taps = w.shape[1:3]
    size = round(taps**0.5)
    windows = F.unfold(x, size, padding=size // 2).view(batch, channels // groups, groups, taps, height, width)
    return (windows * w.unsqueeze(1)).sum(3).view_as(x)


class UnfoldSKA(nn.Module):
    def forward(self, x: Tensor, kernels: Tensor) -> Tensor:
        return ska_by_unfold(x, kernels)


class NoSKA(nn.Module):
    """The floor: what the network costs without any aggregation."""

    def forward(self, x: Tensor, kernels: Tensor) -> Tensor:
        return x


def ska_shapes(variant: str) -> list[tuple[int, int, int]]:
    """(C, H, W) of every distinct SKA of a variant at 224 pixels."""
    model = create_lsnet(f"lsnet_{variant}")
    stages = sorted({stage for _, stage, block in model.named_blocks() if block.kind == "ls"})
    return [(model.config.dims[stage - 1], *model.config.grid(stage)) for stage in stages]


def benchmark_ska(device: torch.device, dtype: torch.dtype, batches: Sequence[int], seconds: float) -> list[Timing]:
    """SKA forward and backward at every shape of T, S and B."""
    shapes = sorted({shape for variant in ("t", "s", "b") for shape in ska_shapes(variant)})
    timings = []
    for batch in batches:
        for channels, height, width in shapes:
            x = torch.randn(batch, channels, height, width, device=device, dtype=dtype)
            w = torch.randn(batch, channels // 8, 9, height, width, device=device, dtype=dtype)
            fixed = torch.randn(channels, 1, 3, 3, device=device, dtype=dtype)
            case = f"SKA ({batch}, {channels}, {height}, {width}) {str(dtype)[6:]}"
            forward: dict[str, Callable[[], object]] = {
                "unfold": partial(ska_by_unfold, x, w),
                "ska": partial(ska, x, w),
                "ska, plain torch": partial(ska, x, w, "torch"),
                "depthwise 3×3 conv": partial(F.conv2d, x, fixed, padding=1, groups=channels),
                "copy of x": x.clone,
            }
            with torch.inference_mode():
                timings += compare(f"{case} forward", forward, "unfold", seconds)
            timings += compare(f"{case} backward", _backwards(x, w), "unfold", seconds)
    return timings


def _backwards(x: Tensor, w: Tensor) -> dict[str, Callable[[], object]]:
    """Backward passes alone: the graph is built once and kept."""
    x, w = x.requires_grad_(), w.requires_grad_()
    grad = torch.randn_like(x)
    outputs = {"unfold": ska_by_unfold(x, w), "ska": ska(x, w), "ska, plain torch": ska(x, w, "torch")}
    return {name: partial(torch.autograd.grad, y, (x, w), grad, retain_graph=True) for name, y in outputs.items()}


def benchmark_model(device: torch.device, dtype: torch.dtype, batches: Sequence[int], seconds: float) -> list[Timing]:
    """Whole networks at 224 pixels, with unfold in place of SKA, and with nothing in its place."""
    timings = []
    for variant in VARIANTS:
        networks = {"with unfold": UnfoldSKA, "as it is": None, "fused": None, "without SKA (floor)": NoSKA}
        models = {name: _network(variant, replacement).to(device, dtype) for name, replacement in networks.items()}
        models["fused"].fuse()
        for batch in batches:
            x = torch.randn(batch, 3, 224, 224, device=device, dtype=dtype)
            calls = {name: partial(model, x) for name, model in models.items()}
            case = f"lsnet_{variant} batch {batch} at 224 {str(dtype)[6:]}"
            with torch.inference_mode():
                timings += compare(case, calls, "with unfold", seconds)
    return timings


def _network(variant: str, replacement: type[nn.Module] | None) -> LSNet:
    torch.manual_seed(0)
    model = create_lsnet(f"lsnet_{variant}").eval()
    for module in model.modules():
        for name, child in module.named_children():
            if replacement is not None and isinstance(child, SKA):
                setattr(module, name, replacement())
    return model


def main(arguments: Sequence[str] | None = None) -> None:
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments[:1] == ["capture"]:
        # Tracing lives upstairs, in viz, which this package must not import; its benchmark is a program of its own.
        sys.argv[1:] = arguments[1:]
        runpy.run_module("viz.benchmark", run_name="__main__")
        return
    parser = argparse.ArgumentParser(prog="python -m lsnet.tools.benchmark", description=__doc__)
    parser.add_argument("what", choices=["ska", "model", "capture"])
    add_options(parser)
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    benchmark = {"ska": benchmark_ska, "model": benchmark_model}[options.what]
    timings = benchmark(choose_device(options.device), getattr(torch, options.dtype), options.batch, options.seconds)
    report(timings, options.json)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that all benchmarks share."""
    parser.add_argument("--device", help="default: CUDA where there is one, else the CPU")
    parser.add_argument("--dtype", default="float32", choices=["float32", "float16", "bfloat16"])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 32], help="default: 1 32")
    parser.add_argument("--threads", type=int, help="CPU threads; default: torch's choice")
    parser.add_argument("--seconds", type=float, default=1.0, help="time for each comparison")
    parser.add_argument("--json", type=Path, help="where to write the numbers")


if __name__ == "__main__":
    run_tool(main)
