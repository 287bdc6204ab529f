"""How a trace is recorded: hooks that are gone when the recording is over, whatever happened meanwhile."""

import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from lsnet.mixers import Tap, windows_of
from lsnet.predictor import Predictor
from lsnet.preprocess import FrameMode
from lsnet.sites import Site, sites_of
from lsnet.weights import weights_label
from viz.images import Geometry, load_picture
from viz.trace import BlockTrace, ForwardTrace

# Attention with more weights (heads · N²; 16 MiB) is not kept: only the paper's comparisons reach that, on large grids.
MOST_WEIGHTS = 2**22
MOST_WEIGHTS_OF_ONE = 2**26  # of a block that is looked at alone: 256 MiB, of which a forward pass holds several copies


def taps_of(model: nn.Module) -> dict[str, Tap]:
    """Everything that can be recorded, by name: ``"<site>.<tensor>"``, such as ``"blocks2.3.kernels"``.

    Paths are those of the network's submodules; see :func:`lsnet.sites.sites_of`.
    """
    return {
        f"{site.name}.{name}": replace(tap, path=".".join(filter(None, (site.name, tap.path))))
        for site in sites_of(model)
        for name, tap in site.taps.items()
    }


@contextmanager
def capture(model: nn.Module, taps: Iterable[str]) -> Iterator[dict[str, Tensor]]:
    """Record chosen tensors of every forward pass inside the ``with`` block; the last pass wins.

    Args:
        model: plain or fused.
        taps: names out of :func:`taps_of`.

    Yields:
        A dictionary that a forward pass fills: detached tensors by tap name, batch dimension included, where the
        model runs, as they are found there (:attr:`lsnet.mixers.Tap.arrange`). Nothing is copied.

    Raises:
        KeyError: there is no such tap; the message lists those that are there.
    """
    taps = list(taps)
    known = taps_of(model)
    for tap in taps:
        if tap not in known:
            raise KeyError(f"no tap {tap!r}; there are {', '.join(known)}")
    record: dict[str, Tensor] = {}
    handles = []
    try:
        for tap in taps:
            handles.append(_attach(model, tap, known[tap], record))
        yield record
    finally:
        for handle in handles:
            handle.remove()


def _attach(model: nn.Module, name: str, tap: Tap, record: dict[str, Tensor]) -> torch.utils.hooks.RemovableHandle:
    def keep_output(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        record[name] = output.detach()

    def keep_input(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        record[name] = args[0].detach()

    target = model.get_submodule(tap.path)
    if tap.side == "output":
        return target.register_forward_hook(keep_output)
    return target.register_forward_pre_hook(keep_input)


def trace_image(
    predictor: Predictor,
    source: str | os.PathLike[str] | bytes | np.ndarray | Image.Image,
    *,
    blocks: Iterable[str] | None = None,
    size: int | None = None,
    mode: FrameMode | None = None,
    most_weights: int = MOST_WEIGHTS,
) -> ForwardTrace:
    """Run a picture through the network and keep what happened inside.

    Args:
        predictor: the network and its preprocessing.
        source: a picture as a path, encoded bytes, an array or a PIL image; see :func:`viz.images.load_picture`.
        blocks: names of the blocks to record; all by default. Only what is asked for is paid for.
        size: side of the model's input in pixels (the shorter side for ``"whole"``); the predictor's by default.
        mode: ``"crop"`` (the authors' centre crop) or ``"whole"``; the predictor's by default.
        most_weights: attention with more (heads · N²) is not kept.

    Raises:
        InputError: the picture cannot be used.
        KeyError: there is no such block.
    """
    picture = load_picture(source)
    framed = predictor.framed(size, mode)
    model, batch = predictor.model, framed.batch(picture)
    sites = sites_of(model)
    names = [site.name for site in sites]
    chosen = set(names if blocks is None else blocks)
    if chosen - set(names):
        raise KeyError(f"no block {min(chosen - set(names))!r}; there are {', '.join(names)}")
    # The features of all sites tell the grids of a network that is no LSNet.
    taps = [
        f"{site.name}.{tap}"
        for site in sites
        for tap in site.taps
        if site.name in chosen or (site.stride is None and tap == "features")
    ]
    # no_grad, not inference_mode: the recorded tensors may be used in later differentiable computations.
    with torch.no_grad(), capture(model, taps) as record:
        start = time.perf_counter()
        logits = model(batch)[0].float().cpu()  # waits for the device
        seconds = time.perf_counter() - start
    width, height = framed.preprocess.frame(*picture.size).size
    return ForwardTrace(
        blocks=_block_traces(sites, chosen, record, (height, width), most_weights),
        logits=logits,
        classes=predictor.classes,
        label_set=predictor.card.label_set,
        geometry=Geometry(framed.preprocess.frame(*picture.size)),
        weights=weights_label(predictor.card),
        device=str(predictor.device),
        seconds=seconds,
    )


def trace_warm(predictor: Predictor, picture: Image.Image) -> ForwardTrace:
    """:func:`trace_image` with the time of a second pass: the first one of a process compiles, too."""
    trace_image(predictor, picture)
    return trace_image(predictor, picture)


def _block_traces(
    sites: Sequence[Site], chosen: Set[str], record: Mapping[str, Tensor], size: tuple[int, int], most_weights: int
) -> dict[str, BlockTrace]:
    traces: dict[str, BlockTrace] = {}
    grids: list[tuple[int, int]] = []  # those of a network that is no LSNet, in order of computation
    for site in sites:
        if site.stage is not None and site.stride is not None:
            stage, stride = site.stage, site.stride
            grid = (math.ceil(size[0] / stride), math.ceil(size[1] / stride))
        else:
            height, width = record[f"{site.name}.features"].shape[2:]
            grid, stride = (height, width), stride_of(size, (height, width))
            if grid not in grids:
                grids.append(grid)
            stage = 1 + grids.index(grid)
        tensors = {}
        for tap, found in site.taps.items():
            tensor = record.get(f"{site.name}.{tap}") if site.name in chosen else None
            if tensor is None or (tap == "attention" and tensor.shape[1] * math.prod(grid) ** 2 > most_weights):
                continue
            tensors[tap] = (found.arrange(tensor, grid) if found.arrange else tensor)[0].float().cpu()
        kernel_large, kernel_small = windows_of(site.mixer)
        traces[site.name] = BlockTrace(
            name=site.name,
            kind=site.kind,
            stage=stage,
            stride=stride,
            grid=grid,
            kernel_large=kernel_large,
            kernel_small=kernel_small,
            mixer=site.label,
            **tensors,
        )
    return traces


def stride_of(size: tuple[int, int], grid: tuple[int, int]) -> int:
    """Input pixels per token of a grid: the power of two that gives it, rounded up; else the nearest quotient.

    Args:
        size: (height, width) of the input in pixels.
        grid: (height, width) in tokens.
    """
    quotient = max(side / tokens for side, tokens in zip(size, grid, strict=True))
    power = 2 ** math.ceil(math.log2(quotient))
    fits = all(math.ceil(side / power) == tokens for side, tokens in zip(size, grid, strict=True))
    return power if fits else round(quotient)
