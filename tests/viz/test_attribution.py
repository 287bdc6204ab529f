"""Attributions against hand-worked cases, numerical derivatives and loops; the shared network stays as it was."""

import copy
import importlib
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
from captum.attr._core.deep_lift import SUPPORTED_NON_LINEAR
from PIL import Image
from torch import Tensor, nn

import lsnet
from lsnet import InputError
from viz.analysis.attribution import (
    Method,
    attribute,
    attribution_map,
    baseline_input,
    grad_cam_block,
    in_patches,
    occlusion_window,
)
from viz.analysis.copies import folded_copy
from viz.analysis.explained import ClassLogit, Explained, KernelTap, Target, explained
from viz.capture import trace_image
from viz.progress import Cancelled
from viz.results.attribution import BaselineName, MethodName
from viz.subject import Subject
from viz.texts import LANGUAGES, texts_in
from viz.trace import ForwardTrace
from viz.views.attribution import VIEW
from viz.views.settings import checked

METHODS: tuple[MethodName, ...] = get_args(MethodName)
BLOCK, TOKEN = "blocks2.3", (1, 2)
CLASS = Target(BLOCK, TOKEN)
TAP = Target(BLOCK, TOKEN, "tap", kernel_set=3, tap=5)


@pytest.fixture(scope="module")
def predictor(tiny_predictor: lsnet.Predictor) -> lsnet.Predictor:
    return tiny_predictor.framed(64)


@pytest.fixture(scope="module")
def exact(predictor: lsnet.Predictor) -> lsnet.Predictor:
    """The same network in float64."""
    return replace(predictor, model=copy.deepcopy(predictor.model).double())


class Function(Explained):
    """A number that is a given function of the picture, without any network."""

    def __init__(self, function: object) -> None:
        super().__init__(nn.Identity())  # type: ignore[arg-type]
        self.function = function

    def number(self, x: Tensor) -> Tensor:
        return self.function(x)  # type: ignore[operator]


class GatedByItself(Function):
    """Σ ReLU(x) · x: a product of two activations, as SKA is one of kernels and features."""

    def __init__(self) -> None:
        super().__init__(None)
        self.relu = nn.ReLU()

    def number(self, x: Tensor) -> Tensor:
        return (self.relu(1 * x) * x).sum((1, 2, 3))  # captum's rule replaces the gradient of all that ReLU reads


def mapped(function: Explained, batch: Tensor, absent: Tensor, method: Method, trace: ForwardTrace) -> np.ndarray:
    return attribution_map(function, batch, absent, trace, CLASS, method)[0]


def test_integrated_gradients_of_a_quadratic_by_hand(trace: ForwardTrace) -> None:
    """∫ 2w(x0 + α(x − x0)) dα · (x − x0) = w (x² − x0²): shares are known, and Gauss–Legendre has no error."""
    generator = torch.Generator().manual_seed(0)
    x, x0, w = (torch.randn(1, 3, 5, 4, generator=generator) for _ in range(3))
    found = mapped(Function(lambda x: (w * x**2).sum((1, 2, 3))), x, x0, Method(steps=8), trace)
    np.testing.assert_allclose(found, (w * (x**2 - x0**2))[0].sum(0).numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("target", [CLASS, TAP], ids=lambda target: target.kind)
def test_integrated_gradients_are_complete_where_the_network_is_smooth(
    exact: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace, target: Target
) -> None:
    """Softplus in place of ReLU leaves no kinks, and quadrature converges fast: SKA's gradients are exact."""
    smooth = folded_copy(exact.model)
    for name, module in list(smooth.named_modules()):
        if isinstance(module, nn.ReLU):
            parent, _, own = name.rpartition(".")
            setattr(smooth.get_submodule(parent), own, nn.Softplus())
    function = explained(smooth, trace, target)
    x = exact.batch(photo)
    absent = baseline_input(x, exact.preprocess, "black")
    found = mapped(function, x, absent, Method(steps=24), trace)
    change = (function.number(x) - function.number(absent)).item()
    assert found.sum(dtype=np.float64) == pytest.approx(change, rel=1e-3)


@pytest.mark.parametrize("target", [CLASS, TAP], ids=lambda target: target.kind)
def test_integrated_gradients_tell_by_how_much_they_miss(
    predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace, target: Target
) -> None:
    found = attribute(predictor, photo, trace, target, Method(steps=16))
    black = baseline_input(predictor.batch(photo), predictor.preprocess, "black")
    with torch.no_grad():
        start = explained(predictor.model, trace, target).number(black).item()
    expected = abs(found.map.sum(dtype=np.float64) - (found.value - start))
    assert found.completeness_error == pytest.approx(expected, rel=1e-2, abs=1e-5)
    assert found.completeness_error < 0.2 * abs(found.value - start)


@pytest.mark.parametrize("target", [CLASS, TAP], ids=lambda target: target.kind)
def test_gradient_times_input_is_the_slope_of_brightening_a_pixel(
    exact: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace, target: Target
) -> None:
    """Numerically: how the number changes as one pixel's three channels grow by a common factor."""
    found = attribute(exact, photo, trace, target, Method("input_x_gradient")).map
    x = exact.batch(photo)
    function = explained(exact.model, trace, target)
    step = 1e-5
    for row, column in ((0, 0), (17, 30), (40, 41), (63, 5)):
        change = torch.zeros_like(x)
        change[..., row, column] = step * x[..., row, column]
        with torch.no_grad():
            slope = (function.number(x + change) - function.number(x - change)).item() / (2 * step)
        assert found[row, column] == pytest.approx(slope, rel=1e-3, abs=1e-6)


def test_occlusion_is_the_mean_fall_over_covering_windows(
    predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace
) -> None:
    found = attribute(predictor, photo, trace, CLASS, Method("occlusion", "black"))
    x = predictor.batch(photo)
    black = (torch.zeros(3) - torch.tensor(predictor.preprocess.mean)) / torch.tensor(predictor.preprocess.std)
    function = explained(predictor.model, trace, CLASS)
    side, step = occlusion_window(64, 64)
    assert (side, step) == (13, 7)
    falls, covering = np.zeros((64, 64)), np.zeros((64, 64))
    starts = [*range(0, 64 - side, step), 8 * step]
    windows = [(slice(top, top + side), slice(left, left + side)) for top in starts for left in starts]
    pictures = x.repeat(len(windows), 1, 1, 1)
    for picture, (rows, columns) in zip(pictures, windows, strict=True):
        picture[:, rows, columns] = black[:, None, None]
    with torch.no_grad():
        numbers = function.number(pictures).numpy()
        for window, fall in zip(windows, function.number(x).item() - numbers, strict=True):
            falls[window] += fall
            covering[window] += 1
    np.testing.assert_allclose(found.map, falls / covering, rtol=1e-3, atol=1e-4)


def features_and_gradient(model: nn.Module, name: str, x: Tensor, index: int) -> tuple[Tensor, Tensor]:
    """Output of a module and the gradient of a logit there."""
    kept: dict[str, Tensor] = {}
    handle = model.get_submodule(name).register_forward_hook(lambda module, args, output: kept.update(output=output))
    logit = model(x)[0, index]
    handle.remove()
    return kept["output"][0], torch.autograd.grad(logit, kept["output"])[0][0]


@pytest.mark.parametrize(("layer", "block"), [("last", "blocks4.5"), ("chosen", BLOCK)])
def test_grad_cam_by_hand(
    predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace, layer: str, block: str
) -> None:
    method = Method("grad_cam", layer=layer)  # type: ignore[arg-type]
    found = attribute(predictor, photo, trace, CLASS, method)
    assert found.layer == grad_cam_block(trace, CLASS, method) == block
    assert found.cell == trace.blocks[block].stride
    model = copy.deepcopy(predictor.model)
    index = int(trace.logits.argmax())
    features, gradient = features_and_gradient(model, block, predictor.batch(photo), index)
    weights = gradient.mean((1, 2))
    expected = torch.einsum("c,chw->hw", weights, features).detach()
    np.testing.assert_allclose(found.map, expected.numpy(), rtol=1e-3, atol=1e-5)
    published = torch.relu(expected)  # the authors cut the negative part off
    np.testing.assert_allclose(np.maximum(found.map, 0), published.numpy(), rtol=1e-3, atol=1e-5)


def test_grad_cam_at_the_last_block_adds_up_to_the_logit_less_its_constant(
    predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace
) -> None:
    target = replace(CLASS, label=trace.classes[7].id)
    found = attribute(predictor, photo, trace, target, Method("grad_cam"))
    with torch.no_grad():
        constant = predictor.model.head(torch.zeros(1, predictor.model.num_features))[0, 7].item()
    assert found.value == pytest.approx(trace.logits[7].item(), rel=1e-4, abs=1e-5)
    assert found.total == pytest.approx(found.value - constant, rel=1e-3, abs=1e-4)


def test_grad_cam_of_a_kernel_weight_weighs_what_the_block_reads(
    predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace
) -> None:
    found = attribute(predictor, photo, trace, TAP, Method("grad_cam"))
    features = trace.blocks[BLOCK].inputs.clone().requires_grad_()
    kernels = predictor.model.get_submodule(BLOCK).mixer.lkp(features[None])[0]
    (gradient,) = torch.autograd.grad(kernels[3, 5, 1, 2], features)
    expected = torch.einsum("c,chw->hw", gradient.mean((1, 2)), features).detach()
    np.testing.assert_allclose(found.map, expected.numpy(), rtol=1e-3, atol=1e-5)


def test_deep_lift_does_not_add_up_over_a_product(trace: ForwardTrace) -> None:
    """From 1 to 2, ReLU(x) · x grows by 3. The multiplier is 1 · x + ReLU(x) at 2, so captum says 4."""
    x = torch.full((1, 3, 1, 1), 2.0)
    found = mapped(GatedByItself(), x, torch.ones_like(x), Method("deep_lift"), trace)
    assert found.tolist() == [[3 * 4.0]]


def test_captum_has_rules_for_the_relus_of_an_lsnet_and_for_nothing_else_in_it(predictor: lsnet.Predictor) -> None:
    ruled = {type(module) for module in predictor.model.modules()} & set(SUPPORTED_NON_LINEAR)
    assert ruled == {nn.ReLU}


def test_deep_lift_tells_by_how_much_it_misses(
    predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace
) -> None:
    found = attribute(predictor, photo, trace, CLASS, Method("deep_lift"))
    assert found.baseline_value is not None
    expected = abs(float(found.map.astype(np.float64).sum()) - (found.value - found.baseline_value))
    assert found.completeness_error == pytest.approx(expected, rel=1e-4)
    assert expected > 0


@pytest.mark.parametrize("method", [m for m in METHODS if m not in ("integrated_gradients", "deep_lift")])
def test_other_methods_promise_no_sum(
    predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace, method: MethodName
) -> None:
    assert attribute(predictor, photo, trace, CLASS, Method(method)).completeness_error is None


def test_a_kernel_weight_is_the_one_that_the_network_used(
    predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace
) -> None:
    found = attribute(predictor, photo, trace, TAP, Method("input_x_gradient"))
    assert found.value == pytest.approx(trace.blocks[BLOCK].kernels[3, 5, 1, 2].item(), rel=1e-4, abs=1e-5)
    assert (found.place.token, found.kernel_large, found.kernel_small) == (TOKEN, 7, 3)
    assert found.probability is None


def test_nothing_after_the_kernel_is_computed(predictor: lsnet.Predictor, trace: ForwardTrace) -> None:
    network = folded_copy(predictor.model)
    later = [network.get_submodule(f"{BLOCK}.ffn"), network.blocks3, network.blocks4, network.head]
    for module in later:
        module.register_forward_hook(lambda module, args, output: pytest.fail("computed"))
    function = explained(network, trace, TAP)
    assert isinstance(function, KernelTap)
    function.number(torch.zeros(1, 3, 64, 64))


def untouched(model: nn.Module) -> Iterator[object]:
    """Everything that a method might leave behind on a network."""
    for module in model.modules():
        yield tuple(
            len(getattr(module, hooks))
            for hooks in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
        )
        yield module.training
        yield sorted(vars(module))
    for value in (*model.parameters(), *model.buffers()):
        yield value.requires_grad
        yield value.grad
        yield value.sum().item()


@pytest.mark.parametrize("target", [CLASS, TAP], ids=lambda target: target.kind)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_answers_and_leaves_the_network_alone(
    predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace, method: MethodName, target: Target
) -> None:
    before = list(untouched(predictor.model))
    shares: list[float] = []
    found = attribute(predictor, photo, trace, target, Method(method, steps=8), shares.append)
    assert list(untouched(predictor.model)) == before
    assert found.empty is None
    assert all(np.isfinite(array).all() for array in found.arrays().values())
    assert found.map.any()
    assert np.array(found.map.shape).tolist() == [math.ceil(64 / found.cell)] * 2
    assert shares == sorted(shares)
    assert shares[-1] == 1


@pytest.mark.parametrize("method", METHODS)
def test_a_failure_in_the_middle_leaves_the_network_alone(
    predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace, method: MethodName
) -> None:
    def cancel(share: float) -> None:
        raise Cancelled

    before = list(untouched(predictor.model))
    with pytest.raises(Cancelled):
        attribute(predictor, photo, trace, CLASS, Method(method), cancel)
    assert list(untouched(predictor.model)) == before


def test_the_private_copy_is_the_same_function(predictor: lsnet.Predictor, photo: Image.Image) -> None:
    x = predictor.batch(photo)
    private = folded_copy(predictor.model)
    assert not any(parameter.requires_grad for parameter in private.parameters())
    with torch.no_grad():
        torch.testing.assert_close(private(x), predictor.model(x), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("method", "start"), [("deep_lift", "black"), ("occlusion", "black"), ("input_x_gradient", "")]
)
def test_a_picture_that_is_its_own_baseline_is_told(
    predictor: lsnet.Predictor, method: MethodName, start: str, trace: ForwardTrace
) -> None:
    x = torch.zeros(1, 3, 64, 64)
    if start:
        x = baseline_input(x, predictor.preprocess, "black")
    function = explained(folded_copy(predictor.model), trace, CLASS)
    absent = baseline_input(x, predictor.preprocess, "black")
    found, empty = attribution_map(function, x, absent, trace, CLASS, Method(method))
    assert not found.any()
    assert empty == "baseline"


def test_a_black_picture_against_black(predictor: lsnet.Predictor) -> None:
    black = Image.new("RGB", (80, 80))
    trace = trace_image(predictor, black)
    assert attribute(predictor, black, trace, CLASS, Method(steps=8)).empty == "baseline"
    assert attribute(predictor, black, trace, CLASS, Method(baseline="mean", steps=8)).empty is None


def test_a_number_that_no_pixel_changes_is_told(trace: ForwardTrace) -> None:
    x = torch.ones(1, 3, 4, 4)
    flat = Function(lambda x: (0 * x).sum((1, 2, 3)))
    assert attribution_map(flat, x, 0 * x, trace, CLASS, Method("input_x_gradient"))[1] == "flat"
    assert attribution_map(flat, x, 0 * x, trace, CLASS, Method(steps=8))[1] == "flat"


def test_numbers_out_of_range_are_told(trace: ForwardTrace) -> None:
    x = torch.ones(1, 3, 4, 4)
    huge = Function(lambda x: (1e38 * x).pow(2).sum((1, 2, 3)))
    found, empty = attribution_map(huge, x, 0 * x, trace, CLASS, Method("input_x_gradient"))
    assert not found.any()
    assert empty == "not_finite"


def test_patches_by_hand() -> None:
    pixels = np.arange(15, dtype=np.float32).reshape(3, 5)
    sums = in_patches(pixels, 1, (3, 5), 2, means=False)
    assert sums.tolist() == [[0 + 1 + 5 + 6, 2 + 3 + 7 + 8, 4 + 9], [10 + 11, 12 + 13, 14]]
    assert in_patches(pixels, 1, (3, 5), 2, means=True).tolist() == [[3, 5, 6.5], [10.5, 12.5, 14]]
    coarse = np.array([[1, 2], [3, 4]], np.float32)  # cells of 4 pixels that the input's edge cuts to 2
    assert in_patches(coarse, 4, (6, 6), 3, means=True).tolist() == [
        pytest.approx([1, 5 / 3]),
        pytest.approx([7 / 3, (1 + 2 * 2 + 2 * 3 + 4 * 4) / 9]),
    ]


def test_baselines(predictor: lsnet.Predictor, photo: Image.Image) -> None:
    x = predictor.batch(photo)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (predictor.preprocess.mean, predictor.preprocess.std))
    shown = {name: baseline_input(x, predictor.preprocess, name)[0] * std + mean for name in get_args(BaselineName)}
    torch.testing.assert_close(shown["black"], torch.zeros(3, 64, 64), rtol=0, atol=1e-6)
    torch.testing.assert_close(shown["mean"], mean.expand(3, 64, 64))
    picture = x[0] * std + mean
    assert shown["blurred"].mean().item() == pytest.approx(picture.mean().item(), abs=0.05)
    assert shown["blurred"].diff(dim=2).abs().mean() < 0.2 * picture.diff(dim=2).abs().mean()


def test_a_class_by_its_id(predictor: lsnet.Predictor, trace: ForwardTrace) -> None:
    chosen = explained(predictor.model, trace, replace(CLASS, label=trace.classes[42].id))
    assert isinstance(chosen, ClassLogit)
    assert chosen.index == 42


@pytest.mark.parametrize(
    ("target", "code"),
    [
        (replace(CLASS, label="n00000000"), "attribution.no_class"),
        (replace(TAP, block="blocks2.2"), "attribution.no_kernels"),
        (replace(TAP, kernel_set=12), "attribution.no_tap"),
        (replace(TAP, tap=9), "attribution.no_tap"),
    ],
)
def test_what_cannot_be_explained_is_told(
    predictor: lsnet.Predictor, trace: ForwardTrace, target: Target, code: str
) -> None:
    with pytest.raises(InputError) as caught:
        explained(predictor.model, trace, target)
    assert caught.value.code == code
    for language in LANGUAGES:
        assert texts_in(language)(f"error.{code}", **caught.value.details)


def test_a_network_without_classes_explains_its_kernels_alone(predictor: lsnet.Predictor, trace: ForwardTrace) -> None:
    headless = replace(trace, classes=(), logits=torch.zeros(256))
    with pytest.raises(InputError, match="no classifier"):
        explained(predictor.model, headless, CLASS)
    assert isinstance(explained(predictor.model, headless, TAP), KernelTap)


@pytest.mark.parametrize(
    ("field", "value"), [("name", "lime"), ("baseline", "white"), ("layer", "first"), ("steps", 0)]
)
def test_a_method_checks_itself(field: str, value: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        Method(**{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(200, 33), (33, 200), (900, 40)], ids=str)
@pytest.mark.parametrize("method", METHODS)
def test_elongated_pictures(predictor: lsnet.Predictor, photo: Image.Image, method: MethodName, shape: tuple) -> None:
    whole = predictor.framed(32, "whole")
    strip = photo.resize(shape)
    found = attribute(whole, strip, trace_image(whole, strip), CLASS, Method(method, "blurred", steps=8))
    assert np.isfinite(found.map).all()
    assert found.map.shape[0] == math.ceil(found.size[0] / found.cell)
    assert 100 <= found.patches.size <= 300


@pytest.mark.parametrize("backend", ["torch", "numba"])
@pytest.mark.parametrize("target", [CLASS, TAP], ids=lambda target: target.kind)
def test_every_backend_of_the_aggregation(
    predictor: lsnet.Predictor,
    photo: Image.Image,
    trace: ForwardTrace,
    target: Target,
    backend: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = (
        replace(target, block="blocks3.5", token=(1, 0)) if target.kind == "tap" else target
    )  # two LS convs lie before it
    usual = attribute(predictor, photo, trace, target, Method("input_x_gradient"))
    monkeypatch.setattr(importlib.import_module("lsnet.ops.ska"), "_fastest", lambda x, w: backend)
    found = attribute(predictor, photo, trace, target, Method("input_x_gradient"))
    np.testing.assert_allclose(found.map, usual.map, rtol=1e-3, atol=1e-3 * np.abs(usual.map).max())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("method", METHODS)
def test_on_a_gpu(predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace, method: MethodName) -> None:
    there = replace(predictor, model=copy.deepcopy(predictor.model).cuda(), device=torch.device("cuda"))
    here = attribute(predictor, photo, trace, CLASS, Method(method))
    found = attribute(there, photo, trace, CLASS, Method(method))
    np.testing.assert_allclose(found.map, here.map, rtol=0.02, atol=0.02 * np.abs(here.map).max())


@pytest.fixture(scope="module")
def subject(predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace) -> Subject:
    return Subject(predictor, photo, trace, BLOCK, TOKEN)


def test_the_menus_name_what_this_network_and_block_have(subject: Subject) -> None:
    menus = {setting.name: setting for setting in VIEW.settings}
    for language in LANGUAGES:
        say = texts_in(language)
        labels = menus["label"].choices("attribution", subject, say)  # type: ignore[union-attr]
        best, share = subject.trace.topk(1)[0]
        assert len(labels) == 1 + len(subject.trace.classes)
        assert labels[0][1] == "predicted"
        assert labels[1] == (f"{best.en if language == 'en' else best.zh} · {share:.1%}", best.id)
        sets = menus["set"].choices("attribution", subject, say)  # type: ignore[union-attr]
        assert len(sets) == len(subject.block_trace.kernels)
        assert len(menus["tap"].choices("attribution", subject, say)) == 9  # type: ignore[union-attr]
        elsewhere = replace(subject, block="blocks4.2")
        assert len(menus["set"].choices("attribution", elsewhere, say)) == 1  # type: ignore[union-attr]


@pytest.mark.parametrize("target", ["class", "tap"])
@pytest.mark.parametrize("method", METHODS)
def test_numbers_are_told_in_both_languages(subject: Subject, method: MethodName, target: str) -> None:
    given = {"method": method, "target": target, "steps": 8, "set": "3", "tap": "5"}
    result = VIEW.result(subject, checked(VIEW.settings, given, "attribution", subject, texts_in("en")))
    for language in LANGUAGES:
        told = VIEW.tell(result, texts_in(language))
        assert f"{result.value:.3g}" in told  # type: ignore[attr-defined]
        written = json.loads(VIEW.draw(result, texts_in(language), False).to_json())
        windows = [shape for shape in written["layout"].get("shapes", []) if shape["line"]["width"] == 2]
        assert bool(windows) == (target == "tap")
