"""Analyses against hand-worked cases and independent computations."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import lsnet
from lsnet.preprocess import Preprocess
from viz.analysis.attention import attention_at
from viz.analysis.kernels import kernels_at
from viz.capture import trace_image
from viz.components import principal_components
from viz.images import Geometry
from viz.trace import BlockTrace, ForwardTrace


def made_trace(**tensors: torch.Tensor) -> ForwardTrace:
    """A trace of one block on a 2 × 3 grid of 16-pixel tokens, with given tensors."""
    kind = "msa" if "attention" in tensors else "ls"
    block = BlockTrace("b", kind, 2, 16, (2, 3), 7, 3, **tensors)  # type: ignore[arg-type]
    frame = replace(Preprocess(32, "whole").frame(48, 32))
    return ForwardTrace({"b": block}, torch.zeros(1), (), {"en": "none"}, Geometry(frame), "weights", "cpu", 0.0)


def test_kernels_by_hand() -> None:
    """One set is static (all tokens alike), one alternates in sign (its mean explains nothing)."""
    kernels = torch.zeros(2, 9, 2, 3)
    kernels[0, 4] = 2.0
    kernels[1, 0] = torch.tensor([[1.0, -1.0, 1.0], [-1.0, 1.0, -1.0]])
    result = kernels_at(made_trace(kernels=kernels), "b", (0, 1))
    assert result.kernels[0].tolist() == [[0, 0, 0], [0, 2, 0], [0, 0, 0]]
    assert result.kernels[1][0, 0] == -1
    assert result.static_share.tolist() == [1.0, 0.0]
    assert result.mean[1].tolist() == [[0, 0, 0]] * 3
    assert result.limit == 2.0
    assert result.place.token == (0, 1)


def test_static_share_is_the_best_any_single_kernel_can_do() -> None:
    """A brute-force search around the mean finds no kernel with a smaller squared error."""
    generator = torch.Generator().manual_seed(0)
    kernels = torch.randn(1, 9, 2, 3, generator=generator) + 0.5
    result = kernels_at(made_trace(kernels=kernels), "b", (0, 0))
    flat = kernels[0].flatten(1).double()
    energy = flat.square().sum()

    def share(kernel: torch.Tensor) -> float:
        return (1 - (flat - kernel[:, None]).square().sum() / energy).item()

    mean = torch.from_numpy(result.mean[0]).flatten().double()
    assert share(mean) == pytest.approx(result.static_share[0], rel=1e-5)
    for _ in range(50):
        assert share(mean + 0.1 * torch.randn(9, generator=generator)) < share(mean)


def test_components_by_hand() -> None:
    """Two channels that move together have one component, which explains everything."""
    ramp = np.arange(6.0).reshape(2, 3)
    scores, explained = principal_components(np.stack([ramp, 2 * ramp]))
    np.testing.assert_allclose(explained, [1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(scores[:, 0], np.sqrt(5) * (ramp.ravel() - 2.5))  # the largest loading is positive
    assert not scores[:, 1:].any()


@pytest.mark.parametrize("channels", [4, 40])
def test_components_agree_with_a_singular_value_decomposition(channels: int) -> None:
    """More tokens than channels, and the other way round."""
    maps = np.random.default_rng(0).normal(size=(channels, 5, 4))
    scores, explained = principal_components(maps)
    x = maps.reshape(channels, 20).T
    u, s, _ = np.linalg.svd(x - x.mean(0), full_matrices=False)
    np.testing.assert_allclose(np.abs(scores), np.abs(u[:, :3] * s[:3]), atol=1e-9)
    np.testing.assert_allclose(explained, s[:3] ** 2 / (s**2).sum(), rtol=1e-9)


def test_constant_maps_have_no_components() -> None:
    scores, explained = principal_components(np.ones((4, 2, 3)))
    assert not scores.any()
    assert explained.tolist() == [0, 0, 0]


def test_attention_by_hand() -> None:
    attention = torch.zeros(2, 6, 6)
    attention[0, 4, 5] = 1.0  # token (1, 1) looks at token (1, 2)
    attention[1, 4, :] = 1 / 6
    result = attention_at(made_trace(attention=attention), "b", (1, 1))
    assert result.rows[0].tolist() == [[0, 0, 0], [0, 0, 1]]
    np.testing.assert_allclose(result.rows.sum((1, 2)), 1, rtol=1e-6)
    assert result.mean[1, 2] == pytest.approx((1 + 1 / 6) / 2)


@pytest.mark.parametrize("analyse", [kernels_at, attention_at])
def test_what_is_not_there_is_told(analyse) -> None:  # type: ignore[no-untyped-def]
    trace = made_trace(context=torch.zeros(1, 2, 3))
    with pytest.raises(ValueError, match="block with recorded"):
        analyse(trace, "b", (0, 0))
    with pytest.raises(ValueError, match=r"token in a grid of 2 × 3, got \(2, 0\)"):
        analyse(trace, "b", (2, 0))
    with pytest.raises(KeyError, match="no block 'c'"):
        analyse(trace, "c", (0, 0))


def test_analyses_leave_the_trace_alone(tiny_predictor: lsnet.Predictor, photo: Image.Image) -> None:
    trace = trace_image(tiny_predictor, photo, size=96)
    before = {(b.name, n): t.clone() for b in trace.blocks.values() for n, t in b.tensors().items()}
    kernels_at(trace, "blocks1.1", (0, 0))
    attention_at(trace, "blocks4.3", (0, 0))
    for (name, tensor), value in before.items():
        assert torch.equal(getattr(trace.blocks[name], tensor), value)
