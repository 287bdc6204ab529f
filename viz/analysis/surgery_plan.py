"""Operations by name: what they do to each block that they fit, alone and jointly."""

import math
from typing import Literal, get_args

import numpy as np
from PIL import Image, ImageOps

from lsnet.errors import InputError
from lsnet.predictor import Predictor
from viz.analysis.operations import (
    Operation,
    Surgery,
    box_kernel,
    given,
    identity_kernel,
    kernel_of,
    mean_kernel,
    shuffled,
    uniform_attention,
    without_surround,
)
from viz.analysis.same_place import same_place
from viz.capture import trace_image
from viz.examples import examples
from viz.images import load_picture
from viz.trace import BlockTrace, ForwardTrace

OperationName = Literal["mean", "identity", "box", "pixel", "picture", "shuffle", "surround", "uniform_attention"]
Sets = Literal["all", "dynamic", "static"]

JOINTLY = "all"  # the row that operates on all blocks at once

# Operations that ask for nothing but what they replace.
PLAIN: dict[OperationName, Operation] = {
    "mean": mean_kernel,
    "identity": identity_kernel,
    "box": box_kernel,
    "shuffle": shuffled(seed=0),
    "surround": without_surround,
    "uniform_attention": uniform_attention,
}


def plan(
    predictor: Predictor,
    picture: Image.Image,
    trace: ForwardTrace,
    block: str,
    token: tuple[int, int],
    operation: OperationName = "mean",
    sets: Sets = "all",
    other: str = "coffee",
) -> dict[str, tuple[Surgery, ...]]:
    """An operation by name, on each block that it fits alone, and on all of them jointly (``"all"``).

    Args:
        predictor: the network, framing pictures as it did for the trace.
        picture: upright RGB.
        trace: the untouched forward pass of the picture; its kernels tell the sets apart.
        block: the chosen block, of any kind.
        token: (row, column) in its grid.
        operation: one of :data:`PLAIN`; or ``"pixel"``, the kernels of the token everywhere (in other blocks those of
            the token at the same place); or ``"picture"``, those of another photo at the same places.
        sets: all kernel sets; or, of each block, the half whose kernels vary most (``"dynamic"``) or least
            (``"static"``) over this picture, by ``Σ|w - w̄|² / Σ|w|²``. Attention has no sets: all heads.
        other: id of a bundled photo; see :func:`framed_alike`.

    Raises:
        InputError: the network has no block that the operation fits, or there is no such photo.
        ValueError: there is no such operation, or no such token.
    """
    if operation not in get_args(OperationName):
        raise ValueError(f"expected one of {', '.join(get_args(OperationName))}, got {operation!r}")
    blocks = [one for one in trace.blocks.values() if fits(operation, one)]
    if not blocks:
        kind = "MSA" if operation == "uniform_attention" else "LS"
        raise InputError("surgery.nothing", f"this network has no {kind} block to operate on", kind=kind)
    if operation == "surround" and not _has_surround(trace):
        raise InputError("surgery.no_surround", "the LKP of this network has no large kernel that could be narrowed")
    donor = _traced(predictor, picture, other) if operation == "picture" else None
    every = {}
    for one in blocks:
        if donor is not None:
            kernels = donor.block(one.name).kernels
            assert kernels is not None
            what = given(kernels[None])
        elif operation == "pixel":
            what = kernel_of(*same_place(token, trace.block(block), trace.geometry, one, trace.geometry))
        else:
            what = PLAIN[operation]
        every[one.name] = Surgery(one.name, what, None if one.kind == "msa" else _half(one, sets))
    return {name: (surgery,) for name, surgery in every.items()} | {JOINTLY: tuple(every.values())}


def fits(operation: OperationName, block: BlockTrace) -> bool:
    """Whether an operation has something to replace in a block; kernels must be the tokens' own."""
    if operation == "uniform_attention":
        return block.kind == "msa"
    if operation == "surround":
        return block.kind == "ls"
    return block.kind in ("ls", "dynamic") and not block.one_kernel_for_all


def framed_alike(picture: Image.Image, other: Image.Image, predictor: Predictor) -> Image.Image:
    """A picture that the network sees at the same size as another one.

    Where the network sees a square crop, that is any picture; where it sees whole pictures, the middle of the picture
    in the other one's proportions.
    """
    return picture if predictor.preprocess.mode == "crop" else ImageOps.fit(picture, other.size)


def _has_surround(trace: ForwardTrace) -> bool:
    return all(block.kernel_large > 1 for block in trace.blocks.values() if block.kind == "ls")


def _traced(predictor: Predictor, picture: Image.Image, other: str) -> ForwardTrace:
    photos = {example.id: example.path for example in examples()}
    if other not in photos:
        known = ", ".join(photos)
        raise InputError("surgery.photo", f"expected one of the photos {known}, got {other!r}", name=other, known=known)
    return trace_image(predictor, framed_alike(load_picture(photos[other]), picture, predictor))


def _half(block: BlockTrace, sets: Sets) -> tuple[int, ...] | None:
    """Of an odd number of sets, the dynamic half is the larger one."""
    if sets == "all":
        return None
    if block.kernels is None:
        raise ValueError(f"expected recorded kernels of {block.name!r}")
    kernels = block.kernels.double().flatten(2)  # (G, K*K, N)
    energy = kernels.square().sum((1, 2)).clamp_min(np.finfo(np.float64).tiny)
    varies = (kernels - kernels.mean(2, keepdim=True)).square().sum((1, 2)) / energy
    order = varies.argsort(descending=True, stable=True).tolist()
    half = math.ceil(len(order) / 2)
    return tuple(sorted(order[:half] if sets == "dynamic" else order[half:]))
