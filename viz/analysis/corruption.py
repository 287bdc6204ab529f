"""How far kernels, their large-field context and the answer move when the picture is corrupted."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal, TypedDict

import numpy as np
from PIL import Image
from torch import Tensor
from torch.nn import functional

from lsnet.predictor import Predictor
from lsnet.tools.corruptions import SEVERITIES, corrupt
from viz.analysis.change import TINY, change, change_map
from viz.analysis.place import place_at
from viz.analysis.seen import small_jpeg
from viz.capture import trace_image
from viz.progress import Progress, silent
from viz.results import Array
from viz.results.corruption import CorruptionEffect
from viz.trace import BlockTrace, ForwardTrace

Corruption = Literal[
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "defocus_blur",
    "glass_blur",
    "motion_blur",
    "zoom_blur",
    "snow",
    "frost",
    "fog",
    "brightness",
    "contrast",
    "elastic_transform",
    "pixelate",
    "jpeg_compression",
]
# Those that draw at random; the others are functions of the picture alone.
RANDOM: tuple[Corruption, ...] = (
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "glass_blur",
    "motion_blur",
    "snow",
    "frost",
    "fog",
    "elastic_transform",
)

TOP = 5


class _Curves(TypedDict):
    """What is measured by severity, as fields of the result."""

    severities: Array
    input_changes: Array
    kernel_changes: Array
    context_changes: Array
    probabilities: Array
    kept: Array


def corruption_effect(
    predictor: Predictor,
    picture: Image.Image,
    trace: ForwardTrace,
    block: str,
    token: tuple[int, int],
    corruption: Corruption = "gaussian_noise",
    severity: int = 3,
    seed: int = 0,
    progress: Progress = silent,
) -> Iterator[CorruptionEffect]:
    """Corrupt what the network sees, as ImageNet-C is made, and run it through the network again.

    Args:
        predictor: the network, framing pictures as it did for the trace.
        picture: upright RGB.
        trace: of this picture through this network, as it is.
        block: name of a block with kernels and context.
        token: (row, column) in its grid.
        corruption: which of the 15.
        severity: 1 to 5.
        seed: of those that draw at random.
        progress: told after each forward pass.

    Yields:
        The effect at this severity; then again with the other severities.

    Raises:
        InputError: the package that corrupts is not there.
        ValueError: the block has no kernels and context, or no such token; or there is no such severity.
    """
    if severity not in SEVERITIES:
        raise ValueError(f"expected a severity of 1 to 5, got {severity}")
    place = place_at(trace, block, token)
    chosen = trace.block(block)
    view = predictor.preprocess.view(picture)
    pixelwise = predictor.framed(min(view.size), "whole")  # a view of this size goes in as it is
    clean = _measured(pixelwise, view, trace, block)
    answer = trace.logits.double().softmax(0)

    def corrupted(severity: int) -> tuple[Image.Image, ForwardTrace]:
        changed = Image.fromarray(corrupt(np.array(view), seed, corruption, severity))
        return changed, trace_image(pixelwise, changed, blocks=[block])

    def row(changed: Image.Image, after: ForwardTrace) -> tuple[float, ...]:
        moved = [change(now, was) for now, was in zip(_measured(pixelwise, changed, after, block), clean, strict=True)]
        return *moved, after.logits.double().softmax(0)[answer.argmax()].item(), float(_keeps(after, trace))

    changed, after = corrupted(severity)
    maps = [change_map(now, was) for now, was in zip(_measured(pixelwise, changed, after, block), clean, strict=True)]
    kernels, kernels_after = (_kernels_at(one.block(block), token) for one in (trace, after))
    answer_after = after.logits.double().softmax(0)
    ranked = (i for one in (answer, answer_after) for i in one.argsort(descending=True, stable=True)[:TOP].tolist())
    shown = list(dict.fromkeys(ranked))
    rows = {severity: row(changed, after)}
    effect = CorruptionEffect(
        place=place,
        corruption=corruption,
        severity=severity,
        seed=seed,
        seen=small_jpeg(view),
        seen_corrupted=small_jpeg(changed),
        extent=trace.extent(chosen.name),
        kernel_large=chosen.kernel_large,
        kernel_small=chosen.kernel_small,
        kernels=kernels,
        kernels_corrupted=kernels_after,
        context=_mean_context(trace.block(block)),
        context_corrupted=_mean_context(after.block(block)),
        input_map=maps[0],
        kernel_map=maps[1],
        context_map=maps[2],
        classes=tuple({"en": trace.classes[i].en, "zh": trace.classes[i].zh} for i in shown),
        before=answer[shown].float().numpy(),
        after=answer_after[shown].float().numpy(),
        **_curves(rows),
        kernel_shuffled=_shuffled_change(clean[1]),
        context_shuffled=_shuffled_change(clean[2]),
    )
    yield effect
    for other in SEVERITIES:
        if other != severity:
            progress(len(rows) / len(SEVERITIES))
            rows[other] = row(*corrupted(other))
    yield replace(effect, **_curves(rows))


def _measured(predictor: Predictor, view: Image.Image, trace: ForwardTrace, block: str) -> tuple[Tensor, ...]:
    """What the change is measured of, each with the block's tokens last: pixels of cells, kernels, context."""
    chosen = trace.block(block)
    if chosen.kernels is None or chosen.context is None:
        raise ValueError(f"expected a block with recorded kernels and context, got {block!r}")
    pixels = predictor.batch(view).float().cpu()[0]  # (3, H, W)
    (rows, columns), side = chosen.grid, chosen.stride
    # A cell that the input's edge cuts has nothing beyond it, which does not change.
    padded = functional.pad(pixels, (0, columns * side - pixels.shape[2], 0, rows * side - pixels.shape[1]))
    cells = functional.pixel_unshuffle(padded, side)  # (3 * side², h, w)
    return cells, chosen.kernels.flatten(0, 1), chosen.context


def _kernels_at(block: BlockTrace, token: tuple[int, int]) -> Array:
    """(G, K, K)."""
    assert block.kernels is not None
    size = block.kernel_small
    return block.kernels[:, :, token[0], token[1]].reshape(-1, size, size).numpy()


def _mean_context(block: BlockTrace) -> Array:
    """Mean over channels, (h, w)."""
    assert block.context is not None
    return block.context.mean(0).numpy()


def _keeps(after: ForwardTrace, before: ForwardTrace) -> bool:
    return bool(after.logits.argmax() == before.logits.argmax())


def _curves(rows: dict[int, tuple[float, ...]]) -> _Curves:
    severities = sorted(rows)
    columns = np.array([rows[severity] for severity in severities], np.float32).T
    return _Curves(
        severities=np.array(severities, np.float32),
        input_changes=columns[0],
        kernel_changes=columns[1],
        context_changes=columns[2],
        probabilities=columns[3],
        kept=columns[4],
    )


def _shuffled_change(values: Tensor) -> float:
    """Root mean square of ``|k_π - k| / |k|`` over all permutations π of the tokens: √2 · |k - mean| / |k|."""
    spread = (values - values.mean((1, 2), keepdim=True)).norm()
    return (2**0.5 * spread / values.norm().clamp_min(TINY)).item()
