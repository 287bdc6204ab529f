"""Attention against hand-worked cases, brute force and the network itself."""

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from PIL import Image

import lsnet
from lsnet.model import LSNet
from lsnet.preprocess import Preprocess
from lsnet.registry import create_lsnet
from tests.conftest import randomize
from viz.analysis.attention import (
    attention,
    attention_at,
    attention_at_sizes,
    attention_bias,
    attention_heads,
    attention_logits,
    attention_rollout,
)
from viz.analysis.same_place import same_place
from viz.capture import trace_image
from viz.figures.attention import draw_attention
from viz.images import Geometry
from viz.texts import LANGUAGES, texts_in
from viz.trace import BlockTrace, ForwardTrace
from viz.views.attention import VIEW

SHOWS = ("rows", "rollout", "bias", "heads", "resolution")


def made_trace(*attentions: torch.Tensor, grid: tuple[int, int] = (2, 2)) -> ForwardTrace:
    """A trace of MSA blocks b0, b1, … of one stage with given attention, on 32-pixel tokens."""
    blocks = {
        f"b{i}": BlockTrace(f"b{i}", "msa", 3, 32, grid, attention=weights) for i, weights in enumerate(attentions)
    }
    frame = Preprocess(32 * min(grid), "whole").frame(32 * grid[1], 32 * grid[0])
    return ForwardTrace(blocks, torch.zeros(1), (), {"en": "none"}, Geometry(frame), "weights", "cpu", 0.0)


def random_attention(heads: int, tokens: int) -> torch.Tensor:
    return torch.randn(heads, tokens, tokens, generator=torch.Generator().manual_seed(0)).softmax(-1)


@pytest.fixture(scope="module")
def trace(tiny_predictor: lsnet.Predictor, photo: Image.Image) -> ForwardTrace:
    return trace_image(tiny_predictor, photo, size=160)


@pytest.fixture(scope="module")
def with_attention() -> lsnet.Predictor:
    """A network whose odd blocks all attend, from stride 8 on."""
    base = lsnet.load_predictor("untrained/lsnet_n", device="cpu")
    model = create_lsnet("lsnet_n", mixer="attention")
    randomize(model)
    return replace(base, model=model)


def test_rows_sum_to_one(tiny_predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace) -> None:
    framed = tiny_predictor.framed(160)
    rows = attention_at(trace, "blocks4.3", (2, 0))
    np.testing.assert_allclose(rows.rows.sum((1, 2)), 1, rtol=1e-5)
    np.testing.assert_allclose(attention_rollout(trace, "blocks4.3", (2, 0)).maps.sum((1, 2)), 1, rtol=1e-5)
    sizes = attention_at_sizes(framed, photo, trace, "blocks4.3", (2, 0), sizes=(96, 160))
    for maps in sizes.maps:
        np.testing.assert_allclose(maps.mean((1, 2)), 1, rtol=1e-5)  # times N: one on average


def test_rollout_by_hand() -> None:
    """Two tokens. A₁ = [[1, 0], [1, 0]], A₂ = [[0, 1], [0, 1]], so the halved sums with the identity are
    [[1, 0], [½, ½]] and [[½, ½], [0, 1]], and their product, the later one on the left, is [[¾, ¼], [½, ½]].
    """
    first, second = torch.tensor([[1.0, 0], [1, 0]]), torch.tensor([[0.0, 1], [0, 1]])
    trace = made_trace(first[None], second[None], grid=(1, 2))
    assert attention_rollout(trace, "b0", (0, 0)).maps.tolist() == [[[1, 0]], [[0.75, 0.25]]]
    assert attention_rollout(trace, "b1", (0, 1)).maps.tolist() == [[[0.5, 0.5]], [[0.5, 0.5]]]


def test_rollout_is_the_product_of_whole_matrices(with_attention: lsnet.Predictor, photo: Image.Image) -> None:
    trace = trace_image(with_attention, photo, size=64)
    stage = [b for b in trace.blocks.values() if b.kind == "msa" and b.stage == 3]
    assert len(stage) == 2
    result = attention_rollout(trace, stage[0].name, (1, 0))
    total = torch.eye(4)
    for depth, block in enumerate(stage):
        total = (0.5 * block.attention.mean(0) + 0.5 * torch.eye(4)) @ total
        np.testing.assert_allclose(result.maps[depth].ravel(), total[2].numpy(), rtol=1e-5)
    assert result.blocks == tuple(block.name for block in stage)


def test_entropy_of_uniform_and_of_one_hot() -> None:
    weights = torch.stack([torch.full((6, 6), 1 / 6), torch.eye(6)])
    trace = made_trace(weights, grid=(2, 3))
    rows = attention_at(trace, "b0", (1, 1))
    np.testing.assert_allclose(rows.entropy, [math.log2(6), 0], atol=1e-6)
    heads = attention_heads(trace, "b0")
    np.testing.assert_allclose(heads.entropy, [math.log2(6), 0], atol=1e-6)
    assert heads.limits[0] == pytest.approx(math.log2(6))
    np.testing.assert_allclose(heads.distance, [heads.uniform[0], 0], rtol=1e-6)


def test_mean_distance_by_brute_force() -> None:
    height, width = 2, 3
    weights = random_attention(2, height * width)
    trace = made_trace(weights, grid=(height, width))
    tokens = list(product(range(height), range(width)))
    by_token = [
        [sum(weights[head, i, j].item() * math.dist(p, q) for j, q in enumerate(tokens)) for i, p in enumerate(tokens)]
        for head in range(2)
    ]
    np.testing.assert_allclose(attention_heads(trace, "b0").distance, np.mean(by_token, 1), rtol=1e-5)
    np.testing.assert_allclose(attention_at(trace, "b0", (1, 0)).distance, [row[3] for row in by_token], rtol=1e-5)


@pytest.mark.parametrize("size", [128, 160])
def test_the_logits_make_the_recorded_attention(tiny_predictor: lsnet.Predictor, photo: Image.Image, size: int) -> None:
    trace = trace_image(tiny_predictor, photo, size=size)
    products, bias = attention_logits(tiny_predictor, trace, "blocks4.3")
    assert bias.abs().max() > 0.1
    torch.testing.assert_close((products + bias).softmax(-1), trace.block("blocks4.3").attention, rtol=1e-4, atol=1e-6)


def test_the_logits_of_a_fused_network(photo: Image.Image) -> None:
    predictor = lsnet.load_predictor("untrained/lsnet_n", device="cpu")
    randomize(predictor.model)
    predictor.model.fuse()
    trace = trace_image(predictor, photo, size=96)
    products, bias = attention_logits(predictor, trace, "blocks4.3")
    torch.testing.assert_close((products + bias).softmax(-1), trace.block("blocks4.3").attention, rtol=1e-4, atol=1e-6)


def test_the_shares_of_the_bias_are_a_regression_of_it_on_the_logits(
    tiny_predictor: lsnet.Predictor, trace: ForwardTrace
) -> None:
    """The share is the slope with which the bias grows with the logits, both around the means of their rows."""
    result = attention_bias(tiny_predictor, trace, "blocks4.3")
    products, bias = attention_logits(tiny_predictor, trace, "blocks4.3")
    for head in range(4):
        b, c = (part[head].double().numpy() for part in (bias, products))
        b, c = b - b.mean(1, keepdims=True), c - c.mean(1, keepdims=True)
        slope, _ = np.polyfit((b + c).ravel(), b.ravel(), 1)
        assert result.share[head] == pytest.approx(slope, rel=1e-4)
        assert result.bias_spread[head] == pytest.approx(b.std(), rel=1e-4)
        assert result.products_spread[head] == pytest.approx(c.std(), rel=1e-4)
    msa = tiny_predictor.model.get_submodule("blocks4.3.mixer.m")
    np.testing.assert_array_equal(result.table[1, 2], msa.attention_biases[1, 8:12].detach().numpy())


def test_a_bias_of_zero_has_no_share(photo: Image.Image) -> None:
    untrained = lsnet.load_predictor("untrained/lsnet_n", device="cpu")
    result = attention_bias(untrained, trace_image(untrained, photo, size=96), "blocks4.3")
    assert result.share.tolist() == [0, 0, 0, 0]
    assert "zero" in VIEW.tell(result, texts_in("en"))


def test_the_same_place_at_another_resolution(tiny_predictor: lsnet.Predictor, photo: Image.Image) -> None:
    """Of the same resolution it is the same row; of a finer one, the token that owns the centre of the cell."""
    framed = tiny_predictor.framed(128)
    trace = trace_image(framed, photo)
    result = attention_at_sizes(framed, photo, trace, "blocks4.3", (1, 0), sizes=(128, 256))
    assert result.tokens == ((1, 0), (3, 1))  # pixel (96, 32) of 128 is (192, 64) of 256: cell 3, and cell 1 begins
    same = attention_at(trace, "blocks4.3", (1, 0))
    np.testing.assert_allclose(result.maps[0], same.rows * 4, rtol=1e-5)
    assert [values.shape for values in result.maps] == [(4, 2, 2), (4, 4, 4)]
    assert set(result.arrays()) == {"entropy", "limits", "map_128", "map_256"}


def test_the_same_place_in_another_block() -> None:
    frame = Preprocess(96, "whole").frame(96, 96)
    geometry = Geometry(frame)
    coarse, fine = BlockTrace("c", "msa", 4, 64, (2, 2)), BlockTrace("f", "ls", 1, 8, (12, 12))
    assert same_place((0, 0), coarse, geometry, fine, geometry) == (4, 4)  # the centre (32, 32)
    assert same_place((1, 1), coarse, geometry, fine, geometry) == (10, 10)  # cut at 96: the centre is (80, 80)
    assert same_place((9, 7), fine, geometry, coarse, geometry) == (1, 0)


def test_stages_with_grids_of_many_tokens(with_attention: lsnet.Predictor, photo: Image.Image) -> None:
    framed = with_attention.framed(96)
    trace = trace_image(framed, photo)
    assert next(b.grid for b in trace.blocks.values() if b.kind == "msa") == (12, 12)
    for show in ("rows", "rollout", "bias", "heads"):
        result = attention(framed, photo, trace, "blocks1.1", (5, 7), show=show)
        assert all(np.isfinite(values).all() for values in result.arrays().values())
    heads = attention_heads(trace, "blocks1.1")
    assert np.bincount(heads.block.astype(int)).tolist() == [3, 3, 3, 3, 4, 4]
    products, bias = attention_logits(framed, trace, "blocks2.3")
    torch.testing.assert_close((products + bias).softmax(-1), trace.block("blocks2.3").attention, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("show", SHOWS)
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("overlay", [False, True])
def test_every_way_to_show_draws_and_tells(
    tiny_predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace, show: str, language: str, overlay: bool
) -> None:
    framed = tiny_predictor.framed(160)
    result = attention(framed, photo, trace, "blocks4.3", (1, 2), show=show, overlay=overlay)  # type: ignore[arg-type]
    say = texts_in(language)
    figure = draw_attention(result, say, dark=overlay)
    captions = " ".join(annotation.text for annotation in figure.layout.annotations)
    assert "blocks4.3" in captions
    assert "untrained" in captions
    assert VIEW.tell(result, say)
    assert bool(figure.layout.images) == (overlay and show not in ("bias", "heads"))


@pytest.mark.parametrize("show", SHOWS)
@pytest.mark.parametrize("picture", [Image.new("RGB", (50, 50), "gray"), Image.new("RGB", (33, 2000), "navy")])
def test_pictures_without_content_or_shape(tiny_predictor: lsnet.Predictor, picture: Image.Image, show: str) -> None:
    framed = tiny_predictor.framed(64, "whole")
    trace = trace_image(framed, picture)
    result = attention(framed, picture, trace, "blocks4.3", (0, 0), show=show)  # type: ignore[arg-type]
    assert all(np.isfinite(values).all() for values in result.arrays().values())
    assert draw_attention(result, texts_in("en")).layout.height < 2000
    assert "nan" not in VIEW.tell(result, texts_in("en"))


def test_what_is_missing_is_told(tiny_predictor: lsnet.Predictor, photo: Image.Image) -> None:
    trace = trace_image(tiny_predictor, photo, size=64, blocks=["blocks4.3"])
    with pytest.raises(ValueError, match="features of the block before"):
        attention_logits(tiny_predictor, trace, "blocks4.3")
    for analyse in (attention_at, attention_rollout):
        with pytest.raises(ValueError, match="expected an MSA block"):
            analyse(trace, "blocks4.2", (0, 0))
    with pytest.raises(ValueError, match="token in a grid"):
        attention_rollout(trace, "blocks4.3", (5, 5))


def test_nothing_shared_changes(tiny_predictor: lsnet.Predictor, photo: Image.Image, trace: ForwardTrace) -> None:
    model: LSNet = tiny_predictor.model
    before = {name: value.clone() for name, value in model.state_dict().items()}
    weights = trace.block("blocks4.3").attention.clone()
    for show in SHOWS:
        attention(tiny_predictor.framed(96), photo, trace, "blocks4.3", (0, 1), show=show)  # type: ignore[arg-type]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(weights, trace.block("blocks4.3").attention)
    assert not any(module._forward_hooks for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())
