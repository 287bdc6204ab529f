"""Which pixels a class, or one weight of a dynamic kernel, rests on: captum's methods, on a copy of the network."""

import math
import warnings
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from captum.attr import DeepLift, GuidedBackprop, InputXGradient, IntegratedGradients, LayerGradCam, Occlusion
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from lsnet.predictor import Predictor
from lsnet.preprocess import Preprocess
from viz.analysis.copies import folded_copy
from viz.analysis.explained import ClassLogit, Explained, KernelTap, Target, explained
from viz.analysis.place import place_at
from viz.analysis.seen import small_jpeg
from viz.progress import Progress, silent
from viz.results import Array
from viz.results.attribution import (
    SHARED_OUT,
    WITH_BASELINE,
    Attribution,
    BaselineName,
    Emptiness,
    MethodName,
)
from viz.trace import ForwardTrace

Layer = Literal["last", "chosen"]

BATCH = 4  # pictures at a time; larger batches are no faster on a CPU, and report less often

PATCHES_ACROSS = 14  # a square input; other shapes get patches of about the same number
WINDOWS_ACROSS = 5  # so large is a window of occlusion on a square input; windows overlap by half
BLUR = 0.1  # standard deviation of the blurred baseline, as a share of the input's shorter side


@dataclass(frozen=True)
class Method:
    """How to explain a number.

    Attributes:
        name: one of captum's methods.
        baseline: what stands for an absent pixel: black, the mean colour that normalisation turns to zero, or the
            picture blurred by a Gaussian with a tenth of its shorter side as standard deviation.
        steps: of integrated gradients, at the nodes of Gauss–Legendre quadrature.
        layer: whose output Grad-CAM weighs where a class is explained: the network's last block or the chosen one.
            A kernel weight is always explained by what its block reads.

    Raises:
        ValueError: a value is not among the options.
    """

    name: MethodName = "integrated_gradients"
    baseline: BaselineName = "black"
    steps: int = 24
    layer: Layer = "last"

    def __post_init__(self) -> None:
        options = {"name": get_args(MethodName), "baseline": get_args(BaselineName), "layer": get_args(Layer)}
        for field, known in options.items():
            if getattr(self, field) not in known:
                raise ValueError(f"expected {field} to be one of {', '.join(known)}, got {getattr(self, field)!r}")
        if self.steps < 1:
            raise ValueError(f"expected at least one step, got {self.steps}")


def attribute(
    predictor: Predictor,
    picture: Image.Image,
    trace: ForwardTrace,
    target: Target,
    method: Method,
    progress: Progress = silent,
) -> Attribution:
    """Explain a number of the network by the pixels of its input. The predictor's network is not touched.

    Args:
        predictor: the network, looking at pictures as it did for the trace.
        picture: upright RGB.
        trace: of this picture.
        target: what to explain.
        method: how.
        progress: told the share that is done.

    Raises:
        InputError: there is no such class or kernel weight.
        KeyError: there is no such block.
    """
    function = explained(folded_copy(predictor.model), trace, target, progress)
    batch = predictor.batch(picture)
    absent = baseline_input(batch, predictor.preprocess, method.baseline)
    with torch.no_grad():
        value, baseline_value = function.number(torch.cat([batch, absent])).tolist()
    found, empty = attribution_map(function, batch, absent, trace, target, method)
    # The sign of a guided gradient says which way a pixel should change, not whether it speaks for the class.
    counted = np.abs(found) if method.name == "guided_backprop" else found
    height, width = batch.shape[2:]
    layer = grad_cam_block(trace, target, method)
    cell = trace.block(layer).stride if layer else 1
    patch = max(round(math.sqrt(height * width) / PATCHES_ACROSS), 1)
    block, is_tap = trace.block(target.block), isinstance(function, KernelTap)
    label = trace.classes[function.index] if isinstance(function, ClassLogit) else None
    return Attribution(
        place=place_at(trace, target.block, target.token if is_tap else None),
        map=found,
        cell=cell,
        patches=in_patches(counted, cell, (height, width), patch, means=method.name not in SHARED_OUT),
        patch=patch,
        size=(height, width),
        seen=small_jpeg(predictor.preprocess.view(picture)),
        kind=target.kind,
        name={"en": label.en, "zh": label.zh} if label else {},
        kernel_set=target.kernel_set,
        tap=target.tap,
        kernel_large=block.kernel_large if is_tap else 0,
        kernel_small=block.kernel_small if is_tap else 0,
        method=method.name,
        layer=layer,
        baseline=method.baseline,
        steps=method.steps,
        value=value,
        probability=float(trace.logits.softmax(0)[function.index]) if isinstance(function, ClassLogit) else None,
        baseline_value=baseline_value if method.name in WITH_BASELINE else None,
        total=float(found.sum(dtype=np.float64)),
        empty=empty,
    )


def attribution_map(
    function: Explained, batch: Tensor, absent: Tensor, trace: ForwardTrace, target: Target, method: Method
) -> tuple[Array, Emptiness | None]:
    """The map alone, and why it is empty where it is.

    Integrated gradients, DeepLIFT and input × gradient give shares of a change, guided backpropagation a gradient,
    each summed over the channels of the normalised input. Occlusion gives, per pixel, the mean fall of the number over
    the windows that cover it; Grad-CAM gives, per token, features weighted by their mean gradients. Grad-CAM keeps its
    negative part, which its authors cut off.

    Args:
        function: the number, on a private copy of the network.
        batch: the input, (1, 3, H, W).
        absent: the baseline, (1, 3, H, W).
        trace, target, method: see :func:`attribute`.

    Returns:
        (H, W), or for Grad-CAM the grid of its layer; all zero where captum's answer is not finite.

    Source: Sundararajan et al. 2017 (integrated gradients); Selvaraju et al. 2017 (Grad-CAM); Zeiler and Fergus 2014
    (occlusion); Shrikumar et al. 2016 and 2017 (gradient × input, DeepLIFT); Springenberg et al. 2015 (guided
    backpropagation).
    """
    # Input × gradient measures from zero: from the mean colour, whatever the baseline.
    start = torch.zeros_like(batch) if method.name == "input_x_gradient" else absent
    if method.name in (*WITH_BASELINE, "input_x_gradient") and torch.equal(batch, start):
        return np.zeros(batch.shape[2:], np.float32), "baseline"  # captum would answer with rounding errors
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # captum tells at each use that its hooks come and go
        values = _by_captum(function, batch.clone().requires_grad_(), absent, trace, target, method)
    found: Array = values.detach().float().cpu().numpy()
    if not np.isfinite(found).all():
        return np.zeros_like(found), "not_finite"
    return found, None if found.any() else "flat"


def _by_captum(
    function: Explained, batch: Tensor, absent: Tensor, trace: ForwardTrace, target: Target, method: Method
) -> Tensor:
    if method.name == "integrated_gradients":
        function.expected = method.steps
        integrated = IntegratedGradients(function)
        return integrated.attribute(batch, absent, n_steps=method.steps, internal_batch_size=BATCH)[0].sum(0)
    if method.name == "occlusion":
        side, step = occlusion_window(batch.shape[2], batch.shape[3])
        rows, columns = (math.ceil((extent - side) / step) + 1 for extent in batch.shape[2:])
        function.expected = rows * columns + 1
        windows = {"sliding_window_shapes": (3, side, side), "strides": (3, step, step)}
        falls = Occlusion(function).attribute(batch, **windows, baselines=absent, perturbations_per_eval=BATCH)
        return falls[0, 0]  # a window covers all channels: each holds the same value
    if method.name == "grad_cam":
        if isinstance(function, KernelTap):
            return LayerGradCam(function, function.lkp).attribute(batch, attribute_to_layer_input=True)[0, 0]
        block = function.network.get_submodule(grad_cam_block(trace, target, method))
        return LayerGradCam(function, block).attribute(batch)[0, 0]
    if method.name == "deep_lift":
        function.expected = 2  # the picture and the baseline, side by side
        return DeepLift(function).attribute(batch, absent)[0].sum(0)
    simple = {"input_x_gradient": InputXGradient, "guided_backprop": GuidedBackprop}[method.name]
    return simple(function).attribute(batch)[0].sum(0)


def baseline_input(batch: Tensor, preprocess: Preprocess, name: BaselineName) -> Tensor:
    """What stands for an absent picture, (1, 3, H, W), normalised like the input."""
    if name == "mean":
        return torch.zeros_like(batch)
    if name == "black":
        mean, std = (batch.new_tensor(values).view(1, 3, 1, 1) for values in (preprocess.mean, preprocess.std))
        return (-mean / std).expand_as(batch).contiguous()
    sigma = BLUR * min(batch.shape[2:])
    return gaussian_blur(batch, [2 * math.ceil(3 * sigma) + 1] * 2, [sigma] * 2)


def occlusion_window(height: int, width: int) -> tuple[int, int]:
    """Side of the window and the step from one to the next, in pixels: about as many windows on any shape."""
    side = min(math.ceil(math.sqrt(height * width) / WINDOWS_ACROSS), height, width)
    return side, math.ceil(side / 2)


def grad_cam_block(trace: ForwardTrace, target: Target, method: Method) -> str:
    """The block on whose grid Grad-CAM's map stands; empty for other methods.

    By default the last one: behind it come only the mean over tokens and a linear classifier, so the gradient is the
    same at every token, and averaging it, which is an approximation everywhere else, loses nothing. There Grad-CAM is
    CAM (Zhou et al. 2016), and adds up to the logit less the classifier's constant.
    """
    if method.name != "grad_cam":
        return ""
    return target.block if target.kind == "tap" or method.layer == "chosen" else list(trace.blocks)[-1]


def in_patches(found: Array, cell: int, size: tuple[int, int], patch: int, means: bool) -> Array:
    """A map in square patches, sums or means over their pixels; those at the far edges may be smaller.

    Args:
        found: (h, w).
        cell: pixels per cell of the map.
        size: (height, width) of the input in pixels.
        patch: side in pixels.
        means: whether to divide by the number of pixels.
    """
    height, width = size
    pixels = found.astype(np.float64).repeat(cell, 0).repeat(cell, 1)[:height, :width]
    rows, columns = np.arange(0, height, patch), np.arange(0, width, patch)
    sums = np.add.reduceat(np.add.reduceat(pixels, rows, axis=0), columns, axis=1)
    if means:
        sums /= np.outer(np.diff(rows, append=height), np.diff(columns, append=width))
    return sums.astype(np.float32)
