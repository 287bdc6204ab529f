"""Operations on live forward passes against hand-worked cases, second implementations, and the network left alone."""

import copy
import math
from contextlib import nullcontext

import pytest
import torch
from PIL import Image
from torch import Tensor

import lsnet
from lsnet.mixers import LKP, MSA
from lsnet.model import LSNet
from lsnet.ops import ska
from viz.analysis.operations import (
    Surgery,
    box_kernel,
    given,
    identity_kernel,
    kernel_of,
    mean_kernel,
    operated,
    permuted,
    shuffled,
    uniform_attention,
    without_surround,
)
from viz.capture import capture
from viz.trace import ForwardTrace

LS = ("blocks1.1", "blocks2.3", "blocks3.3", "blocks3.5")


@pytest.fixture
def batch(predictor: lsnet.Predictor, photo: Image.Image) -> Tensor:
    return predictor.batch(photo)


def run(model: LSNet, batch: Tensor, *surgeries: Surgery, tap: str = "blocks4.5.features") -> tuple[Tensor, Tensor]:
    """Logits, and one recorded tensor."""
    with torch.no_grad(), operated(model, surgeries) as patched, capture(patched, [tap]) as record:
        return patched(batch)[0], record[tap][0]


def test_identity_and_box_by_hand() -> None:
    """One set on a 3 × 3 grid that holds 1 … 9, with centre taps 1 … 9, whose mean is 5, and upper taps 7. The box's
    taps are the mean (5 + 7) / 9 of all nine, times the sums of zero-padded neighbourhoods, which are written out.
    """
    x = torch.arange(1.0, 10).view(1, 1, 3, 3)
    kernels = torch.zeros(1, 1, 9, 3, 3)
    kernels[0, 0, 4] = x[0, 0]
    kernels[0, 0, 1] = 7.0  # an upper neighbour, which no mixing drops
    lkp = LKP(16, 7, 3, 1)
    assert ska(x, identity_kernel(lkp, x, kernels).contiguous())[0, 0].tolist() == (5 * x[0, 0]).tolist()
    box = ska(x, box_kernel(lkp, x, kernels).contiguous())[0, 0]
    mean = (5 + 7) / 9  # of nine taps
    sums = torch.tensor([[12.0, 21, 16], [27, 45, 33], [24, 39, 28]])
    torch.testing.assert_close(box, mean * sums)


def test_the_mean_is_the_nearest_static_kernel() -> None:
    generator = torch.Generator().manual_seed(0)
    kernels = torch.randn(2, 3, 9, 4, 5, generator=generator, dtype=torch.float64)
    mean = mean_kernel(LKP(16, 7, 3, 1), kernels, kernels)
    torch.testing.assert_close(mean[1, 2, :, 3, 4], kernels[1, 2].reshape(9, 20).sum(1) / 20)
    error = (kernels - mean).square().sum()
    for _ in range(20):
        other = mean + 0.1 * torch.randn(2, 3, 9, 1, 1, generator=generator, dtype=torch.float64)
        assert (kernels - other).square().sum() > error


@pytest.mark.parametrize("block", LS)
def test_a_blocks_own_kernels_change_nothing(
    predictor: lsnet.Predictor, trace: ForwardTrace, batch: Tensor, block: str
) -> None:
    own = trace.block(block).kernels
    untouched, _ = run(predictor.model, batch)
    for operation in (given(own[None]), permuted(torch.arange(math.prod(trace.block(block).grid)))):
        logits, _ = run(predictor.model, batch, Surgery(block, operation))
        torch.testing.assert_close(logits, untouched, rtol=0, atol=1e-6)
    torch.testing.assert_close(untouched, trace.logits, rtol=0, atol=1e-6)


def test_kernels_that_are_static_already_stay(predictor: lsnet.Predictor, batch: Tensor) -> None:
    """Without the last convolution's weights, LKP predicts one kernel for all places."""
    model = copy.deepcopy(predictor.model)
    for name in LS:
        model.get_submodule(f"{name}.mixer.lkp.cv4").weight.data.zero_()
    untouched, features = run(model, batch)
    for operation in (mean_kernel, kernel_of(1, 0), shuffled(3)):
        logits, changed = run(model, batch, *(Surgery(name, operation) for name in LS))
        torch.testing.assert_close(logits, untouched, rtol=0, atol=1e-5)
        torch.testing.assert_close(changed, features, rtol=0, atol=1e-5)


def test_on_a_constant_picture_kernels_vary_near_its_border_alone(tiny_predictor: lsnet.Predictor) -> None:
    """Zero padding is felt 1 token deep by the stem and 1 by the block before, then 3 by the large kernel: from the
    sixth token inwards all kernels are one, and to have that one everywhere changes the block's output nowhere else.
    """
    batch = tiny_predictor.framed(160).batch(Image.new("RGB", (160, 160), (90, 140, 60)))
    surgery = Surgery("blocks1.1", kernel_of(10, 10))
    _, before = run(tiny_predictor.model, batch, tap="blocks1.1.features")
    _, after = run(tiny_predictor.model, batch, surgery, tap="blocks1.1.features")
    change = (after - before).abs().amax(0)
    assert change[6:-6, 6:-6].max() < 1e-4
    assert change[0].max() > 1e-2


def test_a_shuffle_moves_every_kernel_of_a_token_together(trace: ForwardTrace) -> None:
    kernels = trace.block("blocks2.3").kernels[None]
    lkp = LKP(16, 7, 3, 1)
    moved = shuffled(seed=5)(lkp, kernels, kernels)
    order = torch.randperm(36, generator=torch.Generator().manual_seed(5))
    for token in range(36):
        (y, x), (v, u) = divmod(token, 6), divmod(int(order[token]), 6)
        assert torch.equal(moved[..., y, x], kernels[..., v, u])
    assert torch.equal(moved, shuffled(seed=5)(lkp, kernels, kernels))
    assert not torch.equal(moved, kernels)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("block", ["blocks1.1", "blocks3.5"])
def test_without_the_surround_by_hand(predictor: lsnet.Predictor, batch: Tensor, block: str, fused: bool) -> None:
    """The same network with a depthwise convolution whose weights around the centre were set to zero."""
    model = copy.deepcopy(predictor.model)
    if fused:
        model.fuse()
    by_hand = copy.deepcopy(model)
    convolution = by_hand.get_submodule(f"{block}.mixer.lkp.cv2{'' if fused else '.c'}")
    mask = torch.zeros(7, 7)
    mask[3, 3] = 1
    convolution.weight.data *= mask
    expected, _ = run(by_hand, batch)
    logits, _ = run(model, batch, Surgery(block, without_surround))
    assert torch.equal(logits, expected)
    assert not torch.equal(logits, run(model, batch)[0])


def test_uniform_attention_is_the_mean_of_the_values(predictor: lsnet.Predictor, batch: Tensor) -> None:
    model = predictor.model
    _, inputs = run(model, batch, tap="blocks4.2.features")
    block = model.get_submodule("blocks4.3")
    msa = block.mixer.m
    assert isinstance(msa, MSA)
    with torch.no_grad():
        values = msa.qkv(inputs[None]).split(msa.split, dim=1)[2]
        mixed = inputs[None] + msa.proj(values.mean((2, 3), keepdim=True).expand_as(values))
        expected = block.ffn(block.se(mixed))[0]
    _, features = run(model, batch, Surgery("blocks4.3", uniform_attention), tap="blocks4.3.features")
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)


def test_only_the_chosen_sets_are_replaced(predictor: lsnet.Predictor, batch: Tensor, trace: ForwardTrace) -> None:
    surgery = Surgery("blocks2.3", mean_kernel, sets=(1, 4))
    _, kernels = run(predictor.model, batch, surgery, tap="blocks2.3.kernels")
    own = trace.block("blocks2.3").kernels
    kept = [g for g in range(len(own)) if g not in (1, 4)]
    torch.testing.assert_close(kernels[kept], own[kept], rtol=0, atol=1e-6)
    torch.testing.assert_close(kernels[[1, 4]], own[[1, 4]].mean((2, 3), keepdim=True).expand(2, 9, 6, 6))


def test_operations_on_one_block_act_one_after_the_other(predictor: lsnet.Predictor, batch: Tensor) -> None:
    """The box of identity kernels: a ninth of the mean centre tap everywhere."""
    first, second = Surgery("blocks2.3", identity_kernel), Surgery("blocks2.3", box_kernel)
    _, own = run(predictor.model, batch, tap="blocks2.3.kernels")
    _, kernels = run(predictor.model, batch, first, second, tap="blocks2.3.kernels")
    expected = own[:, 4].mean((1, 2))[:, None, None, None] / 9
    torch.testing.assert_close(kernels, expected.expand_as(kernels))


@pytest.mark.parametrize("fails", [False, True])
def test_the_shared_network_is_left_alone(predictor: lsnet.Predictor, batch: Tensor, fails: bool) -> None:
    model = predictor.model
    state = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        before = model(batch)
    surgeries = [Surgery(name, operation) for name in LS for operation in (mean_kernel, without_surround)]
    surgeries.append(Surgery("blocks4.3", uniform_attention))
    kept: list[LSNet] = []
    failure = pytest.raises(RuntimeError, match="inside") if fails else nullcontext()
    with failure, torch.no_grad(), operated(model, surgeries) as patched:
        kept.append(patched)
        assert not torch.equal(patched(batch), before)
        assert torch.equal(model(batch), before)  # also meanwhile
        if fails:
            raise RuntimeError("inside")
    for network in (model, *kept):
        assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
        assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
        with torch.no_grad():
            assert torch.equal(network(batch), before)
    assert not any(a is b for a, b in zip(model.parameters(), kept[0].parameters(), strict=True))


def test_hooks_of_others_stay_theirs(predictor: lsnet.Predictor, batch: Tensor) -> None:
    """Whoever records the shared network meanwhile keeps that recording, free of the operated passes."""
    with torch.no_grad(), capture(predictor.model, ["blocks1.1.kernels"]) as record:
        predictor.model(batch)
        seen = record["blocks1.1.kernels"]
        run(predictor.model, batch, Surgery("blocks1.1", without_surround))
        assert record["blocks1.1.kernels"] is seen


def test_a_narrowed_lkp_is_not_recorded_as_the_block(predictor: lsnet.Predictor, batch: Tensor) -> None:
    _, own = run(predictor.model, batch, tap="blocks1.1.context")
    _, context = run(predictor.model, batch, Surgery("blocks1.1", without_surround), tap="blocks1.1.context")
    assert torch.equal(context, own)


def test_surgery_on_what_is_not_there(predictor: lsnet.Predictor, batch: Tensor) -> None:
    with pytest.raises(KeyError, match="no block"):
        run(predictor.model, batch, Surgery("blocks9.9", mean_kernel))
    with pytest.raises(ValueError, match="kernels or attention"):
        run(predictor.model, batch, Surgery("blocks1.0", mean_kernel))
    with pytest.raises(ValueError, match="kernel sets from 0 to 5"):
        run(predictor.model, batch, Surgery("blocks1.1", mean_kernel, sets=(6,)))
    with pytest.raises(ValueError, match="expected kernels of shape"):
        run(predictor.model, batch, Surgery("blocks1.1", given(torch.zeros(1, 6, 9, 2, 2))))
