"""Captum's attributions go through the SKA operator like through any other."""

import copy

import pytest
import torch
from captum.attr import DeepLift, InputXGradient, IntegratedGradients, LayerGradCam, Occlusion

from lsnet.mixers import LSConv
from lsnet.model import LSNet
from lsnet.registry import create_lsnet
from tests.conftest import randomize


@pytest.fixture(scope="module")
def network() -> LSNet:
    torch.manual_seed(0)
    model = create_lsnet("lsnet_n", num_classes=3)
    randomize(model)
    return model


@pytest.fixture
def picture() -> torch.Tensor:
    return torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def test_integrated_gradients_are_complete(network: LSNet, picture: torch.Tensor) -> None:
    """Attributions add up to the logit's difference from the baseline: the gradients are those of the function."""
    exact = copy.deepcopy(network).double()
    picture, baseline = picture.double(), picture.flip(2, 3).double()
    attribution = IntegratedGradients(exact).attribute(picture, baseline, 1, n_steps=200, internal_batch_size=20)
    with torch.no_grad():
        change = (exact(picture) - exact(baseline))[0, 1]
    assert attribution.sum().item() == pytest.approx(change.item(), rel=0.01)


def test_input_times_gradient_is_what_it_says(network: LSNet, picture: torch.Tensor) -> None:
    x = picture.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(network(x)[0, 2], x)
    torch.testing.assert_close(InputXGradient(network).attribute(picture.requires_grad_(), target=2), x * gradient)


def test_grad_cam_at_an_ls_conv_by_hand(network: LSNet, picture: torch.Tensor) -> None:
    layer = network.get_submodule("blocks2.3.mixer")
    assert isinstance(layer, LSConv)
    kept: dict[str, torch.Tensor] = {}
    handle = layer.register_forward_hook(lambda module, args, output: kept.update(output=output))
    logit = network(picture)[0, 0]
    handle.remove()
    (gradient,) = torch.autograd.grad(logit, kept["output"])
    expected = (gradient.mean((2, 3), keepdim=True) * kept["output"]).sum(1, keepdim=True)
    torch.testing.assert_close(LayerGradCam(network, layer).attribute(picture, target=0), expected)


@pytest.mark.parametrize("method", [Occlusion, DeepLift])
def test_other_methods_give_finite_maps(network: LSNet, picture: torch.Tensor, method: type) -> None:
    options = {"sliding_window_shapes": (3, 16, 16), "strides": (3, 16, 16)} if method is Occlusion else {}
    attribution = method(network).attribute(picture, target=0, **options)
    assert torch.isfinite(attribution).all()
    assert attribution.abs().max() > 0
