"""Transplants: table 9's multiply-accumulates by a counting library, shapes kept, and every way to say where."""

import pytest
import timm
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lsnet.mixers import SKA, LSConv
from lsnet.transplant import LSConv2d, LSTokenMixer, is_conv3x3, transplant
from tests.conftest import randomize


def gmacs(name: str) -> float:
    """Multiply-accumulates of a picture of 224 × 224, in units of 1e9: torch's counter, and K² a value of each SKA."""
    model = timm.create_model(name).eval().to("meta")
    aggregated: list[int] = []
    for module in model.modules():
        if isinstance(module, SKA):
            module.register_forward_hook(lambda m, args, y: aggregated.append(args[1].shape[2] * y.numel()))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.empty(1, 3, 224, 224, device="meta"))
    counted = counter.get_flop_counts()["Global"]
    # Other modules may have taught the counter a formula for SKA; here it is counted by hand.
    others = sum(flops for operator, flops in counted.items() if "ska" not in str(operator))
    return (others / 2 + sum(aggregated)) / 1e9


@pytest.mark.parametrize(
    ("name", "published"),
    [("resnet50", 4.1), ("ls_resnet50", 2.6), ("deit_tiny_patch16_224", 1.3), ("ls_deit_tiny", 0.9)],
)
def test_table_9(name: str, published: float) -> None:
    assert round(gmacs(name), 1) == published


def test_every_3x3_convolution_of_resnet50_is_replaced() -> None:
    plain, ls = timm.create_model("resnet50"), timm.create_model("ls_resnet50")
    names = [name for name, m in plain.named_modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
    assert len(names) == 16
    assert [name for name, module in ls.named_modules() if isinstance(module, LSConv2d)] == names
    assert all(name.endswith("conv2") for name in names)
    assert isinstance(ls.conv1, nn.Conv2d)  # 7 × 7


def test_every_attention_of_deit_is_replaced_and_nothing_else_is() -> None:
    plain, ls = timm.create_model("deit_tiny_patch16_224"), timm.create_model("ls_deit_tiny")
    assert [n for n, m in ls.named_modules() if isinstance(m, LSTokenMixer)] == [f"blocks.{i}.attn" for i in range(12)]

    def others(model: nn.Module) -> dict[str, torch.Size]:
        return {name: p.shape for name, p in model.named_parameters() if ".attn." not in name}

    assert others(plain) == others(ls)


@pytest.mark.parametrize("name", ["ls_resnet50", "ls_deit_tiny"])
def test_they_are_timm_models(name: str) -> None:
    size = {"img_size": 64} if "deit" in name else {}
    model = timm.create_model(name, num_classes=5, **size).eval()
    assert model(torch.randn(1, 3, 64, 64)).shape == (1, 5)
    features = timm.create_model(name, features_only=True, **size)(torch.randn(1, 3, 64, 64))
    assert all(feature.isfinite().all() for feature in features)
    assert timm.data.resolve_model_data_config(model)["mean"] == (0.485, 0.456, 0.406)
    with pytest.raises(RuntimeError, match="No pretrained weights exist"):
        timm.create_model(name, pretrained=True)


@pytest.mark.parametrize(("in_dim", "out_dim", "stride"), [(16, 16, 1), (16, 16, 2), (3, 24, 1), (3, 24, 2)])
@pytest.mark.parametrize("side", [9, 10])
def test_channels_and_grid_are_those_of_the_convolution(in_dim: int, out_dim: int, stride: int, side: int) -> None:
    x = torch.randn(2, in_dim, side, side + 1)
    expected = nn.Conv2d(in_dim, out_dim, 3, stride, 1)(x)
    assert LSConv2d(in_dim, out_dim, stride)(x).shape == expected.shape


def test_tokens_are_mixed_on_their_grid_and_the_class_token_sees_their_mean() -> None:
    mixer = LSTokenMixer(16, (3, 5), prefix_tokens=2)
    randomize(mixer)
    x = torch.randn(2, 2 + 15, 16)
    with torch.no_grad():
        y = mixer(x)
        grid = torch.zeros(2, 16, 3, 5)
        for token in range(15):
            grid[:, :, token // 5, token % 5] = x[:, 2 + token]
        expected = mixer.ls(grid)
    for token in range(15):
        torch.testing.assert_close(y[:, 2 + token], expected[:, :, token // 5, token % 5])
    for prefix in (0, 1):
        torch.testing.assert_close(y[:, prefix], expected.mean((2, 3)))


def test_other_grids_and_masks() -> None:
    mixer = LSTokenMixer(16, (3, 5), prefix_tokens=1)
    assert mixer(torch.randn(1, 1 + 16, 16)).shape == (1, 17, 16)  # 4 × 4
    with pytest.raises(ValueError, match="expected 3 × 5 patch tokens or a square of them, got 14"):
        mixer(torch.randn(1, 1 + 14, 16))
    with pytest.raises(ValueError, match="no attention mask"):
        mixer(torch.randn(1, 1 + 15, 16), attn_mask=torch.zeros(16, 16))


def test_where_by_name_and_by_predicate() -> None:
    model = timm.create_model("resnet18", num_classes=4)
    assert transplant(model, "layer4.*.conv2") == ("layer4.0.conv2", "layer4.1.conv2")
    # The first convolution of the first block of a layer changes channels and takes a step.
    strided = transplant(model, lambda name, module: isinstance(module, nn.Conv2d) and module.stride == (2, 2))
    assert strided == ("layer2.0.conv1", "layer3.0.conv1", "layer4.0.conv1")  # neither 7 × 7 nor 1 × 1
    rest = transplant(model, is_conv3x3)
    assert len(rest) == 16 - 5  # none twice, and none inside what was transplanted
    assert sum(isinstance(module, LSConv) for module in model.modules()) == 16
    assert model(torch.randn(1, 3, 64, 64)).shape == (1, 4)
    with pytest.raises(ValueError, match="found none"):
        transplant(model)


@pytest.mark.parametrize("name", ["mobilenetv3_small_050", "regnety_002", "test_vit"])
def test_other_networks_of_timm(name: str) -> None:
    model = timm.create_model(name, num_classes=3).double().eval()
    x = torch.randn(1, 3, *timm.data.resolve_model_data_config(model)["input_size"][1:]).double()
    shape = model(x).shape
    assert transplant(model)
    assert not any(module.training for module in model.modules())
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float64}
    y = model(x)
    assert y.shape == shape
    y.sum().backward()
    found = [module for module in model.modules() if isinstance(module, LSConv)]
    assert all(parameter.grad is not None for module in found for parameter in module.parameters())


def test_convolutions_that_shrink_the_picture_stay() -> None:
    model = timm.create_model("inception_v3", num_classes=3, aux_logits=False).eval()
    unpadded = [n for n, m in model.named_modules() if isinstance(m, nn.Conv2d) and m.padding == (0, 0)]
    replaced = transplant(model)
    assert replaced
    assert not set(replaced) & set(unpadded)
    with torch.inference_mode():
        assert model(torch.rand(1, 3, 139, 139)).shape == (1, 3)
