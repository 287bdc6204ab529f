"""Capture: what is recorded is what was computed, nothing stays behind, and only what is asked for is kept."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from torch import nn

import lsnet
from lsnet.config import VARIANTS
from lsnet.mixers import MIXERS, MSA, Tap
from lsnet.ops import ska_reference
from tests.conftest import randomize
from viz.capture import capture, taps_of, trace_image


def hooks(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("fused", [False, True])
def test_the_recorded_kernels_are_those_that_the_aggregation_used(
    variant: str, fused: bool, photo: Image.Image
) -> None:
    predictor = lsnet.load_predictor(f"untrained/lsnet_{variant}", device="cpu")
    randomize(predictor.model)
    if fused:
        predictor.model.fuse()
    trace = trace_image(predictor, photo, size=160)
    kinds = {block.kind for block in trace.blocks.values()}
    assert kinds == {"dw", "ls", "msa"}
    for block in trace.blocks.values():
        height, width = block.grid
        assert (height, width) == (-(-160 // block.stride), -(-160 // block.stride))
        dim = VARIANTS[variant].dims[block.stage - 1]
        assert block.features.shape == (dim, height, width)
        if block.kind == "ls":
            assert block.kernels.shape == (dim // 8, 9, height, width)
            assert block.context.shape == (dim // 2, height, width)
            assert (block.kernel_large, block.kernel_small) == (7, 3)
            again = ska_reference(block.inputs[None], block.kernels[None])[0]
            torch.testing.assert_close(block.aggregated, again, rtol=1e-5, atol=1e-5)
        if block.kind == "msa":
            assert block.attention.shape == (4, height * width, height * width)
            torch.testing.assert_close(block.attention.sum(-1), torch.ones(4, height * width))


def test_the_context_is_the_large_kernel_output(tiny_predictor: lsnet.Predictor, photo: Image.Image) -> None:
    """Recomputed from the block's input by hand: 1×1, ReLU, depthwise 7×7, each with its norm."""
    block = trace_image(tiny_predictor, photo).block("blocks2.3")
    lkp = tiny_predictor.model.get_submodule("blocks2.3").mixer.lkp
    with torch.no_grad():
        reduced = torch.relu(lkp.cv1.bn(nn.functional.conv2d(block.inputs[None], lkp.cv1.c.weight)))
        context = lkp.cv2.bn(nn.functional.conv2d(reduced, lkp.cv2.c.weight, padding=3, groups=reduced.shape[1]))
    torch.testing.assert_close(block.context, context[0])


def test_logits_are_the_same_with_and_without_capture(tiny_predictor: lsnet.Predictor, photo: Image.Image) -> None:
    assert torch.equal(trace_image(tiny_predictor, photo).logits, tiny_predictor.logits(photo))


def test_hooks_are_gone_after_success_and_after_failure(tiny_predictor: lsnet.Predictor, photo: Image.Image) -> None:
    model = tiny_predictor.model
    trace_image(tiny_predictor, photo)
    assert hooks(model) == 0
    with capture(model, taps_of(model)):
        assert hooks(model) == len(taps_of(model))
    assert hooks(model) == 0
    with pytest.raises(RuntimeError), capture(model, taps_of(model)):
        model(torch.zeros(1, 5, 64, 64))  # five channels: the forward pass itself fails
    assert hooks(model) == 0


def test_hooks_are_gone_when_attaching_fails_half_way(
    tiny_predictor: lsnet.Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MSA, "taps", {"attention": Tap("nowhere")})
    with pytest.raises(AttributeError), capture(tiny_predictor.model, taps_of(tiny_predictor.model)):
        pytest.fail("the recording began")
    assert hooks(tiny_predictor.model) == 0


def test_an_unknown_tap_lists_the_known_ones(tiny_predictor: lsnet.Predictor) -> None:
    says = r"no tap 'blocks9\.9\.kernels'; there are .*blocks1\.1\.kernels"
    with pytest.raises(KeyError, match=says), capture(tiny_predictor.model, ["blocks9.9.kernels"]):
        pytest.fail("the recording began")


def test_only_the_blocks_asked_for_are_recorded(tiny_predictor: lsnet.Predictor, photo: Image.Image) -> None:
    trace = trace_image(tiny_predictor, photo, blocks=["blocks2.3"])
    recorded = {name for name, block in trace.blocks.items() if block.tensors()}
    assert recorded == {"blocks2.3"}
    assert len(trace.blocks) == 12
    with pytest.raises(KeyError, match="no block 'blocks9'"):
        trace_image(tiny_predictor, photo, blocks=["blocks9"])
    with pytest.raises(KeyError, match=r"no block 'x'; there are blocks1\.0"):
        trace.block("x")


def test_a_trace_holds_no_model_and_no_graph(tiny_predictor: lsnet.Predictor, photo: Image.Image) -> None:
    trace = trace_image(tiny_predictor, photo)
    for block in trace.blocks.values():
        for tensor in block.tensors().values():
            assert tensor.device.type == "cpu"
            assert tensor.dtype == torch.float32
            assert not tensor.requires_grad
            assert not tensor.is_inference()
    copy.deepcopy(trace)


def test_topk(tiny_predictor: lsnet.Predictor, photo: Image.Image) -> None:
    trace = trace_image(tiny_predictor, photo)
    probabilities = np.exp(trace.logits.double().numpy())
    probabilities /= probabilities.sum()
    top = trace.topk(3)
    assert [label for label, _ in top] == [trace.classes[i] for i in np.argsort(-probabilities)[:3]]
    assert [p for _, p in top] == pytest.approx(np.sort(probabilities)[::-1][:3], rel=1e-4)
    assert len(trace.topk(10_000)) == 1000


def test_to_npz(tiny_predictor: lsnet.Predictor, photo: Image.Image, tmp_path) -> None:  # type: ignore[no-untyped-def]
    trace = trace_image(tiny_predictor, photo, blocks=["blocks1.1", "blocks4.3"])
    trace.to_npz(tmp_path / "trace.npz")
    with np.load(tmp_path / "trace.npz", allow_pickle=False) as file:
        assert np.array_equal(file["blocks1.1/kernels"], trace.blocks["blocks1.1"].kernels.numpy())
        assert np.array_equal(file["blocks4.3/attention"], trace.blocks["blocks4.3"].attention.numpy())
        assert "untrained" in str(file["weights"])
        assert len(file["classes"]) == len(file["logits"]) == 1000


@pytest.mark.parametrize("mixer", MIXERS)
def test_every_mixer_can_be_traced(mixer: str, photo: Image.Image) -> None:
    predictor = lsnet.load_predictor("untrained/lsnet_n", device="cpu")
    model = timm.create_model("lsnet_n", mixer=mixer, num_classes=1000).eval()
    trace = trace_image(replace(predictor, model=model), photo, size=72)
    block, member = trace.blocks["blocks1.1"], model.get_submodule("blocks1.1")
    assert block.kind == member.kind
    assert block.grid == (9, 9)
    assert set(block.tensors()) == set(member.taps)
    assert block.kernel_large == {"ls": 7, "small": 1, "involution": 1, "cot": 3}.get(mixer, 0)
    if block.kernels is not None:
        again = ska_reference(block.inputs[None], block.kernels[None].contiguous())[0]
        torch.testing.assert_close(block.aggregated, again, rtol=1e-5, atol=1e-5)
    if block.attention is not None:
        assert block.attention.shape[1:] == (81, 81)
        torch.testing.assert_close(block.attention.sum(-1), torch.ones_like(block.attention[..., 0]))
