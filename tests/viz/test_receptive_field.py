"""Fields against brute force: what gradients reach, what finite differences say, areas counted by hand."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from timm.layers import SqueezeExcite
from torch import nn

import lsnet
from lsnet.config import VARIANTS
from lsnet.model import LSNet
from tests.conftest import randomize
from viz.analysis import effective_field as fields
from viz.analysis.effective_field import (
    contribution,
    effective_field,
    random_network,
    smallest_areas,
    without_surround,
)
from viz.analysis.lkp_steps import lkp_of
from viz.analysis.receptive_field import Window, cells_around, features_before, theoretical_field, window_of
from viz.capture import trace_image
from viz.examples import examples
from viz.figures.effective_field import coarsened
from viz.figures.large_field import draw_large_field
from viz.images import load_picture
from viz.progress import Cancelled
from viz.results.large_field import EffectiveField, Target
from viz.texts import texts_in

LS_BLOCKS = ("blocks1.1", "blocks2.3", "blocks3.3")


def reaching_network(fused: bool) -> LSNet:
    """An lsnet_n through whose convolutions every pixel that can have an influence has a positive one.

    Weights are positive means, so that no ReLU closes and nothing cancels; what reads the whole picture is left out.
    """
    torch.manual_seed(0)
    model = LSNet(VARIANTS["n"], num_classes=0).double().eval()
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.data = module.weight.data.abs() + 0.1
            module.weight.data /= module.weight.data.sum((1, 2, 3), keepdim=True)
            if module.bias is not None:
                module.bias.data.zero_()
        for name, child in module.named_children():
            if isinstance(child, SqueezeExcite | nn.GroupNorm):
                setattr(module, name, nn.Identity())
            if isinstance(child, nn.BatchNorm2d):
                child.weight.data.fill_(1.0)
    return model.fuse() if fused else model


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("target", ["kernel", "output"])
@pytest.mark.parametrize("block", LS_BLOCKS)
def test_the_theoretical_field_is_what_convolutions_reach(block: str, target: Target, fused: bool) -> None:
    """Exactly: the set of pixels with a gradient is the box, in corners, in the middle, for odd sides too."""
    model = reaching_network(fused)
    height, width = 155, 200
    batch = torch.rand(1, 3, height, width, dtype=torch.float64) + 0.5
    stride = 8 * 2 ** (int(block[6]) - 1)
    rows, columns = -(-height // stride), -(-width // stride)
    for token in ((0, 0), (rows // 2, columns // 2), (rows - 1, 1)):
        reached = contribution(model, block, batch, token, target) > 0
        left, top, right, bottom = theoretical_field(model, block, token, (height, width), target).box
        expected = np.zeros((height, width), bool)
        expected[top:bottom, left:right] = True
        np.testing.assert_array_equal(reached, expected)


def test_windows_by_hand() -> None:
    """Three 3 × 3 convolutions of stride 2: 3, then 3 + 2·2, then 7 + 2·4 pixels."""
    assert window_of(LSNet(VARIANTS["t"]).patch_embed) == Window(15, 8, 7)
    assert Window(3, 2, 1).then(Window(7, 1, 3)) == Window(15, 2, 7)
    assert Window(7, 1, 3).beside(Window(3, 1, 1)) == Window(7, 1, 3)
    assert Window(15, 8, 7).reads(0, 224) == (0, 8)
    assert Window(15, 8, 7).reads(27, 224) == (209, 224)


def test_fields_of_lsnet_t_by_hand() -> None:
    """Stem 15, downsampling 15 + 2·8 = 31 at stride 16, depthwise 31 + 2·16 = 63, perception 63 + 6·16 = 159."""
    field = theoretical_field(LSNet(VARIANTS["t"]), "blocks2.3", (7, 7), (224, 224))
    assert field.side == 159
    assert field.box == (33, 33, 192, 192)  # 7·16 ± 79 around the cell's first pixel
    assert field.everywhere == ("blocks2.2.se", "blocks2.3.mixer.lkp.norm")
    # The aggregation reads 63 + 2·16 = 95, which is less than what its kernels have seen.
    assert theoretical_field(LSNet(VARIANTS["t"]), "blocks2.3", (7, 7), (224, 224), "output").side == 159


def test_statistics_and_attention_read_the_whole_picture(tiny_predictor: lsnet.Predictor) -> None:
    """Through the modules that are named, the farthest pixel moves a kernel; attention's box is everything."""
    model = tiny_predictor.model
    field = theoretical_field(model, "blocks1.1", (0, 0), (128, 128))
    assert field.everywhere == ("blocks1.0.se", "blocks1.1.mixer.lkp.norm")
    assert field.box[2] < 128
    torch.manual_seed(0)
    assert contribution(model, "blocks1.1", torch.randn(1, 3, 128, 128), (0, 0))[-1, -1] > 0
    last = theoretical_field(model, "blocks4.3", (0, 0), (128, 96), "output")
    assert last.box == (0, 0, 96, 128)
    assert last.everywhere[-1] == "blocks4.3.mixer.m"
    with pytest.raises(ValueError, match="expected an LS block"):
        theoretical_field(model, "blocks4.3", (0, 0), (128, 96))
    other = LSNet(VARIANTS["n"], mixer="involution", num_classes=0)
    with pytest.raises(ValueError, match="expected convolutions, LS convs and self-attention"):
        theoretical_field(other, "blocks2.2", (0, 0), (128, 96), "output")
    with pytest.raises(KeyError, match=r"no block 'blocks9\.0'"):
        theoretical_field(model, "blocks9.0", (0, 0), (128, 96))


def test_windows_in_cells_agree_with_the_geometry(tiny_predictor: lsnet.Predictor) -> None:
    """A picture of the input's own size: its pixels are the model's."""
    trace = trace_image(tiny_predictor, Image.new("RGB", (96, 96)), size=96, mode="whole")
    block = trace.block("blocks2.3")
    for token in ((0, 0), (2, 3), (5, 5)):
        box = trace.geometry.window_to_box(*token, block, 3)
        assert cells_around(block, token, 3, (96, 96)) == tuple(min(max(edge, 0), 96) for edge in box)


@pytest.mark.parametrize("target", ["kernel", "tap", "output"])
def test_contributions_agree_with_finite_differences(target: Target) -> None:
    model = randomize(LSNet(VARIANTS["n"], num_classes=0)).double()
    block, token, tap = "blocks2.3", (1, 2), (3, 5)
    generator = torch.Generator().manual_seed(1)
    batch = torch.randn(1, 3, 64, 64, generator=generator, dtype=torch.float64)
    found = contribution(model, block, batch, token, target, tap)

    @torch.no_grad()
    def value(x: torch.Tensor) -> float:
        inputs = features_before(model, block, x)
        if target == "output":
            return model.get_submodule(block)(inputs)[0, :, 1, 2].square().sum().sqrt().item()
        kernels = lkp_of(model, block)(inputs)[0, :, :, 1, 2]
        return (kernels[3, 5] if target == "tap" else kernels.square().sum().sqrt()).item()

    step = 1e-6
    for row, column in ((0, 0), (20, 33), (31, 31), (63, 63)):
        expected = 0.0
        for colour in range(3):
            moved = [batch.clone(), batch.clone()]
            moved[0][0, colour, row, column] += step
            moved[1][0, colour, row, column] -= step
            expected += abs(value(moved[0]) - value(moved[1])) / (2 * step)
        assert found[row, column] == pytest.approx(expected, rel=1e-4, abs=1e-9)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_smallest_areas_by_hand() -> None:
    """Ten in all: the centre alone holds half of it, the centre and its two strongest neighbours 80 %."""
    contributions = np.array([[0.0, 1, 0], [1, 5, 2], [0, 1, 0]])
    assert smallest_areas(contributions).tolist() == [1, 1, 3, 5]
    assert smallest_areas(contributions, (0.51, 0.7, 0.71, 1.0)).tolist() == [2, 2, 3, 5]
    assert smallest_areas(np.ones((3, 3))).tolist() == [2, 5, 8, 9]
    assert smallest_areas(np.zeros((3, 3))).tolist() == [0, 0, 0, 0]


def test_areas_grow_with_the_share_and_ignore_scale_and_place() -> None:
    rng = np.random.default_rng(0)
    contributions = rng.exponential(size=(13, 17)) ** 3
    levels = np.linspace(0.01, 1, 100).tolist()
    areas = smallest_areas(contributions, levels)
    assert (np.diff(areas) >= 0).all()
    assert areas[-1] == contributions.size
    shuffled = rng.permutation(contributions.ravel()).reshape(17, 13)
    np.testing.assert_array_equal(areas, smallest_areas(8 * shuffled, levels))


@pytest.mark.parametrize("fused", [False, True])
def test_without_surround_is_a_pointwise_kernel(tiny_predictor: lsnet.Predictor, fused: bool) -> None:
    """The same as scaling each channel by its centre tap; nothing else changes, and not the original."""
    model = copy.deepcopy(tiny_predictor.model)
    model = model.fuse() if fused else model
    before = {name: value.clone() for name, value in model.state_dict().items()}
    changed = without_surround(model, "blocks2.3")
    lkp = lkp_of(model, "blocks2.3")
    x = torch.randn(1, 96, 6, 5, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        reduced = lkp.act(lkp.cv1(x))
        conv = lkp.cv2 if fused else lkp.cv2.c
        scaled = reduced * conv.weight[:, 0, 3, 3, None, None]
        context = scaled + conv.bias[:, None, None] if fused else lkp.cv2.bn(scaled)
        kernels = lkp.norm(lkp.cv4(lkp.act3(lkp.cv3(context)))).unflatten(1, (12, 9))
        torch.testing.assert_close(lkp_of(changed, "blocks2.3")(x), kernels, rtol=1e-4, atol=1e-5)
    assert [k for k, v in changed.state_dict().items() if not torch.equal(v, before[k])] == [
        "blocks2.3.mixer.lkp.cv2.weight" if fused else "blocks2.3.mixer.lkp.cv2.c.weight"
    ]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_random_network_is_always_the_same_and_knows_the_photos(tiny_predictor: lsnet.Predictor) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, second = (random_network(tiny_predictor, "blocks1.1") for _ in range(2))
    assert torch.equal(torch.rand(1), expected)  # nobody else's random numbers are touched
    assert all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )
    assert not first.training
    small = tiny_predictor.framed(160, "crop")
    stem = first.patch_embed[0]
    with torch.no_grad():
        outputs = torch.cat([stem.c(small.batch(load_picture(example.path))) for example in examples()])
    torch.testing.assert_close(stem.bn.running_mean, outputs.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(stem.bn.running_var, outputs.var((0, 2, 3)), rtol=1e-3, atol=1e-5)


def field_of(predictor: lsnet.Predictor, picture: Image.Image, block: str, token: tuple[int, int]) -> EffectiveField:
    (result,) = effective_field(predictor, picture, trace_image(predictor, picture), block, token)
    return result


def test_a_field_holds_together(tiny_predictor: lsnet.Predictor, photo: Image.Image) -> None:
    predictor = tiny_predictor.framed(96)
    result = field_of(predictor, photo, "blocks1.1", (5, 6))
    np.testing.assert_allclose(result.contributions.sum((1, 2)), 1, rtol=1e-4)
    own = contribution(predictor.model, "blocks1.1", predictor.batch(photo), (5, 6))
    np.testing.assert_allclose(result.contributions[0], own / own.sum(), rtol=1e-4)
    assert result.totals[0] == pytest.approx(own.sum(), rel=1e-5)
    np.testing.assert_allclose(result.sides**2, result.areas * 96 * 96, rtol=1e-4)
    assert (np.diff(result.areas, axis=1) >= 0).all()
    left, top, right, bottom = result.aggregation
    assert (left, top, right, bottom) == (40, 32, 64, 56)
    share = own[top:bottom, left:right].sum() / own.sum()
    assert result.inside[0, 0] == pytest.approx(share, rel=1e-4)
    assert (np.diff(result.inside, axis=1) >= 0).all()  # here each box holds the one before
    x, y = trace_image(predictor, photo).geometry.picture_to_model(*result.picture_box[:2])
    assert (x, y) == pytest.approx(result.field.box[:2])


def test_a_picture_without_content_has_a_field(tiny_predictor: lsnet.Predictor) -> None:
    result = field_of(tiny_predictor.framed(64), Image.new("RGB", (80, 70), (90, 90, 90)), "blocks3.3", (0, 0))
    assert all(np.isfinite(array).all() for array in result.arrays().values())
    np.testing.assert_allclose(result.contributions.sum((1, 2)), 1, rtol=1e-4)


def test_a_long_strip_has_a_field(tiny_predictor: lsnet.Predictor) -> None:
    strip = Image.effect_noise((2000, 33), 80).convert("RGB")
    result = field_of(tiny_predictor.framed(224, "whole"), strip, "blocks2.3", (1, 60))
    assert result.contributions.shape == (3, 32, 1024)
    assert all(np.isfinite(array).all() for array in result.arrays().values())
    assert draw_large_field(result, texts_in("en")).layout.height > 0


def test_nothing_contributes_to_a_kernel_of_zeros(tiny_predictor: lsnet.Predictor, photo: Image.Image) -> None:
    model = copy.deepcopy(tiny_predictor.model)
    nn.init.zeros_(lkp_of(model, "blocks1.1").norm.weight)
    result = field_of(replace(tiny_predictor, model=model).framed(64), photo, "blocks1.1", (1, 1))
    assert result.totals[0] == 0
    assert result.areas[0].tolist() == [0, 0, 0, 0]
    assert all(np.isfinite(array).all() for array in result.arrays().values())
    assert draw_large_field(result, texts_in("zh-CN")).layout.height > 0


@pytest.mark.parametrize("mode", ["crop", "whole"])
def test_the_mean_over_photos_grows_photo_by_photo(
    tiny_predictor: lsnet.Predictor, photo: Image.Image, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    predictor = tiny_predictor.framed(64, mode)  # type: ignore[arg-type]
    monkeypatch.setattr(fields, "examples", lambda: examples()[:2])
    trace, shares = trace_image(predictor, photo), []
    results = list(
        effective_field(predictor, photo, trace, "blocks1.1", (2, 3), bundled_photos=True, progress=shares.append)
    )
    assert [result.photos for result in results] == [(1, 2), (2, 2)]
    assert shares == sorted(shares)
    assert 0 <= shares[0] <= shares[-1] < 1
    height, width = results[0].size
    expected = np.zeros((height, width))
    for example in examples()[:2]:
        picture = load_picture(example.path)
        if mode == "whole":  # the middle of the photo in the shape of the input
            scale = max(width / picture.width, height / picture.height)
            across, down = width / scale, height / scale
            left, top = (picture.width - across) / 2, (picture.height - down) / 2
            picture = picture.resize((width, height), Image.Resampling.BICUBIC, (left, top, left + across, top + down))
        own = contribution(predictor.model, "blocks1.1", predictor.batch(picture), (2, 3))
        assert own.shape == (height, width)
        expected += own / own.sum() / 2
    np.testing.assert_allclose(results[1].contributions[0], expected, rtol=1e-3, atol=1e-7)


def test_a_cancelled_field_stops_and_leaves_nothing(tiny_predictor: lsnet.Predictor, photo: Image.Image) -> None:
    predictor = tiny_predictor.framed(64)
    trace = trace_image(predictor, photo)
    before = {name: value.clone() for name, value in predictor.model.state_dict().items()}

    def stop(share: float) -> None:
        if share > 0:
            raise Cancelled

    with pytest.raises(Cancelled):
        list(effective_field(predictor, photo, trace, "blocks1.1", (1, 1), progress=stop))
    assert all(torch.equal(value, before[name]) for name, value in predictor.model.state_dict().items())
    assert all(parameter.grad is None for parameter in predictor.model.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in predictor.model.modules())
    with pytest.raises(ValueError, match="expected a predictor with an input of"):
        list(effective_field(tiny_predictor, photo, trace, "blocks1.1", (1, 1)))


def test_the_three_fields_share_one_scale(tiny_predictor: lsnet.Predictor, photo: Image.Image) -> None:
    result = field_of(tiny_predictor.framed(64), photo, "blocks1.1", (1, 1))
    figure = draw_large_field(result, texts_in("en"))
    maps = [drawn for drawn in figure.data if drawn.type == "heatmap"]
    assert [drawn.coloraxis for drawn in maps] == ["coloraxis"] * 3
    assert figure.layout.coloraxis.cmax == pytest.approx(np.log10(result.contributions.max()), rel=1e-6)
    text = " ".join(annotation.text for annotation in figure.layout.annotations)
    assert "blocks1.1" in text
    assert "untrained" in text


def test_coarser_maps_keep_the_mean_by_hand() -> None:
    """Five columns in steps of two: the last cell is the mean of one column."""
    shares = np.arange(10, dtype=np.float32).reshape(2, 5)
    assert coarsened(shares, 2).tolist() == [[3.0, 5.0, 6.5]]
    assert coarsened(shares, 1).tolist() == shares.tolist()
