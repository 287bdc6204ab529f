"""The kernels of a block over many pictures: their kinds, where they come again, and how much they move."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from lsnet.predictor import Predictor
from viz.analysis.clusters import kinds, unit
from viz.analysis.kernels import kernels_at
from viz.analysis.patches import best_apart, patches_at, window_image
from viz.analysis.place import place_at
from viz.analysis.seen import seen_jpeg
from viz.capture import trace_image
from viz.progress import Progress, silent
from viz.results import Array, Result
from viz.results.atlas import Dynamics, Neighbours, Patches, Prototypes
from viz.trace import BlockTrace, ForwardTrace

Show = Literal["prototypes", "neighbours", "dynamics"]
T = TypeVar("T", bound=np.generic)

USERS, HERE, ELSEWHERE = 4, 4, 8  # patches


@dataclass(frozen=True)
class _Seen:
    """One picture: what the network saw, and the kernels (G, K·K, h, w) of some blocks by name."""

    view: Image.Image
    kernels: dict[str, Tensor]


def kernel_atlas(
    predictor: Predictor,
    picture: Image.Image,
    trace: ForwardTrace,
    block: str,
    token: tuple[int, int],
    pictures: Sequence[Image.Image],
    *,
    show: Show = "prototypes",
    prototypes: int = 8,
    kernel_set: int | None = None,
    progress: Progress = silent,
) -> Iterator[Result]:
    """Look at the kernels of a block on several pictures.

    ``"prototypes"`` sorts all kernels, each scaled to length one, into kinds with k-means, and finds the tokens that
    use each kind most. ``"neighbours"`` finds the tokens whose kernels, all sets together, have the highest cosine
    with the token's. ``"dynamics"`` tells for each such block and kernel set how much of the kernels one static kernel
    accounts for, as :func:`viz.analysis.kernels.kernels_at` defines it.

    Args:
        predictor: the network, looking at pictures as it did for the trace.
        picture: the visitor's, upright RGB.
        trace: of that picture, with the kernels of the block; of all such blocks for ``"dynamics"``.
        block: name of a block with dynamic kernels.
        token: (row, column), for ``"neighbours"``.
        pictures: further ones, upright RGB; the visitor's own is counted once.
        show: what to look at.
        prototypes: how many kinds, at least 1; they are fewer where fewer kernels differ.
        kernel_set: the one that ``"prototypes"`` colours the picture by, or None for what most sets use.
        progress: told the share of pictures that are traced.

    Yields:
        A result over the visitor's picture, then over two, four, eight … pictures, and over all.

    Raises:
        ValueError: the block has no kernels, no such token or no such kernel set.
    """
    place_at(trace, block, token)
    kernels = trace.block(block).kernels
    if kernels is None:
        raise ValueError(f"expected a block with recorded kernels, got {block!r}")
    if kernel_set is not None and not 0 <= kernel_set < len(kernels):
        raise ValueError(f"expected a kernel set of 0 to {len(kernels) - 1}, got {kernel_set}")
    names = [b.name for b in trace.blocks.values() if b.kernels is not None] if show == "dynamics" else [block]
    photo = seen_jpeg(predictor, picture)
    for seen in _growing(predictor, picture, trace, names, pictures, progress):
        if show == "dynamics":
            yield _dynamics(trace, block, names, seen)
        elif show == "neighbours":
            yield _neighbours(trace, block, token, seen, photo)
        else:
            yield _prototypes(trace, block, seen, photo, prototypes, kernel_set)


def _growing(
    predictor: Predictor,
    picture: Image.Image,
    trace: ForwardTrace,
    names: Sequence[str],
    pictures: Sequence[Image.Image],
    progress: Progress,
) -> Iterator[list[_Seen]]:
    """The visitor's picture, and further ones as they get traced: 1, 2, 4, 8 … and all."""
    others = [p for p in pictures if p.size != picture.size or p.tobytes() != picture.tobytes()]
    seen = [_seen(predictor, picture, trace, names)]
    for other in [*others, None]:
        progress(len(seen) / (1 + len(others)))
        if other is None or len(seen) & (len(seen) - 1) == 0:
            yield seen
        if other is not None:
            seen = [*seen, _seen(predictor, other, trace_image(predictor, other, blocks=names), names)]


def _seen(predictor: Predictor, picture: Image.Image, trace: ForwardTrace, names: Sequence[str]) -> _Seen:
    kernels = {name: trace.block(name).kernels for name in names}
    return _Seen(predictor.preprocess.view(picture), {name: k for name, k in kernels.items() if k is not None})


def _prototypes(
    trace: ForwardTrace, block: str, seen: Sequence[_Seen], photo: bytes, count: int, kernel_set: int | None
) -> Prototypes:
    chosen = trace.block(block)
    side = chosen.kernel_small
    sets = [picture.kernels[block].movedim(1, -1).numpy() for picture in seen]  # (G, h, w, K*K) each
    vectors = unit(np.concatenate([kernels.reshape(-1, side * side) for kernels in sets]))  # (N, K*K)
    means, labels = kinds(vectors, count)
    cosines = (vectors * unit(means)[labels]).sum(1)
    counts = np.bincount(labels)
    shapes = [kernels.shape[:3] for kernels in sets]
    label_maps, cosine_maps = _unstacked(labels, shapes), _unstacked(cosines, shapes)  # (G, h, w) each
    votes = np.stack([(label_maps[0] == p).mean(0) for p in range(len(means))])  # (P, h, w)
    assigned = votes.argmax(0) if kernel_set is None else label_maps[0][kernel_set]
    return Prototypes(
        place=place_at(trace, block),
        kernels=means.reshape(-1, side, side).astype(np.float32),
        shares=(counts / len(vectors)).astype(np.float32),
        closeness=(np.bincount(labels, cosines) / counts).astype(np.float32),
        assigned=assigned,
        agreement=(votes.max(0) if kernel_set is None else np.ones(assigned.shape)).astype(np.float32),
        kernel_set=kernel_set,
        users=tuple(_users(p, label_maps, cosine_maps, seen, chosen) for p in range(len(means))),
        window=_window(chosen),
        pictures=len(seen),
        kernel_count=len(vectors),
        extent=trace.extent(chosen.name),
        photo=photo,
    )


def _unstacked(values: NDArray[T], shapes: Sequence[tuple[int, ...]]) -> list[NDArray[T]]:
    """One long row of values, cut and folded into arrays of these shapes."""
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    return [part.reshape(shape) for part, shape in zip(np.split(values, ends[:-1]), shapes, strict=True)]


def _users(
    prototype: int,
    labels: Sequence[NDArray[np.int64]],
    cosines: Sequence[NDArray[np.float64]],
    seen: Sequence[_Seen],
    block: BlockTrace,
) -> Patches:
    """The tokens that use a prototype most; labels and cosines are (G, h, w) of each picture."""
    used = [label == prototype for label in labels]
    scores = [np.where(use, cosine, 0).mean(0) for use, cosine in zip(used, cosines, strict=True)]
    candidates = [np.where(use.any(0), score, -np.inf) for use, score in zip(used, scores, strict=True)]
    views = [picture.view for picture in seen]
    return patches_at(views, best_apart(candidates, USERS), scores, block.stride, _window(block))


def _neighbours(
    trace: ForwardTrace, block: str, token: tuple[int, int], seen: Sequence[_Seen], photo: bytes
) -> Neighbours:
    chosen = trace.block(block)
    units = []
    for picture in seen:
        kernels = picture.kernels[block].flatten(0, 1).movedim(0, -1).numpy()  # (h, w, G*K*K)
        units.append(unit(kernels.reshape(-1, kernels.shape[2])).reshape(kernels.shape))
    similarity = [grid @ units[0][token] for grid in units]  # (h, w) each
    views = [picture.view for picture in seen]
    here = best_apart(similarity[:1], HERE, [(0, *token)])
    elsewhere = [(i + 1, row, column) for i, row, column in best_apart(similarity[1:], ELSEWHERE)]
    return Neighbours(
        place=place_at(trace, block, token),
        similarity=similarity[0].astype(np.float32),
        patch=window_image(views[0], *token, chosen.stride, _window(chosen)),
        here=patches_at(views, here, similarity, chosen.stride, _window(chosen)),
        elsewhere=patches_at(views, elsewhere, similarity, chosen.stride, _window(chosen)),
        window=_window(chosen),
        pictures=len(seen),
        extent=trace.extent(chosen.name),
        photo=photo,
    )


def _window(block: BlockTrace) -> int:
    """Side in tokens of what a token's kernels are made of, which is at least what they read."""
    return max(block.kernel_large, block.kernel_small)


def _dynamics(trace: ForwardTrace, block: str, names: Sequence[str], seen: Sequence[_Seen]) -> Dynamics:
    return Dynamics(
        place=place_at(trace, block),
        blocks=tuple(names),
        one_picture=tuple(_static_share(trace, name, seen[:1]) for name in names),
        all_pictures=tuple(_static_share(trace, name, seen) for name in names),
        pictures=len(seen),
    )


def _static_share(trace: ForwardTrace, block: str, seen: Sequence[_Seen]) -> Array:
    """The static share of each kernel set, (G,), on one picture that shows several side by side."""
    kernels = torch.cat([picture.kernels[block].flatten(2) for picture in seen], dim=2)[:, :, None]  # (G, K*K, 1, N)
    beside = replace(trace.block(block), kernels=kernels, grid=(1, kernels.shape[3]))
    return kernels_at(replace(trace, blocks={block: beside}), block, (0, 0)).static_share
