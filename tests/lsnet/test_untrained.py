"""Networks with random weights, by name: what a name says is what is built, and nonsense is told."""

import pytest
import torch

import lsnet
from lsnet import InputError
from lsnet.config import VARIANTS
from lsnet.mixers import MIXERS, LKPConv, LSConv, windows_of
from lsnet.model import LSNet
from lsnet.sites import sites_of
from lsnet.untrained import CHANGES, OPTIONS, TRANSPLANTS, Variant, fitting_sets
from tests.lsnet.test_ablations import PRINTED


@pytest.mark.parametrize("mixer", MIXERS)
def test_every_mixer_by_name(mixer: str) -> None:
    predictor = lsnet.load_predictor(f"untrained/lsnet_n?mixer={mixer}", device="cpu")
    assert isinstance(predictor.model, LSNet)
    assert predictor.model.config.mixer == mixer
    assert not predictor.card.trained
    name = "lsnet_n" if mixer == "ls" else f"lsnet_n?mixer={mixer}"
    assert predictor.card.source == f"untrained/{name}"
    labels = {site.label for site in sites_of(predictor.model)}
    assert labels == {"dw", mixer, "attention"}


@pytest.mark.parametrize("row", PRINTED)
def test_every_variant_of_tables_5_to_8_has_a_name(row: str) -> None:
    options = PRINTED[row][0]
    query = "&".join(f"{option}={str(value).lower()}" for option, value in options.items())
    variant = Variant.read(f"lsnet_t?{query}")
    assert dict(variant.options) == {o: v for o, v in options.items() if v != getattr(VARIANTS["t"], o)}
    assert Variant.read(variant.name) == variant


def test_a_name_has_one_form() -> None:
    first = Variant.read("lsnet_t?kernel_small=1&kernel_large=5&se=true")
    assert first.name == "lsnet_t?kernel_large=5&kernel_small=1"
    assert Variant("lsnet_t", {"kernel_large": 5, "kernel_small": 1}) == first
    assert Variant.read("lsnet_t?mixer=ls").name == "lsnet_t"


def test_the_options_are_built() -> None:
    model = lsnet.load_predictor("untrained/lsnet_n?kernel_large=9&kernel_small=5&channels_per_set=4", "cpu").model
    found = [module for module in model.modules() if isinstance(module, LSConv)]
    assert {windows_of(module) for module in found} == {(9, 5)}
    assert found[0].lkp.num_sets == VARIANTS["n"].dims[0] // 4
    plain = lsnet.load_predictor("untrained/lsnet_n?ska=false", "cpu").model
    assert any(isinstance(module, LKPConv) for module in plain.modules())
    assert not any(isinstance(module, LSConv) for module in plain.modules())


def test_weights_are_always_the_same_and_the_callers_random_numbers_are_left_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first, second = (Variant.read("lsnet_n?mixer=involution").build().state_dict() for _ in range(2))
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(value, second[key]) for key, value in first.items())


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("lsnet_x", "weights.unknown", "lsnet_t"),
        ("../lsnet_t", "weights.unknown", "ls_resnet50"),
        ("resnet50", "weights.unknown", "known are"),
        ("lsnet_n?mixer=foo", "variant.value", "involution"),
        ("lsnet_n?mixer", "variant.value", "got ''"),
        ("lsnet_n?kernel_large=4", "variant.value", "1, 3, 5, 7, 9"),
        ("lsnet_n?kernel_large=99999", "variant.value", "got '99999'"),
        ("lsnet_n?ska=0", "variant.value", "true, false"),
        ("lsnet_n?num_classes=3", "variant.option", "kernel_small"),
        ("lsnet_n?mixer=involution&ska=false", "variant.unused", "ska"),
        ("lsnet_n?mixer=small&kernel_large=5", "variant.unused", "kernel_large"),
        ("lsnet_n?channels_per_set=16", "variant.channels", "1, 4, 8"),
        ("ls_resnet50?mixer=ls", "variant.no_options", "ls_resnet50"),
    ],
)
def test_what_cannot_be_built_is_told(name: str, code: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        lsnet.load_predictor(f"untrained/{name}", "cpu")
    assert caught.value.code == code


def test_an_option_that_a_mixer_does_not_have_changes_nothing_in_it() -> None:
    """What the table of options calls unused is really unused: the network stays the same with another value."""
    for option, mixers in CHANGES.items():
        for mixer in set(MIXERS) - set(mixers):
            other = next(value for value in OPTIONS[option] if value != getattr(VARIANTS["n"], option))
            plain, changed = (LSNet(VARIANTS["n"], mixer=mixer, **extra) for extra in ({}, {option: other}))
            shapes = [[(k, v.shape) for k, v in model.state_dict().items()] for model in (plain, changed)]
            assert shapes[0] == shapes[1], (option, mixer)


def test_the_sets_that_fit() -> None:
    assert fitting_sets(VARIANTS["n"]) == [1, 4, 8]  # 48 = 3 · 16 channels, in two halves
    assert fitting_sets(VARIANTS["t"]) == [1, 4, 8, 16, 32]


@pytest.mark.parametrize("name", TRANSPLANTS)
def test_transplants_by_name_are_no_lsnet(name: str) -> None:
    predictor = lsnet.load_predictor(f"untrained/{name}", "cpu")
    assert not predictor.card.trained
    assert len(predictor.classes) == 1000
    with pytest.raises(InputError) as caught:
        _ = predictor.lsnet
    assert caught.value.code == "network.not_lsnet"


def test_kernels_of_one_tap_on_a_grid_of_one_token() -> None:
    """Stage 3 of 32 pixels: the group norm sees one value, which it moves to its bias."""
    model = Variant.read("lsnet_n?kernel_small=1").build()
    lkp = model.get_submodule("blocks3.3").mixer.lkp
    lkp.norm.bias.data.uniform_()
    with torch.no_grad():
        kernels = lkp(torch.randn(1, VARIANTS["n"].dims[2], 1, 1))
        assert torch.isfinite(model(torch.randn(1, 3, 32, 32))).all()
    torch.testing.assert_close(kernels.flatten(), lkp.norm.bias, atol=1e-4, rtol=0)
