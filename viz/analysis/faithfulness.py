"""Whether to trust an attribution: by removing what it calls important, and by making the network forget."""

import copy
from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from lsnet.model import LSNet
from lsnet.predictor import Predictor
from lsnet.seeding import seeded
from viz.analysis.attribution import BATCH, Method, attribute, attribution_map, baseline_input
from viz.analysis.copies import folded_copy
from viz.analysis.explained import Explained, Target, explained
from viz.progress import Progress, silent
from viz.results import Array
from viz.results.attribution import Attribution, FaithfulAttribution, RandomisedAttribution
from viz.trace import ForwardTrace

Check = Literal["none", "faithfulness", "randomised_weights"]

REMOVALS = 15  # steps of a curve; odd, so that an order and its reverse meet the same numbers of patches
RANDOM_ORDERS = 5
# Not 0: that is the seed of the untrained networks, which would then be compared with themselves.
SEED = 1

# Parts of a network by the names of their modules, from the output to the input.
PARTS: dict[str, tuple[str, ...]] = {
    "head": ("head", "head_dist"),
    "stage4": ("blocks4",),
    "stage3": ("blocks3",),
    "stage2": ("blocks2",),
    "stage1": ("blocks1",),
    "stem": ("patch_embed",),
}


def explain(
    predictor: Predictor,
    picture: Image.Image,
    trace: ForwardTrace,
    target: Target,
    method: Method,
    check: Check = "none",
    progress: Progress = silent,
) -> Iterator[Attribution]:
    """A map, and then, where a check is asked for, the map with its check.

    Args:
        predictor, picture, trace, target, method: see :func:`viz.analysis.attribution.attribute`.
        check: ``"faithfulness"`` for :func:`remove`, ``"randomised_weights"`` for :func:`randomise`.
        progress: told the share that is done of the map, then of the check.

    Raises:
        InputError, KeyError: see :func:`viz.analysis.attribution.attribute`.
    """
    found = attribute(predictor, picture, trace, target, method, progress)
    yield found
    if check == "faithfulness":
        yield remove(found, predictor, picture, trace, target, progress)
    elif check == "randomised_weights":
        yield randomise(found, predictor, picture, trace, target, method, progress)


def remove(
    found: Attribution,
    predictor: Predictor,
    picture: Image.Image,
    trace: ForwardTrace,
    target: Target,
    progress: Progress = silent,
) -> FaithfulAttribution:
    """Deletion and insertion: replace patches by the baseline, or the baseline's by the picture's, the highest first.

    A faithful map makes the score fall early and rise early: a small area under deletion, a large one under
    insertion. Patches of equal value are taken in a random order. The score of the randomly ordered curves tells how
    much of that any order would do.

    Args:
        found: the map to check.
        predictor, picture, trace, target: as for that map.
        progress: told the share that is done.

    Source: Petsiuk et al. 2018 (RISE), section 4.1, with patches for pixels and one baseline for both curves.
    """
    batch = predictor.batch(picture)
    absent = baseline_input(batch, predictor.preprocess, found.baseline)
    function = explained(folded_copy(predictor.model), trace, target)
    fractions, curves = removal_curves(function, batch, absent, found.patches, found.patch, progress)
    areas = np.asarray(np.trapezoid(curves, fractions), np.float32)
    return FaithfulAttribution(
        **vars(found),
        fractions=fractions,
        deletion=curves[0],
        insertion=curves[1],
        random=curves[2:],
        deletion_area=float(areas[0]),
        insertion_area=float(areas[1]),
        random_areas=areas[2:],
    )


def removal_curves(
    function: Explained,
    batch: Tensor,
    absent: Tensor,
    patches: Array,
    patch: int,
    progress: Progress = silent,
) -> tuple[Array, Array]:
    """The score while patches are replaced, in their own order and in random ones.

    Args:
        function: whose score.
        batch: the picture, (1, 3, H, W).
        absent: what replaces it, (1, 3, H, W).
        patches: how important each patch is, (rows, columns).
        patch: side in pixels.
        progress: told the share that is done.

    Returns:
        Fractions of patches taken, (S,), 0 to 1, and curves (2 + R, S): deletion, insertion, and deletion in each of
        the random orders.
    """
    grid: tuple[int, int] = patches.shape[:2]
    generator = np.random.default_rng(SEED)
    randoms = [generator.permutation(patches.size) for _ in range(RANDOM_ORDERS)]
    order = highest_first(patches, generator)
    taken = np.unique(np.rint(np.linspace(0, order.size, REMOVALS + 1)).astype(np.int64))
    removed = taken_masks(order, taken, grid)
    masks = np.concatenate([removed, ~removed, *(taken_masks(random, taken, grid) for random in randoms)])
    scores = removal_scores(function, batch, absent, masks, patch, progress)
    return (taken / order.size).astype(np.float32), scores.reshape(-1, taken.size)


def highest_first(values: Array, generator: np.random.Generator) -> NDArray[np.int64]:
    """Indices of flattened values, the highest first; equal ones in an order that the generator draws."""
    shuffled = generator.permutation(values.size)
    return shuffled[np.argsort(-values.ravel()[shuffled], kind="stable")]


def taken_masks(order: NDArray[np.int64], taken: NDArray[np.int64], grid: tuple[int, int]) -> NDArray[np.bool_]:
    """For each count, a mask (rows, columns) of the first so many of an order."""
    rank = np.empty(order.size, np.int64)
    rank[order] = np.arange(order.size)
    return rank.reshape(grid) < taken[:, None, None]


def removal_scores(
    function: Explained,
    batch: Tensor,
    absent: Tensor,
    masks: NDArray[np.bool_],
    patch: int,
    progress: Progress = silent,
) -> Array:
    """The score of the picture with some patches replaced.

    Args:
        function: whose score.
        batch: the picture, (1, 3, H, W).
        absent: what replaces it, (1, 3, H, W).
        masks: patches to replace, (N, rows, columns).
        patch: side in pixels.
        progress: told the share that is done.

    Returns:
        (N,).
    """
    height, width = batch.shape[2:]
    scores = []
    for start in range(0, len(masks), BATCH):
        chosen = torch.from_numpy(masks[start : start + BATCH]).to(batch.device)[:, None]  # (B, 1, rows, columns)
        pixels = chosen.repeat_interleave(patch, 2).repeat_interleave(patch, 3)[..., :height, :width]
        with torch.no_grad():
            scores.append(function.score(torch.where(pixels, absent, batch)).float().cpu())
        progress(min(start + BATCH, len(masks)) / len(masks))
    return torch.cat(scores).numpy()


def randomise(
    found: Attribution,
    predictor: Predictor,
    picture: Image.Image,
    trace: ForwardTrace,
    target: Target,
    method: Method,
    progress: Progress = silent,
) -> RandomisedAttribution:
    """Cascading randomisation: start the network anew from the output down, and look for what the map still knows.

    A map that speaks about what the network has learned must change as the network forgets. One that stays as it was
    shows the picture, edges above all, and not the network.

    Args:
        found: the map to check.
        predictor, picture, trace, target, method: as for that map.
        progress: told the share that is done.

    Source: Adebayo et al. 2018, section 3.1.
    """
    batch = predictor.batch(picture)
    absent = baseline_input(batch, predictor.preprocess, found.baseline)
    network, fresh = copy.deepcopy(predictor.lsnet), untrained_like(predictor.lsnet)
    parts = parts_before(target, network)
    signed, magnitudes, anew = [], [], found.map
    for done, part in enumerate(parts):
        for name in PARTS[part]:
            if hasattr(network, name):
                setattr(network, name, getattr(fresh, name))

        def share(own: float, done: int = done) -> None:
            progress((done + own) / len(parts))

        function = explained(folded_copy(network), trace, target, share)
        anew, _ = attribution_map(function, batch, absent, trace, target, method)
        signed.append(rank_correlation(found.map, anew))
        magnitudes.append(rank_correlation(np.abs(found.map), np.abs(anew)))
    return RandomisedAttribution(
        **vars(found),
        parts=parts,
        signed=np.array(signed, np.float32),
        magnitudes=np.array(magnitudes, np.float32),
        randomised=anew,
    )


def untrained_like(model: LSNet) -> LSNet:
    """A network of the same architecture as it is before training, where the given one is, in its mode and dtype."""
    with seeded(SEED):
        fresh = LSNet(model.config)
    reference = next(model.parameters())
    return fresh.to(reference.device, reference.dtype).train(model.training)


def parts_before(target: Target, network: LSNet) -> tuple[str, ...]:
    """The parts of a network that a number depends on, from the output down; stages without blocks are left out."""
    names = [name for name, modules in PARTS.items() if any(True for _ in _parameters(network, modules))]
    if target.kind == "class":
        return tuple(names)
    stage = f"stage{target.block.removeprefix('blocks')[0]}"
    return tuple(names[names.index(stage) :])


def _parameters(network: LSNet, modules: tuple[str, ...]) -> Iterator[Tensor]:
    for name in modules:
        if hasattr(network, name):
            yield from getattr(network, name).parameters()


def rank_correlation(first: Array, second: Array) -> float:
    """Spearman's correlation of two maps, −1…1; 0 where one of them is constant and so has no order."""
    a, b = (_ranks(values) for values in (first, second))
    a, b = a - a.mean(), b - b.mean()
    spread = np.sqrt(np.square(a).sum() * np.square(b).sum())
    return float((a * b).sum() / spread) if spread else 0.0


def _ranks(values: Array) -> NDArray[np.float64]:
    """Ranks of flattened values; equal ones share the mean of their ranks."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[place.ravel()].astype(np.float64)
