"""Large-kernel perception, step by step: from what an LS block reads to the kernels that it makes."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from lsnet.errors import InputError
from lsnet.mixers import LKP, LSConv
from lsnet.predictor import Predictor
from lsnet.sites import mixer_at
from viz.analysis.place import place_at
from viz.components import principal_components
from viz.results.large_field import LearnedKernels, PerceptionSteps
from viz.trace import ForwardTrace

# Kernels are recomputed with the same operations; where they differ by more, the network is not that of the trace.
TOLERANCE = 0.05


def lkp_of(model: nn.Module, block: str) -> LKP:
    """The large-kernel perception of an LS block.

    Raises:
        ValueError: it is not an LS block.
    """
    mixer = mixer_at(model, block)
    if not isinstance(mixer, LSConv):
        raise ValueError(f"expected an LS block, got {block!r}")
    return mixer.lkp


def steps_of(lkp: LKP, x: Tensor) -> Mapping[str, Tensor]:
    """Every step of LKP on (B, C, H, W), by the names in :class:`PerceptionSteps`.

    Source: paper, equation (7): PW(DW(PW(x))), of which the last is two 1×1 convolutions in the authors' code.
    """
    reduced = lkp.act(lkp.cv1(x))  # (B, C/2, H, W)
    context = lkp.cv2(reduced)
    modelled = lkp.act3(lkp.cv3(context))
    logits = lkp.cv4(modelled)  # (B, G*K*K, H, W)
    kernels = lkp.norm(logits)
    return {
        "inputs": x,
        "reduced": reduced,
        "context": context,
        "modelled": modelled,
        "logits": logits,
        "kernels": kernels,
    }


@torch.no_grad()
def narrow_perception(lkp: LKP) -> None:
    """Leave of the large depthwise kernels, in place, nothing but their centre taps.

    Then kernels are predicted from each token alone. An LKP without large kernels stays as it is.
    """
    convolution = next((module for module in lkp.cv2.modules() if isinstance(module, nn.Conv2d)), None)
    if convolution is None:
        return
    middle = convolution.kernel_size[0] // 2
    centre = convolution.weight[:, :, middle, middle].clone()
    convolution.weight.zero_()
    convolution.weight[:, :, middle, middle] = centre


def strongest_tap(trace: ForwardTrace, block: str, token: tuple[int, int]) -> tuple[int, int]:
    """(kernel set, tap) of the weight with the largest magnitude at a token.

    Raises:
        ValueError: the block has no recorded kernels, or no such token.
    """
    place_at(trace, block, token)
    stored = trace.block(block).kernels
    if stored is None:
        raise ValueError(f"expected an LS block with recorded kernels, got {block!r}")
    kernel_set, tap = divmod(int(stored[:, :, token[0], token[1]].abs().argmax()), stored.shape[1])
    return kernel_set, tap


def from_centre(tap: tuple[int, int], kernel_small: int) -> tuple[int, int, int]:
    """(kernel set, tap) as (kernel set, row, column) with the kernel's centre at row and column 0."""
    row, column = divmod(tap[1], kernel_small)
    return tap[0], row - kernel_small // 2, column - kernel_small // 2


def perception_steps(
    predictor: Predictor, trace: ForwardTrace, block: str, token: tuple[int, int], channel: int | None = None
) -> PerceptionSteps:
    """Recompute the steps of LKP from what the block read, and condense each to maps.

    Args:
        predictor: the network of the trace.
        trace: a trace that holds what the block read, and its kernels.
        block: name of an LS block.
        token: (row, column).
        channel: a channel of LKP, 0…C/2 - 1, to show instead of the mean over channels. Logits and kernels then show
            the weight that is strongest at the token.

    Raises:
        ValueError: the block has no kernels, there is no such token or channel, or the steps do not end in the
            recorded kernels because the network is another.
    """
    place = place_at(trace, block, token)
    stored, tap = trace.block(block), strongest_tap(trace, block, token)
    assert stored.inputs is not None
    assert stored.kernels is not None
    lkp = lkp_of(predictor.model, block)
    parameter = lkp.cv4.weight
    if channel is not None and not 0 <= channel < parameter.shape[1]:
        raise ValueError(f"expected a channel in 0…{parameter.shape[1] - 1}, got {channel}")
    with torch.no_grad():
        steps = steps_of(lkp, stored.inputs[None].to(parameter.device, parameter.dtype))
    arrays = {name: step[0].float().cpu().numpy() for name, step in steps.items()}  # (channels, h, w)

    recorded = stored.kernels.flatten(0, 1).numpy()
    strongest = max(float(np.abs(recorded).max()), float(np.finfo(np.float32).tiny))
    deviation = float(np.abs(arrays["kernels"] - recorded).max()) / strongest
    if deviation > TOLERANCE:
        raise ValueError(f"expected the network of the trace; kernels of {block!r} differ by {deviation:.0%}")

    maps, components, explained = [], [], []
    weight = tap[0] * stored.kernels.shape[1] + tap[1]
    for name, step in arrays.items():
        chosen = weight if name in ("logits", "kernels") else channel
        maps.append(step.mean(0) if channel is None else step[chosen])
        scores, shares = principal_components(step)
        spread = max(scores[:, 0].std(), np.finfo(np.float32).tiny)
        components.append((scores / spread).reshape(*step.shape[1:], 3))
        explained.append(shares)
    return PerceptionSteps(
        place=place,
        steps=tuple(arrays),
        maps=np.stack(maps).astype(np.float32),
        components=np.stack(components).astype(np.float32),
        explained=np.stack(explained).astype(np.float32),
        channel=channel,
        tap=from_centre(tap, stored.kernel_small),
        kernel_large=stored.kernel_large,
        kernel_small=stored.kernel_small,
        deviation=deviation,
    )


def folded_kernels(lkp: LKP) -> np.ndarray:
    """The large depthwise kernels with their batch norm folded in, (C/2, K, K) float32.

    Raises:
        InputError: this LKP has no large depthwise convolution (K_L = 1).
    """
    if isinstance(lkp.cv2, nn.Identity):
        message = "the LKP of this network has no large kernel: its perception reads single tokens"
        raise InputError("large_field.no_large_kernel", message)
    folded = lkp.cv2 if isinstance(lkp.cv2, nn.Conv2d) else lkp.cv2.fuse()
    return folded.weight.detach()[:, 0].float().cpu().numpy()


def learned_kernels(predictor: Predictor, trace: ForwardTrace, block: str) -> LearnedKernels:
    """The large depthwise kernels of an LS block, and how their weights fall off from the centre.

    Args:
        predictor: the network of the trace.
        trace: names the block's place.
        block: name of an LS block.

    Raises:
        InputError: the block's LKP has no large kernel.
        ValueError: it is not an LS block.
    """
    kernels = folded_kernels(lkp_of(predictor.model, block))
    magnitude = np.abs(kernels)
    side = kernels.shape[1]
    offsets = np.arange(side) - side // 2
    squared = offsets[:, None] ** 2 + offsets**2  # (K, K), exact
    rings = np.unique(squared)
    by_channel = np.stack([magnitude[:, squared == ring].mean(1) for ring in rings])  # (D, C/2)
    near = np.abs(offsets) <= 1
    total = float(magnitude.sum())
    return LearnedKernels(
        place=place_at(trace, block),
        kernels=kernels,
        order=np.argsort(-np.square(kernels).sum((1, 2)), kind="stable").astype(np.int64),
        distances=np.sqrt(rings).astype(np.float32),
        profile=by_channel.mean(1),
        quartiles=np.quantile(by_channel, (0.25, 0.75), axis=1).astype(np.float32),
        inside=float(magnitude[:, near][:, :, near].sum()) / total if total else 0.0,
    )
