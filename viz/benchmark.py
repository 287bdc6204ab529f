"""What tracing costs over a plain forward pass (``python -m lsnet.tools.benchmark capture``)."""

import argparse
from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor, nn

from lsnet import load_predictor
from lsnet.config import VARIANTS
from lsnet.tools.benchmark import add_options
from lsnet.tools.timing import Timing, compare, report
from viz.capture import capture, taps_of


def benchmark_capture(device: str | None, dtype: torch.dtype, batches: list[int], seconds: float) -> list[Timing]:
    """Plain forward passes against passes with everything, and with one block, recorded."""
    timings = []
    for variant in VARIANTS:
        model = load_predictor(f"untrained/lsnet_{variant}", device).model.to(dtype)
        everything = taps_of(model)
        one_block = [tap for tap in everything if tap.startswith("blocks2.3.")]
        for batch in batches:
            x = torch.randn(batch, 3, 224, 224, device=next(model.parameters()).device, dtype=dtype)

            with torch.no_grad():
                timings += compare(
                    f"lsnet_{variant} batch {batch} at 224 {str(dtype)[6:]}",
                    {
                        "plain forward": partial(model, x),
                        "one block recorded": partial(_recorded, model, one_block, x),
                        "everything recorded": partial(_recorded, model, everything, x),
                    },
                    "plain forward",
                    seconds,
                )
    return timings


def _recorded(model: nn.Module, taps: Iterable[str], x: Tensor) -> None:
    with capture(model, taps):
        model(x)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m lsnet.tools.benchmark capture", description=__doc__)
    add_options(parser)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    timings = benchmark_capture(options.device, getattr(torch, options.dtype), options.batch, options.seconds)
    report(timings, options.json)


if __name__ == "__main__":
    main()
