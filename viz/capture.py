"""How a trace is recorded: hooks that are gone when the recording is over, whatever happened meanwhile."""

import math
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from lsnet.mixers import windows_of
from lsnet.model import Block, LSNet
from lsnet.predictor import Predictor
from lsnet.preprocess import FrameMode
from lsnet.weights import weights_label
from viz.images import Geometry, load_picture
from viz.trace import BlockTrace, ForwardTrace


def taps_of(model: LSNet) -> list[str]:
    """Names of everything that can be recorded: ``"<block>.<tensor>"``, such as ``"blocks2.3.kernels"``."""
    return [f"{name}.{tap}" for name, _, block in model.named_blocks() for tap in block.taps]


@contextmanager
def capture(model: LSNet, taps: Iterable[str]) -> Iterator[dict[str, Tensor]]:
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
            handles.append(_attach(model, tap, record))
        yield record
    finally:
        for handle in handles:
            handle.remove()


def _attach(model: LSNet, tap: str, record: dict[str, Tensor]) -> torch.utils.hooks.RemovableHandle:
    name, tensor = tap.rsplit(".", 1)
    block = model.get_submodule(name)
    assert isinstance(block, Block)
    found = block.taps[tensor]

    def keep_output(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        record[tap] = output.detach()

    def keep_input(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        record[tap] = args[0].detach()

    target = block.get_submodule(found.path)
    if found.side == "output":
        return target.register_forward_hook(keep_output)
    return target.register_forward_pre_hook(keep_input)


def trace_image(
    predictor: Predictor,
    source: str | os.PathLike[str] | bytes | np.ndarray | Image.Image,
    *,
    blocks: Iterable[str] | None = None,
    size: int | None = None,
    mode: FrameMode | None = None,
) -> ForwardTrace:
    """Run a picture through the network and keep what happened inside.

    Args:
        predictor: the network and its preprocessing.
        source: a picture as a path, encoded bytes, an array or a PIL image; see :func:`viz.images.load_picture`.
        blocks: names of the blocks to record; all by default. Only what is asked for is paid for.
        size: side of the model's input in pixels (the shorter side for ``"whole"``); the predictor's by default.
        mode: ``"crop"`` (the authors' centre crop) or ``"whole"``; the predictor's by default.

    Raises:
        InputError: the picture cannot be used.
        KeyError: there is no such block.
    """
    picture = load_picture(source)
    framed = predictor.framed(size, mode)
    model, batch = predictor.model, framed.batch(picture)
    chosen = None if blocks is None else set(blocks)
    names = [name for name, _, _ in model.named_blocks()]
    if chosen is not None and chosen - set(names):
        raise KeyError(f"no block {min(chosen - set(names))!r}; there are {', '.join(names)}")
    taps = [tap for tap in taps_of(model) if chosen is None or tap.rsplit(".", 1)[0] in chosen]
    # no_grad, not inference_mode: the recorded tensors may be used in later differentiable computations.
    with torch.no_grad(), capture(model, taps) as record:
        start = time.perf_counter()
        logits = model(batch)[0].float().cpu()  # waits for the device
        seconds = time.perf_counter() - start
    width, height = framed.preprocess.frame(*picture.size).size
    return ForwardTrace(
        blocks=_block_traces(model, record, (height, width)),
        logits=logits,
        classes=predictor.classes,
        label_set=predictor.card.label_set,
        geometry=Geometry(framed.preprocess.frame(*picture.size)),
        weights=weights_label(predictor.card),
        device=str(predictor.device),
        seconds=seconds,
    )


def _block_traces(model: LSNet, record: dict[str, Tensor], size: tuple[int, int]) -> dict[str, BlockTrace]:
    traces = {}
    for name, stage, block in model.named_blocks():
        stride = model.config.stride(stage)
        grid = (math.ceil(size[0] / stride), math.ceil(size[1] / stride))
        tensors = {}
        for tap, found in block.taps.items():
            if f"{name}.{tap}" in record:
                tensor = record[f"{name}.{tap}"]
                tensors[tap] = (found.arrange(tensor, grid) if found.arrange else tensor)[0].float().cpu()
        kernel_large, kernel_small = windows_of(block.mixer)
        traces[name] = BlockTrace(
            name=name,
            kind=block.kind,
            stage=stage,
            stride=stride,
            grid=grid,
            kernel_large=kernel_large,
            kernel_small=kernel_small,
            **tensors,
        )
    return traces
