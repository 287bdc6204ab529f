"""How much each pixel really contributes to a kernel: the effective receptive field, by gradients."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor, nn

from lsnet.model import LSNet
from lsnet.predictor import Predictor
from lsnet.seeding import seeded
from viz.analysis.copies import private_copy
from viz.analysis.lkp_steps import from_centre, lkp_of, narrow_perception, strongest_tap
from viz.analysis.place import place_at
from viz.analysis.receptive_field import cells_around, features_before, theoretical_field
from viz.analysis.seen import seen_jpeg
from viz.examples import examples
from viz.images import load_picture
from viz.progress import Progress, silent
from viz.results.large_field import EffectiveField, PixelBox, Target
from viz.trace import ForwardTrace

# A pixel-wise map or a list of levels, at full precision: shares are exact to rounding.
Map = NDArray[np.float64]

LEVELS = (0.2, 0.5, 0.8, 0.99)

# Of the network with random weights: the same one for everybody.
SEED = 0
CALIBRATION_SIZE = 160


def contribution(
    model: LSNet,
    block: str,
    batch: Tensor,
    token: tuple[int, int],
    target: Target = "kernel",
    tap: tuple[int, int] = (0, 0),
) -> Map:
    """How strongly each pixel of an input acts on a token: Σ over colours of |∂target/∂pixel|.

    Args:
        model: in evaluation mode; it is not changed, and neither are its parameters' gradients.
        block: name of an LS block.
        batch: one normalized input, (1, 3, H, W). Gradients are with respect to these values.
        token: (row, column) in the block's grid.
        target: ``"kernel"`` is the Euclidean norm of all kernels at the token, ``"tap"`` one weight of one of them,
            ``"output"`` the norm of the block's output there.
        tap: (kernel set, tap) for ``"tap"``.

    Returns:
        (H, W) float64, not negative.

    Source: Luo et al., "Understanding the Effective Receptive Field in Deep Convolutional Neural Networks", 2016.
    """
    x = batch.detach().requires_grad_()
    inputs, module = features_before(model, block, x), model.get_submodule(block)
    (row, column), (kernel_set, index) = token, tap
    if target == "output":
        value = module(inputs)[0, :, row, column].norm()
    else:
        kernels = module.get_submodule("mixer.lkp")(inputs)[0, :, :, row, column]  # (G, K*K)
        value = kernels.norm() if target == "kernel" else kernels[kernel_set, index]
    (gradient,) = torch.autograd.grad(value, x)
    return gradient[0].abs().sum(0).double().cpu().numpy()


def smallest_areas(contributions: Map, levels: Sequence[float] = LEVELS) -> Map:
    """How many pixels hold each share of the contribution, when the strongest are taken first.

    Ding et al. take the smallest rectangle instead; the smallest set assumes nothing about a field's shape.

    Args:
        contributions: (H, W), not negative.
        levels: shares, 0…1.

    Returns:
        (len(levels),) pixels; 0 where nothing contributes.

    Source: the high-contribution area ratio of Ding et al., "Scaling Up Your Kernels to 31x31: Revisiting Large Kernel
    Design in CNNs" (RepLKNet), 2022.
    """
    held = np.cumsum(np.sort(contributions, axis=None)[::-1], dtype=np.float64)
    if held[-1] <= 0:
        return np.zeros(len(levels))
    # The last digits of a cumulative sum are rounding: a share that is met but for them is met.
    return np.searchsorted(held, np.asarray(levels) * held[-1] * (1 - 1e-12)) + 1.0


def without_surround(model: LSNet, block: str) -> LSNet:
    """A copy of a network in which the large depthwise kernels of one block are their centre taps alone."""
    changed = private_copy(model)
    narrow_perception(lkp_of(changed, block))
    return changed


def random_network(predictor: Predictor, block: str) -> LSNet:
    """The same architecture as training starts with it, up to and including a block.

    Weights are drawn with a fixed seed. Batch norms take their statistics from one pass over the bundled photos: with
    the zeros and ones that they start with, activations would shrink from layer to layer, and statistics of the
    visitor's picture alone would break down where that picture is constant.
    """
    model, small = predictor.lsnet, predictor.framed(CALIBRATION_SIZE, "crop")
    with seeded(SEED):
        network = LSNet(model.config, num_classes=0, drop_path_rate=0.0)
    batch = torch.cat([small.batch(load_picture(example.path)) for example in examples()])
    network.to(batch.device, batch.dtype).train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # a plain mean: after one pass, the statistics of that pass
    with torch.no_grad():
        network.get_submodule(block)(features_before(network, block, batch))
    return network.eval()


def effective_field(
    predictor: Predictor,
    picture: Image.Image,
    trace: ForwardTrace,
    block: str,
    token: tuple[int, int],
    target: Target = "kernel",
    tap: tuple[int, int] | None = None,
    bundled_photos: bool = False,
    progress: Progress = silent,
) -> Iterator[EffectiveField]:
    """The effective receptive field of a token: with these weights, without LKP's surround, with random weights.

    Args:
        predictor: looking at pictures as it did for the trace.
        picture: upright RGB.
        trace: of this picture through this network, with the block's kernels.
        block: name of an LS block.
        token: (row, column).
        target: see :func:`contribution`.
        tap: (kernel set, tap) for target ``"tap"``; by default the weight that is strongest at this token.
        bundled_photos: whether to take the mean over the bundled photos instead, each cut to the shape of this
            picture's input and each counting the same, whatever its gradients' size.
        progress: told the share that is done.

    Yields:
        One result; with ``bundled_photos`` one after each photo, the last one complete.

    Raises:
        InputError: the network is no LSNet: other networks' paths to a block are not followed.
        ValueError: the block has no recorded kernels, there is no such token, or the predictor looks elsewhere.
    """
    place = place_at(trace, block, token)
    stored = trace.block(block)
    tap = tap or strongest_tap(trace, block, token)
    width, height = trace.geometry.frame.size
    size = (height, width)
    if (own := predictor.preprocess.frame(*picture.size).size) != (width, height):
        raise ValueError(f"expected a predictor with an input of {width} × {height} as in the trace, got {own}")
    networks, seen = _networks(predictor, block), seen_jpeg(predictor, picture)
    pictures = [_cut(load_picture(e.path), predictor, own) for e in examples()] if bundled_photos else [picture]

    field = theoretical_field(predictor.lsnet, block, token, size, target)
    aggregation, perception = (
        cells_around(stored, token, side, size) for side in (stored.kernel_small, stored.kernel_large)
    )
    boxes, (left, top, right, bottom) = (aggregation, perception, field.box), field.box
    totals, sums = np.zeros(3), np.zeros((3, height, width))
    for done, shown in enumerate(pictures):
        batch = predictor.batch(shown)
        for i, network in enumerate(networks.values()):
            progress((3 * done + i) / (3 * len(pictures)))
            found = contribution(network, block, batch, token, target, tap)
            totals[i] += found.sum()
            sums[i] += found / (found.sum() or 1)
        mean = sums / (done + 1)
        pixels = np.stack([smallest_areas(network) for network in mean])  # (3, L)
        yield EffectiveField(
            place=place,
            networks=tuple(networks),
            contributions=mean.astype(np.float32),
            totals=(totals / (done + 1)).astype(np.float32),
            levels=np.array(LEVELS, np.float32),
            areas=(pixels / (height * width)).astype(np.float32),
            sides=np.sqrt(pixels).astype(np.float32),
            inside=np.array([[_within(shares, box) for box in boxes] for shares in mean], np.float32),
            target=target,
            tap=from_centre(tap, stored.kernel_small),
            field=field,
            aggregation=aggregation,
            perception=perception,
            picture_box=(
                *trace.geometry.model_to_picture(left, top),
                *trace.geometry.model_to_picture(right, bottom),
            ),
            size=size,
            seen=seen,
            kernel_large=stored.kernel_large,
            kernel_small=stored.kernel_small,
            photos=(done + 1, len(pictures)) if bundled_photos else None,
        )


def _networks(predictor: Predictor, block: str) -> Mapping[str, LSNet]:
    return {
        "these": predictor.lsnet,
        "surround": without_surround(predictor.lsnet, block),
        "random": random_network(predictor, block),
    }


def _cut(photo: Image.Image, predictor: Predictor, size: tuple[int, int]) -> Image.Image:
    """A photo that the predictor turns into an input of ``size``; the centre crop has one shape for all pictures."""
    return photo if predictor.preprocess.mode == "crop" else ImageOps.fit(photo, size, Image.Resampling.BICUBIC)


def _within(contributions: Map, box: PixelBox) -> float:
    left, top, right, bottom = box
    return float(contributions[top:bottom, left:right].sum())
