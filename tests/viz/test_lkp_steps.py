"""The steps of large-kernel perception against a second computation, the learned kernels against their response."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import lsnet
from lsnet.config import VARIANTS
from lsnet.model import LSNet
from tests.conftest import randomize
from viz.analysis.large_field import large_field
from viz.analysis.lkp_steps import folded_kernels, learned_kernels, lkp_of, perception_steps, steps_of, strongest_tap
from viz.capture import trace_image
from viz.figures.large_field import draw_large_field
from viz.texts import texts_in
from viz.trace import ForwardTrace

BLOCK, TOKEN = "blocks1.1", (3, 5)


@pytest.fixture(scope="module")
def fused(predictor: lsnet.Predictor) -> lsnet.Predictor:
    return replace(predictor, model=copy.deepcopy(predictor.model).fuse())


def normed(conv: nn.Sequential, x: torch.Tensor) -> torch.Tensor:
    """A convolution and its batch norm at inference, written out in float64."""
    c, bn = conv.c, conv.bn
    y = nn.functional.conv2d(x, c.weight.double(), None, padding=c.padding, groups=c.groups)
    scale = bn.weight.double() / (bn.running_var.double() + bn.eps).sqrt()
    return (y - bn.running_mean.double()[:, None, None]) * scale[:, None, None] + bn.bias.double()[:, None, None]


def test_every_step_by_a_second_computation(predictor: lsnet.Predictor, trace: ForwardTrace) -> None:
    lkp, stored = lkp_of(predictor.model, BLOCK), trace.block(BLOCK)
    with torch.no_grad():
        steps = steps_of(lkp, stored.inputs[None])
        reduced = normed(lkp.cv1, stored.inputs[None].double()).clamp(min=0)
        modelled = normed(lkp.cv3, normed(lkp.cv2, reduced)).clamp(min=0)
        weight, bias = lkp.cv4.weight.double()[:, :, 0, 0], lkp.cv4.bias.double()
        logits = torch.einsum("oc,bchw->bohw", weight, modelled) + bias[:, None, None]
        groups = logits.unflatten(1, (lkp.num_sets, 9))
        mean, var = groups.mean((2, 3, 4), keepdim=True), groups.var((2, 3, 4), correction=0, keepdim=True)
        kernels = ((groups - mean) / (var + lkp.norm.eps).sqrt()).flatten(1, 2)
        kernels = kernels * lkp.norm.weight.double()[:, None, None] + lkp.norm.bias.double()[:, None, None]
    for name, expected in (("reduced", reduced), ("modelled", modelled), ("logits", logits), ("kernels", kernels)):
        torch.testing.assert_close(steps[name].double(), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(steps["context"][0], stored.context)


@pytest.mark.parametrize("form", ["predictor", "fused"])
def test_the_steps_end_in_the_recorded_kernels(
    form: str, request: pytest.FixtureRequest, photo: Image.Image, trace: ForwardTrace
) -> None:
    network: lsnet.Predictor = request.getfixturevalue(form)
    own = trace_image(network, photo)
    result = perception_steps(network, own, BLOCK, TOKEN)
    assert result.deviation < 1e-6
    recorded = trace.block(BLOCK).kernels.flatten(0, 1)
    np.testing.assert_allclose(result.maps[-1], recorded.mean(0), rtol=1e-3, atol=1e-4)
    assert result.steps == ("inputs", "reduced", "context", "modelled", "logits", "kernels")


def test_another_network_is_noticed(trace: ForwardTrace) -> None:
    other = lsnet.load_predictor("untrained/lsnet_n", device="cpu").framed(96)
    with pytest.raises(ValueError, match="expected the network of the trace"):
        perception_steps(other, trace, BLOCK, TOKEN)


def test_the_strongest_tap_by_looking_at_each(trace: ForwardTrace) -> None:
    kernels = trace.block(BLOCK).kernels[:, :, TOKEN[0], TOKEN[1]].numpy()
    found = strongest_tap(trace, BLOCK, TOKEN)
    assert all(abs(kernels[found]) >= abs(w) for w in kernels.ravel())


def test_a_chosen_channel(predictor: lsnet.Predictor, trace: ForwardTrace) -> None:
    result = perception_steps(predictor, trace, BLOCK, TOKEN, channel=7)
    kernel_set, row, column = result.tap
    tap = 3 * (row + 1) + column + 1  # of nine, row-major
    stored = trace.block(BLOCK)
    assert (kernel_set, tap) == strongest_tap(trace, BLOCK, TOKEN)
    np.testing.assert_array_equal(result.maps[0], stored.inputs[7])
    np.testing.assert_allclose(result.maps[2], stored.context[7], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(result.maps[5], stored.kernels[kernel_set, tap], rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match=r"expected a channel in 0…23, got 24"):
        perception_steps(predictor, trace, BLOCK, TOKEN, channel=24)


def test_components_agree_with_an_eigendecomposition(predictor: lsnet.Predictor, trace: ForwardTrace) -> None:
    result = perception_steps(predictor, trace, BLOCK, TOKEN)
    tokens = trace.block(BLOCK).context.flatten(1).double()
    eigenvalues = torch.linalg.eigvalsh(torch.cov(tokens, correction=0)).flip(0)
    np.testing.assert_allclose(result.explained[2], (eigenvalues / eigenvalues.sum())[:3].numpy(), rtol=1e-4)
    scores = result.components[2].reshape(-1, 3).astype(np.float64)
    np.testing.assert_allclose(np.corrcoef(scores.T), np.eye(3), atol=1e-4)
    assert scores[:, 0].std() == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("form", ["predictor", "fused"])
def test_learned_kernels_are_the_response_to_one_lit_token(form: str, request: pytest.FixtureRequest) -> None:
    """A correlation answers an impulse with its kernel turned by half a turn; the norm's shift falls away."""
    lkp = lkp_of(request.getfixturevalue(form).model, BLOCK)
    lit = torch.zeros(1, 24, 7, 7)
    lit[:, :, 3, 3] = 1
    with torch.no_grad():
        response = lkp.cv2(lit) - lkp.cv2(torch.zeros_like(lit))
    np.testing.assert_allclose(folded_kernels(lkp), response[0].flip(1, 2).numpy(), rtol=1e-4, atol=1e-6)


def test_order_and_falloff_by_going_through_all_taps(predictor: lsnet.Predictor, trace: ForwardTrace) -> None:
    result = learned_kernels(predictor, trace, BLOCK)
    rings: dict[int, list[float]] = {}
    near = total = 0.0
    for kernel in result.kernels:
        for u in range(-3, 4):
            for v in range(-3, 4):
                weight = abs(float(kernel[u + 3, v + 3]))
                rings.setdefault(u * u + v * v, []).append(weight)
                total += weight
                near += weight if max(abs(u), abs(v)) <= 1 else 0
    squares = sorted(rings)
    np.testing.assert_allclose(result.distances, np.sqrt(squares), rtol=1e-6)
    np.testing.assert_allclose(result.profile, [np.mean(rings[square]) for square in squares], rtol=1e-5)
    assert result.inside == pytest.approx(near / total, rel=1e-5)
    norms = [float(np.linalg.norm(result.kernels[channel])) for channel in result.order]
    assert norms == sorted(norms, reverse=True)
    assert sorted(result.order.tolist()) == list(range(24))


def test_a_network_without_a_large_kernel_says_so(predictor: lsnet.Predictor, photo: Image.Image) -> None:
    model = randomize(LSNet(VARIANTS["n"], mixer="small", num_classes=0))
    small = replace(predictor, model=model)
    trace = trace_image(small, photo, blocks=[BLOCK], size=64)
    with pytest.raises(lsnet.InputError, match="no large kernel") as told:
        learned_kernels(small, trace, BLOCK)
    assert told.value.code == "large_field.no_large_kernel"
    assert perception_steps(small, trace, BLOCK, (0, 0)).deviation < 1e-6


def test_blocks_without_perception_are_refused(predictor: lsnet.Predictor, trace: ForwardTrace) -> None:
    with pytest.raises(ValueError, match="expected an LS block"):
        perception_steps(predictor, trace, "blocks1.0", TOKEN)
    with pytest.raises(ValueError, match="expected an LS block"):
        learned_kernels(predictor, trace, "blocks4.3")


@pytest.mark.parametrize("show", ["steps", "weights"])
def test_figures_show_one_signed_scale_around_zero(
    show: str, predictor: lsnet.Predictor, trace: ForwardTrace, photo: Image.Image
) -> None:
    (result,) = large_field(predictor, photo, trace, BLOCK, TOKEN, show=show)  # type: ignore[arg-type]
    figure = draw_large_field(result, texts_in("en"))  # type: ignore[arg-type]
    maps = [drawn for drawn in figure.data if drawn.type == "heatmap"]
    assert len(maps) == {"steps": 6, "weights": 1}[show]
    for drawn in maps:
        assert drawn.zmax == -drawn.zmin == pytest.approx(np.nanmax(np.abs(np.asarray(drawn.z, np.float64))))
    text = " ".join(annotation.text for annotation in figure.layout.annotations)
    assert BLOCK in text
    assert "untrained" in text
